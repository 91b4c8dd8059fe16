//! Runs upstream's own tests with upstream's x.py, in the tool's own clone.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use fs_err as fs;
use xtask::base::Base;
use xtask::bootstrap::{Bootstrap, Config};
use xtask::project::Project;
use xtask::std::{Std, UNIT_TESTS};
use xtask::tree::Prepared;

use crate::libtest;
use crate::suite::{Outcome, Place, Trial};

/// Without this setting, upstream's x.py prints a dot for each test.
const VERBOSE: &str = "--set=rust.verbose-tests=true";

/// Only the default base is tested with an optimized std. Most of the time of std's tests goes into
/// its compilation.
const DO_NOT_OPTIMIZE: &str = "--set=rust.optimize=false";

/// The time limit of x.py in seconds. A slow machine needs a fraction of it.
const LIMIT: u64 = 45 * 60;

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for base in project.bases() {
        trials.extend(if base.default {
            vec![
                trial(&base, "std", |place| pass_with_keepalive(place, &["test", "library/std"])),
                // Without `--force-rerun`, compiletest skips the tests that passed before.
                trial(&base, "ui", |place| pass(place, &["test", "tests/ui/std", "--force-rerun"])),
                trial(&base, "cargo xtask test agrees with x.py", compare),
            ]
        } else {
            vec![
                trial(&base, "std", |place| {
                    let text = pass_with_keepalive(place, &["test", "library/std", "--tests"])?;
                    Ok(format!("{text} (without the doctests, which the default base runs)"))
                }),
                trial(&base, "doctests of net::tcp", |place| {
                    pass(place, &["test", "library/std", "--doc", "--", "net::tcp"])
                }),
            ]
        });
    }
    Ok(trials)
}

fn trial(base: &Base, name: &str, work: fn(&Place) -> Result<String>) -> Trial {
    let work = move |place: &Place| work(place).map(Outcome::Passed);
    let trial = Trial::new("upstream", base, name, work).alone(&base.suffixed("x.py"));
    // std's tests bind fixed ports.
    if name == "ui" { trial } else { trial.alone("ports") }
}

/// Runs x.py. A failed test is an error. Returns the number of tests.
fn pass(place: &Place, args: &[&str]) -> Result<String> {
    Ok(libtest::count(&x_py(place, args)?)?.to_string())
}

/// Runs x.py like [`pass`]. The tests of the series must be among the tests that ran.
fn pass_with_keepalive(place: &Place, args: &[&str]) -> Result<String> {
    let printed = x_py(place, args)?;
    let file = place.opened().library()?.join(libtest::KEEPALIVE);
    libtest::require_tests_of(&fs::read_to_string(file)?, &printed)?;
    Ok(libtest::count(&printed)?.to_string())
}

/// Runs x.py and returns its standard output, which has a line for each test. Mixed with the standard error,
/// cargo's messages could split such a line.
fn x_py(place: &Place, args: &[&str]) -> Result<String> {
    let prepared = Prepared::apart(place.project().clone(), place.base().clone())?;
    let bootstrap = Bootstrap::configured(&prepared, Config::Prebuilt)?;
    let optimize: &[&str] = if place.base().default { &[] } else { &[DO_NOT_OPTIMIZE] };
    let args = [&[VERBOSE], optimize, args].concat();
    let args: Vec<_> = args.iter().map(Into::into).collect();
    let output = place.run(&mut bootstrap.x_py_for(&args)?, LIMIT)?;
    if !output.status.success() {
        bail!("x.py failed ({}), see the log", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs std's tests of TCP with x.py, and as `cargo xtask test` compiles them, and compares the results.
fn compare(place: &Place) -> Result<String> {
    let upstream = x_py(place, &["test", "library/std", "--no-doc", "--", "net::tcp"])?;
    let (opened, library) = (place.opened(), place.opened().library()?);
    let std = Std::new(&opened.compiler, &library, &opened.compiler.host, &place.dir().join("std"));
    let mut tests = std::process::Command::new(std.unit_tests()?);
    let own = libtest::run(place, tests.arg("net::tcp").current_dir(library.join(UNIT_TESTS)))?;
    Ok(format!("{} tests of net::tcp, with the same results", same_verdicts(&upstream, &own)?))
}

/// Returns the number of tests. Tests that only one of the two ran, or with another result, are an error.
fn same_verdicts(upstream: &str, own: &str) -> Result<usize> {
    let [upstream, own] = [upstream, own].map(|printed| libtest::verdicts("net::tcp::", printed));
    let differ = |name: &&&str| upstream.get(**name) != own.get(**name);
    let names: BTreeSet<_> = upstream.keys().chain(own.keys()).filter(differ).collect();
    if upstream.is_empty() || !names.is_empty() {
        let (upstream, own) = (upstream.len(), own.len());
        bail!(
            "x.py ran {upstream} tests, and `cargo xtask test` {own}; the results differ for {names:?}"
        );
    }
    Ok(own.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_or_results_are_an_error() {
        let a = "test net::tcp::a ... ok\n";
        let own = format!("{a}test net::tcp::b ... ignored\ntest both_ends ... ok\n");
        let with = |line: &str| same_verdicts(&format!("{a}{line}"), &own);
        let same = with("test net::tcp::b ... ignored, why\ntest net::udp ... FAILED\n");
        assert_eq!(same.unwrap(), 2);
        for line in ["", "test net::tcp::b ... FAILED\n"] {
            assert!(with(line).unwrap_err().to_string().contains("tcp::b\""));
        }
        let one_more = "test net::tcp::b ... ignored\ntest net::tcp::c ... ok\n";
        assert!(with(one_more).unwrap_err().to_string().contains("tcp::c\""));
        assert!(same_verdicts("", "").is_err());
    }
}
