//! Shows TCP keepalive at work in a small network inside this machine: see `lab --help`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use comfy_table::presets;
use indicatif::{ProgressBar, ProgressStyle};
use nix::unistd::{User, geteuid};

use crate::network::Family;
use crate::programs::Std;
use crate::report::{Case, Run};
use crate::sandbox::{NotRun, Sandbox};
use crate::scenarios::Scenario;

mod bench;
mod capture;
mod network;
mod packet;
mod peer;
mod programs;
mod report;
mod sandbox;
mod scenarios;
mod timeline;
mod witness;

/// Shows TCP keepalive at work, packet by packet, in a small network inside this machine.
///
/// A client, a router and a server, each in a network namespace of its own, run a program that
/// knows nothing but `std::net`; the router captures what passes. Each scenario runs with
/// keepalive and without, over IPv4 and IPv6, all of them side by side, and must differ as
/// expected. Nothing on the host changes, and nothing is left behind, however it ends.
///
/// It runs as root, or as an ordinary user where the kernel allows user namespaces. It needs
/// unshare (util-linux), nft (nftables), ss (iproute2) and python3.
#[derive(Parser)]
#[command(after_help = "\
Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 not run (the message says what
this machine lacks, and how to allow it).

Files, under build/lab/: results.md and results.json; for each std a directory with a .pcap for
each case, to open in Wireshark, and a .svg for each scenario, which shows the IPv4 cases.

Examples:
  lab --std nightly                          all scenarios, the installed nightly's std
  lab --sysroot build/sysroot power-loss     one scenario, the std of that sysroot
  lab --std nightly,socket2                  two of them, in columns that should be equal
  lab --std noop                             what turns red when set_keepalive does nothing")]
struct Args {
    /// The scenarios to run; all of them if none is named
    #[arg(value_name = "SCENARIO", value_parser = scenario)]
    scenarios: Vec<&'static Scenario>,
    /// Say what scenarios there are, and stop
    #[arg(long)]
    list: bool,
    /// Whose keepalive to test; several give columns side by side
    #[arg(long = "std", value_name = "STD", value_enum, value_delimiter = ',')]
    #[arg(default_value = "patched")]
    stds: Vec<Std>,
    /// The compiler and std to test as `patched`, as `rustc --print sysroot` would name them
    #[arg(long, value_name = "PATH")]
    sysroot: Option<PathBuf>,
    /// The form of the results on standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
    /// Where to leave the results, the captures and the pictures
    #[arg(long, value_name = "PATH", default_value_os_t = root().join("build/lab"))]
    out: PathBuf,
    /// Write the README's two pictures into docs/
    #[arg(long)]
    write_docs: bool,
    /// As root: run as this ordinary user, in user namespaces
    #[arg(long, value_name = "USER", value_parser = user)]
    as_user: Option<User>,
    /// Internal: run the scenarios with this program, in the namespaces that this process is in
    #[arg(long, hide = true, value_name = "PROGRAM")]
    inside: Option<PathBuf>,
    /// Internal: get or set, with socket2, the option of the socket that is standard input
    #[arg(long, hide = true, value_name = "KEEPALIVE")]
    witness: Option<Option<bool>>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Table,
    Markdown,
    Json,
}

/// The scenarios whose pictures the README shows.
const README_PICTURES: [&str; 2] = ["idle-behind-nat", "power-loss"];

