//! The scenarios. A new scenario needs a variant of [`Scenario`], a file in this directory, and a
//! line in [`Scenario::plan`].

use anyhow::Result;

// Each scenario imports these by `use super::*`.
use self::case::{Case, Connection, NO_PROBE, PROBE, STILL_BLOCKED, TIMED_OUT};
use crate::arguments::Scenario;
use crate::capture::packet::{Packet, PacketKind};
use crate::network::{Keepalive, Node};
use crate::peer::sockopt;
use crate::results::{Expected, LATE, Seen};

pub mod case;
mod cross_check;
mod gvisor;
mod idle_behind_nat;
mod inherited;
mod on_the_wire;
mod power_loss;
mod reboot;
mod server_side;
mod states;
mod switched_off;
mod traffic;
mod unacknowledged;
mod unreachable;

/// The sides of a scenario, the network of its cases, and the function that runs a case.
pub struct Plan {
    /// The names of the two sides that the scenario compares.
    pub sides: [&'static str; 2],
    pub keepalive: Keepalive,
    /// The chains of the router's nftables table.
    pub router_rules: &'static str,
    /// The router's settings: names below `/proc/sys/net/`, and values.
    pub router_sysctls: &'static [(&'static str, u32)],
    pub run: fn(&mut Case) -> Result<()>,
}

impl Plan {
    /// Returns the plan of most scenarios: the router forwards all packets and, like most routers of
    /// the internet, does not report unreachable hosts.
    const fn new(run: fn(&mut Case) -> Result<()>) -> Self {
        Self {
            sides: ["with keepalive", "without"],
            keepalive: Keepalive { idle_time: 1.0, interval: 1.0, probes: 2 },
            router_rules: "chain silent {
                type filter hook output priority filter
                icmp type destination-unreachable drop
                icmpv6 type destination-unreachable drop
            }",
            router_sysctls: &[],
            run,
        }
    }
}

impl Scenario {
    pub fn plan(self) -> &'static Plan {
        match self {
            Self::IdleBehindNat => &idle_behind_nat::PLAN,
            Self::PowerLoss => &power_loss::PLAN,
            Self::Unreachable => &unreachable::PLAN,
            Self::Unacknowledged => &unacknowledged::PLAN,
            Self::Reboot => &reboot::PLAN,
            Self::ServerSide => &server_side::PLAN,
            Self::OnTheWire => &on_the_wire::PLAN,
            Self::SwitchedOff => &switched_off::PLAN,
            Self::Traffic => &traffic::PLAN,
            Self::States => &states::PLAN,
            Self::Inherited => &inherited::PLAN,
            Self::CrossCheck => &cross_check::PLAN,
            Self::Gvisor => &gvisor::PLAN,
        }
    }
}
