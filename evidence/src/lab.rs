//! Runs the scenarios of the network lab with the std of the series.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::error::{NOT_RUN, NotRun};
use xtask::owned::entries;
use xtask::project::Project;
use xtask::std::{Profile, Std};

use crate::place::lock;
use crate::suite::{Outcome, Place, Trial};

/// The time limit of the lab in seconds. A scenario takes less than a minute.
const LIMIT: u64 = 15 * 60;

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for base in project.bases() {
        for scenario in lab::scenarios() {
            let name = scenario.clone();
            let trial = Trial::new("lab", &base, &name, move |place| run(place, &scenario));
            trials.push(trial.quick(base.default).waits());
        }
    }
    let base = project.base(None)?;
    for scenario in lab::scenarios() {
        let name = format!("{scenario} fails with methods that do nothing");
        let trial = Trial::new("lab", &base, &name, move |place| fail(place, &scenario));
        trials.push(trial.quick(false).waits());
    }
    Ok(trials)
}

/// Runs one scenario. Its tables, captures and pictures are in build/evidence/lab/BASE/std/SCENARIO/.
fn run(place: &Place, scenario: &str) -> Result<Outcome> {
    let root = &place.project().root;
    // If the lab cannot run, std need not be compiled.
    lab(place, &["--check".as_ref(), scenario.as_ref()])?;
    let sysroot = sysroot(place)?;
    let out = root.join("build/evidence/lab").join(&place.base().name);
    let args = ["--sysroot".as_ref(), &*sysroot, "--out".as_ref(), &out, scenario.as_ref()];
    let printed = lab(place, &args)?;
    let counts = printed.lines().find(|line| line.ends_with(" passed, 0 failed"));
    Ok(Outcome::Passed(counts.context("the lab printed no counts")?.into()))
}

/// Runs one scenario with methods that do nothing. A scenario that passes is an error.
fn fail(place: &Place, scenario: &str) -> Result<Outcome> {
    let out = place.dir().join("out");
    let args = ["--methods".as_ref(), "noop".as_ref(), "--out".as_ref(), &*out, scenario.as_ref()];
    let error = match lab(place, &args) {
        Err(error) if error.is::<NotRun>() => return Err(error),
        Err(error) => format!("{error:#}"),
        Ok(_) => bail!("the scenario passes with methods that do nothing"),
    };
    let counts = error.lines().find(|line| line.ends_with(" failed") && line.contains(" passed, "));
    Ok(Outcome::Passed(counts.with_context(|| format!("the lab broke off:\n{error}"))?.into()))
}

/// Runs the lab and returns its standard error.
fn lab(place: &Place, args: &[&Path]) -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "lab", "--"]).args(args);
    let output = place.run(cargo.current_dir(&place.project().root), LIMIT)?;
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(stderr),
        Some(code) if code == i32::from(NOT_RUN) => Err(NotRun(stderr))?,
        _ => bail!("{}\n{stderr}", String::from_utf8_lossy(&output.stdout)),
    }
}

/// Returns a sysroot with the std of the series, which all scenarios of the base share.
fn sysroot(place: &Place) -> Result<PathBuf> {
    let opened = place.opened();
    let dir = place.project().build.root.join("evidence/lab-std").join(&place.base().name);
    let _lock = lock(&dir)?;
    let sysroot = dir.join(opened.found_with()?);
    if !sysroot.join("bin").exists() {
        for old in entries(&dir)?.iter().filter(|path| path.join("bin").exists()) {
            place.project().build.remove(old)?;
        }
        let host = &opened.compiler.host;
        let std = Std::new(&opened.compiler, &opened.library()?, host, &dir.join("std"));
        std.sysroot(Profile::Dev, &sysroot)?;
    }
    Ok(sysroot)
}
