//! Runs trials that are made from data as tests, with libtest's command line and output.
//!
//! Each trial is this very program once more, in a process of its own: so what it prints goes to a log,
//! and when it takes too long, it is ended with all that it started. What the machine lacks makes a
//! trial an ignored test with a reason; where everything must run, it is a failed one.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fs_err as fs;
use libtest_mimic::{Arguments, Completion, Failed};
use xtask::base::Base;
use xtask::base::project::Project;
use xtask::run::command::{self, CommandExt};
use xtask::say::failure::{NOT_RUN, failure};
use xtask::session::{Invocation, Session};

use crate::diagnostic::ending;

/// The variable that, set to anything, has the trials of the quick set fail where the machine lacks
/// what they need. `.ci/run` sets it.
const REQUIRE: &str = "EVIDENCE_REQUIRE";

/// The variables by which a process is told which trial it is to run, and which of those that run side
/// by side it is.
const TRIAL: &str = "EVIDENCE_TRIAL";
const SLOT: &str = "EVIDENCE_SLOT";

pub struct Trial {
    name: String,
    quick: bool,
    /// The time after which it is ended.
    pub limit: Duration,
    work: Box<dyn FnOnce() -> Result<String> + Send>,
}

impl Trial {
    /// A test of a base, which returns what is to be shown although it passed. It is in the quick set, and
    /// may take ten minutes, unless more is said.
    pub fn new(
        base: &Base,
        name: &str,
        work: impl FnOnce(&Base) -> Result<String> + Send + 'static,
    ) -> Trial {
        let (name, base) = (format!("{}::{name}", base.name), base.clone());
        let work = Box::new(move || work(&base));
        Trial { name, quick: true, limit: Duration::from_secs(600), work }
    }

    /// Whether it is in the quick set; the others run with `--ignored` or `--include-ignored` alone.
    pub fn quick(self, quick: bool) -> Trial {
        Trial { quick, ..self }
    }

    /// How long it may take: several times what it takes on a slow machine.
    pub fn minutes(self, minutes: u64) -> Trial {
        Trial { limit: Duration::from_secs(60 * minutes), ..self }
    }
}

/// Runs the suite of this name, or, in a process that was started for it, one trial of it.
pub fn main(suite: &str, trials: impl FnOnce(&Project) -> Result<Vec<Trial>>) -> ExitCode {
    command::begin();
    let run = || {
        let project = project()?;
        std::env::set_current_dir(&project.root)?;
        let trials = trials(&project)?;
        match std::env::var(TRIAL) {
            Ok(name) => run_one(trials, &name),
            Err(_) => run_all(project.build().join("evidence").join(suite), trials),
        }
    };
    run().unwrap_or_else(|error| failure(&error))
}

/// The project that this program was compiled in.
pub fn project() -> Result<Project> {
    Project::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
}

/// The base's tree with the series in it, and its compiler. Others may change the tree meanwhile.
pub fn open(base: &Base) -> Result<Session> {
    let on = Invocation { project: project()?, base: Some(base.name.clone()) };
    on.open("preparing the tree for a test").map(|(session, _)| session)
}

/// Which of the trials that run side by side this process is: it has to itself what has that number.
pub fn slot() -> String {
    std::env::var(SLOT).unwrap_or_else(|_| "0".into())
}

fn run_one(trials: Vec<Trial>, name: &str) -> Result<ExitCode> {
    let trial = trials.into_iter().find(|trial| trial.name == name);
    let said = (trial.context("there is no trial of this name")?.work)()?;
    // The last of the log is what is shown.
    println!("{SAID}{said}");
    Ok(ExitCode::SUCCESS)
}

/// What comes before what a passed trial has to say.
const SAID: &str = "\n==> ";

fn run_all(dir: PathBuf, trials: Vec<Trial>) -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    fs::create_dir_all(&dir)?;
    let desk = Arc::new(Desk {
        dir,
        require: std::env::var_os(REQUIRE).is_some(),
        show: arguments.nocapture,
        at_work: Mutex::default(),
        left_out: Mutex::default(),
    });
    if !arguments.list {
        let desk = desk.clone();
        thread::spawn(move || desk.watch());
    }
    let tests = trials.into_iter().map(|Trial { name, quick, limit, .. }| {
        let (desk, of_desk) = (desk.clone(), name.clone());
        let run = move || desk.run(&of_desk, quick, limit);
        libtest_mimic::Trial::ignorable_test(name, run).with_ignored_flag(!quick)
    });
    let conclusion = libtest_mimic::run(&arguments, tests.collect());
    let left_out = desk.left_out.lock().expect("no trial panics");
    if !left_out.is_empty() {
        println!("not run, because this machine lacks something:\n  {}\n", left_out.join("\n  "));
    }
    Ok(conclusion.exit_code())
}

