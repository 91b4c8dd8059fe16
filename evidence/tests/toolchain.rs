//! The toolchain that `cargo xtask toolchain` assembles for users.

use std::process::ExitCode;

use evidence::suite::{self, Trial};
use evidence::toolchain;

fn main() -> ExitCode {
    suite::main("toolchain", |project| {
        let base = project.base(None)?;
        let trial = |name, check: fn(&_) -> _| Trial::new(&base, name, check).minutes(20);
        Ok(vec![
            trial("one gate opens", toolchain::one_gate_opens),
            trial("other crates stay the same", toolchain::other_crates_stay_the_same),
            trial("the examples pass", toolchain::examples_pass),
        ])
    })
}
