//! The tools type-checked for hosts on which nobody here can run them.

use std::process::ExitCode;

use evidence::portability;
use evidence::suite::{self, Trial};

const HOSTS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

fn main() -> ExitCode {
    suite::main("portability", |project| {
        let base = project.base(None)?;
        let trial = |host| Trial::new(&base, host, move |base| portability::check(base, host));
        Ok(HOSTS.map(|host| trial(host).minutes(30)).into())
    })
}
