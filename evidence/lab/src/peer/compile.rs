//! Compiles the program under test, `programs/peer.rs`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, process};

use anyhow::{Context, Result};
use fs_err as fs;

use crate::arguments::Methods;
use crate::command;

const SOURCE: &str = include_str!("../../programs/peer.rs");

/// Compiles the program into the directory `out`, against the std of `sysroot` or with `methods`. With socket2, writes
/// a script instead. Returns the path of the program or script.
pub fn compile(methods: Option<Methods>, sysroot: Option<&Path>, out: &Path) -> Result<PathBuf> {
    // Another lab may be running the old program in `out`, and a running program cannot be overwritten. A rename can
    // replace it.
    let new = out.join(format!("peer-{}", process::id()));
    match methods {
        None => {
            let sysroot = sysroot.context("the command line has no --sysroot")?;
            // A std works only with the compiler that built it.
            let mut rustc = Command::new(sysroot.join("bin/rustc"));
            rustc.arg("--sysroot").arg(sysroot).args(["--cfg", "std_methods"]);
            run_rustc(&mut rustc, &new)?;
        }
        Some(Methods::Noop) => run_rustc(Command::new("rustc").args(["--cfg", "noop"]), &new)?,
        Some(Methods::Socket2) => {
            // The lab contains socket2, and the program as a module, so the script starts the lab.
            let lab = env::current_exe()?;
            fs::write(&new, format!("#!/bin/sh\nexec '{}' --peer\n", lab.display()))?;
            fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    let program = out.join("peer");
    fs::rename(new, &program)?;
    Ok(program)
}

fn run_rustc(rustc: &mut Command, program: &Path) -> Result<()> {
    // A release refuses feature gates without this variable.
    rustc.env("RUSTC_BOOTSTRAP", "1").args(["--edition", "2024", "--crate-name", "peer"]);
    command::run(rustc.arg("-o").arg(program).arg("-"), SOURCE)?;
    Ok(())
}
