//! `cargo xtask lab`: the network lab, with the patched std.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::base::Base;
use crate::bootstrap::{Bootstrap, Lane};
use crate::lock;
use crate::prepare::prepare;
use crate::project::Project;
use crate::toolchain::Toolchain;

/// Runs `lab` with `args` in place of this process.
pub fn run(project: &Project, base: &Base, args: &[OsString]) -> Result<ExitCode> {
    let mut lab = Command::new("cargo");
    lab.args(["run", "--quiet", "--package", "lab", "--bin", "lab", "--"]);
    lab.args(args).current_dir(&project.root);
    if uses_patched_std(args) {
        let _lock = lock::acquire(project, "lab")?;
        let toolchain = Toolchain::find(base)?;
        let tree = prepare(project, base, None, &toolchain)?;
        let base_commit = tree.state()?.base;
        let bootstrap =
            Bootstrap::configure(project, &tree.src, &base_commit, Lane::Prebuilt, &toolchain)?;
        bootstrap.provide_patched_std()?;
        lab.arg("--sysroot").arg(bootstrap.compiler());
    }
    Err(lab.exec().into())
}

/// Whether the lab is asked for something that needs the patched std: its default.
fn uses_patched_std(args: &[OsString]) -> bool {
    let mut words = args.iter().map(|arg| arg.to_string_lossy());
    if words.clone().any(|word| ["-h", "--help", "--list"].contains(&&*word)) {
        return false;
    }
    let names_another = words.clone().any(|word| word.starts_with("--std"));
    !names_another || words.any(|word| word.contains("patched"))
}
