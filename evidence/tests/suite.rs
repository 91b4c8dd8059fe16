//! The tests of how suites run their trials: this program is a suite of made-up ones when it is told so.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use evidence::suite::{self, Trial};
use libtest_mimic::{Arguments, Failed};
use xtask::base::project::Project;
use xtask::say::failure::NotRun;

/// The variable that makes this program the suite of made-up trials.
const MADE_UP: &str = "EVIDENCE_MADE_UP";

fn main() -> ExitCode {
    if std::env::var_os(MADE_UP).is_some() {
        return suite::main("made-up", made_up);
    }
    let tests = [
        ("what passed can say something", passed as fn() -> Result<(), Failed>),
        ("what failed shows the end of its log", failed),
        ("what the machine lacks is ignored and listed", lacking),
        ("what the machine lacks fails where all must run", required),
        ("what takes too long is ended with its children", endless),
        ("what is not quick runs when it is asked for", slow),
    ];
    let tests = tests.map(|(name, test)| libtest_mimic::Trial::test(name, test));
    libtest_mimic::run(&Arguments::from_args(), tests.into()).exit_code()
}

fn made_up(project: &Project) -> Result<Vec<Trial>> {
    let base = &project.base(None)?;
    let mut endless = Trial::new(base, "endless", |_| {
        let alive = alive();
        let mut shell = Command::new("sh");
        shell.args(["-c", "while :; do : >\"$0\"; sleep 0.05; done"]).arg(alive).status()?;
        Ok(String::new())
    });
    endless.limit = Duration::from_millis(500);
    Ok(vec![
        Trial::new(base, "says", |_| Ok("12 passed".into())),
        Trial::new(base, "fails", |_| {
            println!("{}the last words", "a line\n".repeat(100));
            bail!("it is wrong")
        }),
        Trial::new(base, "lacks", |_| Err(NotRun("no such program\n  install it".into()))?),
        Trial::new(base, "slow", |_| Ok("took its time".into())).quick(false),
        endless,
    ])
}

/// A file that is made again and again while the endless trial runs.
fn alive() -> PathBuf {
    std::env::temp_dir().join(format!("evidence-alive-{}", std::env::var(MADE_UP).unwrap()))
}

fn run(args: &[&str], environment: &[(&str, &str)]) -> Result<(Output, String), Failed> {
    let mut suite = Command::new(std::env::current_exe()?);
    suite.args(args).env_remove("EVIDENCE_REQUIRE").env(MADE_UP, std::process::id().to_string());
    let output = suite.envs(environment.iter().copied()).output()?;
    let printed = String::from_utf8([&*output.stdout, &output.stderr].concat())?;
    Ok((output, printed))
}

/// Fails unless the suite ended like that, having printed all these words.
fn expect(run: (Output, String), success: bool, words: &[&str]) -> Result<(), Failed> {
    let (output, printed) = run;
    if output.status.success() != success || words.iter().any(|word| !printed.contains(word)) {
        return Err(format!("{}, and it printed\n{printed}", output.status).into());
    }
    Ok(())
}

fn passed() -> Result<(), Failed> {
    expect(run(&["says"], &[])?, true, &["1.95::says: 12 passed", "1 passed; 0 failed"])
}

fn failed() -> Result<(), Failed> {
    let run = run(&["fails"], &[])?;
    if run.1.matches("a line").count() > 60 {
        return Err("all of the log is shown".into());
    }
    expect(run, false, &["the last words", "it is wrong", "1.95--fails.log", "0 passed; 1 failed"])
}

fn lacking() -> Result<(), Failed> {
    let words = ["ignored (no such program)", "1.95::lacks: no such program\n  install it"];
    expect(run(&["lacks"], &[])?, true, &words)
}

fn required() -> Result<(), Failed> {
    let words = ["no such program", "0 passed; 1 failed"];
    expect(run(&["lacks"], &[("EVIDENCE_REQUIRE", "1")])?, false, &words)
}

fn endless() -> Result<(), Failed> {
    let started = Instant::now();
    expect(run(&["endless"], &[])?, false, &["was ended: it still ran after"])?;
    if started.elapsed() > Duration::from_secs(20) {
        return Err("it was not ended in time".into());
    }
    let alive = std::env::temp_dir().join(format!("evidence-alive-{}", std::process::id()));
    std::fs::remove_file(&alive)?;
    sleep(Duration::from_millis(500));
    if alive.exists() {
        return Err("what it started goes on".into());
    }
    Ok(())
}

fn slow() -> Result<(), Failed> {
    expect(run(&["slow"], &[])?, true, &["0 passed; 0 failed; 1 ignored"])?;
    expect(run(&["slow", "--ignored"], &[])?, true, &["took its time", "1 passed"])
}
