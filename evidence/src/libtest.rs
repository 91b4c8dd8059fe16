//! Reads the output of libtest, from one test program or from all test programs that upstream's x.py runs. An
//! incomplete run is an error.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use crate::suite::Place;

/// The integration test of the series, in library/.
pub const KEEPALIVE: &str = "std/tests/tcp_keepalive.rs";

/// The time limit of a test program in seconds. Most take less than a second.
pub const LIMIT: u64 = 180;

/// The numbers of tests, as libtest counts them.
#[derive(Debug, PartialEq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub ignored: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        for (count, word) in [(self.failed, "FAILED"), (self.ignored, "ignored")] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
    }
}

/// Runs the test program, and returns its output. A failed test is no error.
pub fn run(place: &Place, program: &mut Command) -> Result<String> {
    Ok(result(&place.run(program, LIMIT)?)?.1)
}

/// Returns the counts of a test program that ended. A failed test is an error.
pub fn passed(output: &Output) -> Result<Counts> {
    let (counts, printed) = result(output)?;
    if counts.failed > 0 {
        bail!("{printed}\n{counts}");
    }
    Ok(counts)
}

/// Returns the counts of a test program that ended, and its output. A failed test is no error.
fn result(output: &Output) -> Result<(Counts, String)> {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o));
    let (status, printed) = (output.status, format!("{stdout}{stderr}"));
    let ending = || format!("the test program ended with {status} and printed\n{printed}");
    let counts = count(&stdout).with_context(ending)?;
    if status.success() != (counts.failed == 0) {
        bail!("{counts}, but {}", ending());
    }
    Ok((counts, printed))
}

/// Adds up the counts that libtest prints at the end of each program.
pub fn count(printed: &str) -> Result<Counts> {
    let (mut counts, mut expected) = (Counts { passed: 0, failed: 0, ignored: 0 }, 0);
    for line in printed.lines().map(str::trim) {
        let number = line.strip_prefix("running ").and_then(|rest| {
            rest.strip_suffix(" tests").or(rest.strip_suffix(" test"))?.parse::<usize>().ok()
        });
        expected += number.unwrap_or(0);
        if let Some(result) = line.strip_prefix("test result: ") {
            let words: Vec<_> = result.split([' ', ';', '.']).filter(|w| !w.is_empty()).collect();
            let of = |name| -> Result<usize> {
                let pair = words.windows(2).find(|pair| pair[1] == name);
                let number = pair.and_then(|pair| pair[0].parse().ok());
                number.with_context(|| format!("{line:?} has no number of {name} tests"))
            };
            counts.passed += of("passed")?;
            counts.failed += of("failed")?;
            counts.ignored += of("ignored")?;
        }
    }
    let Counts { passed, failed, ignored } = counts;
    if passed + failed + ignored != expected {
        bail!("the output ends before the tests: {counts}, of {expected}");
    }
    if passed + failed == 0 {
        bail!("no test ran");
    }
    Ok(counts)
}

/// Returns the result of each test whose name begins with `module`.
pub fn verdicts<'a>(module: &str, printed: &'a str) -> BTreeMap<&'a str, &'a str> {
    let test = |line: &'a str| line.trim().strip_prefix("test ")?.split_once(" ... ");
    let tests = printed.lines().filter_map(test).filter(|(name, _)| name.starts_with(module));
    // A reason or a time may follow the result.
    tests.map(|(name, text)| (name, text.split([',', ' ']).next().unwrap_or(text))).collect()
}

/// Checks that the output has a result for each test of the source file.
pub fn require_tests_of(file: &str, printed: &str) -> Result<()> {
    let ran = verdicts("", printed);
    let tests = file.split("#[test]").skip(1);
    let names = tests.map(|test| Some(test.split_once("fn ")?.1.split_once('(')?.0));
    let own: Vec<_> = names.collect::<Option<_>>().context("a test without a function")?;
    let has_run = |name: &&&str| ran.get(**name).is_some_and(|verdict| *verdict != "ignored");
    let missing: Vec<_> = own.iter().filter(|name| !has_run(name)).collect();
    if own.is_empty() || !missing.is_empty() {
        bail!("{KEEPALIVE} has {} tests, and {missing:?} did not run", own.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tests_must_run() {
        let file = "#[test]\nfn a() {\n    f();\n}\n\n#[test]\n#[cfg(unix)]\nfn b() {}\n";
        let a = "test a ... ok\ntest net::tcp::b ... ok\n";
        assert!(require_tests_of(file, &format!("{a}test b ... ok\n")).is_ok());
        let error = require_tests_of(file, a).unwrap_err().to_string();
        assert!(error.ends_with("[\"b\"] did not run"), "{error}");
        assert!(require_tests_of(file, &format!("{a}test b ... ignored\n")).is_err());
        assert!(require_tests_of("fn c() {}", a).is_err());
    }

    fn result(passed: usize, failed: usize, ignored: usize) -> String {
        format!(
            "test result: ok. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 3 filtered \
             out; finished in 1.50s\n"
        )
    }

    fn counted(printed: &str) -> Result<String, String> {
        count(printed).map(|counts| counts.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn counts_of_all_programs_are_added() {
        let one = format!("noise\nrunning 3 tests\ntest a ... ok\n{}", result(2, 0, 1));
        assert_eq!(counted(&one).unwrap(), "2 passed, 1 ignored");
        let two = format!("{one}   Running b\n\nrunning 1 test\n.F\n{}", result(0, 1, 0));
        assert_eq!(counted(&two).unwrap(), "2 passed, 1 FAILED, 1 ignored");
    }

    #[test]
    fn all_may_fail() {
        let all = format!("running 3 tests\n{}", result(0, 3, 0));
        assert_eq!(counted(&all).unwrap(), "0 passed, 3 FAILED");
    }

    #[test]
    fn crash_is_an_error() {
        let crash = "running 3 tests\ntest a ... ok\nSegmentation fault";
        assert!(counted(crash).unwrap_err().contains("before the tests"));
        assert!(counted(&format!("{}{crash}", result(2, 0, 0))).is_err());
    }

    #[test]
    fn run_without_a_test_is_an_error() {
        for (number, ignored) in [(0, 0), (3, 3)] {
            let none = format!("running {number} tests\n{}", result(0, 0, ignored));
            assert_eq!(counted(&none).unwrap_err(), "no test ran");
        }
        assert_eq!(counted("").unwrap_err(), "no test ran");
    }

    #[test]
    fn verdicts_have_no_times_and_reasons() {
        let printed = "test net::b ... ignored, why (3.00us)\ntest fs::c ... ok\n\
            running 2 tests\ntest net::a ... FAILED\ntest net::d ... ok (1.20ms)\n";
        let expected = [("net::a", "FAILED"), ("net::b", "ignored"), ("net::d", "ok")];
        assert_eq!(Vec::from_iter(verdicts("net::", printed)), expected);
    }
}
