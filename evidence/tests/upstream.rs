//! Upstream's own tests, by upstream's x.py on the patched trees.

use std::process::ExitCode;

use anyhow::Result;
use evidence::suite::{self, Trial};
use evidence::upstream::{compare, pass, pass_with_own};
use xtask::base::Base;

type Pass = fn(&Base, &[&str]) -> Result<String>;

/// What is tested: the base, a name, what has to pass, and the arguments of x.py. The archive that there is of
/// the second base lacks the ui tests, and the examples of all of std are run with the first series. Of ui tests
/// that passed before, compiletest would run none.
const TRIALS: [(&str, &str, Pass, &[&str]); 4] = [
    ("1.95", "std", pass_with_own, &["test", "library/std"]),
    ("1.95", "ui", pass, &["test", "tests/ui/std", "--force-rerun"]),
    ("1.98", "std", pass_with_own, &["test", "library/std", "--tests"]),
    ("1.98", "examples of TCP", pass, &["test", "library/std", "--doc", "--", "net::tcp"]),
];

fn main() -> ExitCode {
    suite::main("upstream", |project| {
        let trial = |(base, name, pass, args): (&str, _, Pass, &'static [_])| {
            let base = project.base(Some(base))?;
            Ok(Trial::new(&base, name, move |base| pass(base, args)).minutes(45))
        };
        let mut trials = TRIALS.into_iter().map(trial).collect::<Result<Vec<_>>>()?;
        let quick_way = "the quick way says the same";
        trials.push(Trial::new(&project.base(None)?, quick_way, compare).minutes(45));
        Ok(trials)
    })
}
