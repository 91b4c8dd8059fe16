//! Makes a tree that bootstrap accepts from an archive or a checkout.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use rustix::fs::Mode;
use tar::EntryType;

use crate::base::{Archive, Base, Mend, TakeBack, archive};
use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::git::Git;
use crate::run::ownership;
use crate::say::failure::NotRun;
use crate::say::progress::Step;

/// Fills the empty directory `destination` with the base's sources.
pub fn base_into(
    destination: &Path,
    base: &Base,
    compiler: &Compiler,
    source: Option<&Path>,
) -> Result<()> {
    match source {
        Some(directory) if directory.is_dir() => copy_checkout(directory, base, destination)?,
        Some(file) => unpack(file, archive::identify(file, base)?, &base.mend, destination)?,
        None => {
            let archive = archive::obtain(base)?;
            unpack(&archive.path()?, archive, &base.mend, destination)?;
        }
    }
    mend(destination, &base.mend, compiler)
}

fn unpack(file: &Path, archive: &Archive, mend: &Mend, destination: &Path) -> Result<()> {
    let name = &archive.file;
    let (program, package, args): (_, _, &[&str]) = match Path::new(name).extension() {
        // A .deb is an archive of archives; this prints the one with the files.
        Some(deb) if deb == "deb" => ("dpkg-deb", "dpkg", &["--fsys-tarfile"]),
        Some(gz) if gz == "gz" => ("gzip", "gzip", &["--decompress", "--stdout"]),
        _ => ("xz", "xz-utils", &["--decompress", "--stdout", "--threads=0"]),
    };
    if which::which(program).is_err() {
        Err(NotRun(format!("{name} is unpacked by {program}; install the package {package}")))?;
    }
    let step = Step::start(format!("unpacking {name}"));
    let mut command = Command::new(program);
    let mut child = command.args(args).arg(file).stdout(Stdio::piped()).start()?;
    let files = child.stdout.take().expect("its output is a pipe");
    let extracted = extract(files, &archive.root, mend, destination);
    // If it went wrong, the pipe is closed, and the program ends.
    let status = child.wait()?;
    extracted.with_context(|| format!("cannot unpack {name}"))?;
    if !status.success() {
        bail!("{program} could not read {} ({status})", file.display());
    }
    step.done();
    Ok(())
}

fn extract(tar: impl Read, root: &Path, mend: &Mend, destination: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(tar);
    // Cargo tells by its time whether a file changed, so each file is as new as this tree.
    archive.set_preserve_mtime(false);
    archive.set_mask(umask());
    let mut links = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?;
        let path = path.strip_prefix(".").unwrap_or(&path);
        let Ok(path) = path.strip_prefix(root).map(Path::to_owned) else { continue };
        if path.as_os_str().is_empty() || is_left_out(&path, mend) {
            continue;
        }
        let link = entry.link_name()?.map(|target| target.into_owned());
        if let Some(reason) = refusal(&path, entry.header().entry_type(), link.as_deref(), &links) {
            bail!(
                "{} {reason}. No archive of Rust has that, so none of it is used",
                path.display()
            );
        }
        let target = destination.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        entry.unpack(&target).with_context(|| format!("cannot unpack {}", path.display()))?;
        if link.is_some() {
            links.push(path);
        }
    }
    // To the very end, where the checksums are.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    if fs::read_dir(destination)?.next().is_none() {
        bail!("the archive has no directory {}", root.display());
    }
    Ok(())
}

/// Why a member of an archive may not be unpacked: it could write or read outside of the tree, or have
/// git run something. `links` are the symbolic links before it.
fn refusal(
    path: &Path,
    kind: EntryType,
    link: Option<&Path>,
    links: &[PathBuf],
) -> Option<&'static str> {
    let is_git = |c: Component| c.as_os_str().eq_ignore_ascii_case(".git");
    if !path.components().all(|c| matches!(c, Component::Normal(_))) {
        return Some("leaves the tree");
    }
    if path.components().any(is_git) {
        return Some("belongs to a git repository");
    }
    if links.iter().any(|link| path.starts_with(link)) {
        return Some("lies behind a link");
    }
    match (kind, link) {
        (EntryType::Regular | EntryType::Directory, _) => None,
        (EntryType::Symlink, Some(to)) => {
            // Leading `..`, no more of them than there are directories above; then names alone.
            let up = to.components().take_while(|c| *c == Component::ParentDir).count();
            let names = to.components().skip(up).all(|c| matches!(c, Component::Normal(_)));
            let stays = names && up < path.components().count();
            (!stays).then_some("is a link that leaves the tree")
        }
        _ => Some("is neither a file, a directory nor a symbolic link"),
    }
}

/// The permissions that the user does not want new files to have.
fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::empty());
    rustix::process::umask(mask);
    #[allow(clippy::useless_conversion, reason = "on other systems than Linux, it has 16 bits")]
    mask.bits().into()
}

fn is_left_out(path: &Path, mend: &Mend) -> bool {
    mend.leave_out.iter().any(|left_out| path.starts_with(left_out))
}

