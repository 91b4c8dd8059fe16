//! Published crates, type-checked with the base's std and with the series': each breaks by the methods, or
//! not, as crates/crates.toml has it.
//!
//! `cargo test --test crates -- --include-ignored mio@0.6` checks one of the others.

use std::process::ExitCode;

use evidence::crates::{self, Table};
use evidence::suite::{self, Trial};

fn main() -> ExitCode {
    suite::main("crates", |project| {
        let table = Table::read(project)?;
        let mut trials = Vec::new();
        for name in &table.bases {
            let base = project.base(Some(name))?;
            for (workspace, krate) in table.crates() {
                let (workspace, row) = (workspace.to_owned(), krate.clone());
                let check = move |base: &_| crates::check(base, &workspace, &row);
                let trial = Trial::new(&base, &krate.spec(), check).quick(krate.quick);
                // It waits for others, of which there may be many.
                trials.push(trial.minutes(90));
            }
        }
        Ok(trials)
    })
}
