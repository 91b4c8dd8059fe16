//! The front door: prepares the tree, and hands over to upstream's x.py.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::run::command::CommandExt;
use crate::run::lock::Lock;
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
/// where it stopped. When the patches change, the branch `series` moves to them if it is as prepare
/// or export left it, with nothing changed; else prepare stops, and says the way out.
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
///
/// Bootstrap is configured by x.py-config.toml. A bootstrap.toml in build/rust is not used. For
/// upstream's x.py itself: `cd build/rust && ./x.py --config ../rust-prebuilt/bootstrap.toml ARGS`.
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
        if self.args.iter().any(|arg| arg == "test" || arg == "t") {
            say_if_no_ipv6();
        }
        let mut x_py = bootstrap.x_py_for(&self.args)?;
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
