//! Shows TCP keepalive at work in a small network inside this machine: see `lab --help`.
//!
//! A run goes through the modules in this order. The `arguments` say which scenarios to run and
//! against which std. The `sandbox` finds out whether this machine can make the namespaces.
//! `peer::compile` compiles the program under test. The sandbox then starts the lab a second
//! time, inside the namespaces, where `scenarios::case` runs each case of each scenario: it
//! builds a `network`, starts a `capture` at its router and `peer`s at its ends. The
//! `results` come back through a pipe, and become captures, pictures and the table.
#![cfg(target_os = "linux")]

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use comfy_table::presets;
use console::Term;
use fs_err as fs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::{Args, Format, root};
use crate::capture::pcap;
use crate::network::Family;
use crate::peer::compile::{Std, compile};
use crate::peer::witness;
use crate::results::table::{StdResults, table, verdicts};
use crate::results::{CaseResult, picture};
use crate::sandbox::Sandbox;
use crate::scenarios::Scenario;

mod arguments;
mod capture;
mod command;
mod network;
mod peer;
mod results;
mod sandbox;
mod scenarios;

/// What this machine lacks, and how to get it: that the lab could not do its work says nothing
/// about keepalive.
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

/// The scenarios whose pictures the README shows.
const README_PICTURES: [&str; 2] = ["idle-behind-nat", "power-loss"];

/// The command, with the arguments of this process.
pub fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(if error.is::<NotRun>() { NotRun::EXIT_CODE } else { 1 })
        }
    }
}

/// Whether all passed.
fn run(args: Args) -> Result<bool> {
    let mut scenarios = match args.scenarios.is_empty() {
        true => scenarios::ALL.to_vec(),
        false => args.scenarios,
    };
    if args.verbose {
        command::print_commands();
    }
    if let Some(program) = args.inside {
        sandbox::inside(&program, &scenarios);
        return Ok(true);
    }
    if let Some(set) = args.witness {
        witness::by_socket2(set)?;
        return Ok(true);
    }
    // Output may go to a program that has seen enough, such as head.
    sigpipe::reset();
    if args.list {
        for scenario in scenarios {
            println!("{:16} {}", scenario.name, scenario.about);
        }
        return Ok(true);
    }
    if args.stds.contains(&Std::Patched) && args.sysroot.is_none() && !args.check {
        let message = "the patched std is in no toolchain: --sysroot says where it is (see \
                       --help), or --std which other to test";
        Args::command().error(ErrorKind::MissingRequiredArgument, message).exit();
    }
    if scenarios.iter().any(|scenario| scenario.name == scenarios::GVISOR)
        && command::run(Command::new("runsc").arg("--version"), "").is_err()
    {
        scenarios.retain(|scenario| scenario.name != scenarios::GVISOR);
        let lacks =
            NotRun(format!("{}: this machine lacks runsc (package runsc)", scenarios::GVISOR));
        if scenarios.is_empty() {
            bail!(lacks);
        }
        eprintln!("{lacks}");
    }
    let sandbox = Sandbox::new(args.as_user)?;
    if args.check {
        return Ok(true);
    }

    fs::create_dir_all(&args.out)?;
    let out = fs::canonicalize(&args.out)?;
    let mut stds = Vec::new();
    for std in args.stds {
        let name = std.name();
        let compiling = progress(1, format!("compiling: {name}"))?;
        let program = compile(std, args.sysroot.as_deref(), root(), &out)?;
        compiling.finish_and_clear();
        let running = progress(4 * scenarios.len(), format!("running: {name}"))?;
        let cases = sandbox.run(&program, &scenarios, &running)?;
        running.finish_and_clear();
        save(&cases, &scenarios, &out.join(&name))?;
        stds.push(StdResults { std: name, cases });
    }

    let verdicts = verdicts(&stds);
    let markdown = table(&verdicts, presets::ASCII_MARKDOWN, None).to_string();
    let json = serde_json::to_string_pretty(&verdicts)?;
    fs::write(out.join("results.md"), format!("{markdown}\n"))?;
    fs::write(out.join("results.json"), format!("{json}\n"))?;
    let columns = Term::stdout().size_checked().map(|(_, columns)| columns);
    match args.format {
        Format::Table => {
            println!("{}", table(&verdicts, presets::UTF8_FULL_CONDENSED, columns));
        }
        Format::Markdown => println!("{markdown}"),
        Format::Json => println!("{json}"),
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.pass).count();
    let passed = verdicts.len() - failed;
    eprintln!("{passed} passed, {failed} failed; all files are in {}", out.display());
    if args.write_docs && failed == 0 {
        for scenario in scenarios.iter().filter(|it| README_PICTURES.contains(&it.name)) {
            let picture = format!("{}.svg", scenario.name);
            fs::copy(out.join(&stds[0].std).join(&picture), root().join("docs").join(&picture))?;
        }
    }
    Ok(failed == 0)
}

/// A bar on a terminal; elsewhere, a line says what it is that takes its time.
fn progress(steps: usize, message: String) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos} of {len}, {elapsed}")?;
    let bar = ProgressBar::new(steps as u64).with_style(style);
    if command::prints_commands() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if bar.is_hidden() {
        eprintln!("{message}");
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar.with_message(message))
}

/// Leaves the captures and the pictures.
fn save(cases: &[CaseResult], scenarios: &[&Scenario], directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    for case in cases {
        let side = if case.with { "with" } else { "without" };
        let name = format!("{}.{side}.{:?}.pcap", case.scenario, case.family).to_lowercase();
        fs::write(directory.join(name), pcap::file(&case.frames))?;
    }
    for Scenario { name, about, shape, .. } in scenarios {
        let of = |case: &&CaseResult| case.scenario == *name && case.family == Family::IPv4;
        let cases: Vec<_> = cases.iter().filter(of).collect();
        let picture = picture::draw(about, shape.keepalive, &cases);
        fs::write(directory.join(format!("{name}.svg")), picture.to_string())?;
    }
    Ok(())
}
