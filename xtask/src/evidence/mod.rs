//! Gathers the evidence that the series is fit to be merged.

mod cache;
pub mod hosts;
pub mod lab;
pub mod merge;
mod report;
mod shard;
pub mod verify;
