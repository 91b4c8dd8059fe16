//! Prints an error with its causes, and chooses the exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use anyhow::Error;

/// The exit code if the machine lacks something. evidence/lab exits with this code, too.
pub const NOT_RUN: u8 = 3;

/// The error if the machine lacks something. The text names it, and says how to get it.
#[derive(Debug)]
pub struct NotRun(pub String);

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotRun {}

/// Prints the error with its causes, and returns the exit code.
pub fn report(error: &Error) -> ExitCode {
    eprintln!("error: {error:#}");
    if is_disk_full(error) {
        eprintln!(
            "help: the disk is full. Free some space and run the command again: it continues where it \
             stopped. build/ takes 1 to 10 GB, and rust/ takes 0.6 GB."
        );
    }
    if error.is::<NotRun>() { ExitCode::from(NOT_RUN) } else { ExitCode::FAILURE }
}

fn is_disk_full(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::StorageFull)
            || cause.to_string().contains("No space left on device")
    })
}
