//! Writes the tables in docs/ and the lists in evidence/targets/.

use std::process::ExitCode;

use anyhow::{Result, bail};
use evidence::{SUITES, tables, targets};
use xtask::project::Project;

const USAGE: &str = "usage: cargo run -p evidence -- COMMAND
  docs SUITE   writes docs/SUITE.md from the results of the suite: targets, platforms or crates
  targets      writes evidence/targets/BASE.txt for each base: the targets of its compiler that may have a std";

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
        ["docs", suite] => tables::write_docs(&project, &SUITES, suite),
        ["targets"] => targets::write_names(&project),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("there is no such command\n{USAGE}"),
    }
}
