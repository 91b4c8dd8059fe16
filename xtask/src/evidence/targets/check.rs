//! Type-checking std for one target, and proving that both methods were among what was checked.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::compiler::Compiler;
use crate::library::diagnostic::{Diagnostic, Line, Message};
use crate::library::sources::{LibraryId, Sources};
use crate::run::command::CommandExt;

/// What is checked, and how: whatever changes here makes what is remembered worthless.
pub const METHOD: &[&str] = &[CALLER, FEATURES, RUSTFLAGS, "1"];

/// The backtraces are left out: their crates take a quarter of the time, and some broken targets
/// would not get past them.
const FEATURES: &str = "panic-unwind";
/// As `x.py` and cargo's `-Zbuild-std` have it.
const RUSTFLAGS: &str = "-Zforce-unstable-if-unmarked";
const CALLER: &str = include_str!("caller.rs");

/// Where the backends are, in library/.
pub const BACKENDS: &str = "std/src/sys/net/connection";

/// Mistakes put into the bodies of the methods, which the compiler finds if it gets that far.
const PROBES: [(&str, &str); 2] =
    [("fn set_keepalive(", "probe_set_keepalive"), ("fn keepalive(", "probe_keepalive")];

#[derive(Clone, Deserialize, Serialize)]
pub struct Outcome {
    pub diagnostics: Vec<Diagnostic>,
    /// The file or directory of `sys::net` with the target's sockets.
    pub backend: Option<String>,
    pub methods: Methods,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Methods {
    /// Nobody asked: this is the base.
    Unasked,
    /// std and a caller of both methods compile.
    Compiled,
    /// std compiles, but the caller does not.
    Missing,
    /// std does not compile, but the compiler did look into the bodies of both methods.
    Reached,
    /// std does not compile, and nothing can be said of the methods.
    Unreached,
}

/// A place to check in, for one target after the other.
pub struct Checker<'a> {
    dir: PathBuf,
    sources: Sources,
    toolchain: &'a Compiler,
}