/// Copies the files of a checkout of rust-lang/rust that stands at the base's commit.
fn copy_checkout(checkout: &Path, base: &Base, destination: &Path) -> Result<()> {
    let git = Git::at(checkout);
    let head =
        git.rev("HEAD").with_context(|| format!("{} is not a git checkout", checkout.display()))?;
    if head != base.commit {
        bail!(
            "{} stands at commit {head}; Rust {} is commit {}. Check that out first",
            checkout.display(),
            base.release,
            base.commit
        );
    }
    let changes = git.read(&["status", "--porcelain", "--untracked-files=no"])?;
    if !changes.is_empty() {
        bail!("{} has uncommitted changes:\n{changes}", checkout.display());
    }
    let mut files = tracked_files(&git, Path::new(""))?;
    // std is built with the submodules under library/; those elsewhere stay behind.
    for submodule in git.read(&["ls-files", "--stage", "library"])?.lines().filter_map(gitlink) {
        let directory = checkout.join(submodule);
        if !directory.join(".git").exists() {
            bail!(
                "{0} lacks a submodule that std is built with. Get it with\n  git -C {0} \
                 submodule update --init {submodule}",
                checkout.display()
            );
        }
        files.extend(tracked_files(&Git::at(&directory), Path::new(submodule))?);
    }
    let step = Step::start(format!("copying {}", checkout.display()));
    for file in files {
        let from = checkout.join(&file);
        // A submodule is listed as if it were a file.
        if is_left_out(&file, &base.mend) || from.is_dir() {
            continue;
        }
        let to = destination.join(&file);
        fs::create_dir_all(to.parent().expect("a file has a parent"))?;
        if from.is_symlink() {
            fs_err::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    step.done();
    Ok(())
}

fn tracked_files(git: &Git, prefix: &Path) -> Result<Vec<PathBuf>> {
    let list = git.read(&["ls-files", "-z"])?;
    Ok(list.split_terminator('\0').map(|file| prefix.join(file)).collect())
}

/// The path of a submodule, if this line of `git ls-files --stage` is of one.
fn gitlink(line: &str) -> Option<&str> {
    line.strip_prefix("160000 ").and_then(|rest| rest.split_once('\t')).map(|(_, path)| path)
}

/// Takes out what whoever made the archive put in, and puts in what it lacks and bootstrap insists on.
fn mend(tree: &Path, mend: &Mend, compiler: &Compiler) -> Result<()> {
    if let Some(take_back) = &mend.take_back {
        self::take_back(tree, &mend.leave_out, take_back)?;
    }
    for directory in &mend.directories {
        let directory = tree.join(directory);
        if !directory.exists() {
            fs::create_dir_all(&directory)?;
            // Git keeps no empty directory.
            fs::write(directory.join(".gitkeep"), "")?;
        }
    }
    for (name, text) in &mend.files {
        let file = tree.join(name);
        if !file.exists() {
            fs::create_dir_all(file.parent().expect("a file has a parent"))?;
            fs::write(file, text)?;
        }
    }
    let stand_ins: Vec<_> =
        mend.crates.iter().filter(|c| !tree.join(c).join("Cargo.toml").exists()).collect();
    for stand_in in &stand_ins {
        write_empty_crate(&tree.join(stand_in))?;
    }
    if !stand_ins.is_empty() {
        update_lock_file(tree, compiler)?;
    }
    Ok(())
}

/// Applies the patches in reverse, but for what was left out of the tree, and removes them.
fn take_back(tree: &Path, leave_out: &[PathBuf], take_back: &TakeBack) -> Result<()> {
    let patches = tree.join(&take_back.patches);
    if !patches.exists() {
        return Ok(());
    }
    let step = Step::start(format!("taking back {}", take_back.patches.display()));
    let series = fs::read_to_string(patches.join("series"))?;
    let series = series.lines().filter(|line| !line.starts_with('#'));
    let series = series.filter_map(|line| line.split_whitespace().next());
    Git::at(tree)
        .command(&["apply", "--reverse"])
        .args(take_back.except.iter().map(|pattern| format!("--exclude={pattern}")))
        .args(leave_out.iter().map(|directory| format!("--exclude={}/*", directory.display())))
        .args(series.rev().map(|patch| patches.join(patch)))
        // In the repository that build/ is in, git would take the paths from that one's top.
        .env("GIT_CEILING_DIRECTORIES", tree.parent().expect("a tree is in a directory"))
        .run()?;
    ownership::discard(&patches)?;
    for file in &take_back.originals {
        let file = tree.join(file);
        ownership::discard(&file)?;
        ownership::settle(&file.with_added_extension("orig"), &file)?;
    }
    step.done();
    Ok(())
}

fn write_empty_crate(directory: &Path) -> Result<()> {
    let name = directory.file_name().expect("base.toml names a directory").to_string_lossy();
    fs::create_dir_all(directory.join("src"))?;
    fs::write(
        directory.join("Cargo.toml"),
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    )?;
    fs::write(directory.join("src/main.rs"), "fn main() {}\n")?;
    Ok(())
}

/// Brings Cargo.lock up to date with the crates for which empty ones stand in. Cargo would do so on
/// first use; done here, the tree is clean afterwards.
fn update_lock_file(tree: &Path, compiler: &Compiler) -> Result<()> {
    let step = Step::start("bringing Cargo.lock up to date");
    let update = |offline: &[&str]| {
        compiler.cargo().args(["update", "--workspace"]).args(offline).current_dir(tree).run()
    };
    update(&[]).or_else(|online| update(&["--offline"]).map_err(|_| online))?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::lock;

    const NOTHING: Mend = Mend {
        leave_out: Vec::new(),
        take_back: None,
        crates: Vec::new(),
        directories: Vec::new(),
        files: std::collections::BTreeMap::new(),
    };

    /// Unpacks an archive of such members: path, kind, and where a link leads or what a file says.
    fn extracted(members: &[(&str, EntryType, &str)]) -> (tempfile::TempDir, Result<()>) {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, text) in members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o777);
            // `Builder` refuses the paths that this is about.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
            if is_link {
                header.set_link_name(text).unwrap();
            }
            let data = if is_link { "" } else { text };
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data.as_bytes()).unwrap();
        }
        let tar = builder.into_inner().unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("outside")).unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let result = extract(&*tar, Path::new("root"), &NOTHING, &tree);
        (dir, result)
    }

    #[test]
    fn unpacks_files_and_links_within_the_tree() {
        let (dir, result) = extracted(&[
            ("root/a/file", EntryType::Regular, "text"),
            ("root/a/b", EntryType::Directory, ""),
            ("root/a/b/link", EntryType::Symlink, "../file"),
            ("elsewhere/file", EntryType::Regular, "of no interest"),
        ]);
        result.unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("tree/a/b/link")).unwrap(), "text");
        assert!(!dir.path().join("elsewhere").exists() && !dir.path().join("tree/file").exists());
    }

    #[test]
    fn refuses_what_reaches_out_of_the_tree() {
        use EntryType::{Fifo, Link, Regular, Symlink};
        let system_file = Path::new(file!()).file_name().unwrap().to_str().unwrap();
        for (members, reason) in [
            (&[("root/../outside/file", Regular, "")][..], "leaves the tree"),
            (&[("root/link", Symlink, "/tmp")], "link that leaves the tree"),
            (&[("root/link", Symlink, "../outside")], "link that leaves the tree"),
            (&[("root/a/link", Symlink, "b/../../../outside")], "link that leaves the tree"),
            (
                &[("root/a/x", Regular, ""), ("root/b", Symlink, "a"), ("root/b/y", Regular, "")],
                "lies behind a link",
            ),
            (&[("root/b", Symlink, "a"), ("root/b", Regular, "")], "lies behind a link"),
            (&[("root/link", Link, system_file)], "neither a file"),
            (&[("root/pipe", Fifo, "")], "neither a file"),
            (&[("root/.git/config", Regular, "[core]\nfsmonitor = id")], "git repository"),
            (&[("root/a/.GIT/config", Regular, "")], "git repository"),
        ] {
            let (dir, result) = extracted(members);
            let error = format!("{:#}", result.expect_err(reason));
            assert!(error.contains(reason), "{error}");
            assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 0, "{reason}");
        }
    }

    #[test]
    fn takes_patches_back_in_reverse_order() {
        // In a repository, as build/ is.
        let outer = tempfile::tempdir().unwrap();
        let _lock = lock::acquire(&outer.path().join("lock"), "a test").unwrap();
        Git::at(outer.path()).run(&["init", "--quiet"]).unwrap();
        let tree = outer.path().join("tree");
        let write = |name: &str, text: &str| {
            let file = tree.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let patch = |file: &str, from: &str, to: &str| {
            format!(
                "diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{from}\n+{to}\n"
            )
        };
        write("file", "third\n");
        write("Cargo.lock", "changed");
        write("Cargo.lock.orig", "original");
        write("debian/patches/series", "# in this order\nsub/one\ntwo # why\n");
        write("debian/patches/sub/one", &patch("file", "first", "second"));
        let gone = patch("pruned/file", "a", "b") + &patch("left-out/a/file", "a", "b");
        write("debian/patches/two", &(patch("file", "second", "third") + &gone));
        let how = TakeBack {
            patches: "debian/patches".into(),
            except: vec!["pruned/*".into()],
            originals: vec!["Cargo.lock".into()],
        };
        take_back(&tree, &["left-out".into()], &how).unwrap();
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "first\n");
        assert_eq!(fs::read_to_string(tree.join("Cargo.lock")).unwrap(), "original");
        assert!(!tree.join("Cargo.lock.orig").exists() && !tree.join("debian/patches").exists());

        // A patch that does not come off means another archive than base.toml describes.
        write("debian/patches/series", "one\n");
        write("debian/patches/one", &patch("file", "something", "else"));
        assert!(take_back(&tree, &["left-out".into()], &how).is_err());
    }
}
