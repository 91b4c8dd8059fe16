//! Finds the compiler of a base: the installed release.

use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::base::Base;
use crate::error::NotRun;
use crate::run::CommandExt;

/// An installed compiler.
pub struct Compiler {
    pub sysroot: PathBuf,
    /// The host, such as `x86_64-unknown-linux-gnu`.
    pub host: String,
    /// The output of `rustc -vV`.
    version: String,
}

impl Compiler {
    /// Finds a compiler that was built from the base's commit: one of the rustup toolchains that `base.toml` names, or
    /// the `rustc` on the PATH.
    pub fn find(base: &Base) -> Result<Compiler> {
        let mut failures = Vec::new();
        let sysroots = base.compiler.iter().map(|name| rustup_sysroot(name));
        for sysroot in sysroots.chain(iter::once_with(path_sysroot)) {
            match sysroot.and_then(Compiler::at).and_then(|compiler| compiler.require_base(base)) {
                Ok(compiler) => return Ok(compiler),
                Err(error) => failures.push(format!("- {error:#}\n")),
            }
        }
        let from_debian = base.compiler.iter().any(|name| name.starts_with("debian-"));
        let or =
            "Or, on x86_64 with apt, install it from Debian's packages:\n  .ci/rustc-from-debian\n";
        Err(NotRun(format!(
            "the compiler of Rust {0} is not installed:\n{1}Install it with rustup:\n  rustup toolchain \
             install {0} --profile minimal --component clippy --component rustfmt\n{2}",
            base.release,
            failures.concat(),
            if from_debian { or } else { "" },
        )))?
    }

    /// Opens the compiler in a sysroot.
    pub fn at(sysroot: PathBuf) -> Result<Compiler> {
        let version = Command::new(sysroot.join("bin/rustc")).arg("-vV").stdout_of()?;
        let mut compiler = Compiler { sysroot, host: String::new(), version };
        compiler.host = compiler.version_field("host")?.into();
        Ok(compiler)
    }

    /// Returns the compiler if it was built from the base's commit, and if cargo, rustdoc and rustfmt are beside it.
    fn require_base(self, base: &Base) -> Result<Compiler> {
        let (sysroot, commit) = (self.sysroot.display(), self.version_field("commit-hash")?);
        if commit != base.commit {
            bail!(
                "the rustc in {sysroot} was built from commit {commit}, and Rust {} was built from {}",
                base.release,
                base.commit
            );
        }
        let programs = ["cargo", "rustdoc", "rustfmt"];
        if let Some(missing) = programs.iter().find(|program| !self.bin(program).is_file()) {
            bail!("{sysroot}/bin has rustc, but no {missing}");
        }
        Ok(self)
    }

    /// Returns the output of `rustc -V`.
    pub fn title(&self) -> &str {
        self.version.lines().next().unwrap_or_default()
    }

    /// Returns a cargo that uses this compiler, in an environment that does not depend on the caller. By default, cargo
    /// compiles without debug information and not incrementally, because nobody edits or debugs the results.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(self.bin("cargo"));
        cargo.clean_env().env("RUSTC", self.bin("rustc")).env("RUSTDOC", self.bin("rustdoc"));
        cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo
    }

    /// Returns rustc, in an environment that does not depend on the caller.
    pub fn rustc(&self) -> Command {
        let mut rustc = Command::new(self.bin("rustc"));
        rustc.clean_env();
        rustc
    }

    /// Returns a field of `rustc -vV`, such as `commit-hash`.
    pub fn version_field(&self, name: &str) -> Result<&str> {
        let mut lines = self.version.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .with_context(|| format!("`rustc -vV` in {} prints no {name}", self.sysroot.display()))
    }

    pub fn bin(&self, program: &str) -> PathBuf {
        self.sysroot.join("bin").join(program)
    }

    /// Returns the directory in which the compiler looks for the std of `target`.
    pub fn libdir(&self, target: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(target).join("lib")
    }
}

fn rustup_sysroot(name: &str) -> Result<PathBuf> {
    let rustc = rustup_which(name, "rustc")?;
    let sysroot = rustc.parent().and_then(Path::parent);
    Ok(sysroot.context("`rustup which rustc` printed a path that is in no sysroot")?.to_owned())
}

/// Returns the path of a program in one of rustup's toolchains.
pub fn rustup_which(toolchain: &str, program: &str) -> Result<PathBuf> {
    let mut rustup = Command::new("rustup");
    rustup.clean_env().args(["which", "--toolchain", toolchain, program]);
    // Otherwise rustup would install a missing toolchain.
    Ok(rustup.env("RUSTUP_AUTO_INSTALL", "0").stdout_of()?.into())
}

fn path_sysroot() -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc.clean_env().args(["--print", "sysroot"]);
    // The rustc on the PATH may be rustup's.
    Ok(rustc.env("RUSTUP_AUTO_INSTALL", "0").stdout_of()?.into())
}
