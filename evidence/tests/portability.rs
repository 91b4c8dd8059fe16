//! The tools type-checked for hosts on which nobody here can run them.

use std::process::ExitCode;

use evidence::portability;
use evidence::suite::{self, Trial};

const HOSTS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

fn main() -> ExitCode {
    suite::main("portability", |project| {
        let base = project.base(None)?;
        let trial = |host| {
            let of = base.clone();
            Trial::new(&base, host, move || portability::check(&of, host)).minutes(30)
        };
        Ok(HOSTS.map(trial).into())
    })
}
