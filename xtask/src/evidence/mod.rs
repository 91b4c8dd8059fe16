//! The evidence that the series is fit to be merged.

pub mod cross;

pub mod lab;
pub mod mutants;
pub mod targets;
pub mod verify;
