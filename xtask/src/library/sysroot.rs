//! Compiles std for one target, from its sources as they are shown, quickly. Every std that the tool works
//! with, but for bootstrap's own, is from here.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::Value;

use crate::compiler::Compiler;
use crate::library::sources::Sources;
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
    /// Where cargo compiles to, in the workshop.
    fn directory(self) -> &'static str {
        match self {
            Profile::Metadata => "metadata",
            Profile::Dev => "target",
        }
    }

    /// The files that are of use in a sysroot.
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
    /// Waits until nobody else uses the place.
    pub fn open(session: &'a Session, target: &str) -> Result<Workshop<'a>> {
        let Session { project, base, compiler, tree, .. } = session;
        let dir = project.build_of(base, "std").join(target);
        let lock = lock::acquire(&dir.join("lock"), &format!("compiling std for {target}"))?;
        Ok(Workshop {
            sources: Sources::at(tree, &dir),
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
        let files = self.compile(profile)?;
        ownership::discard(sysroot)?;
        let libraries = sysroot.join("lib/rustlib").join(&self.target).join("lib");
        fs::create_dir_all(&libraries)?;
        for file in files {
            let new = libraries.join(&*file_name(&file));
            fs::hard_link(&file, &new).or_else(|_| fs::copy(&file, &new).map(drop))?;
        }
        if self.target == self.compiler.host {
            fs::create_dir_all(sysroot.join("bin"))?;
            let rustc = sysroot.join("bin/rustc");
            fs_err::os::unix::fs::symlink(self.compiler.bin("rustc"), rustc)?;
        }
        Ok(())
    }

    /// Compiles as much of std as changed, and returns the files of it that a sysroot needs.
    fn compile(&self, profile: Profile) -> Result<Vec<PathBuf>> {
        self.sources.fetch_crates(self.compiler)?;
        let out = self.dir.join(profile.directory()).join(&self.target).join("debug");
        self.build(profile)?;
        if has_a_crate_twice(&out.join("deps"))? {
            // Something changed that makes other file names: start over, for what is left from before
            // must not get in.
            ownership::discard(&out)?;
            self.build(profile)?;
        }
        let mut files = libraries(&out.join("deps"))?;
        files.retain(|file| file.extension() == Some(profile.extension().as_ref()));
        if files.is_empty() {
            bail!("Cargo compiled std, but {} holds no library", out.display());
        }
        Ok(files)
    }

    fn build(&self, profile: Profile) -> Result<()> {
        let cargo = match profile {
            Profile::Metadata => {
                let mut cargo = self.cargo("check", profile);
                cargo.args(["--package=sysroot", "--features=panic-unwind"]);
                cargo
            }
            // Tests need no macros, whose crate would be compiled again after each edit of std.
            Profile::Dev => {
                let mut cargo = self.cargo("build", profile);
                cargo.args(["--package=test", "--features=std/panic-unwind"]);
                cargo
            }
        };
        self.run(cargo).map(drop)
    }

    /// Compiles std's own tests that cargo selects by `which`, such as `--lib`, and returns the programs
    /// by cargo's names. The unit tests are part of the crate `std` and have its name; they and the
    /// crates that only they use link a second, finished one, which must come from the same build.
    pub fn tests(&self, which: &[String]) -> Result<BTreeMap<String, PathBuf>> {
        let finished = self.dir.join(FINISHED);
        self.sysroot(Profile::Dev, &finished)?;
        let mut cargo = self.cargo("test", Profile::Dev);
        cargo.args(["--package=std", "--features=panic-unwind", "--no-run"]).args(which);
        cargo.arg("--message-format=json-render-diagnostics");
        let said = self.run(cargo);
        ownership::discard(&finished)?;
        let said = String::from_utf8(said?)?;
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let program = |line: Value| {
            let name = line["target"]["name"].as_str()?.to_owned();
            Some((name, line["executable"].as_str()?.into()))
        };
        Ok(lines.filter_map(program).collect())
    }

    /// Compiles std's unit tests, and returns the program.
    pub fn unit_tests(&self) -> Result<PathBuf> {
        let mut programs = self.tests(&["--lib".into()])?;
        programs.remove(UNIT_TESTS).context("cargo said that all is well, but built no unit tests")
    }

    /// Whether it is the std of `cargo xtask test`.
    fn is_edited(&self, profile: Profile) -> bool {
        self.target == self.compiler.host && profile == Profile::Dev
    }

    /// Has cargo compile, and returns what it printed to standard output.
    fn run(&self, mut cargo: Command) -> Result<Vec<u8>> {
        if self.show {
            cargo.stderr(Stdio::inherit());
        }
        let output = cargo.answer()?;
        if output.status.success() {
            return Ok(output.stdout);
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
        let mut cargo = self.sources.cargo(self.compiler, subcommand);
        cargo
            .args(["--locked", "--offline", "--target", &self.target, "--target-dir"])
            .arg(self.dir.join(profile.directory()))
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            // Of use where people edit and test, which is on this machine; elsewhere it takes a third longer.
            .env("CARGO_INCREMENTAL", if self.is_edited(profile) { "1" } else { "0" })
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

fn has_a_crate_twice(directory: &Path) -> Result<bool> {
    let mut seen = BTreeSet::new();
    for path in libraries(directory)? {
        // libcore-0123456789abcdef.rlib
        let name = file_name(&path);
        let (stem, extension) = name.rsplit_once('.').context("a library has an extension")?;
        let krate = stem.rsplit_once('-').map_or(stem, |(krate, _)| krate);
        if !seen.insert(format!("{krate}.{extension}")) {
            return Ok(true);
        }
    }
    Ok(false)
}
