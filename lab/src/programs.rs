//! Compiles the program under test against one std or another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use indicatif::ProgressBar;

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

/// Compiles the program into the directory `out`. `root` is the workspace's.
pub fn build(std: Std, sysroot: Option<&Path>, root: &Path, out: &Path) -> Result<PathBuf> {
    let program = out.join(format!("peer-{}", std.name()));
    let spinner = ProgressBar::new_spinner().with_message(format!("compiling: {}", std.name()));
    spinner.enable_steady_tick(Duration::from_millis(200));
    if std == Std::Socket2 {
        fs::copy(build_with_cargo(root)?, &program)?;
        spinner.finish_and_clear();
        return Ok(program);
    }

    let mut rustc = match (std, sysroot) {
        (Std::Nightly, _) => {
            let mut rustc = Command::new("rustc");
            rustc.arg("+nightly");
            rustc
        }
        // A std is of use only to its own compiler, which a full sysroot brings along.
        (Std::Patched, Some(sysroot)) => {
            let own = sysroot.join("bin/rustc");
            let mut rustc = Command::new(if own.exists() { &own } else { Path::new("rustc") });
            rustc.arg("--sysroot").arg(sysroot);
            rustc
        }
        _ => Command::new("rustc"),
    };
    if std == Std::Noop {
        rustc.args(["--cfg", "noop"]);
    }
    // The feature gate is what the methods are behind, whatever the compiler's channel.
    rustc.env("RUSTC_BOOTSTRAP", "1").args(["--edition", "2024", "-o"]).arg(&program);
    let status = rustc.arg(root.join("lab/programs/peer.rs")).status().context("no rustc")?;
    ensure!(status.success(), "the program does not compile against the {} std", std.name());
    spinner.finish_and_clear();
    Ok(program)
}

/// With a crate to link, cargo knows the way; it says where the program is in its messages.
fn build_with_cargo(root: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["build", "--quiet", "-p", "lab", "--bin", "peer-socket2"])
        .args(["--features", "via-socket2", "--message-format", "json-render-diagnostics"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("no cargo")?;
    ensure!(output.status.success(), "the program does not compile with socket2");
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    let executable = messages
        .filter_map(|message: Result<serde_json::Value, _>| {
            Some(PathBuf::from(message.ok()?.get("executable")?.as_str()?))
        })
        .last();
    executable.context("cargo names no executable")
}
