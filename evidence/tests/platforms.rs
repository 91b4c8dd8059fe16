//! std with the series built for other platforms, and its tests run there: in emulators, in gVisor, Wine
//! and wasmtime, and natively.
//!
//! `cargo test --test platforms -- --include-ignored aarch64` runs those of one more.

use std::process::ExitCode;

use evidence::platforms;
use evidence::suite::{self, Trial};

fn main() -> ExitCode {
    suite::main("platforms", |project| {
        let mut trials = Vec::new();
        for base in project.bases() {
            for platform in platforms::table()?.into_iter().filter(|platform| platform.is_of(&base))
            {
                let (name, quick) = (platform.name(), platform.quick);
                let test = move |base: &_| platforms::test(base, &platform);
                trials.push(Trial::new(&base, &name, test).quick(quick).minutes(60));
            }
        }
        Ok(trials)
    })
}
