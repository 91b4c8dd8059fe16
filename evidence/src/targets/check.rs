//! Type-checks std for one target, and checks that the compiler reached both methods.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use walkdir::WalkDir;
use xtask::error::NotRun;
use xtask::owned::entries;
use xtask::run::CommandExt;
use xtask::store::Store;

use crate::diagnostic::{self, Diagnostic, last_lines};
use crate::suite::{Opened, Place};

/// Omits `backtrace`: its crates take a quarter of the time, and do not compile for some targets.
const FEATURES: &str = "panic-unwind";
/// x.py and cargo's `-Zbuild-std` use this flag.
const RUSTFLAGS: &str = "-Zforce-unstable-if-unmarked";
const CALLER: &str = include_str!("caller.rs");

/// Returns a hash of the code that checks targets. A recorded result with another hash is not used.
pub fn method() -> String {
    let sources = [include_str!("check.rs"), CALLER, include_str!("../diagnostic.rs")];
    let mut hasher = DefaultHasher::new();
    sources.map(|text| text.split("#[cfg(test)]").next()).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The directory of the backends, in library/.
const BACKENDS: &str = "std/src/sys/net/connection";

/// The methods, and for each a call that does not type-check. The compiler reports the call if it checks the body.
const PROBES: [(&str, &str); 2] =
    [("fn set_keepalive(", "probe_set_keepalive"), ("fn keepalive(", "probe_keepalive")];

pub struct Checked {
    pub diagnostics: Vec<Diagnostic>,
    /// The file or directory of `sys::net` with the target's sockets.
    pub backend: Option<String>,
    /// `None` at the base, where the methods are not checked.
    pub methods: Option<Methods>,
}

#[derive(Clone, Copy)]
pub enum Methods {
    /// std compiles. The errors of a caller of both methods are among the diagnostics.
    Compiled,
    /// std does not compile, but the compiler checked the bodies of both methods.
    Reached,
    /// std does not compile, and the compiler did not check the bodies of both methods.
    Unreached,
}

/// A directory in which std is checked for one target after the other.
pub struct Checker<'a> {
    place: &'a Place,
    opened: &'a Opened,
    /// The sources of the tree that is checked. All trees use this directory, so that cargo checks only what
    /// differs.
    library: PathBuf,
    target_dir: PathBuf,
}

impl<'a> Checker<'a> {
    pub fn new(place: &'a Place, opened: &'a Opened) -> Result<Checker<'a>> {
        xtask::std::fetch_crates(&opened.compiler, &opened.library()?)?;
        let [library, target_dir] = ["library", "target"].map(|name| place.dir().join(name));
        Ok(Checker { place, opened, library, target_dir })
    }

    /// Type-checks std of the tree `library`, and the methods if `with_methods` is set.
    pub fn check(&self, library: &str, target: &str, with_methods: bool) -> Result<Checked> {
        self.opened.store.show(library, &self.library)?;
        let StdCheck { mut diagnostics, backend, metadata } = self.check_std(target)?;
        let methods = match metadata {
            _ if !with_methods => None,
            Some(metadata) => {
                diagnostics.extend(self.check_caller(target, &metadata)?);
                Some(Methods::Compiled)
            }
            None => {
                let found = self.check_with_probes(library, target)?;
                let is_found = |probe: &str| {
                    let probe = format!("`{probe}`");
                    found.iter().any(|diagnostic| diagnostic.identity.message.contains(&probe))
                };
                let all = PROBES.iter().all(|(_, probe)| is_found(probe));
                Some(if all { Methods::Reached } else { Methods::Unreached })
            }
        };
        Ok(Checked { diagnostics, backend, methods })
    }

    /// Removes what was built for `target`. Other targets use what was built for the host.
    pub fn clear(&self, target: &str) -> Result<()> {
        self.place.project().build.remove(&self.target_dir.join(target))
    }

    fn check_std(&self, target: &str) -> Result<StdCheck> {
        let compiler = &self.opened.compiler;
        let output = xtask::std::cargo(compiler, &self.library, "check")
            // Checks of several targets run in parallel, and std's crates mostly wait for each other.
            .args(["--offline", "--locked", "--keep-going", "--jobs=1", "--message-format=json"])
            .args(["--package=std", "--features", FEATURES, "--target", target, "--target-dir"])
            .arg(&self.target_dir)
            .env("RUSTFLAGS", RUSTFLAGS)
            .any_output()?;
        self.place.log(&String::from_utf8_lossy(&output.stderr));
        let messages = diagnostic::read(&output.stdout, &self.library)?;
        if !output.status.success() && !messages.diagnostics.iter().any(Diagnostic::is_error) {
            let end = last_lines(&output.stderr);
            // Some of LLVM's backends are experimental, and not every build of LLVM has them.
            if end.contains("could not create LLVM TargetMachine") {
                Err(NotRun(format!(
                    "the LLVM of {} lacks the target's processor",
                    compiler.title()
                )))?;
            }
            bail!("cargo failed without an error of the compiler:\n{end}");
        }
        let std = messages.artifacts.into_iter().find(|artifact| artifact.target.name == "std");
        let mut files = std.into_iter().flat_map(|artifact| artifact.filenames);
        let metadata = files.find(|file| file.extension() == Some("rmeta"));
        if output.status.success() && metadata.is_none() {
            bail!("cargo reports success, but names no std");
        }
        Ok(StdCheck {
            diagnostics: messages.diagnostics,
            backend: self.backend(target)?,
            metadata: metadata.map(Into::into),
        })
    }

    /// Returns the diagnostics of a crate that calls both methods, given std's metadata.
    fn check_caller(&self, target: &str, std: &Path) -> Result<Vec<Diagnostic>> {
        let dir = self.place.dir();
        let source = dir.join("caller.rs");
        fs::write(&source, CALLER)?;
        let dependencies = std.parent().context("std's metadata has no directory")?;
        let mut rustc = self.opened.compiler.rustc();
        rustc
            .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json"])
            .args(["--target", target, "--out-dir"])
            .arg(self.target_dir.join(target))
            .args(["-L", &format!("dependency={}", dependencies.display())])
            .args(["--extern", &format!("std={}", std.display())])
            .arg(&source)
            .current_dir(&dir)
            .env("RUSTC_BOOTSTRAP", "1");
        let output = rustc.any_output()?;
        let mut diagnostics = diagnostic::read_rustc(&output.stderr, &dir)?;
        for diagnostic in &mut diagnostics {
            diagnostic.identity.file = Some("a caller of both methods".into());
        }
        if !output.status.success() && !diagnostics.iter().any(Diagnostic::is_error) {
            bail!("rustc failed without an error:\n{}", last_lines(&output.stderr));
        }
        Ok(diagnostics)
    }

    /// Returns the diagnostics of std with [`PROBES`] in the bodies of the methods.
    fn check_with_probes(&self, library: &str, target: &str) -> Result<Vec<Diagnostic>> {
        for entry in WalkDir::new(self.library.join(BACKENDS)) {
            let entry = entry?;
            if entry.file_type().is_file() {
                let text = fs::read_to_string(entry.path())?;
                let probed = with_probes(&text);
                if probed != text {
                    fs::write(entry.path(), probed)?;
                }
            }
        }
        let checked = self.check_std(target);
        self.opened.store.show(library, &self.library)?;
        Ok(checked?.diagnostics)
    }

    /// Returns the backend of `sys::net` that the last check for `target` compiled.
    fn backend(&self, target: &str) -> Result<Option<String>> {
        let deps = self.target_dir.join(target).join("debug/deps");
        let files = if deps.exists() { entries(&deps)? } else { Vec::new() };
        let is_of_std = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("std-") && name.ends_with(".d")
        };
        let Some(file) = files.iter().find(is_of_std) else { return Ok(None) };
        Ok(backend_in(&fs::read_to_string(file)?))
    }
}

