//! Starts every program that this tool runs: in an environment that does not depend on the caller's
//! settings, shown where `--verbose` asks for it, and with errors that say what was run and what it
//! answered.

use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Shows each command before it is run, from now on.
pub fn show_commands() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// The variables that the tool's own builds take from the caller: where things are, and how the
/// network is reached. All others could change what is built or measured.
const INHERITED: [&str; 21] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "TERM",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_DIST_SERVER",
    "RUSTUP_UPDATE_ROOT",
    "RUSTUP_AUTO_INSTALL",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "NO_COLOR",
    // Proxies are looked up in small letters and in capitals, see curl(1).
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "all_proxy",
];
const INHERITED_PREFIXES: [&str; 5] =
    ["XDG_", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"];

/// The variables that upstream's x.py must not see: those that cargo and rustup set for this tool, and
/// those by which bootstrap takes this machine for one of upstream's CI.
const KEPT_FROM_X_PY: [&str; 5] =
    ["CI", "GITHUB_ACTIONS", "CARGO", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"];
const KEPT_FROM_X_PY_PREFIXES: [&str; 4] =
    ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_CRATE_"];

fn is_one_of(name: &OsStr, names: &[&str], prefixes: &[&str]) -> bool {
    name.to_str().is_some_and(|name| {
        names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// What a program that was run within a time limit left behind.
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

pub trait CommandExt {
    /// Leaves the command, of the caller's environment, what a build of this tool may depend on.
    fn clean_env(&mut self) -> &mut Self;
    /// Leaves the command all of the caller's environment but what harms upstream's x.py.
    fn env_of_x_py(&mut self) -> &mut Self;
    /// Runs the command and returns what it printed, whatever its exit code.
    fn answer(&mut self) -> Result<Output>;
    /// Runs the command, and takes an exit code other than 0 for an error.
    fn run(&mut self) -> Result<Output>;
    /// Runs the command and returns what it printed to standard output, without the last line's end.
    fn read(&mut self) -> Result<String>;
    /// Runs the command with this program's own output, and returns its exit code.
    fn show(&mut self) -> Result<ExitStatus>;
    /// Starts the command, which goes on beside this program.
    fn start(&mut self) -> Result<Child>;
    /// Runs the command for no longer than `limit`, and ends it with all of its children then.
    fn run_within(&mut self, limit: Duration) -> Result<Finished>;
    /// Runs the command in place of this program. Returns only if that fails.
    fn replace(&mut self) -> Error;
}

impl CommandExt for Command {
    fn clean_env(&mut self) -> &mut Command {
        self.env_clear();
        self.envs(
            std::env::vars_os().filter(|(n, _)| is_one_of(n, &INHERITED, &INHERITED_PREFIXES)),
        )
    }

    fn env_of_x_py(&mut self) -> &mut Command {
        for (name, _) in std::env::vars_os() {
            if is_one_of(&name, &KEPT_FROM_X_PY, &KEPT_FROM_X_PY_PREFIXES) {
                self.env_remove(name);
            }
        }
        self
    }

    fn answer(&mut self) -> Result<Output> {
        announce(self);
        #[expect(clippy::disallowed_methods, reason = "programs are started here")]
        self.output().with_context(|| cannot_run(self))
    }

    fn run(&mut self) -> Result<Output> {
        let output = self.answer()?;
        if !output.status.success() {
            let stdout = String::from_utf8_lossy(&output.stdout);
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`{}` failed ({}):\n{}",
                words(self),
                output.status,
                format!("{stdout}{stderr}").trim_end()
            );
        }
        Ok(output)
    }

    fn read(&mut self) -> Result<String> {
        let output = self.run()?;
        Ok(String::from_utf8(output.stdout).context("output is not UTF-8")?.trim_end().to_owned())
    }

    fn show(&mut self) -> Result<ExitStatus> {
        announce(self);
        #[expect(clippy::disallowed_methods, reason = "programs are started here")]
        self.status().with_context(|| cannot_run(self))
    }

    fn start(&mut self) -> Result<Child> {
        announce(self);
        #[expect(clippy::disallowed_methods, reason = "programs are started here")]
        self.spawn().with_context(|| cannot_run(self))
    }

    fn run_within(&mut self, limit: Duration) -> Result<Finished> {
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        self.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        // A group of its own: an emulator under strace is not this program's child.
        let mut child = self.process_group(0).start()?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if started.elapsed() > limit {
                kill_process_group(Pid::from_child(&child), Signal::KILL)?;
                child.wait()?;
                bail!(
                    "`{}` was ended: it still ran after {} seconds",
                    words(self),
                    limit.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        };
        let read = |file: &mut std::fs::File| -> Result<String> {
            file.rewind()?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Finished { status, stdout: read(&mut stdout)?, stderr: read(&mut stderr)? })
    }

    fn replace(&mut self) -> Error {
        announce(self);
        let error = self.exec();
        Error::new(error).context(cannot_run(self))
    }
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run `{}`", command.get_program().display())
}

fn announce(command: &Command) {
    if VERBOSE.load(Ordering::Relaxed) {
        let dir = command.get_current_dir().map(|dir| format!("cd {} && ", quote(dir.as_ref())));
        let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let changed = set.filter(|(name, value)| std::env::var_os(name).as_deref() != Some(value));
        let variables: String =
            changed.map(|(name, value)| format!("{}={} ", name.display(), quote(value))).collect();
        eprintln!("+ {}{variables}{}", dir.unwrap_or_default(), words(command));
    }
}

/// The command as it could be typed, without directory and variables.
pub fn words(command: &Command) -> String {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    all.map(quote).collect::<Vec<_>>().join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    shlex::try_quote(&word).map_or_else(|_| word.to_string(), |quoted| quoted.into_owned())
}
