//! Runs upstream's own tests with `./x.py`, as the README has it.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use xtask::base::Base;
use xtask::run::command::CommandExt;
use xtask::say::failure::{NOT_RUN, NotRun};

use crate::{libtest, suite};

/// The file with the tests that both series add, as cargo names it. Without a test in it, all would be
/// well for upstream.
const OWN: &str = "tests/tcp_keepalive.rs";

/// Runs `./x.py ARGS` on the base's tree, and returns what upstream counted.
pub fn x_py(base: &Base, args: &[&str]) -> Result<String> {
    let (output, into) = io::pipe()?;
    let mut x_py = Command::new("python3");
    x_py.args(["x.py", "--base", &base.name]).args(args).current_dir(suite::project()?.root);
    x_py.env_of_x_py().stdin(Stdio::null()).stdout(into.try_clone()?).stderr(into);
    let mut child = x_py.start()?;
    // The pipe is at its end when the last who writes to it has ended.
    drop(x_py);
    let mut printed = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        printed += &format!("{line}\n");
    }
    match child.wait()?.code() {
        Some(0) => verdict(&printed),
        Some(code) if code == i32::from(NOT_RUN) => {
            Err(NotRun(printed.lines().last().unwrap_or_default().into()))?
        }
        _ => bail!("`./x.py --base {} {}` failed", base.name, args.join(" ")),
    }
}

/// What upstream counted, where it says that all is well.
fn verdict(printed: &str) -> Result<String> {
    let own = printed.split("Running ").find(|program| program.starts_with(OWN));
    if own.is_some_and(|program| program.contains("running 0 tests")) {
        bail!("{OWN} has no test in it");
    }
    Ok(format!("upstream counts {}", libtest::count(printed)?))
}

/// Has std's tests of TCP run by `./x.py` and by `cargo xtask test`, and compares what came of each.
pub fn compare(base: &Base) -> Result<String> {
    let run = |line: &str| -> Result<String> {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().expect("a line has words"));
        command.args(words).current_dir(suite::project()?.root).env_of_x_py();
        command.stdin(Stdio::null()).read()
    };
    let option = format!("--base {}", base.name);
    // Without it, upstream prints a dot for each.
    let verbose = "--set rust.verbose-tests=true -- net::tcp";
    let upstream = run(&format!("python3 x.py {option} test library/std --no-doc {verbose}"))?;
    let own = run(&format!("cargo xtask {option} test"))?;
    Ok(format!("{} tests of net::tcp, with the same results", same_verdicts(&upstream, &own)?))
}

/// Stops unless both ran the same tests with the same results; returns how many.
fn same_verdicts(upstream: &str, own: &str) -> Result<usize> {
    let [upstream, own] = [upstream, own].map(|printed| libtest::verdicts("net::tcp::", printed));
    let differ = |name: &&&str| upstream.get(**name) != own.get(**name);
    let names: Vec<_> = upstream.keys().chain(own.keys()).filter(differ).collect();
    if upstream.is_empty() || !names.is_empty() {
        let (upstream, own) = (upstream.len(), own.len());
        bail!("x.py ran {upstream} tests, and `cargo xtask test` {own}; they differ in {names:?}");
    }
    Ok(own.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tests_must_be_there() {
        let none = "running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n";
        let others = "running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        let own = format!("Running tests/tcp_keepalive.rs (deps/a)\n{none}Running b\n{others}");
        assert!(verdict(&own).unwrap_err().to_string().contains("has no test in it"));
        let other = format!("Running b\n{none}{others}");
        assert_eq!(verdict(&other).unwrap(), "upstream counts 1 passed");
    }

    #[test]
    fn other_names_or_results_are_an_error() {
        let a = "test net::tcp::a ... ok\n";
        let own = format!("{a}test net::tcp::b ... ignored\ntest both_ends ... ok\n");
        let with = |line: &str| same_verdicts(&format!("{a}{line}"), &own);
        assert_eq!(
            with("test net::tcp::b ... ignored, why\ntest net::udp ... FAILED\n").unwrap(),
            2
        );
        for line in ["", "test net::tcp::b ... FAILED\n"] {
            assert!(with(line).unwrap_err().to_string().contains("tcp::b\""));
        }
        let one_more = "test net::tcp::b ... ignored\ntest net::tcp::c ... ok\n";
        assert!(with(one_more).unwrap_err().to_string().contains("tcp::c\""));
        assert!(same_verdicts("", "").is_err());
    }
}
