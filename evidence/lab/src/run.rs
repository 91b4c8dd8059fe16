//! Runs scenarios, and writes and prints their results.

use std::process::Command;

use anyhow::Result;
use fs_err as fs;

use crate::arguments::{Args, Scenario};
use crate::peer::compile::compile;
use crate::peer::{program, witness};
use crate::results::table;
use crate::sandbox::Sandbox;
use crate::{command, results, sandbox};

/// Runs what the arguments ask for. Returns whether all scenarios passed.
pub fn run(args: Args) -> Result<bool> {
    if args.verbose {
        command::print_commands();
    }
    if let Some(program) = args.inside.clone() {
        sandbox::run_cases(program, args.scenarios())?;
        return Ok(true);
    }
    if args.peer {
        program::main()?;
        return Ok(true);
    }
    if let Some(set) = args.witness {
        witness::by_socket2(set)?;
        return Ok(true);
    }
    let mut scenarios = args.scenarios();
    let mut left_out = None;
    if args.names_no_scenario() && !args.check {
        left_out = sandbox::missing_programs(Command::new("sh"), &[sandbox::RUNSC])?;
        scenarios.retain(|scenario| left_out.is_none() || *scenario != Scenario::Gvisor);
    }
    let sandbox = Sandbox::new(&args, &scenarios)?;
    if args.check {
        return Ok(true);
    }

    let methods = args.methods_name();
    fs::create_dir_all(&args.out)?;
    let out = fs::canonicalize(&args.out)?.join(methods);
    fs::create_dir_all(&out)?;
    let program = compile(args.methods, args.sysroot.as_deref(), &out)?;
    eprintln!("running {} cases at once, with the methods of {methods}", 4 * scenarios.len());
    let cases = sandbox.run(&program, &scenarios)?;

    // The reader of the tables may stop early, as `head` does.
    sigpipe::reset();
    let (mut passed, mut failed) = (0, 0);
    for scenario in scenarios {
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
    if let Some(lacks) = left_out {
        eprintln!("{} was left out: {lacks}", Scenario::Gvisor);
    }
    Ok(failed == 0)
}