impl<'a> Checker<'a> {
    pub fn new(dir: &Path, sources: Sources, toolchain: &'a Compiler) -> Checker<'a> {
        Checker { dir: dir.to_owned(), sources, toolchain }
    }

    /// See [`Sources::fetch_crates`].
    pub fn fetch_crates(&self, library: &LibraryId) -> Result<()> {
        self.sources.show(library)?;
        self.sources.fetch_crates(self.toolchain)
    }

    fn target_dir(&self) -> PathBuf {
        self.dir.join("target")
    }

    pub fn check_base(&self, library: &LibraryId, target: &str) -> Result<Outcome> {
        self.sources.show(library)?;
        let std = self.check_std(target)?;
        Ok(Outcome {
            diagnostics: std.diagnostics,
            backend: std.backend,
            methods: Methods::Unasked,
        })
    }

    pub fn check_series(&self, library: &LibraryId, target: &str) -> Result<Outcome> {
        self.sources.show(library)?;
        let StdCheck { mut diagnostics, backend, metadata } = self.check_std(target)?;
        let methods = match metadata {
            Some(metadata) => {
                let said = self.check_caller(target, &metadata)?;
                let fails = said.iter().any(Diagnostic::is_error);
                diagnostics.extend(said);
                if fails { Methods::Missing } else { Methods::Compiled }
            }
            None if self.reaches_methods(target)? => Methods::Reached,
            None => Methods::Unreached,
        };
        Ok(Outcome { diagnostics, backend, methods })
    }

    /// Forgets what was built for `target`. What was built for the host is of use for the next one.
    pub fn clear(&self, target: &str) -> Result<()> {
        match fs::remove_dir_all(self.target_dir().join(target)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn check_std(&self, target: &str) -> Result<StdCheck> {
        let output = self
            .sources
            .cargo(self.toolchain, "check")
            // Several run side by side, and one crate waits for the other anyway.
            .args(["--offline", "--locked", "--keep-going", "--jobs=1", "--message-format=json"])
            .args(["--package=std", "--features", FEATURES, "--target", target, "--target-dir"])
            .arg(self.target_dir())
            .env("RUSTFLAGS", RUSTFLAGS)
            .answer()?;
        let mut diagnostics = Vec::new();
        let mut metadata = None;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let line = serde_json::from_str(line)
                .with_context(|| format!("cargo printed something unexpected: {line}"))?;
            match line {
                Line::CompilerMessage { message } => {
                    diagnostics.extend(message.into_diagnostic(&self.sources.library));
                }
                Line::CompilerArtifact { target, filenames, .. } if target.name == "std" => {
                    metadata =
                        filenames.into_iter().find(|f| f.extension() == Some("rmeta".as_ref()));
                }
                _ => {}
            }
        }
        if !output.status.success() && !diagnostics.iter().any(Diagnostic::is_error) {
            bail!("cargo failed without an error of the compiler:\n{}", ending(&output));
        }
        if output.status.success() && metadata.is_none() {
            bail!("cargo said that all is well, but there is no std");
        }
        Ok(StdCheck { diagnostics, backend: self.backend(target)?, metadata })
    }

    /// What the compiler says of a crate that calls both methods, given std's metadata.
    fn check_caller(&self, target: &str, std: &Path) -> Result<Vec<Diagnostic>> {
        let source = self.dir.join("caller.rs");
        fs::write(&source, CALLER)?;
        let dependencies = std.parent().context("std's metadata is nowhere")?;
        let output = Command::new(self.toolchain.bin("rustc"))
            .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json"])
            .args(["--target", target, "--out-dir"])
            .arg(self.target_dir().join(target))
            .arg("-L")
            .arg(join("dependency=", dependencies))
            .arg("--extern")
            .arg(join("std=", std))
            .arg(&source)
            .current_dir(&self.dir)
            .env("RUSTC_BOOTSTRAP", "1")
            .answer()?;
        let mut diagnostics = Vec::new();
        let stderr = String::from_utf8_lossy(&output.stderr);
        // LLVM has no part in the format: of a processor that it does not know, it says so as it is.
        for line in stderr.lines().filter(|line| line.starts_with('{')) {
            let message: Message = serde_json::from_str(line)
                .with_context(|| format!("the compiler printed something unexpected: {line}"))?;
            if let Some(mut diagnostic) = message.into_diagnostic(&self.dir) {
                diagnostic.identity.file = Some("a caller of both methods".into());
                diagnostics.push(diagnostic);
            }
        }
        if !output.status.success() && !diagnostics.iter().any(Diagnostic::is_error) {
            bail!("rustc failed without an error:\n{}", ending(&output));
        }
        Ok(diagnostics)
    }

    /// Whether the compiler looks into the bodies of both methods, although it finds errors
    /// elsewhere: it does if it finds those that are put there. The sources are spoiled afterwards.
    fn reaches_methods(&self, target: &str) -> Result<bool> {
        let mut directories = vec![self.sources.library.join(BACKENDS)];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path)?;
                let spoiled = with_probes(&text);
                if spoiled != text {
                    fs::write(path, spoiled)?;
                }
            }
        }
        let diagnostics = self.check_std(target)?.diagnostics;
        Ok(PROBES.iter().all(|(_, probe)| {
            diagnostics.iter().any(|d| d.identity.message.contains(&format!("`{probe}`")))
        }))
    }

    /// The backend of `sys::net` that the last check for `target` compiled.
    fn backend(&self, target: &str) -> Result<Option<String>> {
        let directory = self.target_dir().join(target).join("debug/deps");
        if !directory.exists() {
            return Ok(None);
        }
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("std-") && name.ends_with(".d") {
                return Ok(backend_in(&fs::read_to_string(&path)?));
            }
        }
        Ok(None)
    }
}

struct StdCheck {
    diagnostics: Vec<Diagnostic>,
    backend: Option<String>,
    /// The file for crates that use std, if std compiles.
    metadata: Option<PathBuf>,
}

/// The text with a call that does not type-check at the beginning of each method.
fn with_probes(text: &str) -> String {
    let mut spoiled = String::with_capacity(text.len());
    for line in text.lines() {
        spoiled += line;
        for (method, probe) in PROBES {
            if line.contains(method) && line.ends_with('{') {
                spoiled += &format!(" ().{probe}();");
            }
        }
        spoiled += "\n";
    }
    spoiled
}

/// The backend among the files that the compiler read, as it lists them for make.
fn backend_in(dependencies: &str) -> Option<String> {
    dependencies
        .split_whitespace()
        .filter_map(|path| path.split_once(BACKENDS)?.1.strip_prefix('/'))
        .find_map(backend_of)
}

/// The backend that the file `path` below [`BACKENDS`] belongs to.
pub fn backend_of(path: &str) -> Option<String> {
    let path = path.trim_end_matches(':');
    match path.split_once('/') {
        _ if path.ends_with("tests.rs") => None,
        None if path == "mod.rs" => None,
        Some(("socket", "mod.rs")) => None,
        None | Some(("socket", _)) => Some(path.to_owned()),
        Some((directory, _)) => Some(directory.to_owned()),
    }
}

fn join(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from(prefix);
    text.push(path);
    text
}

/// The last lines that a program wrote to standard error.
fn ending(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_is_told_from_what_surrounds_it() {
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
        let spoiled = with_probes(text);
        assert!(spoiled.contains("io::Result<()> { ().probe_set_keepalive();\n        self.0"));
        assert!(
            spoiled.contains("io::Result<bool> { ().probe_keepalive();\n        unsupported()")
        );
        assert_eq!(spoiled.matches("probe").count(), 2);
    }
}
