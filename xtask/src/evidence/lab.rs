//! Runs the network lab with the patched std.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Result;
use clap::Args;

use crate::library::sources::Patched;
use crate::library::sysroot::{Profile, Workshop};
use crate::run::command::CommandExt;
use crate::say::progress::Step;
use crate::session::Invocation;

/// Show keepalive at work, packet by packet, in a small network inside this machine.
///
/// Builds the patched std of the base and runs the lab with it. ARGS are the lab's own, see
/// `cargo xtask lab --help`; `--base`, if any, comes before them.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Lab {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Lab {
    /// Runs the lab in place of this process.
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let root = on.project.root.clone();
        let lab = || {
            let mut lab = Command::new("cargo");
            lab.args(["run", "--quiet", "--package", "lab", "--bin", "lab", "--"]);
            lab.args(&self.args).current_dir(&root);
            lab
        };
        let step = Step::start("compiling the lab");
        // What its arguments ask for, the lab itself says, or what is wrong with them (exit code 2),
        // or what this machine lacks (3).
        let plan = lab().arg("--plan").stderr(Stdio::inherit()).answer()?;
        step.done();
        if !plan.status.success() {
            return Ok(ExitCode::from(plan.status.code().map_or(1, |code| code as u8)));
        }
        let mut lab = lab();
        if plan.stdout == b"sysroot\n" {
            let (session, lock) = on.open_beside("lab")?;
            let sysroot = session.dir.join("sysroot");
            let step = Step::start("compiling std for the lab");
            let workshop = Workshop::open(&session, &session.compiler.host)?;
            workshop.sources.show(&Patched::of(&session.tree, None)?.library)?;
            workshop.sysroot(Profile::Dev, &sysroot)?;
            step.done();
            drop(workshop);
            // Another lab would make the sysroot anew.
            lock.keep_for_successor()?;
            lab.arg("--sysroot").arg(sysroot);
        }
        Err(lab.replace())
    }
}
