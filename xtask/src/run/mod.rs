//! Runs other programs, and sees that two runs of this one do not get in each other's way.

pub mod command;
pub mod git;
pub mod lock;
pub mod whole;