fn main() -> ExitCode {
    // Output may go to a program that has seen enough, such as head.
    sigpipe::reset();
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
    let scenarios = match args.scenarios.is_empty() {
        true => scenarios::ALL.iter().collect(),
        false => args.scenarios,
    };
    if let Some(program) = args.inside {
        sandbox::inside(&program, &scenarios);
        return Ok(true);
    }
    if let Some(keepalive) = args.witness {
        witness::socket2(keepalive)?;
        return Ok(true);
    }
    if args.list {
        for scenario in scenarios {
            println!("{:16} {}", scenario.name, scenario.about);
        }
        return Ok(true);
    }
    if args.stds.contains(&Std::Patched) && args.sysroot.is_none() {
        let message = "the patched std is in no toolchain: --sysroot says where it is, or \
                       --std which other to test (`cargo xtask lab` gives the sysroot)";
        Args::command().error(ErrorKind::MissingRequiredArgument, message).exit();
    }

    let sandbox = Sandbox::new(args.as_user)?;
    fs::create_dir_all(&args.out)?;
    let out = args.out.canonicalize()?;
    let mut runs = Vec::new();
    for (n, std) in args.stds.into_iter().enumerate() {
        let program = programs::build(std, args.sysroot.as_deref(), root(), &out)?;
        let run = run_with(&sandbox, std, &program, &scenarios)?;
        save(&run, &scenarios, &out, args.write_docs && n == 0)?;
        runs.push(run);
    }

    let lines = report::lines(&runs);
    let markdown = report::table(&runs, &lines, presets::ASCII_MARKDOWN).to_string();
    let json = serde_json::to_string_pretty(&lines)?;
    fs::write(out.join("results.md"), format!("{markdown}\n"))?;
    fs::write(out.join("results.json"), format!("{json}\n"))?;
    match args.format {
        Format::Table => println!("{}", report::table(&runs, &lines, presets::UTF8_FULL_CONDENSED)),
        Format::Markdown => println!("{markdown}"),
        Format::Json => println!("{json}"),
    }
    let failed = lines.iter().filter(|line| !line.pass).count();
    eprintln!(
        "{} passed, {failed} failed; all files are in {}",
        lines.len() - failed,
        out.display()
    );
    Ok(failed == 0)
}

/// Runs the scenarios with one program, and puts the cases in the order of the report.
fn run_with(sandbox: &Sandbox, std: Std, program: &Path, scenarios: &[&Scenario]) -> Result<Run> {
    let mut cases = Vec::new();
    let bar = ProgressBar::new(4 * scenarios.len() as u64).with_message(std.name());
    bar.set_style(ProgressStyle::with_template("{msg} {bar:40} {pos} of {len} cases, {elapsed}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    sandbox.run(program, scenarios, |case| {
        cases.push(case);
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    cases.sort_by_key(|case| {
        let scenario = scenarios::ALL.iter().position(|scenario| scenario.name == case.scenario);
        (scenario, !case.with, case.family)
    });
    Ok(Run { std: std.name(), cases })
}

/// Leaves the captures and the pictures.
fn save(run: &Run, scenarios: &[&Scenario], out: &Path, write_docs: bool) -> Result<()> {
    let directory = out.join(&run.std);
    fs::create_dir_all(&directory)?;
    for case in &run.cases {
        let side = if case.with { "with" } else { "without" };
        let name = format!("{}.{side}.{:?}.pcap", case.scenario, case.family).to_lowercase();
        capture::save(&case.frames, &directory.join(name))?;
    }
    for scenario in scenarios {
        let cases = |case: &&Case| case.scenario == scenario.name && case.family == Family::IPv4;
        let cases: Vec<_> = run.cases.iter().filter(cases).collect();
        let picture = timeline::draw(scenario, &cases);
        let name = format!("{}.svg", scenario.name);
        svg::save(directory.join(&name), &picture)?;
        if write_docs && README_PICTURES.contains(&scenario.name) {
            fs::create_dir_all(root().join("docs"))?;
            svg::save(root().join("docs").join(&name), &picture)?;
        }
    }
    Ok(())
}

fn scenario(name: &str) -> Result<&'static Scenario, String> {
    let scenario = scenarios::ALL.iter().find(|scenario| scenario.name == name);
    scenario.ok_or_else(|| {
        let names: Vec<_> = scenarios::ALL.iter().map(|scenario| scenario.name).collect();
        format!("the scenarios are {}", names.join(", "))
    })
}

fn user(name: &str) -> Result<User, String> {
    if !geteuid().is_root() {
        return Err("only root can become another user".to_string());
    }
    let user = User::from_name(name).map_err(|error| error.to_string())?;
    user.ok_or_else(|| "there is no such user".to_string())
}

/// The repository's: `lab/` is a directory in it.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package has a directory")
}
