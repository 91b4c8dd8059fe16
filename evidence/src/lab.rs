//! Runs the network lab with the patched std.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use xtask::base::Base;
use xtask::base::project::Project;
use xtask::library::sources::library_right_now;
use xtask::library::sysroot::{Profile, Workshop};
use xtask::run::command::CommandExt;
use xtask::run::lock;
use xtask::say::failure::{NOT_RUN, NotRun};

use crate::suite;

/// The lab's scenarios, by name.
pub fn scenarios(project: &Project) -> Result<Vec<String>> {
    let list = lab(project).arg("--list").read()?;
    Ok(list.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

fn lab(project: &Project) -> Command {
    let mut lab = Command::new("cargo");
    lab.args(["run", "--quiet", "--package", "lab", "--"]).current_dir(&project.root);
    lab
}

/// Runs one scenario, which leaves its captures and pictures below build/evidence/lab/.
pub fn run(base: &Base, scenario: &str) -> Result<String> {
    // Before anything is compiled for it.
    pass(lab(&suite::project()?).args(["--check", scenario]))?;
    let session = suite::open(base)?;
    let dir = session.project.build().join("evidence/lab");
    let dir = dir.join(format!("{}-{}", base.name, suite::slot()));
    let _lock = lock::acquire(&dir.join("lock"), "a scenario of the lab")?;
    let sysroot = dir.join("sysroot");
    let library = library_right_now(&session.tree)?;
    Workshop::open(&session, &session.compiler.host, &library)?.sysroot(Profile::Dev, &sysroot)?;
    let mut lab = lab(&session.project);
    pass(lab.arg("--sysroot").arg(sysroot).arg("--out").arg(dir.join("out")).arg(scenario))?;
    Ok(String::new())
}

/// Stops if the lab says that it cannot run, or that a scenario did not pass.
fn pass(lab: &mut Command) -> Result<()> {
    let output = lab.stderr(Stdio::piped()).answer()?;
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{}{said}", String::from_utf8_lossy(&output.stdout));
    match output.status.code().context("the lab was killed")? {
        0 => Ok(()),
        code if code == i32::from(NOT_RUN) => Err(NotRun(said.trim().into()))?,
        _ => bail!("something that was expected was not seen"),
    }
}
