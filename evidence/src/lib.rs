//! The evidence that the series are fit to be merged, as trials made from data.
//!
//! A module is a suite and returns its trials. [`suite`] runs the trials of all suites in one test program.

pub mod crates;
pub mod diagnostic;
pub mod specs;
pub mod suite;
pub mod tables;
pub mod targets;

/// The suites, the longest trials first.
pub const SUITES: [suite::Suite; 2] = [("crates", crates::trials), ("targets", targets::trials)];
