//! Finds the compiler that a base is pinned to, and gets it where the machine lacks it.

mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::base::project::cache_dir;
use crate::base::{Base, CompilerOrigin, DebianCompiler};
use crate::run::command::CommandExt;
use crate::run::{lock, ownership, whole};
use crate::say::failure::NotRun;

/// An installed compiler that std can be built with.
pub struct Compiler {
    pub sysroot: PathBuf,
    /// The machine's own target, such as `x86_64-unknown-linux-gnu`.
    pub host: String,
    /// What `rustc -vV` prints.
    version: String,
}

impl Compiler {
    /// The base's compiler: the first that is installed, or else the first that can be had.
    pub fn find(base: &Base) -> Result<Compiler> {
        let installed = || base.compiler.iter().find_map(|origin| open(origin, base).ok());
        if let Some(found) = installed() {
            return Ok(found);
        }
        // The cache is shared with other clones of this repository, and other bases.
        let _lock = lock::acquire(&cache_dir()?.join("lock"), "getting a compiler")?;
        // One of these may have got it meanwhile.
        if let Some(found) = installed() {
            return Ok(found);
        }
        let mut failures = Vec::new();
        for origin in &base.compiler {
            match get(origin, base) {
                Ok(compiler) => return Ok(compiler),
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
        let failures = failures.join("\n- ");
        Err(NotRun(format!("no compiler for Rust {} is to be had:\n- {failures}", base.release)))?
    }

    /// The compiler in a directory, whatever it is.
    pub fn at(sysroot: PathBuf) -> Result<Compiler> {
        let rustc = sysroot.join("bin").join("rustc");
        let version = Command::new(rustc).arg("-vV").read()?;
        let mut compiler = Compiler { sysroot, host: String::new(), version };
        compiler.host = compiler.version_field("host")?.into();
        Ok(compiler)
    }

    /// What `rustc -V` prints.
    pub fn title(&self) -> &str {
        self.version.lines().next().unwrap_or_default()
    }

    /// Its cargo, with it as the compiler, in an environment that does not depend on who calls: what
    /// is measured or compared must not depend on somebody's `RUSTFLAGS`. Nobody edits and debugs what
    /// it compiles, so it keeps nothing for that.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(self.bin("cargo"));
        cargo.clean_env().env("RUSTC", self.bin("rustc")).env("RUSTDOC", self.bin("rustdoc"));
        cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo
    }

    /// Its compiler, in an environment that does not depend on who calls.
    pub fn rustc(&self) -> Command {
        let mut rustc = Command::new(self.bin("rustc"));
        rustc.clean_env();
        rustc
    }

    /// What `rustc -vV` says after `name: `.
    pub fn version_field(&self, name: &str) -> Result<&str> {
        let mut lines = self.version.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .with_context(|| format!("`rustc -vV` of {} says no {name}", self.sysroot.display()))
    }

    pub fn bin(&self, program: &str) -> PathBuf {
        self.sysroot.join("bin").join(program)
    }

    /// Where the compiler looks for the std of `target`.
    pub fn libdir(&self, target: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(target).join("lib")
    }
}

/// Where the tool keeps the compiler that it assembles from packages.
fn directory(packages: &DebianCompiler) -> Result<PathBuf> {
    Ok(cache_dir()?.join(format!("rustc-debian-{}", packages.version)))
}

/// The compiler, if it is installed, and the one that the base is pinned to.
fn open(origin: &CompilerOrigin, base: &Base) -> Result<Compiler> {
    let compiler = Compiler::at(match origin {
        CompilerOrigin::Rustup(name) => rustup_sysroot(name)?,
        CompilerOrigin::Debian(packages) => directory(packages)?,
    })?;
    let sysroot = compiler.sysroot.display();
    let built_from = compiler.version_field("commit-hash")?;
    if built_from != base.commit {
        bail!(
            "the compiler in {sysroot} was built from commit {built_from}, and Rust {} is {}",
            base.release,
            base.commit
        );
    }
    let programs = ["cargo", "rustdoc", "rustfmt"];
    if let Some(missing) = programs.iter().find(|program| !compiler.bin(program).is_file()) {
        bail!("the compiler in {sysroot} has no {missing}");
    }
    Ok(compiler)
}

/// The compiler from where the tool may get it; it leaves rustup to the user.
fn get(origin: &CompilerOrigin, base: &Base) -> Result<Compiler> {
    if let CompilerOrigin::Debian(packages) = origin {
        let directory = directory(packages)?;
        whole::make(&directory, |new| {
            debian::assemble(packages, base, new, &directory)?;
            // What has the name was whole when it got it, and yet is of no use.
            ownership::discard(&directory)
        })?;
    }
    open(origin, base)
}

/// The sysroot of the compiler that rustup calls `name`.
fn rustup_sysroot(name: &str) -> Result<PathBuf> {
    let mut rustup = Command::new("rustup");
    rustup.clean_env().args(["which", "--toolchain", name, "rustc"]);
    // It would install what it lacks.
    rustup.env("RUSTUP_AUTO_INSTALL", "0");
    let rustc = rustup.read().with_context(|| {
        format!(
            "install it with\n  rustup toolchain install {name} --profile minimal --component clippy \
             --component rustfmt\n"
        )
    })?;
    let sysroot = Path::new(&rustc).parent().and_then(Path::parent);
    Ok(sysroot.context("rustup gave a path to rustc with no sysroot")?.to_owned())
}
