//! Reads what Rust's test harness says of a run, in its JSON format: it counts the tests itself,
//! and a run that does not come to its end is not taken for one that passed.

use std::collections::BTreeSet;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::run::command::{CommandExt, Finished};

/// The series' black-box test, in library/.
pub const KEEPALIVE: &str = "std/tests/tcp_keepalive.rs";

/// A test program that takes longer than this hangs. Most take less than a second.
pub const LIMIT: Duration = Duration::from_secs(180);

#[derive(Debug, PartialEq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub ignored: usize,
    /// The tests that failed, with what they printed.
    pub failures: Vec<(String, String)>,
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

impl Counts {
    /// Stops if a test failed, with what it printed.
    pub fn all_passed(self) -> Result<Counts> {
        let failures = self.failures.iter().map(|(name, output)| format!("\n{name}:\n{output}"));
        if self.failed > 0 {
            bail!("{self}{}", failures.collect::<String>());
        }
        Ok(self)
    }
}

/// Runs the test program and counts. That tests fail is no error.
pub fn run(program: &mut Command) -> Result<Counts> {
    // The format is not yet stable.
    program.args(["-Zunstable-options", "--format=json"]).env("RUSTC_BOOTSTRAP", "1");
    let Finished { status, stdout, stderr } = program.run_within(LIMIT)?;
    let ending = || format!("the test program ended with {status}; it printed\n{stderr}");
    let counts = parse(&stdout).with_context(ending)?;
    if !status.success() && counts.failed == 0 {
        bail!("no test failed, but {}", ending());
    }
    Ok(counts)
}

/// Reads what the test program printed. Lines that are not the harness's are passed over.
pub fn parse(output: &str) -> Result<Counts> {
    let mut expected = 0;
    let mut ended = None;
    let mut running = BTreeSet::new();
    let mut failures = Vec::new();
    for line in output.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| line[key].as_u64().map(|number| number as usize);
        match (text("type").as_str(), text("event").as_str()) {
            ("suite", "started") => expected = number("test_count").unwrap_or(0),
            ("suite", _) => {
                ended = number("passed").zip(number("failed")).zip(number("ignored"));
            }
            ("test", "started") => {
                running.insert(text("name"));
            }
            ("test", event) => {
                running.remove(&text("name"));
                if !["ok", "ignored"].contains(&event) {
                    failures.push((text("name"), text("stdout")));
                }
            }
            _ => {}
        }
    }
    let Some(((passed, failed), ignored)) = ended else {
        let running = if running.is_empty() { ["no test".into()].into() } else { running };
        let running: Vec<_> = running.into_iter().collect();
        bail!("the test program ended before the tests did, in: {}", running.join(", "));
    };
    if passed + failed + ignored != expected || passed + failed == 0 {
        bail!("{passed} passed, {failed} failed, {ignored} ignored, of {expected} tests");
    }
    Ok(Counts { passed, failed, ignored, failures })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = r#"{ "type": "suite", "event": "started", "test_count": 3 }"#;
    const RUNNING: &str = r#"{ "type": "test", "event": "started", "name": "roundtrip" }"#;
    const OK: &str = r#"{ "type": "test", "name": "roundtrip", "event": "ok" }"#;

    fn end(event: &str, passed: usize, failed: usize, ignored: usize) -> String {
        format!(
            r#"{{ "type": "suite", "event": "{event}", "passed": {passed}, "failed": {failed},
                 "ignored": {ignored}, "measured": 0, "filtered_out": 0, "exec_time": 0.3 }}"#
        )
        .replace('\n', "")
    }

    #[test]
    fn counts_are_the_harness_own() {
        let output = format!("noise\n{STARTED}\n{RUNNING}\n{OK}\n{}\n", end("ok", 2, 0, 1));
        let counts = parse(&output).unwrap();
        assert_eq!(counts, Counts { passed: 2, failed: 0, ignored: 1, failures: vec![] });
    }

    #[test]
    fn failure_has_its_output() {
        let failed = r#"{ "type": "test", "name": "ipv6", "event": "failed", "stdout": "boom" }"#;
        let output = format!("{STARTED}\n{failed}\n{}", end("failed", 1, 1, 1));
        let counts = parse(&output).unwrap();
        assert_eq!(counts.failed, 1);
        assert_eq!(counts.failures, [("ipv6".to_owned(), "boom".to_owned())]);
    }

    #[test]
    fn all_may_fail() {
        let counts = parse(&format!("{STARTED}\n{}", end("failed", 0, 3, 0))).unwrap();
        assert_eq!(counts.failed, 3);
    }

    #[test]
    fn crash_is_not_a_pass() {
        let error = parse(&format!("{STARTED}\n{RUNNING}\nSegmentation fault")).unwrap_err();
        assert!(error.to_string().ends_with("in: roundtrip"), "{error}");
        assert!(parse("").is_err());
    }

    #[test]
    fn run_without_a_test_is_not_a_pass() {
        let none = r#"{ "type": "suite", "event": "started", "test_count": 0 }"#;
        assert!(parse(&format!("{none}\n{}", end("ok", 0, 0, 0))).is_err());
        assert!(parse(&format!("{STARTED}\n{}", end("ok", 0, 0, 3))).is_err());
        assert!(parse(&format!("{STARTED}\n{}", end("ok", 2, 0, 0))).is_err());
    }
}
