//! Tells the user what goes on and what came of it.

pub mod failure;
pub mod progress;
