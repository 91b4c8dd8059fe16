//! The command line of `cargo xtask`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use xtask::project::Project;
use xtask::{error, export, run, test, toolchain, x};

/// Tools for the TCP keepalive patch series of Rust's standard library.
///
/// `./x.py ARGS…` makes rust/ and runs upstream's x.py there. The commands below are for work on the series: edit and
/// commit in rust/, run tests with `cargo xtask test`, write the commits to patches/ with `cargo xtask export`, and
/// check the result with `cargo test`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// The project's directory. x.py passes the directory that it is in.
    #[arg(long, hide = true)]
    root: Option<PathBuf>,

    /// Work on the base NAME of base.toml, and not on its `default`.
    #[arg(long, global = true, value_name = "NAME")]
    base: Option<String>,

    /// Print each command before it runs.
    #[arg(long, short, global = true)]
    verbose: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Prepare(x::Prepare),
    #[command(override_usage = "./x.py [OPTIONS] ARGS...")]
    X(x::X),
    Test(test::Test),
    Export(export::Export),
    Toolchain(toolchain::BuildToolchain),
}

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(code) => code,
        Err(error) => error::report(&error),
    }
}

fn start(cli: Cli) -> Result<ExitCode> {
    if cli.verbose {
        run::show_commands();
    }
    let project = match cli.root {
        Some(root) => Project::open(&root)?,
        None => Project::of_cargo()?,
    };
    let base = project.base(cli.base.as_deref())?;
    match cli.command {
        Command::Prepare(command) => command.run(project, base),
        Command::X(command) => command.run(project, base),
        Command::Test(command) => command.run(project, base),
        Command::Export(command) => command.run(&project, &base),
        Command::Toolchain(command) => command.run(project, base),
    }
}
