//! std's own unit tests for another platform.
//!
//! They are part of the crate `std`, and link a second std: the finished one, from the compiler's
//! sysroot. Both must come from the same build, or their parts do not match. So std is built in its
//! own workspace, copied to a sysroot made for it, and then its tests are built with that one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::build::rustflags;
use super::platform::Platform;
use super::support::Support;
use crate::diagnostic::Line;
use crate::sources::Sources;
use crate::toolchain::Toolchain;

/// Which of them to run.
pub const FILTER: &str = "net::tcp";

/// Builds the test program below `dir`, with `jobs` processes at most.
pub fn build(
    platform: &Platform,
    support: &Support,
    (sources, toolchain): (&Sources, &Toolchain),
    dir: &Path,
    jobs: usize,
) -> Result<PathBuf> {
    let sysroot = dir.join("sysroot");
    let libraries = sysroot.join("lib/rustlib").join(platform.target).join("lib");
    if libraries.exists() {
        fs::remove_dir_all(&libraries)?;
    }
    fs::create_dir_all(&libraries)?;
    let sysroot = sysroot.to_str().context("the path of this repository is not UTF-8")?;
    let flags = [
        "-Zforce-unstable-if-unmarked",
        &format!("--sysroot={sysroot}"),
        &rustflags(platform, support)?,
    ]
    .join("\u{1f}");
    let cargo = |arguments: &[&str]| -> Result<Vec<Artifact>> {
        let output = sources
            .cargo(toolchain, arguments[0])
            .args(&arguments[1..])
            .args(["--package=sysroot", "--features=panic-unwind", "--message-format=json"])
            .args(["--offline", "--locked", "--target", platform.target, "--target-dir"])
            .arg(dir.join("target"))
            .arg(format!("--jobs={jobs}"))
            .env("CARGO_ENCODED_RUSTFLAGS", &flags)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("std's unit tests do not build:\n{said}");
        }
        Ok(artifacts(&String::from_utf8_lossy(&output.stdout)))
    };

    let of_target = dir.join("target").join(platform.target);
    for library in cargo(&["build"])?.iter().flat_map(|artifact| &artifact.filenames) {
        // Some are for build scripts, thus for this machine.
        if library.starts_with(&of_target) && library.extension() == Some("rlib".as_ref()) {
            let name = library.file_name().context("cargo named a directory")?;
            fs::copy(library, libraries.join(name))?;
        }
    }
    let tests = cargo(&["test", "--package=std", "--lib", "--no-run"])?;
    tests
        .into_iter()
        .filter(|artifact| artifact.name == "std")
        .find_map(|artifact| artifact.executable)
        .context("cargo said that all is well, but built no unit tests of std")
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
