//! Tells an error with its causes and the way out, and gives it an exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use anyhow::Error;

/// The exit code where nothing was wrong, but the machine lacks what it takes. The lab has the same.
pub const NOT_RUN: u8 = 3;

/// What the machine lacks, and how to get it.
#[derive(Debug)]
pub struct NotRun(pub String);

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotRun {}

/// Prints the error with its causes, and what to do about it where that is known.
pub fn failure(error: &Error) -> ExitCode {
    eprintln!("error: {error:#}");
    if is_disk_full(error) {
        eprintln!(
            "help: the disk is full. Free some space and run the same command again: what was \
             complete before is still in use, and half-made files are cleared away by themselves. \
             A prepared tree takes about 1.5 GB under build/, the builds in it about as much again."
        );
    }
    if error.is::<NotRun>() { ExitCode::from(NOT_RUN) } else { ExitCode::FAILURE }
}

fn is_disk_full(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::StorageFull)
            // As other programs print it, where one of them ran into it: most of them, git, curl, apt.
            || ["No space left on device", "Out of diskspace", "curl: (23)", "enough free space"]
                .iter()
                .any(|words| cause.to_string().contains(words))
    })
}
