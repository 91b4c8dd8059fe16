//! Running a target's programs on this machine.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::platform::{Loader, Platform, Runner, WINE};
use super::support::Support;
use super::trace::{self, Style};
use crate::library::libtest::{self, Counts};
use crate::run::command::{CommandExt, Finished};

/// A test that takes longer than this hangs. Most take less than a second.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs the tests whose names hold `filter` and counts.
pub fn tests(
    platform: &Platform,
    support: &Support,
    program: &Path,
    filter: &[&str],
) -> Result<Counts> {
    let mut command = command(platform, support, program, &[]);
    command.args(libtest::ARGUMENTS).args(filter).env("RUSTC_BOOTSTRAP", "1");
    let Finished { status, stdout, stderr } = command.run_within(LIMIT)?;
    let ending = || format!("{status}; it printed\n{}", ending(&stderr));
    let counts = libtest::parse(&stdout).with_context(ending)?;
    if !status.success() && counts.failed == 0 {
        bail!("no test failed, but the test program did: {}", ending());
    }
    Ok(counts)
}

/// What came out of looking at the calls.
pub enum Traced {
    /// As they should be; the lines of the trace.
    Expected(Vec<String>),
    /// Not looked at, and why.
    Not(String),
}

/// Runs the program that makes known calls, and looks at the calls that the system sees.
pub fn calls(platform: &Platform, support: &Support, program: &Path) -> Result<Traced> {
    let file = tempfile::NamedTempFile::new()?;
    let strace = |options: &[&str]| {
        let mut words = vec!["strace".into(), "-o".into(), file.path().into()];
        words.extend(options.iter().map(OsString::from));
        words
    };
    let with_strace = match platform.runner {
        Runner::Native { .. } => Some(strace(&[])),
        // The calls to this machine's system that the target's end in. The runner makes others of
        // its own, but none about sockets.
        Runner::Qemu { .. } | Runner::Wasmtime => Some(strace(&["-f", "-e", "trace=%network"])),
        Runner::Wine => None,
    };
    if let Some(words) = &with_strace {
        // Containers often forbid it.
        let (first, rest) = words.split_first().expect("it begins with strace");
        if let Err(error) = Command::new(first).args(rest).arg("true").run() {
            let reason = if which::which("strace").is_err() {
                "install the package strace".into()
            } else {
                format!("{error:#}")
            };
            return Ok(Traced::Not(reason));
        }
    }
    let mut command = command(platform, support, program, with_strace.as_deref().unwrap_or(&[]));
    if let Runner::Wine = platform.runner {
        command.env("WINEDEBUG", "+winsock");
    }
    let Finished { status, stderr, .. } = command.run_within(LIMIT)?;
    if !status.success() {
        bail!("the program whose calls are traced failed: {status}\n{}", ending(&stderr));
    }
    let (style, trace) = match platform.runner {
        Runner::Wine => (Style::Winsock, stderr),
        _ => (Style::Strace, fs::read_to_string(file.path())?),
    };
    Ok(Traced::Expected(trace::check(style, &trace)?))
}

/// `program` with its runner, all of it below the program and options in `under`.
fn command(platform: &Platform, support: &Support, program: &Path, under: &[OsString]) -> Command {
    let mut words = under.to_vec();
    match &platform.runner {
        Runner::Native { loader: None } => {}
        Runner::Native { loader: Some(Loader { program, libraries }) } => {
            words.extend([program, "--library-path", libraries].map(OsString::from));
        }
        Runner::Qemu { program, root } => {
            words.extend([program, "-L", root].map(OsString::from));
        }
        Runner::Wine => words.push(wine().into()),
        Runner::Wasmtime => {
            // What it was told of modules elsewhere must not change which wasmtime it is.
            words.extend([support.python().into(), "-I".into(), "-c".into()]);
            words.push(include_str!("wasmtime.py").into());
        }
    }
    words.push(program.into());
    let (first, rest) = words.split_first().expect("there is the program");
    let mut command = Command::new(first);
    command.args(rest);
    if let Runner::Wine = platform.runner {
        let libraries = support.made().join("wine").display().to_string();
        command
            .env("WINEPREFIX", support.made().join("wine-prefix"))
            // Drive Z: is this machine's root directory.
            .env("WINEPATH", format!("Z:{}", libraries.replace('/', "\\")))
            // Without .NET and a browser, which it would offer to download.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env("WINEDEBUG", "-all");
    }
    command
}

fn wine() -> &'static str {
    WINE.iter().find(|path| Path::new(path).exists()).unwrap_or(&WINE[0])
}

/// What runs the platform's programs, with its version.
pub fn description(platform: &Platform, support: &Support) -> Result<String> {
    let first_line = |command: &mut Command| -> Result<String> {
        let text = command.read()?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    Ok(match &platform.runner {
        Runner::Native { .. } => {
            format!("native, Linux {}", first_line(Command::new("uname").arg("-r"))?)
        }
        Runner::Qemu { program, .. } => {
            let line = first_line(Command::new(program).arg("--version"))?;
            // `qemu-s390x version 7.2.22 (Debian …)`
            line.split(" (").next().unwrap_or(&line).replace(" version", "")
        }
        Runner::Wine => {
            let line = first_line(Command::new(wine()).arg("--version").env("WINEDEBUG", "-all"))?;
            line.split(" (").next().unwrap_or(&line).replace("wine-", "Wine ")
        }
        Runner::Wasmtime => {
            let program =
                "from importlib.metadata import version; print('wasmtime', version('wasmtime'))";
            first_line(Command::new(support.python()).args(["-I", "-c", program]))?
        }
    })
}

/// The last lines of what a program said.
fn ending(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
