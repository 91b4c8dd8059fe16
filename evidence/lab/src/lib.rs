//! Shows TCP keepalive at work in a small network inside this machine: see `lab --help`.
//!
//! A run goes through the modules in this order:
//!
//! 1. `arguments` reads the command line. `sandbox` checks that the machine can make namespaces.
//! 2. `peer::compile` compiles the program under test.
//! 3. `sandbox` starts the lab a second time, inside of the namespaces.
//! 4. `scenarios::case` runs each case: it builds a `network`, starts a `capture` at the router,
//!    and starts a `peer` at each end.
//! 5. `results` become a table, captures and a picture.

use std::io::{self, Write};
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
    pub fn run(_: crate::arguments::Args) -> anyhow::Result<u8> {
        eprintln!(
            "lab: not run: this system is not Linux; run the lab in a virtual machine with Linux"
        );
        Ok(crate::NOT_RUN)
    }
}

// The exit codes of the command, beside clap's for wrong usage.
const PASSED: u8 = 0;
const FAILED: u8 = 1;
const NOT_RUN: u8 = 3;

/// Returns the names of the scenarios.
pub fn scenarios() -> impl Iterator<Item = String> {
    Scenario::value_variants().iter().map(Scenario::to_string)
}

/// Runs the command with the arguments of this process.
///
/// The lab starts the current executable again, with other arguments and the same environment. The
/// executable must call this function then, too.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for scenario in args.scenarios {
            let _ = writeln!(io::stdout(), "{scenario:16} {}", scenario.about());
        }
        return ExitCode::from(PASSED);
    }
    let code = run::run(args).unwrap_or_else(|error| {
        eprintln!("lab: {error:#}");
        FAILED
    });
    ExitCode::from(code)
}
