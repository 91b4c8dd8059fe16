//! Compiles the program under test, `lab/programs/peer.rs`, against one std or another.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use fs_err as fs;

use crate::NotRun;
use crate::command;

/// What the program under test gets its keepalive from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Std {
    /// The std of `--sysroot`
    Patched,
    /// The std of the installed nightly toolchain, 1.97 or later
    Nightly,
    /// The released std, with the socket2 crate
    Socket2,
    /// A `set_keepalive` that does nothing, to see what turns red
    Noop,
}

impl Std {
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Compiles the program into the directory `out`. `root` is the workspace's, `sysroot` has the
/// patched std.
pub fn compile(std: Std, sysroot: Option<&Path>, root: &Path, out: &Path) -> Result<PathBuf> {
    let program = out.join(format!("peer-{}", std.name()));
    if std == Std::Socket2 {
        fs::copy(compile_with_cargo(root)?, &program)?;
        return Ok(program);
    }
    let mut rustc = Command::new("rustc");
    match (std, sysroot) {
        (Std::Patched, Some(sysroot)) => {
            // A std is of use only to its own compiler, which a full sysroot brings along.
            let own = sysroot.join("bin/rustc");
            if own.exists() {
                rustc = Command::new(own);
            }
            rustc.arg("--sysroot").arg(sysroot);
        }
        (Std::Nightly, _) => {
            if let Err(error) = command::run(Command::new("rustc").args(["+nightly", "-V"]), "") {
                bail!(NotRun(format!("{error:#} (try `rustup toolchain install nightly`)")));
            }
            rustc.arg("+nightly");
        }
        (Std::Noop, _) => {
            rustc.args(["--cfg", "noop"]);
        }
        _ => {}
    }
    // The feature gate is what the methods are behind, whatever the compiler's channel.
    rustc.env("RUSTC_BOOTSTRAP", "1").args(["--edition", "2024", "-o"]).arg(&program);
    command::run(rustc.arg(root.join("lab/programs/peer.rs")), "")?;
    Ok(program)
}

/// With a crate to link, cargo knows the way; it says where the program is in its messages.
fn compile_with_cargo(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.arg("build").arg("--manifest-path").arg(root.join("lab/Cargo.toml"));
    cargo.args(["--quiet", "--bin", "peer-socket2", "--features", "via-socket2"]);
    let messages = command::run(cargo.args(["--message-format", "json-render-diagnostics"]), "")?;
    let executable = messages.lines().rev().find_map(|message| {
        let message: serde_json::Value = serde_json::from_str(message).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executable.context("cargo names no executable")
}
