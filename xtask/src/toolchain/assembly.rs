//! Assembles build/toolchain: the release's programs with the patched std, for use with rustup.
//!
//! The release's files are hard links where the file system allows, so they are the very files of
//! the user's own toolchain. Nothing here ever opens one of them for writing: a file is put where
//! there is none, in a directory that is made anew each time and takes the old one's place when it
//! is whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::library::sources::{LibraryId, Patched};
use crate::library::sysroot::{Profile, Workshop, is_library};
use crate::run::command::CommandExt;
use crate::run::files::{file_name, temporary};
use crate::run::kill_point::kill_point;
use crate::run::ownership::hex;
use crate::run::{ownership, whole};
use crate::say::progress::Step;
use crate::session::Session;

const LAUNCHER: &str = include_str!("launcher/main.rs");
const README: &str = include_str!("launcher/README.txt");

/// The compilers, which the launcher takes the place of.
const LAUNCHED: [&str; 3] = ["rustc", "rustdoc", "clippy-driver"];

/// What is left out: rustup's records of what it installed, documentation of the unpatched std,
/// and sources of it.
const LEFT_OUT: [&str; 4] =
    ["share/doc", "lib/rustlib/components", "lib/rustlib/src", "lib/rustlib/rustc-src"];
const LEFT_OUT_PREFIXES: [&str; 4] = [
    "lib/rustlib/manifest-",
    "lib/rustlib/multirust-",
    "lib/rustlib/rust-installer-version",
    "lib/rustlib/uninstall",
];

pub struct Assembly<'a> {
    session: &'a Session,
    /// The std that it gets.
    library: LibraryId,
    /// Where it ends up.
    pub directory: PathBuf,
}

/// What a toolchain was assembled from; kept in it.
#[derive(Serialize, Deserialize)]
struct Stamp {
    /// Changes when std, the release or this tool does.
    digest: String,
    targets: BTreeSet<String>,
}

impl<'a> Assembly<'a> {
    /// The toolchain with the std that is in the tree right now.
    pub fn patched(session: &'a Session) -> Result<Assembly<'a>> {
        let library = Patched::of(&session.tree, None)?.library;
        let directory = directory(&session.project, &session.base);
        Ok(Assembly { session, library, directory })
    }

    /// Makes the toolchain, with a patched std for the host, for `more` targets, and for those that
    /// it already has one for. Returns whether there was anything to do.
    pub fn bring_up_to_date(&self, more: &[String]) -> Result<bool> {
        let old = self.stamp();
        let mut targets = BTreeSet::from_iter([self.session.compiler.host.clone()]);
        targets.extend(more.iter().cloned());
        if let Some(old) = &old {
            targets.extend(old.targets.iter().cloned());
        }
        let stamp = Stamp { digest: self.digest()?, targets };
        if old.is_some_and(|old| old.digest == stamp.digest && old.targets == stamp.targets) {
            return Ok(false);
        }

        let replaced = temporary(&self.directory, "replaced");
        ownership::discard(&replaced)?;
        whole::make(&self.directory, |into| {
            self.assemble(&stamp, into)?;
            if self.directory.exists() {
                ownership::settle(&self.directory, &replaced)?;
            }
            Ok(())
        })?;
        ownership::discard(&replaced)?;
        Ok(true)
    }

    fn stamp(&self) -> Option<Stamp> {
        let text = fs::read_to_string(stamp_file(&self.directory)).ok()?;
        toml::from_str(&text).ok()
    }

    fn digest(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        hasher.update(&self.library);
        // The tool itself stands for its flags, its launcher and the way it lays things out.
        for file in [self.session.compiler.bin("rustc"), std::env::current_exe()?] {
            let metadata = fs::metadata(&file)?;
            let modified = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
            hasher.update(file.as_os_str().as_encoded_bytes());
            hasher.update(modified.as_nanos().to_le_bytes());
        }
        Ok(hex(&hasher.finalize()))
    }

    fn assemble(&self, stamp: &Stamp, into: &Path) -> Result<()> {
        let mut compiled = Vec::new();
        for target in &stamp.targets {
            let step = Step::start(format!("compiling std for {target}"));
            let workshop = Workshop::open(self.session, target)?;
            workshop.sources.show(&self.library)?;
            let files = workshop.compile(Profile::Dist)?;
            // Nobody else compiles there until the files are copied.
            compiled.push((workshop, target, files));
            step.done();
        }

        let step = Step::start(format!("assembling {}", display(&self.directory)));
        self.place_release(stamp, into)?;
        kill_point("while the toolchain is assembled");
        let mut digest = Sha256::new();
        for (_, target, files) in &compiled {
            let libdir = into.join("lib/rustlib").join(target).join("lib");
            for file in files {
                digest.update(fs::read(file)?);
                copy(file, &libdir.join(&*file_name(file)))?;
            }
        }
        self.place_launchers(&hex(&digest.finalize())[..12], into)?;
        // Copies, not links: nobody who edits the sources of a toolchain means to edit others.
        let rust_src = into.join("lib/rustlib/src/rust/library");
        let (of_host, ..) = &compiled[0];
        let library = &of_host.sources.library;
        for file in files_below(library)? {
            copy(&file, &rust_src.join(file.strip_prefix(library)?))?;
        }
        fs::write(into.join("README.txt"), self.readme())?;
        fs::write(stamp_file(into), toml::to_string(stamp)?)?;
        step.done();
        Ok(())
    }

    /// The release's files, but for its std and what belongs to targets not asked for.
    fn place_release(&self, stamp: &Stamp, into: &Path) -> Result<()> {
        let sysroot = &self.session.compiler.sysroot;
        for file in files_below(sysroot)? {
            let name = file.strip_prefix(sysroot)?;
            let text = name.to_string_lossy();
            if LEFT_OUT.iter().any(|left_out| name.starts_with(left_out))
                || LEFT_OUT_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            {
                continue;
            }
            if let Ok(rest) = name.strip_prefix("lib/rustlib")
                && let Some(target) = rest.iter().next()
                && sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
            {
                // Of the release's std stay start files, run-time libraries for sanitizers and the
                // like, and the linker.
                let of_std = rest.iter().nth(1).is_some_and(|d| d == "lib") && is_library(&file);
                if of_std || !stamp.targets.iter().any(|t| *target == **t) {
                    continue;
                }
            }
            let launched = LAUNCHED.iter().find(|program| name == Path::new("bin").join(program));
            let destination = match launched {
                Some(program) => into.join("libexec").join(program),
                None => into.join(name),
            };
            link(&file, &destination)?;
        }
        Ok(())
    }

    fn place_launchers(&self, std_digest: &str, into: &Path) -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let source = scratch.path().join("main.rs");
        let launcher = scratch.path().join("launcher");
        fs::write(&source, LAUNCHER)?;
        let compile = |linkage: &[&str]| {
            let mut rustc = Command::new(self.session.compiler.bin("rustc"));
            rustc.args(["--edition", "2024", "--crate-name", "launcher"]);
            rustc.args(["-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols"]).args(linkage);
            rustc.env("STD_DIGEST", std_digest);
            rustc.arg(&source).arg("-o").arg(&launcher).run()
        };
        // Without the dynamic linker it starts faster, but not every machine has a static C library.
        compile(&["-Ctarget-feature=+crt-static", "-Crelocation-model=static"])
            .or_else(|_| compile(&[]))
            .context("the launcher of the compiler does not compile")?;
        for program in LAUNCHED {
            if into.join("libexec").join(program).exists() {
                copy(&launcher, &into.join("bin").join(program))?;
            }
        }
        Ok(())
    }

