//! The scenarios of the network lab, with the patched std.

use std::process::ExitCode;

use evidence::lab;
use evidence::suite::{self, Trial};

fn main() -> ExitCode {
    suite::main("lab", |project| {
        let scenarios = lab::scenarios(project)?;
        let mut trials = Vec::new();
        for base in project.bases() {
            for name in scenarios.clone() {
                let trial = Trial::new(&base, &name.clone(), move |base| lab::run(base, &name));
                trials.push(trial.quick(base.default).minutes(30));
            }
        }
        Ok(trials)
    })
}
