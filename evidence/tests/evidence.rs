//! The trials of all suites. `cargo test -p evidence SUITE::BASE` selects some.

use std::process::ExitCode;

fn main() -> ExitCode {
    evidence::suite::main(&evidence::SUITES)
}
