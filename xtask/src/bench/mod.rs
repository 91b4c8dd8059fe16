//! `cargo xtask bench`: what the methods cost, measured beside what is used instead of them, and
//! written down in BENCHMARKS.md.

mod calls;
mod clock;
mod machine;
mod programs;
mod report;
mod start;

use anyhow::Result;

use crate::assemble::Assembly;
use crate::base::Base;
use crate::prepare::prepare;
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::upstream;
use report::Report;

/// What all measurements need.
struct Bench<'a> {
    project: &'a Project,
    base: &'a Base,
    /// The release that std is compiled with.
    released: &'a Toolchain,
    /// The same with the patched std.
    patched: Toolchain,
    /// Upstream's own, where one is installed.
    upstream: Option<Toolchain>,
}

/// Measures what a program pays, which takes a few minutes.
pub fn run(project: &Project, base: &Base) -> Result<()> {
    let released = Toolchain::find(base)?;
    let tree = prepare(project, base, None, &released)?;
    let assembly = Assembly::patched(project, base, &released, &tree)?;
    assembly.bring_up_to_date(&[])?;
    let upstream = upstream::newest(&project.build())?;
    if upstream.is_none() {
        eprintln!(
            "note: upstream's std is not measured, because no Rust 1.97 or later is installed. \
             Install one with\n  {}",
            upstream::INSTALL
        );
    }
    let patched = Toolchain::at(assembly.directory)?;
    let bench = Bench { project, base, released: &released, patched, upstream };

    let mut report = Report::open(project)?;
    report.section("What a call costs", &calls::measure(&bench)?)?;
    report.section("What choosing std over a crate saves", &programs::compare(&bench)?)?;
    let unused = programs::unused(&bench, &tree)?;
    report.section("What it costs a program that does not use it", &unused)?;
    report.section("What the toolchain's launcher costs", &start::measure(&bench)?)?;
    report.done();
    Ok(())
}

/// Measures how long a contributor waits, which takes most of an hour.
pub fn run_clock(project: &Project, base: &Base) -> Result<()> {
    let section = clock::measure(project, base)?;
    let mut report = Report::open(project)?;
    report.section("The contributor's clock", &section)?;
    report.done();
    Ok(())
}
