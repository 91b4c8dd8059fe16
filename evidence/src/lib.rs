//! The evidence that the series are fit to be merged, as test suites whose tests are made from data.
//!
//! A file in tests/ is a suite: it says which trials there are. What a trial does is in the room of the
//! same name here, and [`suite`] runs them as `cargo test` has it.

pub mod crates;
pub mod diagnostic;
pub mod lab;
mod libtest;
pub mod mutants;
pub mod platforms;
pub mod portability;
pub mod record;
pub mod series;
pub mod specs;
pub mod suite;
pub mod targets;
pub mod toolchain;
pub mod upstream;
