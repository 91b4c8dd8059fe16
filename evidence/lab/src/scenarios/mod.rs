//! The scenarios. To add one: a file here, a line in [`Scenario::plan`], and a variant with the
//! description in [`Scenario`].

use anyhow::Result;

// Each scenario imports these by `use super::*`.
use self::case::{Case, Connection, NO_PROBE, PROBE, STILL_BLOCKED, TIMED_OUT};
use crate::arguments::Scenario;
use crate::capture::packet::{Packet, PacketKind};
use crate::network::{Keepalive, Node, PLAIN, Shape};
use crate::peer::sockopt;
use crate::results::{Expected, LATE, Seen};

pub mod case;
mod gvisor;
mod idle_behind_nat;
mod inherited;
mod on_the_wire;
mod others_agree;
mod power_loss;
mod reboot;
mod server_side;
mod states;
mod switched_off;
mod traffic;
mod unacknowledged;
mod unreachable;

pub struct Plan {
    /// The names of the cases with the scenario's subject, and of those without.
    pub sides: [&'static str; 2],
    pub shape: Shape,
    pub run: fn(&mut Case) -> Result<()>,
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
            Self::OthersAgree => &others_agree::PLAN,
            Self::Gvisor => &gvisor::PLAN,
        }
    }
}

/// The sides of most scenarios.
const WITH_KEEPALIVE: [&str; 2] = ["with keepalive", "without"];
