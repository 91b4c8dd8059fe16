//! The methods broken on purpose, one way after the other: the integration test must notice each.

use std::process::ExitCode;

use evidence::mutants;
use evidence::suite::{self, Trial};

fn main() -> ExitCode {
    suite::main("mutants", |project| {
        let mut trials = Vec::new();
        let names: Vec<_> = mutants::table()?.mutant.into_iter().map(|m| m.name).collect();
        for base in project.bases() {
            for mistake in [None].into_iter().chain(names.iter().cloned().map(Some)) {
                let name = mistake.clone().unwrap_or("no mistake".into());
                let test = move |base: &_| mutants::test(base, mistake.as_deref());
                trials.push(Trial::new(&base, &name, test).minutes(30));
            }
        }
        Ok(trials)
    })
}