    fn readme(&self) -> String {
        README
            .replace("{release}", &self.session.base.release)
            .replace("{compiler}", self.session.compiler.title())
            .replace("{directory}", &self.directory.display().to_string())
    }
}

/// Where the toolchain of a base is.
pub fn directory(project: &Project, base: &Base) -> PathBuf {
    project.build_of(base, "toolchain")
}

fn stamp_file(toolchain: &Path) -> PathBuf {
    toolchain.join("lib/rustlib/tcp-keepalive.toml")
}

/// The files below a directory, in the order of their names. The directory may be a link: rustup makes
/// one for a toolchain that the user linked.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(directory).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Puts the file at a place where there is none, as a hard link if it can be.
fn link(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().expect("a file has a parent"))?;
    // Another file system, one without links, or a file of another user's.
    if fs::symlink_metadata(from)?.is_symlink() || fs::hard_link(from, to).is_err() {
        return copy(from, to);
    }
    Ok(())
}

/// Copies the file to a place where there is none.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().expect("a file has a parent"))?;
    if fs::symlink_metadata(from)?.is_symlink() {
        return Ok(fs_err::os::unix::fs::symlink(fs::read_link(from)?, to)?);
    }
    // Fails if there is a file: copying to it could write to another that it is a link to.
    let mut new = fs::OpenOptions::new().write(true).create_new(true).open(to)?;
    let mut old = fs::File::open(from)?;
    std::io::copy(&mut old, &mut new)?;
    Ok(fs::set_permissions(to, fs::metadata(from)?.permissions())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_directory_is_walked_and_not_taken_for_a_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("real/bin")).unwrap();
        fs::write(dir.path().join("real/bin/rustc"), "").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("real"), &link).unwrap();
        assert_eq!(files_below(&link).unwrap(), [link.join("bin/rustc")]);
    }

    /// What is in the toolchain may be a link to a file of the user's.
    #[test]
    fn nothing_is_written_over_a_file_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let [theirs, ours, other] = ["theirs", "ours", "other"].map(|name| dir.path().join(name));
        fs::write(&theirs, "of the user").unwrap();
        fs::write(&other, "something else").unwrap();
        link(&theirs, &ours).unwrap();
        assert!(copy(&other, &ours).is_err());
        assert!(link(&other, &ours).is_err());
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "of the user");
    }
}
