//! The trials, which check the patch series.
//!
//! Each module in [`SUITES`] returns the trials of one suite. [`suite`] runs all trials in one test program.

pub mod crates;
pub mod data;
pub mod diagnostic;
pub mod lab;
pub mod libtest;
pub mod mutants;
pub mod place;
pub mod platforms;
pub mod portability;
pub mod series;
pub mod specs;
pub mod suite;
pub mod tables;
pub mod targets;
pub mod toolchain;
pub mod upstream;

/// The suites, in the order in which their trials start: the longest trials first.
pub const SUITES: [suite::Suite; 9] = [
    ("lab", lab::trials),
    ("upstream", upstream::trials),
    ("toolchain", toolchain::trials),
    ("platforms", platforms::trials),
    ("portability", portability::trials),
    ("crates", crates::trials),
    ("mutants", mutants::trials),
    ("series", series::trials),
    ("targets", targets::trials),
];
