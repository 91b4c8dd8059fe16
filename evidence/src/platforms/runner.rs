//! Runs a platform's programs on this machine, and traces their system calls.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Deserialize;
use xtask::run::CommandExt;

use super::trace::{self, Style};
use crate::libtest::LIMIT;
use crate::suite::Place;

/// A program or a machine that runs a platform's programs.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// This machine, with the words that precede the program.
    Native(Vec<String>),
    /// An emulator, with its options.
    Emulator(Vec<String>),
    Wine,
    /// gVisor: a kernel in a process, with its own implementation of TCP.
    Gvisor,
    /// Node's WASI 0.1. The standard input is a connection.
    Node,
    /// A virtual machine whose UEFI firmware downloads the program.
    Ovmf,
}

impl Runner {
    /// Returns the command that runs a program. `made` has the files of [`super::support`].
    pub fn command(&self, place: &Place, made: &Path, program: &Path) -> Result<Command> {
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
                    // Otherwise, Wine offers to download .NET and a browser.
                    .env("WINEDLLOVERRIDES", "mscoree,mshtml=");
                wine
            }
            Runner::Gvisor => {
                let mut gvisor = gvisor(&[]);
                gvisor.arg(program);
                gvisor
            }
            Runner::Node => {
                let script = "exec node --no-warnings --experimental-wasi-unstable-preview1 \"$1\" \"$2\" \
                    <>/dev/tcp/127.0.0.1/$0";
                let main = place.project().root.join("evidence/src/platforms/wasip1.mjs");
                let mut bash = Command::new("bash");
                bash.args(["-c", script]).arg(echo_server()?.to_string()).args([&main, program]);
                bash
            }
            Runner::Ovmf => {
                let dir = program.parent().context("a program is in a directory")?;
                // A copy, because the firmware writes its variables.
                fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", dir.join("variables.fd"))?;
                let name = program.file_name().unwrap_or_default().display();
                let mut qemu = Command::new("qemu-system-x86_64");
                qemu.args("-machine q35 -m 256 -nographic -no-reboot".split(' '))
                    .args(["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"])
                    .args(["-drive", "if=pflash,format=raw,file=variables.fd"])
                    // The firmware downloads the program by TFTP, so its network is up. `cat` is the echo server.
                    .args(["-netdev", &format!(
                        "user,id=n,restrict=on,tftp=.,bootfile={name},guestfwd=tcp:10.0.2.100:7-cmd:cat"
                    )])
                    .args(["-device", "virtio-net-pci,netdev=n,bootindex=1,romfile="])
                    .current_dir(dir);
                qemu
            }
        })
    }

    /// Runs `calls.rs` and checks the trace of its system calls. If the program cannot be traced, returns the
    /// reason.
    pub fn check_calls(
        &self,
        place: &Place,
        made: &Path,
        program: &Path,
    ) -> Result<Option<String>> {
        let file = tempfile::NamedTempFile::new()?;
        let mut command = self.command(place, made, program)?;
        let style = match self {
            Runner::Wine => {
                command.env("WINEDEBUG", "+winsock");
                Style::Winsock
            }
            Runner::Gvisor => {
                let log = format!("--debug-log={}", file.path().display());
                command = gvisor(&["--debug", "--strace", &log]);
                command.arg(program);
                Style::Gvisor
            }
            _ => {
                // Containers often forbid ptrace.
                let attempt = Command::new("strace").args(["-o", "/dev/null", "true"]).run_quiet();
                if let Err(error) = attempt {
                    return Ok(Some(format!("the calls were not traced: {error:#}")));
                }
                let mut strace = Command::new("strace");
                strace.arg("-o").arg(file.path());
                if let Runner::Emulator(_) = self {
                    // The emulator's own calls are not about sockets.
                    strace.args(["-f", "-e", "trace=%network"]);
                }
                strace.arg(command.get_program()).args(command.get_args());
                command = strace;
                Style::Strace
            }
        };
        let output = place.run(&mut command, LIMIT)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("the program whose calls are traced failed: {}\n{stderr}", output.status);
        }
        match style {
            Style::Winsock => trace::check(style, &stderr)?,
            _ => trace::check(style, &String::from_utf8_lossy(&fs::read(file.path())?))?,
        }
        Ok(None)
    }

    /// Returns the runner's name and version.
    pub fn version(&self) -> Result<String> {
        let (mut command, option) = match self {
            Runner::Native(_) => (Command::new("uname"), "-r"),
            Runner::Emulator(words) => (Command::new(&words[0]), "--version"),
            Runner::Wine => (Command::new(find("wine64")?), "--version"),
            Runner::Gvisor => (Command::new("runsc"), "--version"),
            Runner::Node => (Command::new("node"), "--version"),
            Runner::Ovmf => (Command::new("qemu-system-x86_64"), "--version"),
        };
        let printed = command.arg(option).stdout_of()?;
        let first = |end| printed.split(['\n', end]).next().unwrap_or_default();
        Ok(match self {
            Runner::Native(_) => format!("Linux {}", first('-')),
            // `qemu-s390x version 7.2.22 (Debian …)`
            Runner::Emulator(_) => first('(').trim_end().replace(" version", ""),
            Runner::Wine => first('(').trim_end().replace("wine-", "Wine "),
            Runner::Gvisor => {
                let kernel = gvisor(&[]).args(["uname", "-sr"]).stdout_of()?;
                format!("{} ({kernel})", first('\n').replace("runsc version", "gVisor"))
            }
            Runner::Node => format!("Node {}", printed.trim_start_matches('v')),
            Runner::Ovmf => {
                let version = first('(').trim_end().replace("QEMU emulator version", "QEMU");
                format!("{version} with OVMF")
            }
        })
    }
}

/// Returns gVisor's command, which needs no root. The program's network has only a loopback interface. gVisor's
/// ephemeral ports begin at 16000, and std's tests bind ports from 19600 upwards, so the script moves the ephemeral
/// ports.
fn gvisor(options: &[&str]) -> Command {
    let script = "echo 40000 65000 > /proc/sys/net/ipv4/ip_local_port_range && exec \"$@\"";
    let mut gvisor = Command::new("runsc");
    gvisor
        .args(["--rootless", "--network=none"])
        .args(options)
        .args(["do", "sh", "-c", script, "sh"]);
    gvisor
}

/// Starts an echo server for one connection, and returns its port.
fn echo_server() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || -> io::Result<u64> {
        let (stream, _) = listener.accept()?;
        io::copy(&mut &stream, &mut &stream)
    });
    Ok(port)
}

/// Finds a program, first in Debian's directory of Wine's programs. Debian's script for Wine on the PATH prints a
/// warning if Wine for 32 bits is missing.
pub fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    Ok(which::which_in(name, Some(format!("/usr/lib/wine:{path}")), "/")?)
}
