//! Shows TCP keepalive at work in a small network inside this machine: see `lab --help`.
//!
//! A run goes through the modules in this order:
//!
//! 1. `arguments` reads the command line. `sandbox` checks that the machine can make namespaces.
//! 2. `peer::compile` compiles the program under test.
//! 3. `sandbox` starts the lab a second time, inside of the namespaces.
//! 4. `scenarios::case` runs each case: it builds a `network`, starts a `capture` at the router,
//!    and starts a `peer` at each end.
//! 5. `results` come back through a pipe, and become a table, captures and a picture.

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::arguments::{Args, Scenario};

mod arguments;
#[cfg(target_os = "linux")]
mod capture;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod results;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod sandbox;
#[cfg(target_os = "linux")]
mod scenarios;

#[cfg(not(target_os = "linux"))]
mod run {
    pub fn run(_: crate::arguments::Args) -> anyhow::Result<bool> {
        anyhow::bail!(crate::NotRun(
            "this system has no network namespaces; run the lab on Linux, for example in a \
             virtual machine"
                .to_string()
        ))
    }
}

/// An error that says what the machine lacks, and how to install it.
#[derive(Debug)]
struct NotRun(String);

impl NotRun {
    const EXIT_CODE: u8 = 3;
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "not run: {}", self.0)
    }
}

impl std::error::Error for NotRun {}

/// Returns the names of the scenarios.
pub fn scenarios() -> impl Iterator<Item = String> {
    Scenario::value_variants().iter().map(Scenario::to_string)
}

/// Runs the command with the arguments of this process.
///
/// The lab starts the current executable again, with other arguments and the same environment.
/// Any program that calls this function then must do so again.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Printing fails if nobody reads the output any more; the exit code still tells.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    if args.list {
        sigpipe::reset();
        for scenario in args.scenarios() {
            println!("{scenario:16} {}", scenario.about());
        }
        return ExitCode::SUCCESS;
    }
    match run::run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(if error.is::<NotRun>() { NotRun::EXIT_CODE } else { 1 })
        }
    }
}
