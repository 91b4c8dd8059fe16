//! `cargo xtask lab`: the network lab, with the patched std.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::run::command::CommandExt;
use crate::session::Invocation;
use crate::upstream::bootstrap::{Bootstrap, Lane};

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
        let mut lab = Command::new("cargo");
        lab.args(["run", "--quiet", "--package", "lab", "--bin", "lab", "--"]);
        lab.args(&self.args).current_dir(&on.project.root);
        if uses_patched_std(&self.args) {
            let session = on.open("lab")?;
            let bootstrap = Bootstrap::of(&session, Lane::Prebuilt)?;
            bootstrap.configure()?;
            bootstrap.provide_patched_std()?;
            lab.arg("--sysroot").arg(bootstrap.sysroot());
        }
        Err(lab.replace())
    }
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
