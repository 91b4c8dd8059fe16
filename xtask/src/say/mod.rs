//! Tells the user what goes on and what came of it.

pub mod checks;
pub mod failure;
pub mod progress;
pub mod table;
