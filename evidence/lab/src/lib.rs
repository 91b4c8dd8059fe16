//! Tests TCP keepalive in a small network inside this machine: see `lab --help`.
//!
//! A run goes through the modules in this order:
//!
//! 1. `arguments` reads the command line. `sandbox` checks that the machine can make namespaces.
//! 2. `peer::compile` compiles the program under test.
//! 3. `sandbox` starts the lab a second time, inside the namespaces.
//! 4. `scenarios::case` runs each case: it makes a `network`, starts a `capture` at the router,
//!    and starts a `peer` at each end of a connection.
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
        eprintln!("lab: not run: the lab needs Linux, for example in a virtual machine");
        Ok(crate::NOT_RUN)
    }
}

// The exit codes. clap exits with 2.
const PASSED: u8 = 0;
const FAILED: u8 = 1;
const NOT_RUN: u8 = 3;

pub fn scenarios() -> impl Iterator<Item = String> {
    Scenario::value_variants().iter().map(Scenario::to_string)
}

/// Runs the command line of this process.
///
/// The lab starts the current executable again, with other arguments. The executable must call this
/// function then, too.
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
