//! Writes the tables in docs/ and the lists in evidence/targets/.

use std::process::ExitCode;

use anyhow::{Result, bail};
use evidence::{SUITES, tables, targets};
use xtask::project::Project;

const USAGE: &str = "usage: cargo run -p evidence -- COMMAND
  docs SUITE [DIR]...    writes docs/SUITE.md from the results of the suite: targets, platforms or crates
                         DIR: the name of a directory in build/evidence/results/SUITE, which has the results of
                         another series or compiler
  targets                writes evidence/targets/BASE.txt for each base: the targets of the base's compiler that may
                         have a std";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => xtask::error::report(&error),
    }
}

fn run() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let project = Project::of_cargo()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["docs", suite, ref dirs @ ..] => tables::write_docs(&project, &SUITES, suite, dirs),
        ["targets"] => targets::write_names(&project),
        _ => bail!("{USAGE}"),
    }
}
