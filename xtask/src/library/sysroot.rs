//! Compiles std for one target, from its sources as they are shown, quickly. Every std that the tool works
//! with, but for bootstrap's own, is from here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::Value;

use crate::compiler::Compiler;
use crate::library::sources::{LibraryId, Sources};
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name};
use crate::run::lock::{self, Lock};
use crate::run::ownership;
use crate::session::Session;

#[derive(Clone, Copy, PartialEq)]
pub enum Profile {
    /// Type-checked alone: all that it takes to type-check others.
    Metadata,
    /// Compiled without optimizations, debug information and backtraces.
    Dev,
}

/// Where in the workshop the std is that std's own tests link.
const FINISHED: &str = "finished";

/// Cargo's name for the program of std's unit tests.
pub const UNIT_TESTS: &str = "std";

impl Profile {
    /// The files that are of use in a sysroot, and the directory in the workshop that cargo compiles them to.
    fn extension(self) -> &'static str {
        match self {
            Profile::Metadata => "rmeta",
            Profile::Dev => "rlib",
        }
    }
}

/// A place to compile the std of one base for one target, which one invocation at a time may use.
pub struct Workshop<'a> {
    pub sources: Sources,
    compiler: &'a Compiler,
    target: String,
    dir: PathBuf,
    /// The directory that the sources are copied from.
    origin: PathBuf,
    /// The program that links for the target, where it is not the compiler's own choice; to begin with,
    /// the one that the user's environment names.
    pub linker: Option<OsString>,
    /// Options of the compiler for the target.
    pub rustflags: Vec<String>,
    /// Whether the user sees what cargo says as it says it; else it is part of the error.
    pub show: bool,
    _lock: Lock,
}

impl<'a> Workshop<'a> {
    /// Waits until nobody else uses the place, and shows the sources there.
    pub fn open(session: &'a Session, target: &str, library: &LibraryId) -> Result<Workshop<'a>> {
        let Session { project, base, compiler, tree, .. } = session;
        let dir = project.build_of(base, "std").join(target);
        let lock = lock::acquire(&dir.join("lock"), &format!("compiling std for {target}"))?;
        let sources = Sources::at(tree, &dir);
        sources.show(library)?;
        Ok(Workshop {
            sources,
            compiler,
            target: target.into(),
            linker: std::env::var_os(linker_variable(target)),
            dir,
            origin: tree.src.join("library"),
            rustflags: Vec::new(),
            show: false,
            _lock: lock,
        })
    }

    /// Compiles as much of std as changed, and makes `sysroot` anew with it, in a directory that the
    /// caller has to itself. `--sysroot` takes it; and the compiler itself is in there, too, if it runs
    /// on the target.
    pub fn sysroot(&self, profile: Profile, sysroot: &Path) -> Result<()> {
        self.sources.fetch_crates(self.compiler)?;
        let (subcommand, what) = match profile {
            Profile::Metadata => ("check", ["--package=sysroot", "--features=panic-unwind"]),
            // Tests need no macros, whose crate would be compiled again after each edit of std.
            Profile::Dev => ("build", ["--package=test", "--features=std/panic-unwind"]),
        };
        let messages = self.run(self.cargo(subcommand, profile).args(what))?;
        ownership::discard(sysroot)?;
        let libraries = sysroot.join("lib/rustlib").join(&self.target).join("lib");
        fs::create_dir_all(&libraries)?;
        // What cargo compiles for this machine, such as build scripts, is elsewhere.
        let out = self.dir.join(profile.extension()).join(&self.target);
        let files = messages.iter().filter_map(|message| message["filenames"].as_array()).flatten();
        for file in files.filter_map(|file| file.as_str().map(Path::new)) {
            if file.starts_with(&out) && file.extension() == Some(profile.extension().as_ref()) {
                let new = libraries.join(&*file_name(file));
                fs::hard_link(file, &new).or_else(|_| fs::copy(file, &new).map(drop))?;
            }
        }
        if entries(&libraries)?.is_empty() {
            bail!("cargo compiled std, but names no library in {}", out.display());
        }
        if self.target == self.compiler.host {
            fs::create_dir_all(sysroot.join("bin"))?;
            let rustc = sysroot.join("bin/rustc");
            fs_err::os::unix::fs::symlink(self.compiler.bin("rustc"), rustc)?;
        }
        Ok(())
    }

    /// Compiles std's own tests that cargo selects by `which`, such as `--lib`, and returns the programs
    /// by cargo's names. The unit tests are part of the crate `std` and have its name; they and the
    /// crates that only they use link a second, finished one, which must come from the same build.
    pub fn tests(&self, which: &[String]) -> Result<BTreeMap<String, PathBuf>> {
        let finished = self.dir.join(FINISHED);
        self.sysroot(Profile::Dev, &finished)?;
        let mut cargo = self.cargo("test", Profile::Dev);
        cargo.args(["--package=std", "--features=panic-unwind", "--no-run"]).args(which);
        let messages = self.run(&mut cargo);
        ownership::discard(&finished)?;
        let program = |message: Value| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        };
        Ok(messages?.into_iter().filter_map(program).collect())
    }

