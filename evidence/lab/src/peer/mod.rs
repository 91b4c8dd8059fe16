//! Runs the program under test (`programs/peer.rs`): sends commands, and receives answers.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::command;
use crate::network::Namespace;

pub mod compile;
#[path = "../../programs/peer.rs"]
pub mod program;
pub mod sockopt;

/// The limit for a command that does not block. It is long, because the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);

pub struct Peer {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Peer {
    pub fn start(program: &Path, namespace: &Namespace) -> Result<Self> {
        Peer::spawn(&mut namespace.command(program)?)
    }

    /// Starts the program in gVisor, whose network stack takes over the namespace's interface.
    pub fn start_in_gvisor(program: &Path, namespace: &Namespace) -> Result<Self> {
        let mut unshare = namespace.command(Path::new("unshare"))?;
        unshare.args(["--mount", "sh", "-ec", include_str!("gvisor.sh"), "sh"]);
        Peer::spawn(unshare.arg(program))
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command::spawn(command.stdout(Stdio::piped()), "")?;
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (sender, answers) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        Ok(Self { child, stdin, answers })
    }

    pub fn send(&mut self, command: &str) -> Result<()> {
        writeln!(self.stdin, "{command}").context("the program under test has ended")
    }

    /// Waits for the answer to the command `verb`. Returns `None` at the deadline.
    pub fn wait_for(&mut self, verb: &str, deadline: Instant) -> Result<Option<String>> {
        loop {
            match self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.split_once(' ') {
                    Some((answered, answer)) if answered == verb => return Ok(Some(answer.into())),
                    // The answer to a command for whose answer no scenario waits.
                    _ => {}
                },
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => bail!("the program under test has ended"),
            }
        }
    }

    /// Sends a command that does not block, and returns the answer.
    pub fn call(&mut self, command: &str) -> Result<String> {
        self.send(command)?;
        let verb = command.split(' ').next().expect("split yields at least one item");
        let answer = self.wait_for(verb, Instant::now() + LIMIT)?;
        answer.with_context(|| format!("`{command}` has no answer after {} s", LIMIT.as_secs()))
    }

    /// Sends a command that does not block, and expects the answer `ok`.
    pub fn call_ok(&mut self, command: &str) -> Result<()> {
        let answer = self.call(command)?;
        ensure!(answer == "ok", "`{command}`: {answer}");
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Ignores the error for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
