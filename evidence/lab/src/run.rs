//! Runs scenarios, and prints and saves their results.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::arguments::{Args, Methods, Scenario};
use crate::capture::Capture;
use crate::network::Namespace;
use crate::peer::compile::compile;
use crate::peer::{program, sockopt};
use crate::results::{self, table};
use crate::sandbox::{self, Sandbox};
use crate::scenarios::case;
use crate::{FAILED, NOT_RUN, PASSED, command};

/// Runs the command line. Returns the exit code.
pub fn run(args: Args) -> Result<u8> {
    if args.verbose {
        command::print_commands();
    }
    if let Some(program) = args.inside {
        sandbox::exit_with_first_lab();
        return run_inside(&program, &args.scenarios, &args.out);
    }
    if args.peer {
        program::main()?;
        return Ok(PASSED);
    }
    if let Some(set) = args.sockopt {
        sockopt::by_socket2(set)?;
        return Ok(PASSED);
    }
    let sandbox = match Sandbox::find(&args.scenarios) {
        Ok(sandbox) => sandbox,
        Err(lacks) => {
            eprintln!("lab: not run: {lacks}");
            return Ok(NOT_RUN);
        }
    };
    if args.check {
        return Ok(PASSED);
    }

    let methods = match args.methods {
        None => "std",
        Some(Methods::Socket2) => "socket2",
        Some(Methods::Noop) => "noop",
    };
    fs::create_dir_all(&args.out)?;
    let out = fs::canonicalize(&args.out)?.join(methods);
    fs::create_dir_all(&out)?;
    let program = compile(args.methods, args.sysroot.as_deref(), &out)?;
    eprintln!("running {} cases at once, with the methods of {methods}", 4 * args.scenarios.len());
    sandbox.run_second_lab(&program, &args, &out)
}

/// Runs all cases in the namespaces of this process. Returns the exit code.
fn run_inside(program: &Path, scenarios: &[Scenario], out: &Path) -> Result<u8> {
    // The kernel puts time stamps on packets from a moment after the first capture's start until the
    // last capture's end.
    let _capture = Capture::start(&Namespace::new()?).context("cannot capture packets")?;
    let (mut passed, mut failed) = (0, 0);
    for (scenario, cases) in scenarios.iter().zip(case::run_all(scenarios, program)) {
        let rows = table::rows(&cases);
        let table = table::markdown(&format!("{scenario}: {}", scenario.about()), &rows);
        // Ignores the closed pipe of a reader such as `head`: the files are still to be written.
        let _ = writeln!(io::stdout(), "{table}");
        results::save(*scenario, &cases, &table, &out.join(scenario.to_string()))?;
        let failures = rows.iter().filter(|row| !row.pass).count();
        failed += failures;
        passed += rows.len() - failures;
    }
    eprintln!(
        "{passed} passed, {failed} failed\n\
         tables (results.md), captures (*.pcap) and pictures (*.svg): {}/SCENARIO/",
        out.display()
    );
    Ok(if failed == 0 { PASSED } else { FAILED })
}