/// A trial that runs.
struct AtWork {
    name: String,
    slot: usize,
    since: Instant,
    is_slow: bool,
}

/// What the trials of a suite have in common while they run.
struct Desk {
    /// Where the logs go.
    dir: PathBuf,
    require: bool,
    /// Whether to show what trials print as they print it.
    show: bool,
    at_work: Mutex<Vec<AtWork>>,
    /// The trials that were not run, and why.
    left_out: Mutex<Vec<String>>,
}

impl Desk {
    fn run(&self, name: &str, quick: bool, limit: Duration) -> Result<Completion, Failed> {
        let slot = self.begin(name);
        let result = self.run_in(slot, name, limit);
        self.at_work.lock().expect("no trial panics").retain(|trial| trial.slot != slot);
        clear_line();
        let (code, log) = result.map_err(|error| format!("{error:#}"))?;
        match code {
            Some(0) => {
                if let Some((_, said)) = log.rsplit_once(SAID).filter(|(_, said)| *said != "\n") {
                    println!("{name}: {}", said.trim_end());
                }
                Ok(Completion::Completed)
            }
            Some(code) if code == i32::from(NOT_RUN) && !(self.require && quick) => {
                let (_, reason) = log.rsplit_once("error: ").unwrap_or(("", &log));
                let left_out = format!("{name}: {}", reason.trim_end());
                self.left_out.lock().expect("no trial panics").push(left_out);
                Ok(Completion::ignored_with(reason.lines().next().unwrap_or_default()))
            }
            _ => {
                let (end, log) = (ending(log.as_bytes()), self.log(name));
                Err(format!("{end}\n\nthe whole log: {}", log.display()).into())
            }
        }
    }

    /// Takes a number that no running trial has.
    fn begin(&self, name: &str) -> usize {
        let mut at_work = self.at_work.lock().expect("no trial panics");
        let taken: BTreeSet<_> = at_work.iter().map(|trial| trial.slot).collect();
        // nextest starts one process for each trial, and numbers these itself.
        let first = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|n| n.parse().ok());
        let slot = (first.unwrap_or(0)..).find(|n| !taken.contains(n)).expect("some are free");
        let name = name.to_owned();
        at_work.push(AtWork { name, slot, since: Instant::now(), is_slow: false });
        slot
    }

    /// Its exit code, unless it was ended by a signal, and what it printed.
    fn run_in(&self, slot: usize, name: &str, limit: Duration) -> Result<(Option<i32>, String)> {
        let mut trial = Command::new(std::env::current_exe()?);
        trial.env(TRIAL, name).env(SLOT, slot.to_string()).stdin(Stdio::null());
        let log = self.log(name);
        let file = fs::File::create(&log)?.into_parts().0;
        if !self.show {
            trial.stdout(file.try_clone()?).stderr(file);
        }
        let ended = trial.show_within(limit);
        let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        match ended {
            Ok(status) => Ok((status.code(), printed)),
            Err(error) => Ok((None, format!("{printed}\nerror: {error:#}"))),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.log", name.replace([':', '/', ' '], "-")))
    }

    /// Says what has been at work for a minute; on a terminal, also what is at work now.
    fn watch(&self) {
        let is_terminal = std::io::stderr().is_terminal() && !self.show;
        loop {
            thread::sleep(Duration::from_secs(1));
            let mut line = String::new();
            for trial in self.at_work.lock().expect("no trial panics").iter_mut() {
                let (name, seconds) = (&trial.name, trial.since.elapsed().as_secs());
                if seconds >= 60 && !trial.is_slow {
                    trial.is_slow = true;
                    let log = self.log(name);
                    clear_line();
                    eprintln!(
                        "test {name} has been running for over 60 seconds; its log: {}",
                        log.display()
                    );
                }
                line += &format!("{}{name} ({seconds} s)", if line.is_empty() { "" } else { ", " });
            }
            if is_terminal && !line.is_empty() {
                let line: String = line.chars().take(100).collect();
                eprint!("\x1b[2K{line}\r");
            }
        }
    }
}

/// Clears the line that says what is at work.
fn clear_line() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\x1b[2K");
    }
}
