//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use nix::unistd::{User, geteuid};

use crate::peer::compile::Std;
use crate::scenarios::Scenario;

/// Shows TCP keepalive at work, packet by packet, in a small network inside this machine.
///
/// A client, a router and a server, each in a network namespace of its own, run a program that
/// knows nothing but `std::net`; the router captures what passes. Each scenario runs with
/// keepalive and without, over IPv4 and IPv6, all of them side by side, and must differ as
/// expected. Nothing on the host changes, and nothing is left behind, however it ends.
///
/// It runs as root, or as an ordinary user where the kernel allows user namespaces. It needs
/// unshare and nsenter (util-linux), nft (nftables), ip and ss (iproute2), python3, and runsc for
/// one scenario.
#[derive(Parser)]
#[command(
    name = "lab",
    after_help = "\
Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 not run (the message says what
this machine lacks, and how to get it).

Files, under build/lab/: results.md and results.json; for each std a directory with a .pcap for
each case, to open in Wireshark, and a .svg for each scenario, which shows the IPv4 cases.

Examples:
  lab --std nightly                          all scenarios, the installed nightly's std
  lab --sysroot PATH power-loss              one scenario, the std of that sysroot
                                             (`cargo test --test lab` leaves one for each base,
                                             such as build/evidence/lab/1.95-0/sysroot)
  lab --std nightly,socket2                  two of them, in columns that should be equal
  lab --std noop                             what turns red when set_keepalive does nothing"
)]
pub struct Args {
    /// The scenarios to run; all of them if none is named
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<&'static Scenario>,
    /// Say what scenarios there are, and stop
    #[arg(long)]
    pub list: bool,
    /// Say what this machine lacks for the scenarios, if anything, and stop
    #[arg(long)]
    pub check: bool,
    /// Whose keepalive to test; several give columns side by side
    #[arg(long = "std", value_name = "STD", value_delimiter = ',', default_value = "patched")]
    pub stds: Vec<Std>,
    /// The compiler and std to test as `patched`, as `rustc --print sysroot` would name them
    #[arg(long, value_name = "PATH")]
    pub sysroot: Option<PathBuf>,
    /// The form of the results on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Where to leave the results, the captures and the pictures
    #[arg(long, value_name = "PATH", default_value_os_t = root().join("build/lab"))]
    pub out: PathBuf,
    /// If all passes, write the README's two pictures into docs/
    #[arg(long)]
    pub write_docs: bool,
    /// As root: run as this ordinary user, in user namespaces
    #[arg(long, value_name = "USER", value_parser = user)]
    pub as_user: Option<User>,
    /// Print each command before it runs, as it could be typed
    #[arg(short, long)]
    pub verbose: bool,
    /// Internal: run the scenarios with this program, in the namespaces that this process is in
    #[arg(long, hide = true, value_name = "PROGRAM")]
    pub inside: Option<PathBuf>,
    /// Internal: get or set, with socket2, the option of the socket that is standard input
    #[arg(long, hide = true, value_name = "KEEPALIVE")]
    pub witness: Option<Option<bool>>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Format {
    Table,
    Markdown,
    Json,
}

fn user(name: &str) -> Result<User, String> {
    if !geteuid().is_root() {
        return Err("only root can become another user".to_string());
    }
    let user = User::from_name(name).map_err(|error| error.to_string())?;
    user.ok_or_else(|| "there is no such user".to_string())
}

/// The repository's: `lab/` is a directory in it.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package has a directory")
}
