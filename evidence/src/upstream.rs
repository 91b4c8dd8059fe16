//! Runs upstream's own tests with `./x.py`, as the README has it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use xtask::base::Base;
use xtask::run::command::CommandExt;
use xtask::say::failure::NOT_RUN;

use crate::{libtest, suite};

/// Runs `./x.py ARGS` on the base's tree, and returns how many tests passed.
pub fn pass(base: &Base, args: &[&str]) -> Result<String> {
    counts(&x_py(base, args)?)
}

/// The same for std's tests, which must have those among them that the series add. For upstream, all would
/// be well without any.
pub fn pass_with_own(base: &Base, args: &[&str]) -> Result<String> {
    let printed = x_py(base, args)?;
    let tree = suite::project()?.build_of(base, "rust");
    has_tests_of(&fs::read_to_string(tree.join("library").join(libtest::KEEPALIVE))?, &printed)?;
    counts(&printed)
}

fn counts(printed: &str) -> Result<String> {
    Ok(format!("upstream counts {}", libtest::count(printed)?))
}

/// Runs `./x.py ARGS`, and returns what it printed on its standard output, each test on a line of its
/// own. What cargo says on the standard error is not in it: x.py writes the line with a program's results
/// in pieces, and cargo may name the next program between two of them.
fn x_py(base: &Base, args: &[&str]) -> Result<String> {
    let mut x_py = Command::new("python3");
    x_py.args(["x.py", "--base", &base.name]).args(VERBOSE).args(args);
    x_py.current_dir(suite::project()?.root).env_of_x_py();
    let mut child = x_py.stdin(Stdio::null()).stdout(Stdio::piped()).start()?;
    let mut printed = String::new();
    // It is at its end when the last who writes to it has ended.
    for line in BufReader::new(child.stdout.take().expect("it is a pipe")).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        printed += &format!("{line}\n");
    }
    match child.wait()?.code() {
        Some(0) => Ok(printed),
        // It has said why.
        Some(code) if code == i32::from(NOT_RUN) => std::process::exit(code),
        _ => bail!("`./x.py --base {} {}` failed", base.name, args.join(" ")),
    }
}

/// Without it, upstream's x.py prints a dot for each test.
const VERBOSE: [&str; 2] = ["--set", "rust.verbose-tests=true"];

/// Stops unless each of the file's tests was run.
fn has_tests_of(file: &str, printed: &str) -> Result<()> {
    let ran = libtest::verdicts("", printed);
    let tests = file.split("#[test]").skip(1);
    let names = tests.filter_map(|test| Some(test.split_once("fn ")?.1.split_once('(')?.0));
    let own: Vec<_> = names.collect();
    let missing: Vec<_> = own.iter().filter(|name| !ran.contains_key(**name)).collect();
    if own.is_empty() || !missing.is_empty() {
        bail!("{} has {} tests; x.py did not run {missing:?}", libtest::KEEPALIVE, own.len());
    }
    Ok(())
}

/// Has std's tests of TCP run by `./x.py` and by `cargo xtask test`, and compares what came of each.
pub fn compare(base: &Base) -> Result<String> {
    let upstream = x_py(base, &["test", "library/std", "--no-doc", "--", "net::tcp"])?;
    let mut own = Command::new("cargo");
    own.args(["xtask", "--base", &base.name, "test"]).current_dir(suite::project()?.root);
    let own = own.env_of_x_py().stdin(Stdio::null()).read()?;
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
        let file = "#[test]\nfn a() {\n    f();\n}\n\n#[test]\n#[cfg(unix)]\nfn b() {}\n";
        let a = "test a ... ok\ntest net::tcp::b ... ok\n";
        assert!(has_tests_of(file, &format!("{a}test b ... ok\n")).is_ok());
        assert!(has_tests_of(file, a).unwrap_err().to_string().ends_with("did not run [\"b\"]"));
        assert!(has_tests_of("fn c() {}", a).is_err());
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
