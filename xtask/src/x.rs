//! The commands `prepare` and `x`. `./x.py` calls `x`, which runs upstream's x.py.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::base::Base;
use crate::bootstrap::{Bootstrap, Config, find_llvm_config};
use crate::project::Project;
use crate::run::CommandExt;
use crate::tree::Prepared;

#[derive(Args)]
pub struct Setup {
    /// Take the base from this archive or clone of rust-lang/rust.
    ///
    /// An archive must have one of the SHA-256 hashes in base.toml. A clone must have the base's commit, which need
    /// not be checked out.
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// Build the compiler from source, as upstream's CI does, with the settings in x.py-config-full.toml.
    ///
    /// This takes half an hour or more, and needs LLVM 21 or 22 with its development files, cmake and ninja.
    #[arg(long)]
    full: bool,
}

impl Setup {
    fn open(&self, project: Project, base: Base) -> Result<(Prepared, Config)> {
        if self.full {
            // Stops before the preparation, which takes minutes, if something is missing.
            find_llvm_config()?;
        }
        let config = if self.full { Config::Full } else { Config::Prebuilt };
        Ok((Prepared::open(project, base, self.source.as_deref())?, config))
    }
}

/// Make rust/: fetch and unpack the base, apply the patches, clone, and configure bootstrap.
///
/// Steps that are done are skipped, so an interrupted run can be repeated. When the patches change, the branch `series`
/// of rust/ moves to them. If the branch has commits of its own, or if git refuses because a file is in the way,
/// prepare stops and says what to type.
#[derive(Args)]
pub struct Prepare {
    #[command(flatten)]
    setup: Setup,
}

impl Prepare {
    pub fn run(self, project: Project, base: Base) -> Result<ExitCode> {
        let (prepared, config) = self.setup.open(project, base)?;
        Bootstrap::configured(&prepared, config)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prepare, then run upstream's x.py in rust/ with ARGS
///
/// The exit code is that of upstream's x.py. Examples:
///
///     ./x.py test library/std
///     ./x.py test library/std -- net::tcp
///     ./x.py test tests/ui/std
///     ./x.py --base 1.98 test library/std
///     ./x.py --full test library/std
///
/// The settings are in x.py-config.toml. `--config FILE` among ARGS uses another file for one run. rust/bootstrap.toml
/// is not used: it is for running upstream's x.py in rust/ yourself.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct X {
    #[command(flatten)]
    setup: Setup,
    /// Arguments for upstream's x.py, from its subcommand on.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS",
        required = true
    )]
    args: Vec<OsString>,
}

/// The subcommands of upstream's x.py, with their short forms.
const SUBCOMMANDS: &str = "build b check c clippy fix fmt doc d test t miri bench clean dist install run r setup \
    suggest vendor perf --help -h help";

impl X {
    /// Replaces this process with upstream's x.py, which then receives Ctrl-C and sets the exit code.
    pub fn run(self, project: Project, base: Base) -> Result<ExitCode> {
        require_subcommand(&self.args)?;
        refuse_own_options(&self.args)?;
        let (prepared, config) = self.setup.open(project, base)?;
        let bootstrap = Bootstrap::configured(&prepared, config)?;
        if self.args.iter().any(|arg| arg == "test" || arg == "t") {
            note_network_problems();
        }
        Err(bootstrap.x_py_for(&self.args)?.replace_process())
    }
}

/// Returns an error if no argument is a subcommand. Upstream's x.py would report that only after minutes of
/// preparation.
fn require_subcommand(args: &[OsString]) -> Result<()> {
    let is_known = |arg: &OsString| SUBCOMMANDS.split_whitespace().any(|known| arg == known);
    if !args.iter().any(is_known) {
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        bail!(
            "`{}` has no subcommand of upstream's x.py. Type one of these, for example `./x.py test library/std`:\n  \
             {SUBCOMMANDS}",
            args.join(" ")
        );
    }
    Ok(())
}

/// Returns an error if one of this tool's options is among the arguments of upstream's x.py.
fn refuse_own_options(args: &[OsString]) -> Result<()> {
    let words = args.iter().map_while(|arg| arg.to_str()).take_while(|arg| *arg != "--");
    for word in words {
        let option = word.split('=').next().unwrap_or_default();
        if ["--base", "--source", "--full"].contains(&option) {
            bail!(
                "{option} must come before the subcommand: `./x.py {option} … {}`",
                args[0].display()
            );
        }
    }
    Ok(())
}

/// Prints a note if this machine makes std's network tests fail, whatever the patches change.
fn note_network_problems() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!(
            "note: the address [::1] cannot be bound, so std's tests of IPv6 will fail. On Linux, `sysctl \
             net.ipv6.conf.lo.disable_ipv6=0` enables IPv6 on the loopback"
        );
    }
    // std's tests bind consecutive ports from 19600 on (library/std/src/net/test.rs).
    let is_taken = |port: &u16| {
        TcpListener::bind(("127.0.0.1", *port)).is_err_and(|e| e.kind() == ErrorKind::AddrInUse)
    };
    if let Some(port) = (19600..19900).find(is_taken) {
        eprintln!(
            "note: port {port} is in use, and std's tests bind fixed ports. Tests that need this port will fail. Wait \
             until it is free, or run the tests in a network namespace: `unshare --map-root-user --net sh -c 'ip \
             link set lo up; ./x.py …'`"
        );
    }
}
