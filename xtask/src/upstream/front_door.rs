//! The front door: prepares the tree, and hands over to upstream's x.py.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::base::project::display;
use crate::run::command::CommandExt;
use crate::run::lock::Lock;
use crate::say::failure::NotRun;
use crate::series::tree::Tree;
use crate::session::{Invocation, Session};
use crate::upstream::bootstrap::{Bootstrap, Lane};

#[derive(Args)]
struct Setup {
    /// Take the base from this archive or checkout instead of fetching it.
    ///
    /// An archive must have one of the SHA-256 hashes in base.toml; a checkout of rust-lang/rust
    /// must be clean and at the base's commit.
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// Build the compiler from source as upstream's CI does, instead of using the installed one.
    ///
    /// Slow; needs LLVM's development files, cmake and ninja.
    #[arg(long)]
    full: bool,
}

impl Setup {
    fn lane(&self) -> Lane {
        if self.full { Lane::Full } else { Lane::Prebuilt }
    }

    fn open(&self, on: Invocation, purpose: &str) -> Result<(Session, Lock)> {
        on.open_from(self.source.as_deref(), purpose)
    }
}

/// Prepare build/rust: fetch, check and unpack the base, apply the series, configure bootstrap.
///
/// Each step is skipped when it is already done, and a run that was interrupted is taken up
/// where it stopped. Work in build/rust that the patches do not hold is never touched: prepare
/// stops and says how to keep it or drop it.
#[derive(Args)]
pub struct Prepare {
    #[command(flatten)]
    setup: Setup,
}

impl Prepare {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let (session, _lock) = self.setup.open(on, "prepare")?;
        Bootstrap::of(&session, self.setup.lane())?.configure()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prepare, then run upstream's x.py in build/rust with ARGS. `./x.py` calls this.
///
/// The exit code is that of upstream's x.py. Examples:
///
///     ./x.py test library/std
///     ./x.py test library/std -- net::tcp
///     ./x.py test tests/ui/std
///     ./x.py --base 1.98 test library/std
///     ./x.py --full test library/std
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct X {
    #[command(flatten)]
    setup: Setup,
    /// Arguments for upstream's x.py, from its sub-command on.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl X {
    /// Runs upstream's x.py in place of this process, so that its exit code is ours and Ctrl-C
    /// reaches it.
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        refuse_own_options(&self.args)?;
        let line: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        let (session, lock) = self.setup.open(on, &format!("x.py {}", line.join(" ")))?;
        let bootstrap = Bootstrap::of(&session, self.setup.lane())?;
        bootstrap.configure()?;
        let suites = suites(&session.tree, &self.args);
        require_tests(&session, &suites)?;
        if self.args.first().is_some_and(|arg| arg == "test" || arg == "t") {
            say_if_no_ipv6();
        }
        let mut x_py =
            if suites.is_empty() { bootstrap.x_py() } else { bootstrap.x_py_for_suites()? };
        x_py.args(self.args);
        lock.keep_for_successor()?;
        Err(x_py.replace())
    }
}

/// Stops at once where one of this tool's options is among the arguments for upstream's x.py, which does
/// not know it and would only say so after all that comes before.
fn refuse_own_options(args: &[OsString]) -> Result<()> {
    let words = args.iter().map_while(|arg| arg.to_str()).take_while(|arg| *arg != "--");
    for word in words {
        let option = word.split('=').next().unwrap_or_default();
        if ["--base", "--source", "--full"].contains(&option) {
            bail!(
                "{option} is not for upstream's x.py, and comes first: `./x.py {option} … {}`",
                args[0].display()
            );
        }
    }
    Ok(())
}

/// std's own tests bind `[::1]`, which fails where the loopback has no IPv6, as in many containers.
fn say_if_no_ipv6() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!(
            "note: this machine's loopback has no IPv6, and std's tests of it will fail, at the base, \
             too; on Linux, `sysctl net.ipv6.conf.lo.disable_ipv6=0` turns it on"
        );
    }
}

/// The paths under tests/ that x.py is asked to test, by path or by name; all of them if it is asked for
/// everything.
fn suites(tree: &Tree, args: &[OsString]) -> Vec<String> {
    let mut words = args
        .iter()
        .map_while(|arg| arg.to_str())
        .take_while(|arg| *arg != "--")
        .filter(|arg| !arg.starts_with('-'));
    if !words.next().is_some_and(|command| ["test", "t"].contains(&command)) {
        return Vec::new();
    }
    let mut paths = words.map(|path| path.trim_start_matches("./")).peekable();
    if paths.peek().is_none() {
        return vec!["tests".into()];
    }
    let below_tests = |path: &str| {
        if path == "tests" || path.starts_with("tests/") {
            return Some(path.to_owned());
        }
        let suite = format!("tests/{path}");
        tree.src.join(&suite).exists().then_some(suite)
    };
    paths.filter_map(below_tests).collect()
}

/// Stops if there is no test in a suite: upstream's x.py would call that a success.
fn require_tests(session: &Session, suites: &[String]) -> Result<()> {
    for suite in suites {
        let list = ["ls-files", "--cached", "--others", "--", suite.trim_end_matches('/')];
        if !session.tree.git.read(&list)?.lines().any(|file| file.ends_with(".rs")) {
            let archives =
                session.base.archive.iter().map(|archive| format!("\n  {}", archive.file));
            Err(NotRun(format!(
                "not run: {suite} has no tests. The archive that {} was made from lacks them, as some of \
                 Rust {} do:{}\nWith another of these at hand: `clean`, then `--source PATH`",
                display(&session.tree.src),
                session.base.release,
                archives.collect::<String>()
            )))?;
        }
    }
    Ok(())
}
