//! Finds the compiler that a base is pinned to, among those that are installed.

pub mod newest;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::base::{Base, CompilerPin};
use crate::run::command::CommandExt;
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
    /// The first of the base's compilers that is installed.
    pub fn find(base: &Base) -> Result<Compiler> {
        require_programs()?;
        let mut failures = Vec::new();
        for compiler in &base.compiler {
            match Compiler::open(compiler) {
                Ok(toolchain) => return Ok(toolchain),
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
        let failures = failures.join("\n- ");
        Err(NotRun(format!("no compiler for Rust {} is installed:\n- {failures}", base.release)))?
    }

    fn open(pin: &CompilerPin) -> Result<Compiler> {
        let CompilerPin { toolchain: name, commit } = pin;
        let install =
            format!("rustup toolchain install {name} --profile minimal --component clippy,rustfmt");
        let rustc = Command::new("rustup")
            .args(["which", "--toolchain", name, "rustc"])
            .read()
            .with_context(|| format!("install it with\n  {install}\n"))?;
        let rustc = PathBuf::from(rustc);
        let sysroot = rustc.parent().and_then(|bin| bin.parent());
        let sysroot = sysroot.context("rustup gave a path to rustc with no sysroot")?.to_owned();

        let toolchain = Compiler::at(sysroot)?;
        let built_from = toolchain.version_field("commit-hash")?;
        if built_from != commit {
            // Of a nightly there is another one each day, so installing it again would not help.
            let is_release = name.starts_with(|c: char| c.is_ascii_digit());
            let help =
                format!(". Replace it with\n  rustup toolchain uninstall {name} && {install}");
            bail!(
                "the toolchain called {name} was built from commit {built_from}, not {commit}{}",
                if is_release { help.as_str() } else { "" }
            );
        }
        for program in ["cargo", "rustdoc", "rustfmt"] {
            if !toolchain.bin(program).is_file() {
                bail!("the toolchain {name} has no {program}. Add it with\n  {install}");
            }
        }
        Ok(toolchain)
    }

    /// The toolchain in a directory, whatever it is.
    pub fn at(sysroot: PathBuf) -> Result<Compiler> {
        let rustc = sysroot.join("bin").join("rustc");
        let version = Command::new(rustc).arg("-vV").read()?;
        let mut toolchain = Compiler { sysroot, host: String::new(), version };
        toolchain.host = toolchain.version_field("host")?.into();
        Ok(toolchain)
    }

    /// What `rustc -V` prints.
    pub fn title(&self) -> &str {
        self.version.lines().next().unwrap_or_default()
    }

    /// Whether it allows unstable features.
    pub fn is_nightly(&self) -> bool {
        self.title().contains("-nightly")
    }

    /// Its cargo, with it as the compiler, in an environment that does not depend on who calls: what
    /// is measured or compared must not depend on somebody's `RUSTFLAGS`.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(self.bin("cargo"));
        cargo.clean_env().env("RUSTC", self.bin("rustc")).env("RUSTDOC", self.bin("rustdoc"));
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

/// Stops with the name of the package to install where a program that every step needs is missing.
fn require_programs() -> Result<()> {
    let missing: Vec<_> =
        [("git", "git"), ("python3", "python3"), ("cc", "gcc (a C compiler and linker)")]
            .into_iter()
            .filter(|(program, _)| which::which(program).is_err())
            .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = missing
        .iter()
        .map(|(program, package)| format!("  {program}: install the package {package}"))
        .collect();
    Err(NotRun(format!("not found on this machine:\n{}", lines.join("\n"))))?
}
