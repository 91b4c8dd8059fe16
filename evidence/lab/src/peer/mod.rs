//! Runs the program under test (`lab/programs/peer.rs`): tells it commands, and hears its answers.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::command;
use crate::network::Namespace;

pub mod compile;
pub mod witness;

/// For what cannot block: long enough for the busiest machine.
const AT_ONCE: Duration = Duration::from_secs(10);

pub struct Peer {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    /// Answers that nobody asked for yet.
    heard: Vec<String>,
}

impl Peer {
    pub fn start(program: &Path, namespace: &Namespace) -> Result<Self> {
        Peer::of(&mut namespace.command(program)?)
    }

    /// Its system calls are gVisor's, and so is the TCP behind the namespace's interface.
    pub fn start_in_gvisor(program: &Path, namespace: &Namespace) -> Result<Self> {
        let mut unshare = namespace.command(Path::new("unshare"))?;
        unshare.args(["--mount", "sh", "-ec", include_str!("gvisor.sh"), "sh"]);
        Peer::of(unshare.arg(program))
    }

    fn of(command: &mut Command) -> Result<Self> {
        let (child, stdin, stdout) = command::start(command)?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        Ok(Self { child, stdin, answers, heard: Vec::new() })
    }

    pub fn tell(&mut self, command: &str) -> Result<()> {
        writeln!(self.stdin, "{command}").context("the program under test is gone")
    }

    /// The answer to a command by its first word, or nothing if it still blocks at the deadline.
    pub fn hear(&mut self, verb: &str, deadline: Instant) -> Result<Option<String>> {
        loop {
            let answers = |line: &String| line.split(' ').next() == Some(verb);
            if let Some(at) = self.heard.iter().position(answers) {
                return Ok(Some(self.heard.remove(at)[verb.len()..].trim_start().to_string()));
            }
            match self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.heard.push(line),
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => bail!("the program under test is gone"),
            }
        }
    }

    /// Tells a command that neither blocks nor fails, and has nothing to answer.
    pub fn must(&mut self, command: &str) -> Result<()> {
        let answer = self.ask(command)?;
        ensure!(answer == "ok", "`{command}`: {answer}");
        Ok(())
    }

    /// Tells a command that does not block, and hears its answer.
    pub fn ask(&mut self, command: &str) -> Result<String> {
        self.tell(command)?;
        let verb = command.split(' ').next().expect("split gives at least one");
        self.hear(verb, Instant::now() + AT_ONCE)?.with_context(|| format!("`{command}` blocks"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
