//! How long a contributor waits for `./x.py test library/std`, in each of the two lanes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use fs_err as fs;

use crate::base::Base;
use crate::bench::machine::{self, Cost};
use crate::process::CommandExt;
use crate::progress::Step;
use crate::project::Project;
use crate::tree::Tree;

/// Works in a clone of its own, so that nothing is there yet and nobody's work is in the way. The
/// archive of the base is taken from the cache.
pub fn measure(project: &Project, base: &Base) -> Result<String> {
    let load = machine::load();
    let mut lanes = Vec::new();
    for (title, options) in [("prebuilt", &[][..]), ("bootstrap", &["--full"])] {
        let clone = fresh_clone(project)?;
        let from_nothing = test(&clone, base, title, "from nothing", options)?;
        edit(&Tree::of(&Project::open(clone.clone())?, base))?;
        let after_edit = test(&clone, base, title, "after an edit", options)?;
        lanes.push((title, from_nothing, after_edit));
    }
    let mut text = format!(
        "`./x.py test library/std`: from nothing but the archive of Rust's sources, and again after an\n\
         edit of one line in `net/tcp.rs`. The prebuilt lane takes the installed compiler, the\n\
         bootstrap lane compiles one, as upstream's CI does. In parentheses, the processor time on\n\
         all cores. The load was {load} when this began, which moves the former more.\n\n\
         | lane | from nothing | after an edit |\n|---|---|---|\n",
    );
    for (title, from_nothing, after_edit) in &lanes {
        writeln!(text, "| {title} | {} | {} |", show(from_nothing), show(after_edit))?;
    }
    let [(_, quick, quick_edit), (_, slow, slow_edit)] = lanes[..] else { unreachable!() };
    let ratio = |slow: Cost, quick: Cost| {
        let elapsed = slow.elapsed / quick.elapsed;
        format!("{elapsed:.1} ({:.1})", slow.processor / quick.processor)
    };
    writeln!(text, "| ratio | {} | {} |", ratio(slow, quick), ratio(slow_edit, quick_edit))?;
    Ok(text)
}

fn fresh_clone(project: &Project) -> Result<PathBuf> {
    let clone = project.build().join("bench/clock");
    let step = Step::start("cloning this repository");
    if clone.exists() {
        fs::remove_dir_all(&clone)?;
    }
    fs::create_dir_all(project.build().join("bench"))?;
    Command::new("git").args(["clone", "--quiet"]).arg(&project.root).arg(&clone).run()?;
    step.done();
    Ok(clone)
}

fn edit(tree: &Tree) -> Result<()> {
    let file = tree.src.join("library/std/src/net/tcp.rs");
    let text = fs::read_to_string(&file)?;
    Ok(fs::write(file, format!("{text}\n// One line more.\n"))?)
}

/// What it takes. This very program is the one that ./x.py would compile and run.
fn test(clone: &Path, base: &Base, lane: &str, when: &str, options: &[&str]) -> Result<Cost> {
    let step = Step::start(format!("testing std in the {lane} lane, {when}"));
    let log = clone.with_file_name(format!("clock-{lane}.log"));
    let output = fs::File::create(&log)?.into_parts().0;
    let mut x_py = Command::new(std::env::current_exe()?);
    x_py.arg("--root")
        .arg(clone)
        .args(["x", "--base", &base.name])
        .args(options)
        .args(["test", "library/std"])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .env_remove("XTASK_ROOT");
    let cost = machine::cost_of(|| {
        if !x_py.status()?.success() {
            let log = log.display();
            bail!("the tests failed in the {lane} lane, {when}; {log} tells more");
        }
        Ok(())
    })?;
    step.done();
    Ok(cost)
}

fn show(cost: &Cost) -> String {
    format!("{} ({})", minutes(cost.elapsed), minutes(cost.processor))
}

fn minutes(seconds: f64) -> String {
    format!("{} min {:02} s", seconds as u64 / 60, seconds as u64 % 60)
}
