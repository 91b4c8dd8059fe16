//! Runs other programs, sees that two runs of this one do not get in each other's way, and that
//! none deletes or overwrites what is not the tool's.

pub mod command;
pub mod files;
pub mod git;
pub mod kill_point;
pub mod lock;
pub mod ownership;
pub mod save;
pub mod whole;
