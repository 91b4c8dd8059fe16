//! std type-checked for each target that may have one: no target gets a diagnostic that it did not have
//! without the series, and each gets both methods.
//!
//! `cargo test --test targets -- --include-ignored nuttx` checks some of the others.

use std::process::ExitCode;

use evidence::specs::Specs;
use evidence::suite::{self, Trial};
use evidence::targets;
use xtask::compiler::Compiler;

fn main() -> ExitCode {
    suite::main("targets", |project| {
        let table = targets::table()?;
        let mut trials = Vec::new();
        for base in project.bases() {
            let every = targets::every_backend_has_a_target;
            trials.push(Trial::new(&base, "every backend has a target", every));
            for target in Specs::of(&Compiler::find(&base)?)?.with_std() {
                let known = table.get(target).cloned();
                let is_quick = known.as_ref().is_some_and(|known| known.quick.contains(&base.name));
                let name = target.to_owned();
                let check = move |base: &_| targets::check(base, &name, known.as_ref());
                trials.push(Trial::new(&base, target, check).quick(is_quick));
            }
        }
        Ok(trials)
    })
}
