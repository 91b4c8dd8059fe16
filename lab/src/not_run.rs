//! The error for what this machine lacks, as opposed to what failed.

use std::fmt;

/// The lab could not do its work on this machine, which says nothing about keepalive: what is
/// missing, and how to get it.
#[derive(Debug)]
pub struct NotRun(pub String);

impl NotRun {
    pub const EXIT_CODE: u8 = 3;
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "not run: {}", self.0)
    }
}

impl std::error::Error for NotRun {}
