//! What a case leaves behind: what was expected and what was seen, what happened at the nodes, and
//! the captured frames.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capture::Frame;
use crate::network::{Family, Node};

pub mod picture;
pub mod table;

/// A scenario's outcome with the thing that it is about or without, in one IP family.
#[derive(Default, Serialize, Deserialize)]
pub struct CaseResult {
    pub scenario: String,
    /// How the scenario calls this side of it.
    pub side: String,
    pub with: bool,
    pub family: Family,
    /// Since the epoch.
    pub start: Duration,
    /// Seconds since then, at the last observation: what follows is only the programs' end.
    pub end: f64,
    pub observations: Vec<Observation>,
    pub events: Vec<Event>,
    pub frames: Vec<Frame>,
}

/// What happened at a node, for the picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub at: f64,
    pub node: Node,
    pub text: String,
}

impl Event {
    /// Between these two, the node's line is broken.
    pub const POWER_OFF: &str = "power off";
    pub const POWER_ON: &str = "power on";
}

/// One thing that a scenario looks at, by a name that is the same in all cases.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    pub what: String,
    pub expected: String,
    pub seen: String,
    pub seconds: Option<f64>,
    pub pass: bool,
}

pub struct Expected {
    what: String,
    /// From when to when, in seconds; any time will do if it is not said.
    window: Option<(f64, f64)>,
}

pub struct Seen {
    pub what: String,
    pub seconds: Option<f64>,
}

/// The kernel's timers are never early, but count in ticks of up to 10 ms; they may be late by an
/// eighth, and a busy machine keeps processes waiting.
const EARLY: f64 = 0.02;
pub const LATE: f64 = 0.8;
const _: () = assert!(EARLY + LATE < 1.0, "a probe more or less, of the shortest interval, shows");

impl Expected {
    pub fn at(what: impl Into<String>, seconds: f64) -> Self {
        Self::between(what, seconds, seconds + LATE)
    }

    pub fn between(what: impl Into<String>, from: f64, to: f64) -> Self {
        Self { what: what.into(), window: Some((from, to)) }
    }
}

impl<T: Into<String>> From<T> for Expected {
    fn from(what: T) -> Self {
        Self { what: what.into(), window: None }
    }
}

impl Seen {
    pub fn at(what: impl Into<String>, seconds: f64) -> Self {
        Self { what: what.into(), seconds: Some(seconds) }
    }
}

impl<T: Into<String>> From<T> for Seen {
    fn from(what: T) -> Self {
        Self { what: what.into(), seconds: None }
    }
}

impl Observation {
    pub fn new(what: &str, expected: impl Into<Expected>, seen: impl Into<Seen>) -> Self {
        let (Expected { what: expected, window }, seen) = (expected.into(), seen.into());
        let Seen { what: seen, seconds } = seen;
        let in_time = window.is_none_or(|(from, to)| {
            seconds.is_some_and(|seconds| (from - EARLY..=to).contains(&seconds))
        });
        let pass = expected == seen && in_time;
        let expected = match window {
            Some((from, to)) => format!("{expected}, {from:.1} to {to:.1} s"),
            None => expected,
        };
        Self { what: what.to_string(), expected, seen, seconds, pass }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_passes_only_if_it_is_what_was_expected() {
        assert!(Observation::new("read", "TimedOut", "TimedOut").pass);
        assert!(!Observation::new("read", "TimedOut", "ConnectionReset").pass);
    }

    #[test]
    fn an_observation_passes_only_in_its_time() {
        let passes = |seen| Observation::new("read", Expected::at("x", 3.0), seen).pass;
        for in_time in [3.0 - EARLY / 2.0, 3.0, 3.0 + LATE - 0.01] {
            assert!(passes(Seen::at("x", in_time)), "{in_time}");
        }
        assert!(!passes(Seen::at("x", 3.0 - 2.0 * EARLY)));
        assert!(!passes(Seen::at("x", 3.0 + LATE + 0.01)));
        assert!(!passes("x".into()), "what never came is not in time");
    }
}