    /// Compiles std's unit tests, and returns the program.
    pub fn unit_tests(&self) -> Result<PathBuf> {
        let mut programs = self.tests(&["--lib".into()])?;
        programs.remove(UNIT_TESTS).context("cargo said that all is well, but built no unit tests")
    }

    /// Has cargo compile, and returns its messages.
    fn run(&self, cargo: &mut Command) -> Result<Vec<Value>> {
        cargo.arg("--message-format=json-render-diagnostics");
        if self.show {
            cargo.stderr(Stdio::inherit());
        }
        let output = cargo.answer()?;
        if output.status.success() {
            let said = String::from_utf8(output.stdout)?;
            return Ok(said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect());
        }
        if self.show {
            bail!("std or its tests do not compile: cargo says above why");
        }
        bail!(
            "std does not compile for {}. A target of another machine needs a linker, which {} \
             names:\n{}",
            self.target,
            linker_variable(&self.target),
            String::from_utf8_lossy(&output.stderr).trim_end()
        )
    }

    fn cargo(&self, subcommand: &str, profile: Profile) -> Command {
        let mut flags = self.rustflags.clone();
        flags.extend([
            // What std is made of is no public API.
            "-Zforce-unstable-if-unmarked".into(),
            // Of use for std's own tests alone, but other options would be another build.
            format!("--sysroot={}", self.dir.join(FINISHED).display()),
            // The compiler runs in library/, and is given paths from there on: messages have those of the
            // files that people edit.
            format!("--remap-path-prefix=={}", self.origin.display()),
        ]);
        let is_edited = self.target == self.compiler.host && profile == Profile::Dev;
        let mut cargo = self.sources.cargo(self.compiler, subcommand);
        cargo
            .args(["--locked", "--offline", "--target", &self.target, "--target-dir"])
            .arg(self.dir.join(profile.extension()))
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            // Of use where people edit and test, which is on this machine; elsewhere it takes a third longer.
            .env("CARGO_INCREMENTAL", if is_edited { "1" } else { "0" })
            // Without it, Cargo gives libstd.so a name with no hash.
            .env("__CARGO_DEFAULT_LIB_METADATA", "tcp-keepalive");
        // The compiler's own choice for this machine: to name it would be another build.
        if let Some(linker) = self.linker.as_ref().filter(|linker| *linker != "cc") {
            cargo.env(linker_variable(&self.target), linker);
        }
        cargo
    }
}

/// The variable by which Cargo is told the linker for a target.
fn linker_variable(target: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"))
}

/// The compiled crates in a directory, in the order of their names.
pub fn libraries(directory: &Path) -> Result<Vec<PathBuf>> {
    let kinds = ["rlib", "rmeta", "so", "dylib", "dll"];
    let mut libraries = entries(directory)?;
    libraries.retain(|path| path.extension().is_some_and(|e| kinds.iter().any(|kind| e == *kind)));
    Ok(libraries)
}
