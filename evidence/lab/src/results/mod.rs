//! The results of a case: observations, events at the nodes, and captured frames.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use fs_err as fs;

use crate::arguments::Scenario;
use crate::capture::{Frame, pcap};
use crate::network::{Family, Node};

pub mod picture;
pub mod table;

/// The results of a scenario's cases: with its subject and without, over IPv4 and over IPv6.
pub type Cases = [[CaseResult; 2]; 2];

/// The result of one case of a scenario.
pub struct CaseResult {
    pub scenario: Scenario,
    /// Whether the case has the scenario's subject, such as keepalive.
    pub with: bool,
    pub family: Family,
    /// The time of the case's start since the epoch.
    pub start: Duration,
    /// The time of the last observation, in seconds since the start. Later packets only belong to
    /// the end of the programs.
    pub end: f64,
    pub observations: Vec<Observation>,
    pub events: Vec<Event>,
    pub frames: Vec<Frame>,
}

/// An event at a node, for the picture.
#[derive(Clone)]
pub struct Event {
    /// The time in seconds since the case's start.
    pub at: f64,
    pub node: Node,
    pub text: String,
}

impl Event {
    /// The picture has no line for the node between these two events.
    pub const POWER_OFF: &str = "power off";
    pub const POWER_ON: &str = "power on";
}

/// A comparison of an expected and a seen value. The cases of a scenario share the names `what`.
pub struct Observation {
    pub what: String,
    pub expected: String,
    pub seen: String,
    pub seconds: Option<f64>,
    pub pass: bool,
}

pub struct Expected {
    what: String,
    /// The earliest and the latest time in seconds. `None` permits any time.
    window: Option<(f64, f64)>,
}

pub struct Seen {
    pub what: String,
    pub seconds: Option<f64>,
}

/// The kernel's timers are never early, but count in ticks of up to 10 ms. They may be late by an
/// eighth, and a process may wait for a busy processor.
const EARLY: f64 = 0.02;
pub const LATE: f64 = 0.8;
const _: () = assert!(EARLY + LATE < 1.0, "the windows of two probes a second apart overlap");

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

impl CaseResult {
    pub fn new(scenario: Scenario, family: Family, with: bool) -> Self {
        let (start, end) = (Duration::ZERO, 0.0);
        let (observations, events, frames) = (Vec::new(), Vec::new(), Vec::new());
        Self { scenario, with, family, start, end, observations, events, frames }
    }

    /// Returns the scenario's name for the cases with its subject, or for those without.
    pub fn side(&self) -> &'static str {
        self.scenario.plan().sides[usize::from(!self.with)]
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

/// Writes a scenario's table, captures and picture into a directory.
pub fn save(scenario: Scenario, cases: &Cases, table: &str, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("results.md"), table)?;
    for case in cases.iter().flatten() {
        let side = if case.with { "with" } else { "without" };
        let name = format!("{side}.{:?}.pcap", case.family).to_lowercase();
        fs::write(dir.join(name), pcap::file(&case.frames))?;
    }
    let ipv4 = cases.each_ref().map(|[ipv4, _]| ipv4);
    let picture = picture::draw(&scenario.about(), scenario.plan().shape.keepalive, &ipv4);
    fs::write(dir.join(format!("{scenario}.svg")), picture.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observation_passes_with_the_expected_value_only() {
        assert!(Observation::new("read", "TimedOut", "TimedOut").pass);
        assert!(!Observation::new("read", "TimedOut", "ConnectionReset").pass);
    }

    #[test]
    fn observation_passes_at_the_expected_time_only() {
        let passes = |seen| Observation::new("read", Expected::at("x", 3.0), seen).pass;
        for in_time in [3.0 - EARLY / 2.0, 3.0, 3.0 + LATE - 0.01] {
            assert!(passes(Seen::at("x", in_time)), "{in_time}");
        }
        assert!(!passes(Seen::at("x", 3.0 - 2.0 * EARLY)));
        assert!(!passes(Seen::at("x", 3.0 + LATE + 0.01)));
        assert!(!passes("x".into()), "a value without a time");
    }
}
