//! `cargo xtask lab`: the network lab, with the patched std.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::assemble::Assembly;
use crate::base::Base;
use crate::bootstrap::{Bootstrap, Lane};
use crate::lock;
use crate::prepare::prepare;
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::tree::Tree;

/// Runs `lab` with `args` in place of this process.
pub fn run(project: &Project, base: &Base, args: &[OsString]) -> Result<ExitCode> {
    let mut lab = Command::new("cargo");
    lab.args(["run", "--quiet", "--package", "lab", "--bin", "lab", "--"]);
    lab.args(args).current_dir(&project.root);
    if uses_patched_std(args) {
        let _lock = lock::acquire(project, "lab")?;
        let toolchain = Toolchain::find(base)?;
        let tree = prepare(project, base, None, &toolchain)?;
        lab.arg("--sysroot").arg(sysroot(project, base, &tree, &toolchain)?);
    }
    Err(lab.exec().into())
}

/// A compiler with the patched std: bootstrap's, where there is bootstrap, which `./x.py` made already.
fn sysroot(project: &Project, base: &Base, tree: &Tree, toolchain: &Toolchain) -> Result<PathBuf> {
    if !tree.has_x_py() {
        let assembly = Assembly::patched(project, base, toolchain, tree)?;
        assembly.bring_up_to_date(&[])?;
        return Ok(assembly.directory);
    }
    let base_commit = tree.state()?.base;
    let bootstrap =
        Bootstrap::configure(project, &tree.src, &base_commit, Lane::Prebuilt, toolchain)?;
    bootstrap.provide_patched_std()?;
    Ok(bootstrap.compiler())
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
