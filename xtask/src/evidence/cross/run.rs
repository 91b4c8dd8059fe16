//! Runs a target's programs on this machine.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Serialize;

use super::platform::{Platform, Runner, TRACER};
use super::support::Support;
use super::trace::{self, Style};
use crate::library::diagnostic::ending;
use crate::library::libtest::{self, Counts};
use crate::run::command::{CommandExt, Finished};

/// A test that takes longer than this hangs. Most take less than a second.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs the test program that `command` is, and counts.
pub fn tests(command: &mut Command) -> Result<Counts> {
    command.args(libtest::ARGUMENTS).env("RUSTC_BOOTSTRAP", "1");
    let Finished { status, stdout, stderr } = command.run_within(LIMIT)?;
    let ending = || format!("{status}; it printed\n{}", ending(&stderr));
    let counts = libtest::parse(&stdout).with_context(ending)?;
    if !status.success() && counts.failed == 0 {
        bail!("no test failed, but the test program did: {}", ending());
    }
    Ok(counts)
}

/// What came out of looking at the calls.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calls {
    /// The lines of the trace.
    AsExpected(Vec<String>),
    /// And why.
    NotTraced(String),
    Wrong(String),
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Calls::AsExpected(lines) => f.write_str(&lines.join("\n")),
            Calls::NotTraced(why) => write!(f, "the calls were not traced: {why}"),
            Calls::Wrong(why) => write!(f, "the calls are not as they should be: {why}"),
        }
    }
}

/// Runs the program that makes known calls, and looks at the calls that the system sees.
pub fn calls(platform: &Platform, support: &Support, program: &Path) -> Calls {
    let with_strace: &[&str] = match platform.runner {
        Runner::Native(_) => &[],
        // The calls to this machine's system that the target's end in. The runner makes others of
        // its own, but none about sockets.
        Runner::Qemu(_) | Runner::Wasmtime => &["-f", "-e", "trace=%network"],
        Runner::Wine => return trace_in_wine(platform, support, program).unwrap_or_else(wrong),
    };
    // Containers often forbid it.
    if let Err(error) = Command::new(TRACER).args(["-o", "/dev/null", "true"]).run() {
        let is_there = which::which(TRACER).is_ok();
        let install = format!("install the package {TRACER}");
        return Calls::NotTraced(if is_there { format!("{error:#}") } else { install });
    }
    let trace = || {
        let file = tempfile::NamedTempFile::new()?;
        let mut strace = Command::new(TRACER);
        strace.arg("-o").arg(file.path()).args(with_strace);
        let program = command(platform, support, program);
        strace.arg(program.get_program()).args(program.get_args());
        run_traced(&mut strace)?;
        Ok(Calls::AsExpected(trace::check(Style::Strace, &fs::read_to_string(file.path())?)?))
    };
    trace().unwrap_or_else(wrong)
}

fn trace_in_wine(platform: &Platform, support: &Support, program: &Path) -> Result<Calls> {
    let mut command = command(platform, support, program);
    let trace = run_traced(command.env("WINEDEBUG", "+winsock"))?;
    Ok(Calls::AsExpected(trace::check(Style::Winsock, &trace)?))
}

fn run_traced(command: &mut Command) -> Result<String> {
    let Finished { status, stderr, .. } = command.run_within(LIMIT)?;
    if !status.success() {
        bail!("the program whose calls are traced failed: {status}\n{}", ending(&stderr));
    }
    Ok(stderr)
}

fn wrong(error: anyhow::Error) -> Calls {
    Calls::Wrong(format!("{error:#}"))
}

/// `program` with its runner.
pub fn command(platform: &Platform, support: &Support, program: &Path) -> Command {
    match &platform.runner {
        Runner::Native(words) | Runner::Qemu(words) => match words.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        },
        Runner::Wine => {
            let mut command = wine(platform);
            let libraries = support.made().join("wine").display().to_string();
            command
                .arg(program)
                .env("WINEPREFIX", support.made().join("wine-prefix"))
                // Drive Z: is this machine's root directory.
                .env("WINEPATH", format!("Z:{}", libraries.replace('/', "\\")))
                // Without .NET and a browser, which it would offer to download.
                .env("WINEDLLOVERRIDES", "mscoree,mshtml=");
            command
        }
        Runner::Wasmtime => {
            // What it was told of modules elsewhere must not change which wasmtime it is.
            let mut command = Command::new(support.python());
            command.args(["-I", "-c", include_str!("wasmtime.py")]).arg(program);
            command
        }
    }
}

fn wine(platform: &Platform) -> Command {
    let mut wine = Command::new(platform.file_of("wine64").unwrap_or("wine64"));
    wine.env("WINEDEBUG", "-all");
    wine
}

/// What runs the platform's programs, with its version.
pub fn description(platform: &Platform, support: &Support) -> Result<String> {
    let first_line = |command: &mut Command| -> Result<String> {
        let text = command.read()?;
        let line = text.lines().next().unwrap_or_default();
        // `qemu-s390x version 7.2.22 (Debian …)`
        Ok(line.split(" (").next().unwrap_or(line).to_owned())
    };
    Ok(match &platform.runner {
        Runner::Native(_) => {
            let release = first_line(Command::new("uname").arg("-r"))?;
            format!("Linux {}", release.split('-').next().unwrap_or(&release))
        }
        Runner::Qemu(words) => {
            first_line(Command::new(&words[0]).arg("--version"))?.replace(" version", "")
        }
        Runner::Wine => first_line(wine(platform).arg("--version"))?.replace("wine-", "Wine "),
        Runner::Wasmtime => {
            let program =
                "from importlib.metadata import version; print('wasmtime', version('wasmtime'))";
            first_line(Command::new(support.python()).args(["-I", "-c", program]))?
        }
    })
}
