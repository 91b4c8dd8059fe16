//! Runs upstream's own tests with `./x.py`, as the README has it.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use xtask::base::Base;
use xtask::run::command::CommandExt;
use xtask::say::failure::{NOT_RUN, NotRun};

use crate::{suite, verdicts};

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
    let mut totals = Totals::default();
    let mut last = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        totals.read(&line);
        last = line;
    }
    match child.wait()?.code() {
        Some(0) => totals.verdict(),
        Some(code) if code == i32::from(NOT_RUN) => Err(NotRun(last))?,
        _ => bail!("`./x.py --base {} {}` failed; {totals}", base.name, args.join(" ")),
    }
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
    let verbose = "--set rust.verbose-tests=true -- net::tcp";
    let upstream = run(&format!("python3 x.py {option} test library/std --no-doc {verbose}"))?;
    let own = run(&format!("cargo xtask {option} test"))?;
    let count = verdicts::compare("net::tcp::", &upstream, &own)?;
    Ok(format!("{count} tests of net::tcp, with the same results"))
}

/// The sums of what libtest and compiletest say at the end of each program or suite.
#[derive(Default)]
struct Totals {
    /// How many passed, failed, and were ignored.
    counts: [usize; 3],
    /// Whether the line before said that the series' own tests follow.
    is_own: bool,
    own_is_empty: bool,
}

impl Totals {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("Running ") {
            self.is_own = line.contains(OWN);
        }
        self.own_is_empty |= self.is_own && line == "running 0 tests";
        let Some(result) = line.strip_prefix("test result: ") else { return };
        self.is_own = false;
        for part in result.split(['.', ';']) {
            for (count, word) in self.counts.iter_mut().zip([" passed", " failed", " ignored"]) {
                let number = part.trim().strip_suffix(word).and_then(|number| number.parse().ok());
                *count += number.unwrap_or(0);
            }
        }
    }

    fn verdict(self) -> Result<String> {
        if self.own_is_empty {
            bail!("{OWN} has no test in it");
        }
        if self.counts[0] == 0 {
            bail!("x.py ended well, and no test ran");
        }
        Ok(self.to_string())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [passed, failed, ignored] = self.counts;
        write!(f, "upstream counts {passed} passed, {failed} failed, {ignored} ignored")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(output: &str) -> Result<String, String> {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.read(line));
        totals.verdict().map_err(|error| error.to_string())
    }

    #[test]
    fn results_of_all_programs_are_added_up() {
        let said = "     Running tests/tcp_keepalive.rs (deps/a)\n\nrunning 2 tests\n..\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.50s\n\
            running 0 tests\ntest result: ok. 40 passed; 0 failed; 2 ignored; 0 measured\n";
        assert_eq!(verdict(said).unwrap(), "upstream counts 42 passed, 0 failed, 3 ignored");
    }

    #[test]
    fn nothing_that_ran_is_no_success() {
        let none = "running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n";
        assert!(verdict(none).unwrap_err().contains("no test ran"));
        let others = "running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        let own = format!("Running tests/tcp_keepalive.rs (deps/a)\n{none}Running b\n{others}");
        assert!(verdict(&own).unwrap_err().contains("has no test in it"));
        assert!(verdict(&format!("Running b\n{none}{others}")).is_ok());
    }
}
