//! `cargo xtask`: the commands, see the library for the rooms behind them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use xtask::base::project::Project;
use xtask::session::Invocation;
use xtask::{clean, docs, run, say, series, test, toolchain, upstream};

/// Tools for the TCP keepalive patch series of Rust's standard library.
///
/// `./x.py ARGS…` is the front door: it prepares build/rust and runs upstream's x.py there. The
/// commands below are for working on the series itself. A change goes: edit and commit in
/// build/rust, try it with `cargo xtask test`, write it down with `cargo xtask export`, prove it
/// with `cargo test`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    /// Work on another project directory than the one this tool was built in.
    #[arg(long, env = "XTASK_ROOT", hide = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    root: PathBuf,

    /// The base to work on: a name from base.toml.
    #[arg(long, global = true, value_name = "NAME")]
    base: Option<String>,

    /// Show each command that is run, as it could be typed.
    #[arg(long, short, global = true)]
    verbose: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Prepare(upstream::front_door::Prepare),
    X(upstream::front_door::X),
    Test(test::Test),
    Export(series::export::Export),
    Rehearse(series::rehearse::Rehearse),
    Toolchain(toolchain::BuildToolchain),
    Docs(docs::Docs),
    Clean(clean::Clean),
}

fn main() -> ExitCode {
    run::command::begin();
    match start(Cli::parse()) {
        Ok(code) => code,
        Err(error) => say::failure::failure(&error),
    }
}

fn start(cli: Cli) -> Result<ExitCode> {
    if cli.verbose {
        run::command::show_commands();
    }
    let on = Invocation { project: Project::open(cli.root)?, base: cli.base };
    match cli.command {
        Command::Prepare(command) => command.run(on),
        Command::X(command) => command.run(on),
        Command::Test(command) => command.run(on),
        Command::Export(command) => command.run(&on.project, &on.base()?),
        Command::Rehearse(command) => command.run(on),
        Command::Toolchain(command) => command.run(on),
        Command::Docs(command) => command.run(on),
        Command::Clean(command) => command.run(on),
    }
}
