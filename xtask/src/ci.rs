//! Everything that guards the project, in one command.

use std::ffi::OsStr;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::base::project::Project;
use crate::run::command::CommandExt;
use crate::say::failure::NOT_RUN;
use crate::session::Invocation;

/// Whether a step needs more than every machine must have: the lab and the emulators need programs and
/// the kernel's permission, the second series a compiler of its own.
fn may_be_not_run(line: &[&str]) -> bool {
    ["lab", "--require", "--base"].iter().any(|word| line.contains(word))
}

/// Run everything that guards the project; what must be green before a change is merged.
///
/// rustfmt, clippy, the tools' own tests, verify, upstream's tests of std and tests/ui/std on
/// the patched tree, the quick sets of targets and cross, mutants, the lab, and the toolchain
/// with its checks; then the same in small for the second series. All of them run even
/// if one fails. What this machine cannot run is said, and not counted as passed.
#[derive(Args)]
pub struct Ci {}

impl Ci {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        on.refuse_base("ci")?;
        run_steps(&on.project)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs every step, also after one failed, and says at the end which did.
fn run_steps(project: &Project) -> Result<()> {
    let xtask = std::env::current_exe()?;
    let xtask = xtask.as_os_str();
    let cargo = OsStr::new("cargo");
    let steps: [(&str, &[&str]); _] = [
        ("rustfmt", &["cargo", "fmt", "--all", "--check"]),
        ("clippy", &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ("the tools' own tests", &["cargo", "test", "--workspace"]),
        ("the series", &["xtask", "verify"]),
        ("std and ui tests", &["xtask", "x", "test", "library/std", "tests/ui/std"]),
        ("a target for each backend", &["xtask", "targets", "--quick"]),
        ("three other platforms", &["xtask", "cross", "--quick", "--require"]),
        ("mistakes that the tests must notice", &["xtask", "mutants"]),
        ("the network lab", &["xtask", "lab"]),
        ("the toolchain for users", &["xtask", "toolchain", "--check"]),
        ("the second series", &["xtask", "verify", "--base", "1.97"]),
        (
            "the second series, the backends that it changes",
            &[
                "xtask",
                "targets",
                "--base",
                "1.97",
                "aarch64-unknown-nuttx",
                "aarch64-kmc-solid_asp3",
                "x86_64-unknown-uefi",
                "x86_64-fortanix-unknown-sgx",
            ],
        ),
        (
            "the second series, three platforms",
            &["xtask", "cross", "--base", "1.97", "--quick", "--require"],
        ),
    ];
    let (mut passed, mut failed, mut not_run) = (0, Vec::new(), 0);
    let mut summary = String::new();
    for (name, line) in steps {
        println!("\n==> {name}: {}", line.join(" "));
        let started = Instant::now();
        let mut command = Command::new(if line[0] == "xtask" { xtask } else { cargo });
        command.args(&line[1..]).current_dir(&project.root);
        let status = command.env_of_x_py().show()?;
        let verdict = match status.code() {
            Some(0) => {
                passed += 1;
                "ok"
            }
            Some(code) if code == i32::from(NOT_RUN) && may_be_not_run(line) => {
                not_run += 1;
                "not run"
            }
            _ => {
                failed.push(name);
                "FAILED"
            }
        };
        summary += &format!("{verdict:7} {:4} s  {name}\n", started.elapsed().as_secs());
    }
    // The form in which test runners say it, for whoever reads the end of a log.
    println!("\n{summary}ci: {passed} passed, {} failed, {not_run} skipped", failed.len());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}
