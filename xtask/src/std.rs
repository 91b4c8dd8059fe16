//! Compiles std and its own tests for one target, from a directory `library/`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::Value;

use crate::compiler::Compiler;
use crate::out::Step;
use crate::owned::{Owned, entries, file_name};
use crate::run::CommandExt;

#[derive(Clone, Copy, PartialEq)]
pub enum Profile {
    /// Type-checked only, which is enough to type-check other crates.
    Metadata,
    /// Compiled without optimizations, debug information and backtraces.
    Dev,
    /// Optimized as in a release, without debug information.
    Release,
}

/// The name that cargo gives to the program of std's unit tests.
pub const UNIT_TESTS: &str = "std";

/// The directory of the sysroot that std's own tests link.
const FINISHED: &str = "finished";

impl Profile {
    /// Returns cargo's subcommand, and the options that select packages and features.
    fn command(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Profile::Metadata => ("check", &["--package=sysroot", "--features=panic-unwind"]),
            // The package `sysroot` includes proc_macro, which would be recompiled after each edit of std.
            Profile::Dev => ("build", &["--package=test", "--features=std/panic-unwind"]),
            Profile::Release => {
                ("build", &["--release", "--package=sysroot", "--features=panic-unwind,backtrace"])
            }
        }
    }

    /// Returns the extension of the files that a sysroot needs. It is also the name of cargo's target directory.
    fn extension(self) -> &'static str {
        if self == Profile::Metadata { "rmeta" } else { "rlib" }
    }
}

/// A build of std for one target. The caller must be the only user of `dir`.
pub struct Std<'a> {
    pub compiler: &'a Compiler,
    /// The sources, a directory `library/`.
    pub library: PathBuf,
    pub target: String,
    pub dir: PathBuf,
    /// The linker, if it is not rustc's default. `new` takes it from cargo's variable.
    pub linker: Option<OsString>,
    pub rustflags: Vec<String>,
    /// Shows cargo's messages while it runs. If false, the messages are part of the error.
    pub show: bool,
}

impl<'a> Std<'a> {
    pub fn new(compiler: &'a Compiler, library: &Path, target: &str, dir: &Path) -> Std<'a> {
        Std {
            compiler,
            library: library.to_owned(),
            target: target.into(),
            dir: dir.to_owned(),
            linker: std::env::var_os(linker_variable(target)),
            rustflags: Vec::new(),
            show: false,
        }
    }

    /// Compiles std, and replaces the directory `sysroot` with a sysroot for `rustc --sysroot`. If the target is the
    /// host, the sysroot has a link to rustc.
    pub fn sysroot(&self, profile: Profile, sysroot: &Path) -> Result<()> {
        let owned = Owned { root: sysroot.parent().context("a sysroot has a parent")?.to_owned() };
        fs::create_dir_all(&owned.root)?;
        owned.make(sysroot, |new| {
            let libraries = new.join("lib/rustlib").join(&self.target).join("lib");
            fs::create_dir_all(&libraries)?;
            self.libraries_into(profile, &libraries)?;
            if self.target == self.compiler.host {
                fs::create_dir_all(new.join("bin"))?;
                let rustc = new.join("bin/rustc");
                fs_err::os::unix::fs::symlink(self.compiler.bin("rustc"), rustc)?;
            }
            Ok(())
        })
    }

    /// Compiles std, and puts its libraries into an empty directory.
    pub fn libraries_into(&self, profile: Profile, directory: &Path) -> Result<()> {
        fetch_crates(self.compiler, &self.library)?;
        let (subcommand, options) = profile.command();
        let messages = self.run(self.cargo(subcommand, profile).args(options))?;
        // Files for the host, such as build scripts, are not in this directory.
        let out = self.dir.join(profile.extension()).join(&self.target);
        let files = messages.iter().filter_map(|message| message["filenames"].as_array()).flatten();
        for file in files.filter_map(|file| file.as_str().map(Path::new)) {
            if file.starts_with(&out) && file.extension() == Some(profile.extension().as_ref()) {
                let new = directory.join(file_name(file));
                fs::hard_link(file, &new).or_else(|_| fs::copy(file, &new).map(drop))?;
            }
        }
        if entries(directory)?.is_empty() {
            bail!("cargo compiled std, but names no library in {}", out.display());
        }
        Ok(())
    }

    /// Compiles the tests of std that cargo's options select, such as `--lib`. Returns the programs by cargo's names.
    /// The unit tests are part of the crate `std`, but also link another std, which must come from the same build.
    pub fn tests(&self, options: &[String]) -> Result<BTreeMap<String, PathBuf>> {
        self.sysroot(Profile::Dev, &self.dir.join(FINISHED))?;
        let mut cargo = self.cargo("test", Profile::Dev);
        cargo.args(["--package=std", "--features=panic-unwind", "--no-run"]).args(options);
        let program = |message: Value| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        };
        Ok(self.run(&mut cargo)?.into_iter().filter_map(program).collect())
    }

