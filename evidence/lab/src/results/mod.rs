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

/// The results of a scenario: for each side, the cases over IPv4 and over IPv6.
pub type Cases = [[CaseResult; 2]; 2];

pub struct CaseResult {
    pub scenario: Scenario,
    /// True on the scenario's first side, such as with keepalive.
    pub is_first_side: bool,
    pub family: Family,
    /// The start of the case, since the epoch.
    pub start: Duration,
    /// The time of the last observation, in seconds since the start. Later packets come from the end
    /// of the programs.
    pub end: f64,
    pub observations: Vec<Observation>,
    pub events: Vec<Event>,
    pub frames: Vec<Frame>,
}

/// An event at a node, for the picture.
#[derive(Clone)]
pub struct Event {
    /// In seconds since the start of the case.
    pub at: f64,
    pub node: Node,
    pub text: String,
}

impl Event {
    /// The picture has no line for the node between these two events.
    pub const POWER_OFF: &str = "power off";
    pub const POWER_ON: &str = "power on";
}

/// A comparison of an expected and a seen value.
pub struct Observation {
    pub name: String,
    pub expected: String,
    pub seen: String,
    pub seconds: Option<f64>,
    pub pass: bool,
}

pub struct Timed<T> {
    pub value: String,
    pub time: Option<T>,
}

/// A value, and its time in seconds.
pub type Seen = Timed<f64>;

/// A value, and the earliest and the latest time in seconds. `None` permits any time.
pub type Expected = Timed<(f64, f64)>;

/// The kernel's timers are never early, but count in ticks of up to 10 ms. A timer may be late by an
/// eighth of its time, and a process may wait for a busy processor.
const EARLY: f64 = 0.02;
pub const LATE: f64 = 0.8;
const _: () = assert!(EARLY + LATE < 1.0, "the windows of two probes a second apart overlap");

impl Seen {
    pub fn at(value: impl Into<String>, seconds: f64) -> Self {
        Self { value: value.into(), time: Some(seconds) }
    }
}

impl Expected {
    pub fn at(value: impl Into<String>, seconds: f64) -> Self {
        Self::between(value, seconds, seconds + LATE)
    }

    pub fn between(value: impl Into<String>, from: f64, to: f64) -> Self {
        Self { value: value.into(), time: Some((from, to)) }
    }
}

impl<S: Into<String>, T> From<S> for Timed<T> {
    fn from(value: S) -> Self {
        Self { value: value.into(), time: None }
    }
}

impl CaseResult {
    pub fn new(scenario: Scenario, family: Family, is_first_side: bool) -> Self {
        let (start, end) = (Duration::ZERO, 0.0);
        let (observations, events, frames) = (Vec::new(), Vec::new(), Vec::new());
        Self { scenario, is_first_side, family, start, end, observations, events, frames }
    }

    pub fn side(&self) -> &'static str {
        self.scenario.plan().sides[usize::from(!self.is_first_side)]
    }
}

impl Observation {
    pub fn new(name: &str, expected: impl Into<Expected>, seen: impl Into<Seen>) -> Self {
        let (mut expected, seen) = (expected.into(), seen.into());
        let mut pass = expected.value == seen.value;
        if let Some((from, to)) = expected.time {
            pass &= seen.time.is_some_and(|time| (from - EARLY..=to).contains(&time));
            expected.value += &format!(", {from:.1} to {to:.1} s");
        }
        let (name, expected, seen, seconds) = (name.into(), expected.value, seen.value, seen.time);
        Self { name, expected, seen, seconds, pass }
    }
}

/// Writes a scenario's table, captures and picture into a directory.
pub fn save(scenario: Scenario, cases: &Cases, table: &str, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("results.md"), table)?;
    for case in cases.iter().flatten() {
        let side = if case.is_first_side { "with" } else { "without" };
        let name = format!("{side}.{:?}.pcap", case.family).to_lowercase();
        fs::write(dir.join(name), pcap::file(&case.frames))?;
    }
    let ipv4 = cases.each_ref().map(|[ipv4, _]| ipv4);
    let picture = picture::draw(&scenario.about(), scenario.plan().keepalive, &ipv4);
    fs::write(dir.join(format!("{scenario}.svg")), picture.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observation_passes_with_the_expected_value_at_the_expected_time_only() {
        let passes = |seen| Observation::new("read", Expected::at("TimedOut", 3.0), seen).pass;
        for in_time in [3.0 - EARLY / 2.0, 3.0, 3.0 + LATE - 0.01] {
            assert!(passes(Seen::at("TimedOut", in_time)), "{in_time}");
            assert!(!passes(Seen::at("ConnectionReset", in_time)), "{in_time}");
        }
        assert!(!passes(Seen::at("TimedOut", 3.0 - 2.0 * EARLY)));
        assert!(!passes(Seen::at("TimedOut", 3.0 + LATE + 0.01)));
        assert!(!passes("TimedOut".into()), "a value without a time");
    }
}
