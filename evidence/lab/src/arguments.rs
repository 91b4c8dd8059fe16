//! The command line.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Tests TCP keepalive in a small network inside this machine, and captures every packet.
///
/// The client, the router and the server have a network namespace each. The client and the server
/// run a program that uses only `std::net`. The lab captures the packets at the router. Each
/// scenario has four cases, for example with keepalive and without, over IPv4 and over IPv6. All
/// cases run at once. The lab writes only to OUT, and leaves no process and no namespace behind.
///
/// The lab runs as root, or as an ordinary user where the kernel allows user namespaces. It needs
/// unshare and nsenter (util-linux), nft (nftables), ip and ss (iproute2), python3, and runsc for
/// the scenario `gvisor`.
#[derive(Parser)]
#[command(
    name = "lab",
    after_help = "\
Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 not run (the message says what
this machine lacks, and how to install it).

Files in OUT/std/SCENARIO/ (or OUT/socket2/, OUT/noop/): results.md is the table, a .pcap file is
the capture of a case, for Wireshark, and SCENARIO.svg is a picture of the IPv4 cases.

Examples:
  lab --sysroot \"$(rustc +nightly --print sysroot)\"     all scenarios, with the nightly's std
  lab --sysroot PATH power-loss                         one scenario, with the std of PATH
  lab --methods noop                                    fails: set_keepalive does nothing"
)]
pub struct Args {
    /// The scenarios to run [default: all]
    #[arg(value_name = "SCENARIO", default_values_t = Scenario::value_variants().to_vec())]
    #[arg(hide_default_value = true)]
    pub scenarios: Vec<Scenario>,
    /// List the scenarios, and stop
    #[arg(long)]
    pub list: bool,
    /// Check that this machine has everything that the scenarios need, and stop
    #[arg(long)]
    pub check: bool,
    /// The sysroot with the std under test, and with its compiler
    #[arg(long, value_name = "PATH")]
    #[arg(required_unless_present_any = ["methods", "list", "check", "inside", "peer", "sockopt"])]
    pub sysroot: Option<PathBuf>,
    /// Test these methods in place of std's
    #[arg(long, conflicts_with = "sysroot")]
    pub methods: Option<Methods>,
    /// The directory for the results
    #[arg(long, default_value = "build/lab")]
    pub out: PathBuf,
    /// Print each command before it runs
    #[arg(short, long)]
    pub verbose: bool,
    /// Internal: run the scenarios with this program under test, in the namespaces of this process
    #[arg(long, hide = true, value_name = "PROGRAM")]
    pub inside: Option<PathBuf>,
    /// Internal: run the program under test, with socket2's methods
    #[arg(long, hide = true)]
    pub peer: bool,
    /// Internal: get or set SO_KEEPALIVE of standard input with socket2
    #[arg(long, hide = true, value_name = "KEEPALIVE")]
    pub sockopt: Option<Option<bool>>,
}

/// An implementation of `set_keepalive` and `keepalive` that is not std's.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Methods {
    /// The methods of the socket2 crate; all scenarios pass
    Socket2,
    /// Methods that do nothing; all scenarios fail
    Noop,
}

/// The scenarios, in the order of the results. `--list` prints the doc comments.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Scenario {
    /// the client pauses for longer than the NAT router remembers connections, then writes
    IdleBehindNat,
    /// the server vanishes while the client blocks in read()
    PowerLoss,
    /// the server vanishes, and the router answers that it is unreachable
    Unreachable,
    /// keepalive does not end a connection with unacknowledged data
    Unacknowledged,
    /// the server restarts, and forgets the connection, while the client blocks in read()
    Reboot,
    /// a thousand clients vanish, and the server closes their descriptors
    ServerSide,
    /// the probes and their answers, packet by packet: kind and time
    OnTheWire,
    /// no probe follows set_keepalive(false)
    SwitchedOff,
    /// no probe is sent while the client writes more often than the idle time
    Traffic,
    /// half-closed, nonblocking, cloned and moved streams are probed, too
    States,
    /// Python sets the option on the listener, and accepted streams inherit it
    Inherited,
    /// ss, socket2 and Python see what std sets, and std sees what socket2 and Python set
    CrossCheck,
    /// the server vanishes, and the client's TCP is gVisor's
    Gvisor,
}

impl Scenario {
    pub fn about(self) -> String {
        let value = self.to_possible_value().expect("no variant is skipped");
        value.get_help().map(ToString::to_string).unwrap_or_default()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let value = self.to_possible_value().expect("no variant is skipped");
        f.pad(value.get_name())
    }
}
