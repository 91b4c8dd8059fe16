//! What the lab shows. A new scenario is a file here, and its two lines below.

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::PossibleValue;

// What scenarios are written with: each imports all of it from here.
use self::case::{Case, Connection, STILL_BLOCKED, TIMED_OUT};
use crate::capture::packet::{Packet, PacketKind};
use crate::network::{Keepalive, Node, PLAIN, Shape};
use crate::peer::witness;
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

pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    /// What the two sides of the comparison are called: with what it is about, and without.
    pub sides: [&'static str; 2],
    pub shape: Shape,
    pub run: fn(&mut Case) -> Result<()>,
}

/// In the order of the report.
pub const ALL: &[&Scenario] = &[
    &idle_behind_nat::SCENARIO,
    &power_loss::SCENARIO,
    &unreachable::SCENARIO,
    &unacknowledged::SCENARIO,
    &reboot::SCENARIO,
    &server_side::SCENARIO,
    &on_the_wire::SCENARIO,
    &switched_off::SCENARIO,
    &traffic::SCENARIO,
    &states::SCENARIO,
    &inherited::SCENARIO,
    &others_agree::SCENARIO,
    &gvisor::SCENARIO,
];

/// The scenario that takes a program which few have.
pub const GVISOR: &str = "gvisor";

/// The sides of most scenarios.
const WITH_KEEPALIVE: [&str; 2] = ["with keepalive", "without"];

impl ValueEnum for &'static Scenario {
    fn value_variants<'a>() -> &'a [Self] {
        ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.about))
    }
}
