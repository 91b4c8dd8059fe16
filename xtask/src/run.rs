//! Starts programs, in an environment that does not depend on the caller's settings. Prints each command if `--verbose`
//! is given. Errors contain the command and its output.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Error, Result, bail};

static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Makes the functions of this module print each command before it runs.
pub fn show_commands() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// The caller's variables that the tool's own builds keep: paths and network settings. Other variables could change the
/// results. A name that ends in `_` is a prefix. For the proxies' names in lower and upper case, see curl(1).
const INHERITED: &str = "HOME PATH USER LOGNAME TERM NO_COLOR TMPDIR XDG_ CARGO_HOME RUSTUP_HOME \
    CARGO_HTTP_ CARGO_NET_ CARGO_REGISTRIES_ CARGO_SOURCE_ SSL_CERT_ CURL_CA_BUNDLE \
    http_proxy https_proxy HTTPS_PROXY no_proxy NO_PROXY all_proxy";

/// The caller's variables that are removed for upstream's x.py: those that cargo and rustup set for this tool, those by
/// which bootstrap recognizes upstream's CI, and the one that names another configuration. With cargo's
/// LD_LIBRARY_PATH, the copied compiler would load the release's libraries, and use the std beside them.
const REMOVED_FOR_X_PY: &str = "CI GITHUB_ACTIONS CARGO RUSTUP_TOOLCHAIN RUST_RECURSION_COUNT \
    CARGO_PKG_ CARGO_BIN_ CARGO_MANIFEST_ CARGO_CRATE_ RUST_BOOTSTRAP_CONFIG LD_LIBRARY_PATH";

/// git's variables for the network, and for the path of git's own programs. git's other variables name other
/// repositories, or change what git writes.
const INHERITED_BY_GIT: &str = "GIT_SSL_ GIT_PROXY_ GIT_SSH GIT_SSH_ GIT_ASKPASS GIT_EXEC_PATH";

fn is_one_of(name: &OsStr, names: &str) -> bool {
    let Some(name) = name.to_str() else { return false };
    let is = |known: &str| name == known || known.ends_with('_') && name.starts_with(known);
    names.split_whitespace().any(is)
}

pub trait CommandExt {
    /// Removes the caller's variables, except those that the tool's builds may depend on.
    fn clean_env(&mut self) -> &mut Self;
    /// Removes the caller's variables that harm upstream's x.py, and those that `git_env` removes.
    fn x_py_env(&mut self) -> &mut Self;
    /// Removes the caller's variables that make git use another repository or change its output.
    fn git_env(&mut self) -> &mut Self;
    /// Runs the command and returns its output and its exit code, whatever that is.
    fn any_output(&mut self) -> Result<Output>;
    /// Runs the command. An exit code other than 0 is an error, which contains the output.
    fn run_quiet(&mut self) -> Result<()>;
    /// Runs the command and returns its standard output, without white space at the end. An exit code other than 0 is
    /// an error, which contains the output.
    fn stdout_of(&mut self) -> Result<String>;
    /// Runs the command with this program's own input and output, and returns its exit code.
    fn run_shown(&mut self) -> Result<ExitStatus>;
    /// Replaces this program by the command. Returns only if that fails.
    fn replace_process(&mut self) -> Error;
}

impl CommandExt for Command {
    fn clean_env(&mut self) -> &mut Command {
        self.env_clear();
        self.envs(env::vars_os().filter(|(name, _)| is_one_of(name, INHERITED)))
    }

    fn x_py_env(&mut self) -> &mut Command {
        for (name, _) in env::vars_os().filter(|(name, _)| is_one_of(name, REMOVED_FOR_X_PY)) {
            self.env_remove(name);
        }
        self.git_env()
    }

    fn git_env(&mut self) -> &mut Command {
        let is_harmful =
            |name: &OsStr| is_one_of(name, "GIT_") && !is_one_of(name, INHERITED_BY_GIT);
        for (name, _) in env::vars_os().filter(|(name, _)| is_harmful(name)) {
            self.env_remove(name);
        }
        self
    }

    fn any_output(&mut self) -> Result<Output> {
        announce(self);
        #[expect(clippy::disallowed_methods, reason = "programs are started here")]
        self.output().with_context(|| cannot_run(self))
    }

    fn run_quiet(&mut self) -> Result<()> {
        successful(self).map(drop)
    }

    fn stdout_of(&mut self) -> Result<String> {
        let output = String::from_utf8(successful(self)?.stdout);
        let output =
            output.with_context(|| format!("the output of `{}` is not UTF-8", words(self)))?;
        Ok(output.trim_end().to_owned())
    }

    fn run_shown(&mut self) -> Result<ExitStatus> {
        announce(self);
        #[expect(clippy::disallowed_methods, reason = "programs are started here")]
        self.status().with_context(|| cannot_run(self))
    }

    fn replace_process(&mut self) -> Error {
        announce(self);
        let error = self.exec();
        Error::new(error).context(cannot_run(self))
    }
}

/// Runs the command and returns its output, or an error if the exit code is not 0.
pub fn successful(command: &mut Command) -> Result<Output> {
    let output = command.any_output()?;
    if !output.status.success() {
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o));
        let printed = format!("{stdout}{stderr}");
        bail!("`{}` failed ({}):\n{}", words(command), output.status, printed.trim_end());
    }
    Ok(output)
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run `{}`", command.get_program().display())
}

/// Prints the command if `--verbose` is given.
pub fn announce(command: &Command) {
    if VERBOSE.load(Ordering::Relaxed) {
        let dir = command.get_current_dir().map(|dir| format!("cd {} && ", quote(dir.as_ref())));
        let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let changed = set.filter(|(name, value)| env::var_os(name).as_deref() != Some(value));
        let variables: String =
            changed.map(|(name, value)| format!("{}={} ", name.display(), quote(value))).collect();
        eprintln!("+ {}{variables}{}", dir.unwrap_or_default(), words(command));
    }
}

/// Returns the command line, quoted for a shell, without directory and variables.
pub fn words(command: &Command) -> String {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    all.map(quote).collect::<Vec<_>>().join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    shlex::try_quote(&word).map_or_else(|_| word.to_string(), |quoted| quoted.into_owned())
}
