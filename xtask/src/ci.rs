//! Everything that guards the project, in one command.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::bootstrap::is_set_by_the_caller;
use crate::project::Project;

/// Runs every step, also after one failed, and says at the end which did.
pub fn run(project: &Project) -> Result<()> {
    let xtask = std::env::current_exe()?;
    let xtask = xtask.as_os_str();
    let cargo = OsStr::new("cargo");
    let steps: [(&str, &[&str]); _] = [
        ("rustfmt", &["cargo", "fmt", "--all", "--check"]),
        ("clippy", &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ("the tools' own tests", &["cargo", "test", "--workspace"]),
        ("the series", &["xtask", "verify"]),
        (
            "std and ui tests on the patched tree",
            &["xtask", "x", "test", "library/std", "tests/ui/std"],
        ),
    ];
    let mut failed = Vec::new();
    let mut summary = String::new();
    for (name, line) in steps {
        println!("\n==> {name}: {}", line.join(" "));
        let started = Instant::now();
        let mut command = Command::new(if line[0] == "xtask" { xtask } else { cargo });
        command.args(&line[1..]).current_dir(&project.root);
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(is_set_by_the_caller) {
                command.env_remove(variable);
            }
        }
        let passed = command.status()?.success();
        if !passed {
            failed.push(name);
        }
        let verdict = if passed { "ok" } else { "FAILED" };
        summary += &format!("{verdict:7} {:4} s  {name}\n", started.elapsed().as_secs());
    }
    println!("\n{summary}ci: {} passed, {} failed", steps.len() - failed.len(), failed.len());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}