    /// Compiles std's unit tests, and returns the program.
    pub fn unit_tests(&self) -> Result<PathBuf> {
        let mut programs = self.tests(&["--lib".into()])?;
        programs.remove(UNIT_TESTS).context("cargo reports success, but names no unit tests of std")
    }

    /// Runs cargo, and returns its messages.
    fn run(&self, cargo: &mut Command) -> Result<Vec<Value>> {
        cargo.arg("--message-format=json-render-diagnostics");
        if self.show {
            cargo.stderr(Stdio::inherit());
        }
        let output = cargo.any_output()?;
        if output.status.success() {
            let messages = String::from_utf8(output.stdout)?;
            let messages = messages.lines().filter(|line| line.starts_with('{'));
            return Ok(messages.map(serde_json::from_str).collect::<Result<_, _>>()?);
        }
        if self.show {
            bail!("std or its tests do not compile. cargo's messages are above");
        }
        bail!(
            "std does not compile for {}:\n{}\nIf the linker is missing, install it, or name another linker in \
             the variable {}",
            self.target,
            String::from_utf8_lossy(&output.stderr).trim_end(),
            linker_variable(&self.target)
        )
    }

    fn cargo(&self, subcommand: &str, profile: Profile) -> Command {
        let mut flags = self.rustflags.clone();
        flags.extend([
            // Makes std's internal crates unstable, as bootstrap does.
            "-Zforce-unstable-if-unmarked".into(),
            // Only std's own tests need this option, but without it cargo would build std again.
            format!("--sysroot={}", self.dir.join(FINISHED).display()),
            // Cargo passes paths relative to library/. Messages show absolute paths.
            format!("--remap-path-prefix=={}", self.library.display()),
        ]);
        let is_edited = self.target == self.compiler.host && profile == Profile::Dev;
        let mut cargo = cargo(self.compiler, &self.library, subcommand);
        cargo
            .args(["--locked", "--offline", "--target", &self.target, "--target-dir"])
            .arg(self.dir.join(profile.extension()))
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            // Incremental compilation pays off only if std is edited: it makes a full build a third slower.
            .env("CARGO_INCREMENTAL", if is_edited { "1" } else { "0" })
            // Without this variable, cargo gives libstd.so a name without a hash.
            .env("__CARGO_DEFAULT_LIB_METADATA", "tcp-keepalive");
        // `cc` is the default. Naming it would make cargo build std again.
        if let Some(linker) = self.linker.as_ref().filter(|linker| *linker != "cc") {
            cargo.env(linker_variable(&self.target), linker);
        }
        cargo
    }
}

/// Returns the command `cargo SUBCOMMAND` in `library`, with the unstable features that std uses.
pub fn cargo(compiler: &Compiler, library: &Path, subcommand: &str) -> Command {
    let mut cargo = compiler.cargo();
    cargo.arg(subcommand).current_dir(library).env("RUSTC_BOOTSTRAP", "1");
    cargo
}

/// Downloads the crates that std depends on. Needs no network if cargo has all of them.
pub fn fetch_crates(compiler: &Compiler, library: &Path) -> Result<()> {
    let fetch = |options: &[&str]| {
        cargo(compiler, library, "fetch").arg("--locked").args(options).run_quiet()
    };
    if fetch(&["--offline"]).is_ok() {
        return Ok(());
    }
    let _step = Step::start("downloading the crates that std depends on");
    fetch(&[]).context(
        "the crates that std depends on cannot be downloaded (once; later runs work offline)",
    )
}

/// Returns cargo's variable that names the linker for a target.
fn linker_variable(target: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"))
}

/// Returns the compiled crates in a directory, sorted by name.
pub fn libraries(directory: &Path) -> Result<Vec<PathBuf>> {
    let kinds = ["rlib", "rmeta", "so", "dylib", "dll"];
    let mut libraries = entries(directory)?;
    libraries.retain(|path| path.extension().is_some_and(|e| kinds.iter().any(|kind| e == *kind)));
    Ok(libraries)
}
