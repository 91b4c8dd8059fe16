//! Starts every program that this tool runs: in an environment that does not depend on the caller's
//! settings, shown where `--verbose` asks for it, and with errors that say what was run and what it
//! answered.

use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};

static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Shows each command before it is run, from now on.
pub fn show_commands() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// The variables that the tool's own builds take from the caller: where things are, and how the
/// network is reached. All others could change what is built or measured. Of a name that ends in `_`,
/// all that begin like it. Proxies are looked up in small letters and in capitals, see curl(1).
const INHERITED: &str = "HOME PATH USER LOGNAME TERM NO_COLOR TMPDIR XDG_ CARGO_HOME RUSTUP_HOME \
    CARGO_HTTP_ CARGO_NET_ CARGO_REGISTRIES_ CARGO_SOURCE_ SSL_CERT_ CURL_CA_BUNDLE GIT_CONFIG_ \
    http_proxy https_proxy HTTPS_PROXY no_proxy NO_PROXY all_proxy";

/// The variables that upstream's x.py must not see: those that cargo and rustup set for this tool, and
/// those by which bootstrap takes this machine for one of upstream's CI.
const KEPT_FROM_X_PY: &str = "CI GITHUB_ACTIONS CARGO RUSTUP_TOOLCHAIN RUST_RECURSION_COUNT \
    CARGO_PKG_ CARGO_BIN_ CARGO_MANIFEST_ CARGO_CRATE_";

/// The variables of git's that whatever is started may need: how the network is reached, and where git's
/// own programs are. Others would have it work elsewhere, or write otherwise.
const INHERITED_OF_GIT: &str = "GIT_SSL_ GIT_PROXY_ GIT_SSH GIT_SSH_ GIT_ASKPASS GIT_EXEC_PATH";

fn is_one_of(name: &OsStr, names: &str) -> bool {
    let Some(name) = name.to_str() else { return false };
    let is = |known: &str| name == known || known.ends_with('_') && name.starts_with(known);
    names.split_whitespace().any(is)
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
    /// Runs the command with this program's own output, for no longer than `limit`. Then, or when this
    /// program is told to end, it is ended with all that it started.
    fn show_within(&mut self, limit: Duration) -> Result<ExitStatus>;
    /// The same, with what it printed kept.
    fn run_within(&mut self, limit: Duration) -> Result<Finished>;
    /// Runs the command in place of this program. Returns only if that fails.
    fn replace(&mut self) -> Error;
}

impl CommandExt for Command {
    fn clean_env(&mut self) -> &mut Command {
        self.env_clear();
        self.envs(std::env::vars_os().filter(|(name, _)| is_one_of(name, INHERITED)))
    }

    fn env_of_x_py(&mut self) -> &mut Command {
        for (name, _) in std::env::vars_os() {
            if is_one_of(&name, KEPT_FROM_X_PY) {
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

    fn show_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        // A group of its own, so that what it starts is ended with it: an emulator under strace is no
        // child of this program's.
        let mut child = self.process_group(0).start()?;
        let group = child.id().cast_signed();
        let is_free = |place: &&AtomicI32| {
            place.compare_exchange(0, group, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        let place = GROUPS.iter().find(is_free);
        let (sender, ended) = channel();
        thread::spawn(move || sender.send(child.wait()));
        let status = ended.recv_timeout(limit);
        if status.is_err() {
            // Kindly at first, so that its own groups are ended, too.
            signal(group, libc::SIGTERM);
            let _ = ended.recv_timeout(Duration::from_secs(2));
            signal(group, libc::SIGKILL);
            let _ = ended.recv();
        }
        if let Some(place) = place {
            place.store(0, Ordering::SeqCst);
        }
        let Ok(status) = status else {
            bail!("`{}` was ended: it still ran after {} seconds", words(self), limit.as_secs());
        };
        Ok(status?)
    }

    fn run_within(&mut self, limit: Duration) -> Result<Finished> {
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        self.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        let status = self.show_within(limit)?;
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

/// How many groups of processes there may be at a time.
const MOST_GROUPS: usize = 64;

/// The groups of processes that were started with a time limit. The terminal's Ctrl-C does not reach
/// them, so this program passes it on.
static GROUPS: [AtomicI32; MOST_GROUPS] = [const { AtomicI32::new(0) }; MOST_GROUPS];

fn signal(group: i32, signal: libc::c_int) {
    // SAFETY: `kill` touches no memory. A group that has ended by itself is no error.
    unsafe { libc::kill(-group, signal) };
}

/// Prepares this program for starting others; to be called first, while it has one thread.
pub fn begin() {
    let mut git = Command::new("git");
    // From the root, so that no repository has a say.
    git.args(["config", "--null", "--get-all", "safe.directory"]).current_dir("/");
    #[expect(clippy::disallowed_methods, reason = "it is not one of the tool's commands")]
    let safe = git.env_remove("GIT_DIR").output().map(|output| output.stdout).unwrap_or_default();
    let safe = String::from_utf8_lossy(&safe);
    // SAFETY: no other thread reads the environment.
    unsafe {
        for (name, _) in std::env::vars_os() {
            if is_one_of(&name, "GIT_") && !is_one_of(&name, INHERITED_OF_GIT) {
                std::env::remove_var(name);
            }
        }
        // The directories of other owners that the user lets git work in. Of what the user tells git, this
        // alone is passed on.
        for (number, directory) in safe.split_terminator('\0').enumerate() {
            std::env::set_var(format!("GIT_CONFIG_KEY_{number}"), "safe.directory");
            std::env::set_var(format!("GIT_CONFIG_VALUE_{number}"), directory);
            std::env::set_var("GIT_CONFIG_COUNT", (number + 1).to_string());
        }
    }
    pass_signals_on();
}

/// From now on, ends what runs in groups of its own when this program is told to end.
fn pass_signals_on() {
    extern "C" fn pass_on(number: libc::c_int) {
        for place in &GROUPS {
            let group = place.load(Ordering::SeqCst);
            if group != 0 {
                signal(group, number);
            }
        }
        // SAFETY: a signal handler may call both.
        unsafe {
            libc::signal(number, libc::SIG_DFL);
            libc::raise(number);
        }
    }
    // Output may go to a program that has seen enough, such as head. Rust's run-time ignores that.
    // SAFETY: this touches no memory.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let handler = pass_on as extern "C" fn(libc::c_int);
        // SAFETY: the handler calls nothing but what a signal handler may call.
        unsafe {
            // One that is ignored, as by nohup, stays ignored.
            if libc::signal(number, handler as libc::sighandler_t) == libc::SIG_IGN {
                libc::signal(number, libc::SIG_IGN);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As an emulator under strace: the program itself ends, and what it started would go on.
    #[test]
    fn what_is_ended_takes_its_children_along() {
        let dir = tempfile::tempdir().unwrap();
        let alive = dir.path().join("alive");
        let script = "(while :; do : >alive; sleep 0.05; done) & wait";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(&dir);
        let error = shell.run_within(Duration::from_millis(500)).err().unwrap();
        assert!(error.to_string().contains("still ran after"), "{error}");
        crate::run::ownership::remove(&alive).unwrap();
        thread::sleep(Duration::from_millis(500));
        assert!(!alive.exists(), "its child goes on");
    }
}
