//! Runs scenarios, and prints and saves their results.

use anyhow::Result;
use fs_err as fs;

use crate::arguments::{Args, Methods};
use crate::peer::compile::compile;
use crate::peer::{program, witness};
use crate::results::table;
use crate::sandbox::Sandbox;
use crate::{FAILED, NOT_RUN, PASSED, command, results, sandbox};

/// Runs scenarios. Returns the exit code.
pub fn run(args: Args) -> Result<u8> {
    if args.verbose {
        command::print_commands();
    }
    if let Some(program) = args.inside {
        sandbox::run_cases(program, args.scenarios)?;
        return Ok(PASSED);
    }
    if args.peer {
        program::main()?;
        return Ok(PASSED);
    }
    if let Some(set) = args.witness {
        witness::by_socket2(set)?;
        return Ok(PASSED);
    }
    let scenarios = &args.scenarios;
    let sandbox = match Sandbox::find(scenarios) {
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
    eprintln!("running {} cases at once, with the methods of {methods}", 4 * scenarios.len());
    let cases = sandbox.run(&program, scenarios)?;

    // The reader of the tables may stop early, as `head` does.
    sigpipe::reset();
    let (mut passed, mut failed) = (0, 0);
    for &scenario in scenarios {
        let cases: Vec<_> = cases.iter().filter(|case| case.scenario == scenario).collect();
        let rows = table::rows(&cases);
        let table = table::markdown(&format!("{scenario}: {}", scenario.about()), &rows);
        println!("{table}");
        results::save(scenario, &cases, &table, &out.join(scenario.to_string()))?;
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
