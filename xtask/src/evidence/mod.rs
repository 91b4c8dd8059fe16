//! Gathers the evidence that the series is fit to be merged.

mod cache;
pub mod cross;

pub mod hosts;
pub mod lab;
pub mod merge;
pub mod mutants;
mod pool;
mod report;
mod scope;
mod shard;
pub mod specs;
pub mod verify;
