//! std as cargo builds it in std's own workspace, where it notices each edit, and std's own unit
//! tests.
//!
//! The tests are part of the crate `std`, and link a second std: the finished one, from the
//! compiler's sysroot. Both must come from the same build, or their parts do not match. So std is
//! copied to a sysroot made for it, and then its tests are built with that one.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::build::{self, rustflags};
use super::platform::Platform;
use super::support::Support;
use crate::compiler::Compiler;
use crate::library::diagnostic::Line;
use crate::library::sources::Sources;
use crate::run::command::CommandExt;

/// Which of the unit tests to run.
pub const FILTER: &str = "net::tcp";

/// A place to build std for a platform.
pub struct Std<'a> {
    pub sources: &'a Sources,
    pub toolchain: &'a Compiler,
    pub platform: &'a Platform,
    pub support: &'a Support,
    /// Where the builds are.
    pub dir: PathBuf,
    /// How many processes at most.
    pub jobs: usize,
}

impl Std<'_> {
    /// Builds std, as much of it as changed, and returns a sysroot with it.
    pub fn sysroot(&self) -> Result<PathBuf> {
        let sysroot = self.dir.join("sysroot");
        let libraries = sysroot.join("lib/rustlib").join(self.platform.target).join("lib");
        if libraries.exists() {
            fs::remove_dir_all(&libraries)?;
        }
        fs::create_dir_all(&libraries)?;
        let of_target = self.dir.join("target").join(self.platform.target);
        for library in self.cargo(&["build"])?.iter().flat_map(|artifact| &artifact.filenames) {
            // Some are for build scripts, thus for this machine.
            if library.starts_with(&of_target) && library.extension() == Some("rlib".as_ref()) {
                let name = library.file_name().context("cargo named a directory")?;
                fs::copy(library, libraries.join(name))?;
            }
        }
        Ok(sysroot)
    }

    /// Builds std and the program with its unit tests.
    pub fn unit_tests(&self) -> Result<PathBuf> {
        self.sysroot()?;
        let tests = self.cargo(&["test", "--package=std", "--lib", "--no-run"])?;
        tests
            .into_iter()
            .filter(|artifact| artifact.name == "std")
            .find_map(|artifact| artifact.executable)
            .context("cargo said that all is well, but built no unit tests of std")
    }

    fn cargo(&self, arguments: &[&str]) -> Result<Vec<Artifact>> {
        let sysroot = self.dir.join("sysroot");
        let sysroot = sysroot.to_str().context("the path of this repository is not UTF-8")?;
        let flags = [
            "-Zforce-unstable-if-unmarked",
            &format!("--sysroot={sysroot}"),
            &rustflags(self.platform, self.support)?,
        ]
        .join("\u{1f}");
        let output = self
            .sources
            .cargo(self.toolchain, arguments[0])
            .args(&arguments[1..])
            .args(["--package=sysroot", "--features=panic-unwind", "--message-format=json"])
            .args(["--offline", "--locked", "--target", self.platform.target, "--target-dir"])
            .arg(self.dir.join("target"))
            .arg(format!("--jobs={}", self.jobs))
            .env("CARGO_ENCODED_RUSTFLAGS", &flags)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .answer()?;
        if !output.status.success() {
            bail!("std does not build: {}", build::why(&output, &self.sources.library));
        }
        Ok(artifacts(&String::from_utf8_lossy(&output.stdout)))
    }
}

struct Artifact {
    name: String,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

fn artifacts(output: &str) -> Vec<Artifact> {
    let lines = output.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter_map(|line| match line {
            Line::CompilerArtifact { target, filenames, executable } => {
                Some(Artifact { name: target.name, filenames, executable })
            }
            _ => None,
        })
        .collect()
}
