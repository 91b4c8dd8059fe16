//! Runs a platform's programs on this machine, and looks at the system calls that they make.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;
use serde::Deserialize;
use xtask::run::command::{CommandExt, Finished};

use super::trace::{self, Style};
use crate::libtest::LIMIT;

/// What executes the programs.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// This machine, by these words before the program, if any.
    Native(Vec<String>),
    /// An emulator of one program, with its options.
    Emulator(Vec<String>),
    Wine,
    /// A kernel in a process, with a network stack of its own.
    Gvisor,
}

impl Runner {
    /// `program` with what executes it; `made` is where [`super::support`] put its files.
    pub fn command(&self, made: &Path, program: &Path) -> Result<Command> {
        Ok(match self {
            Runner::Native(words) | Runner::Emulator(words) => {
                let words = words.iter().map(OsStr::new).chain([program.as_os_str()]);
                let words: Vec<_> = words.collect();
                let mut command = Command::new(words[0]);
                command.args(&words[1..]);
                command
            }
            Runner::Wine => {
                let mut wine = Command::new(find("wine64")?);
                let libraries = made.join("wine").display().to_string();
                wine.arg(program)
                    .env("WINEDEBUG", "-all")
                    .env("WINEPREFIX", made.join("wine-prefix"))
                    // Drive Z: is this machine's root directory.
                    .env("WINEPATH", format!("Z:{}", libraries.replace('/', "\\")))
                    // Without .NET and a browser, which it would offer to download.
                    .env("WINEDLLOVERRIDES", "mscoree,mshtml=");
                wine
            }
            Runner::Gvisor => {
                let mut gvisor = gvisor(&[]);
                gvisor.arg(program);
                gvisor
            }
        })
    }

    /// Runs the program that makes known calls, and compares with them those that the system sees. Where
    /// it cannot be watched, says why.
    pub fn check_calls(&self, made: &Path, program: &Path) -> Result<Option<String>> {
        let mut command = self.command(made, program)?;
        let options: &[&str] = match self {
            Runner::Native(_) => &[],
            // The calls to this machine's system that the program's end in. The emulator makes others
            // of its own, but none about sockets.
            Runner::Emulator(_) => &["-f", "-e", "trace=%network"],
            Runner::Wine => {
                let trace = run(command.env("WINEDEBUG", "+winsock"))?;
                return trace::check(Style::Winsock, &trace).map(|()| None);
            }
            Runner::Gvisor => {
                let file = tempfile::NamedTempFile::new()?;
                let log = format!("--debug-log={}", file.path().display());
                run(gvisor(&["--debug", "--strace", &log]).arg(program))?;
                let trace = fs::read_to_string(file.path())?;
                return trace::check(Style::Gvisor, &trace).map(|()| None);
            }
        };
        // Containers often forbid it.
        if let Err(error) = Command::new("strace").args(["-o", "/dev/null", "true"]).run() {
            return Ok(Some(format!("the calls were not traced: {error:#}")));
        }
        let file = tempfile::NamedTempFile::new()?;
        let mut strace = Command::new("strace");
        strace.arg("-o").arg(file.path()).args(options);
        run(strace.arg(command.get_program()).args(command.get_args()))?;
        trace::check(Style::Strace, &fs::read_to_string(file.path())?).map(|()| None)
    }

    /// Its name and version.
    pub fn version(&self) -> Result<String> {
        let (mut command, option) = match self {
            Runner::Native(_) => (Command::new("uname"), "-r"),
            Runner::Emulator(words) => (Command::new(&words[0]), "--version"),
            Runner::Wine => (Command::new(find("wine64")?), "--version"),
            Runner::Gvisor => (Command::new("runsc"), "--version"),
        };
        let said = command.arg(option).read()?;
        let first = |end| said.lines().next().and_then(|line| line.split(end).next()).unwrap_or("");
        Ok(match self {
            Runner::Native(_) => format!("Linux {}", first("-")),
            // `qemu-s390x version 7.2.22 (Debian …)`
            Runner::Emulator(_) => first(" (").replace(" version", ""),
            Runner::Wine => first(" (").replace("wine-", "Wine "),
            Runner::Gvisor => {
                let kernel = gvisor(&[]).args(["uname", "-sr"]).read()?;
                format!("{} ({kernel})", first("\n").replace("runsc version", "gVisor"))
            }
        })
    }
}

/// It needs no root, and sees the loopback of its own network alone.
fn gvisor(options: &[&str]) -> Command {
    let mut gvisor = Command::new("runsc");
    gvisor.args(["--rootless", "--network=none"]).args(options).arg("do");
    gvisor
}

/// The program of this name. Debian has Wine's beside the PATH: a script of that name there complains
/// where the one for 32 bits is missing.
pub fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    Ok(which::which_in(name, Some(format!("/usr/lib/wine:{path}")), "/")?)
}

/// Runs a program whose calls are traced, and returns what it wrote to standard error.
fn run(program: &mut Command) -> Result<String> {
    let Finished { status, stderr, .. } = program.run_within(LIMIT)?;
    if !status.success() {
        bail!("the program whose calls are traced failed: {status}\n{stderr}");
    }
    Ok(stderr)
}
