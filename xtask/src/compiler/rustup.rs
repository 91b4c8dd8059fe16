//! Looks for a release's compiler with rustup, and has rustup install it into a directory of this
//! tool's own, so that nothing of the user's changes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::command::{CommandExt, words};
use crate::say::progress::Step;

/// The sysroot of the compiler that rustup calls `name`: the user's rustup, or one that keeps all of
/// its files in `home`.
pub fn sysroot(name: &str, home: Option<&Path>) -> Result<PathBuf> {
    if let Some(home) = home.filter(|home| !home.exists()) {
        // rustup would make it.
        bail!("{} is not there", home.display());
    }
    let rustc = rustup(home)
        .args(["which", "--toolchain", name, "rustc"])
        .read()
        .with_context(|| format!("install it with\n  {}\n", words(&installation(name, None))))?;
    let sysroot = Path::new(&rustc).parent().and_then(Path::parent);
    Ok(sysroot.context("rustup gave a path to rustc with no sysroot")?.to_owned())
}

/// Has rustup install a compiler to the empty directory `home`.
pub fn install(name: &str, home: &Path) -> Result<()> {
    // The variable is rustup's own.
    if std::env::var_os("RUSTUP_AUTO_INSTALL").is_some_and(|value| value == "0") {
        bail!("rustup was not asked to install it for this tool, because RUSTUP_AUTO_INSTALL is 0");
    }
    let step = Step::start(format!("having rustup install Rust {name} for this tool alone"));
    installation(name, Some(home)).run()?;
    step.done();
    Ok(())
}

/// What installs a compiler, with everything that is used of it.
fn installation(name: &str, home: Option<&Path>) -> Command {
    let mut command = rustup(home);
    command.args(["toolchain", "install", name, "--profile", "minimal"]);
    command.args(["--component", "clippy", "--component", "rustfmt"]);
    command
}

fn rustup(home: Option<&Path>) -> Command {
    let mut rustup = Command::new("rustup");
    rustup.clean_env();
    if let Some(home) = home {
        rustup.env("RUSTUP_HOME", home);
    }
    rustup
}