struct StdCheck {
    diagnostics: Vec<Diagnostic>,
    backend: Option<String>,
    /// The `.rmeta` file of std, if std compiles.
    metadata: Option<PathBuf>,
}

/// Returns the text with [`PROBES`] at the beginning of the methods' bodies.
fn with_probes(text: &str) -> String {
    let mut probed = String::with_capacity(text.len());
    for line in text.lines() {
        probed += line;
        for (method, probe) in PROBES {
            if line.contains(method) && line.ends_with('{') {
                probed += &format!(" ().{probe}();");
            }
        }
        probed += "\n";
    }
    probed
}

/// Returns the backend among the files in the compiler's dependency list.
fn backend_in(dependencies: &str) -> Option<String> {
    dependencies
        .split_whitespace()
        .filter_map(|path| path.split_once(BACKENDS)?.1.strip_prefix('/'))
        .find_map(backend_of)
}

/// Returns the backends of `sys::net` that the series has.
pub fn backends(store: &Store) -> Result<BTreeSet<String>> {
    let directory = format!("series:library/{BACKENDS}");
    let files = store.git.stdout_of(&["ls-tree", "-r", "--name-only", &directory])?;
    Ok(files.lines().filter_map(backend_of).collect())
}

/// Returns the backend that the file `path` below [`BACKENDS`] belongs to.
fn backend_of(path: &str) -> Option<String> {
    let path = path.trim_end_matches(':');
    match path.split_once('/') {
        _ if path.ends_with("tests.rs") => None,
        None if path == "mod.rs" => None,
        Some(("socket", "mod.rs")) => None,
        None | Some(("socket", _)) => Some(path.to_owned()),
        Some((directory, _)) => Some(directory.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_is_found_among_other_files() {
        let list = "deps/std-0.d: std/src/lib.rs std/src/sys/net/connection/mod.rs \
                    std/src/sys/net/connection/socket/mod.rs \
                    std/src/sys/net/connection/socket/tests.rs \
                    std/src/sys/net/connection/socket/unix.rs\n\n\
                    std/src/sys/net/connection/socket/mod.rs:\n";
        assert_eq!(backend_in(list).unwrap(), "socket/unix.rs");
        assert_eq!(backend_in("a/std/src/sys/net/connection/uefi/tcp4.rs:").unwrap(), "uefi");
        assert_eq!(backend_in("/a\\ b/std/src/sys/net/connection/sgx.rs").unwrap(), "sgx.rs");
        assert_eq!(backend_in("std/src/sys/net/connection/mod.rs"), None);
    }

    #[test]
    fn probes_are_in_the_bodies_of_both_methods() {
        let text = "\
    pub fn set_keepalive(&self, _: bool) -> io::Result<()> {
        self.0
    }
    pub fn keepalive(&self) -> io::Result<bool> {
        unsupported()
    }
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.keepalive()
    }
";
        let probed = with_probes(text);
        assert!(probed.contains("io::Result<()> { ().probe_set_keepalive();\n        self.0"));
        assert!(probed.contains("io::Result<bool> { ().probe_keepalive();\n        unsupported()"));
        assert_eq!(probed.matches("probe").count(), 2);
    }
}
