//! The scenarios of the network lab, with the patched std.

use std::process::ExitCode;

use evidence::lab;
use evidence::suite::{self, Trial};

fn main() -> ExitCode {
    suite::main("lab", |project| {
        let scenarios = lab::scenarios(project)?;
        let trials = project.bases().into_iter().flat_map(|base| {
            let of_base = scenarios.iter().map(|scenario| {
                let (of, name) = (base.clone(), scenario.clone());
                let is_quick = base.default;
                Trial::new(&base, scenario, move || lab::run(&of, &name))
                    .quick(is_quick)
                    .minutes(30)
            });
            of_base.collect::<Vec<_>>()
        });
        Ok(trials.collect())
    })
}
