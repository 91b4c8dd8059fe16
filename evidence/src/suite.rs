//! Runs the trials of all suites in one process, side by side, with libtest's command line and output.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::TryLockError;
use std::io::{IsTerminal, Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use fs_err as fs;
use libtest_mimic::{Arguments, Completion, Conclusion, Failed};
use xtask::base::Base;
use xtask::compiler::Compiler;
use xtask::error::{NotRun, report};
use xtask::git::Git;
use xtask::out::shown;
use xtask::project::Project;
use xtask::run::{CommandExt, words};
use xtask::store::Store;

use crate::tables::{self, Row};

/// With this variable set, a trial of the quick set fails if the machine lacks what the trial needs.
const REQUIRE: &str = "EVIDENCE_REQUIRE";

/// A suite: its name, and the function that makes its trials out of the repository's data.
pub type Suite = (&'static str, fn(&Project) -> Result<Vec<Trial>>);

pub enum Outcome {
    /// The text is shown after the run. It may be empty.
    Passed(String),
    /// The machine lacks something. The text says what, and how to get it.
    Lacks(String),
}

pub struct Trial {
    suite: String,
    base: Base,
    name: String,
    is_quick: bool,
    needs: Needs,
    work: Box<dyn FnOnce(&Place) -> Result<Outcome> + Send>,
}

/// The resources that a trial occupies while it runs.
#[derive(Clone, Default)]
struct Needs {
    waits: bool,
    alone: Vec<&'static str>,
}

impl Trial {
    /// Returns the trial `SUITE::BASE::NAME` of the quick set.
    pub fn new(
        suite: &str,
        base: &Base,
        name: &str,
        work: impl FnOnce(&Place) -> Result<Outcome> + Send + 'static,
    ) -> Trial {
        Trial {
            suite: suite.into(),
            base: base.clone(),
            name: name.into(),
            is_quick: true,
            needs: Needs::default(),
            work: Box::new(work),
        }
    }

    /// Says whether the trial runs without `--ignored` and `--include-ignored`.
    pub fn quick(self, is_quick: bool) -> Trial {
        Trial { is_quick, ..self }
    }

    /// Lets no other trial that names this resource run at the same time.
    pub fn alone(mut self, resource: &'static str) -> Trial {
        self.needs.alone.push(resource);
        self
    }

    /// Says that the trial mostly waits, so that it needs no processor of its own.
    pub fn waits(mut self) -> Trial {
        self.needs.waits = true;
        self
    }

    fn full_name(&self) -> String {
        format!("{}::{}::{}", self.suite, self.base.name, self.name)
    }
}

/// A base that is ready for trials.
pub struct Opened {
    pub base: Base,
    pub compiler: Compiler,
    pub store: Store,
}

impl Opened {
    pub fn open(project: &Project, base: &Base) -> Result<Opened> {
        let compiler = Compiler::find(base)?;
        let store = Store::open(project, base, &compiler, None)?;
        Ok(Opened { base: base.clone(), compiler, store })
    }

    /// Returns `library/` with the series.
    pub fn library(&self) -> Result<PathBuf> {
        self.store.library("series")
    }

    /// Returns the name of the directory with the rows of this base, series and compiler.
    pub fn found_with(&self) -> Result<String> {
        let series = self.store.tree_of("series:library")?;
        let compiler = self.compiler.version_field("commit-hash")?;
        Ok(format!("{}-{}-{}", self.base.name, &series[..12], &compiler[..12]))
    }
}

/// The directories that a running trial has to itself.
pub struct Place {
    project: Project,
    base: Base,
    suite: String,
    name: String,
    dir: PathBuf,
    log: PathBuf,
    opened: Arc<Opened>,
    /// The lock of `dir`.
    _lock: fs::File,
}

type Open = fn(&Project, &Base) -> Result<Opened>;

/// An opened base, or why it cannot be opened.
type Ready = Result<Arc<Opened>>;

impl Place {
    pub fn project(&self) -> &Project {
        &self.project
    }

    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Returns a directory that no other running trial uses. It is kept for later trials of the same suite
    /// and base, so cargo's caches belong here.
    pub fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Returns the base's store and compiler, which all trials of a process share.
    pub fn opened(&self) -> Result<Arc<Opened>> {
        Ok(self.opened.clone())
    }

    /// Appends the text to the trial's log.
    pub fn log(&self, text: &str) {
        self.log_bytes(format!("{}\n", text.trim_end()).as_bytes());
    }

    fn log_bytes(&self, bytes: &[u8]) {
        let log = fs::OpenOptions::new().append(true).create(true).open(&self.log);
        let written = log.and_then(|mut log| log.write_all(bytes));
        if let Err(error) = written {
            eprintln!("warning: {error}");
        }
    }

    /// Runs the command in a clean environment, and ends it with its children after `seconds`. Its output
    /// is also written to the log. Any exit code is fine.
    pub fn run(&self, command: &mut Command, seconds: u64) -> Result<Output> {
        self.log(&format!("$ {}", words(command)));
        let started = Instant::now();
        let mut limited = limited(command, seconds);
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            limited.spawn().with_context(|| format!("cannot run `{}`", words(command)))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = thread::scope(|scope| {
            let reader = scope.spawn(|| self.read_and_log(stderr));
            (self.read_and_log(stdout), reader.join().expect("reading does not panic"))
        });
        let output = Output { status: child.wait()?, stdout: stdout?, stderr: stderr? };
        if !output.status.success() && started.elapsed() >= Duration::from_secs(seconds) {
            bail!("`{}` still ran after {seconds} seconds and was ended", words(command));
        }
        Ok(output)
    }

    fn read_and_log(&self, pipe: Option<impl Read>) -> Result<Vec<u8>> {
        let (mut pipe, mut all, mut chunk) = (pipe.context("no pipe")?, Vec::new(), [0; 8192]);
        loop {
            let read = pipe.read(&mut chunk)?;
            if read == 0 {
                return Ok(all);
            }
            all.extend_from_slice(&chunk[..read]);
            self.log_bytes(&chunk[..read]);
        }
    }

    /// Writes the trial's row of the suite's table, with today's date unless the row has a date.
    pub fn record(&self, row: &Row) -> Result<()> {
        let mut row = row.clone();
        if row.date.is_empty() {
            row.date = Command::new("date").args(["-u", "+%F"]).stdout_of()?;
        }
        row.write(&self.project.build, &self.row_file()?)
    }

    /// Returns the trial's row, if the trial ran before with the same series and compiler.
    pub fn recorded(&self) -> Result<Option<Row>> {
        Row::read(&self.row_file()?)
    }

    fn row_file(&self) -> Result<PathBuf> {
        let found_with = self.opened()?.found_with()?;
        Ok(tables::file(&self.project, &self.suite, &found_with, &self.name))
    }
}

/// Returns the command under `timeout`, in a clean environment. `timeout` puts the command into a process
/// group that Ctrl-C does not reach, so on Linux `setpriv` ends `timeout` when this process ends.
fn limited(command: &Command, seconds: u64) -> Command {
    let mut words: Vec<OsString> = Vec::new();
    let is_there = |program: &str| which::which(program).is_ok();
    if is_there("timeout") {
        if cfg!(target_os = "linux") && is_there("setpriv") {
            words.extend(["setpriv", "--pdeathsig", "TERM"].map(Into::into));
        }
        words.extend(["timeout", "-k", "10", &seconds.to_string()].map(Into::into));
    }
    words.push(command.get_program().into());
    words.extend(command.get_args().map(Into::into));
    let mut limited = Command::new(&words[0]);
    limited.args(&words[1..]).clean_env();
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    limited
}

/// Runs the suites as the command line says. The whole of a test program's `main`.
pub fn main(suites: &[Suite]) -> ExitCode {
    let run = || -> Result<ExitCode> {
        let project = Project::of_cargo()?;
        std::env::set_current_dir(&project.root)?;
        let trials = trials(&project, suites)?;
        let is_required = std::env::var_os(REQUIRE).is_some();
        let arguments = Arguments::from_args();
        let (conclusion, report) = run(&project, arguments, trials, Opened::open, is_required);
        print!("{report}");
        Ok(conclusion.exit_code())
    };
    run().unwrap_or_else(|error| report(&error))
}

/// Returns the base and the name of each trial of a suite.
pub fn names(project: &Project, suites: &[Suite], suite: &str) -> Result<Vec<(String, String)>> {
    let suites: Vec<_> = suites.iter().filter(|(name, _)| *name == suite).copied().collect();
    let trials = trials(project, &suites)?.into_iter();
    Ok(trials.map(|trial| (trial.base.name, trial.name)).collect())
}

/// Returns the trials of all suites. An empty suite is an error.
fn trials(project: &Project, suites: &[Suite]) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for (suite, make) in suites {
        let made = make(project).with_context(|| format!("the suite {suite}"))?;
        if made.is_empty() {
            bail!("the suite {suite} has no trials: its table is empty");
        }
        trials.extend(made);
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = trials.iter().map(Trial::full_name).find(|name| !names.insert(name.clone()))
    {
        bail!("two trials have the name {twice}");
    }
    Ok(trials)
}

/// What all trials of a run share.
struct Run {
    project: Project,
    /// Whether a trial of the quick set may not be left out.
    is_required: bool,
    /// How many trials that do not wait may run at a time.
    processors: usize,
    bases: BTreeMap<String, Ready>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The trials that have not started, by their place in the order.
    queue: BTreeMap<usize, Needs>,
    busy: usize,
    taken: BTreeSet<&'static str>,
    running: BTreeMap<String, Running>,
    /// The texts of the trials that passed, by name.
    texts: BTreeMap<String, String>,
    /// The trials that were not run, by the reason: mostly what the machine lacks.
    lacking: BTreeMap<String, Vec<String>>,
}

struct Running {
    since: Instant,
    is_slow: bool,
}

/// Runs the trials that the arguments select. Returns what libtest counted, and what is to be said of
/// the trials that did not run and of the evidence.
fn run(
    project: &Project,
    mut arguments: Arguments,
    trials: Vec<Trial>,
    open: Open,
    is_required: bool,
) -> (Conclusion, String) {
    // libtest-mimic can select, but wants its own type.
    let of_libtest = |trial: &Trial, run: Box<dyn FnOnce() -> Result<Completion, Failed> + Send>| {
        libtest_mimic::Trial::ignorable_test(trial.full_name(), run)
            .with_ignored_flag(!trial.is_quick)
    };
    let empty = || Box::new(|| Ok(Completion::Completed)) as Box<_>;
    if arguments.list {
        let all = trials.iter().map(|trial| of_libtest(trial, empty())).collect();
        return (libtest_mimic::run(&arguments, all), String::new());
    }
    let total = trials.len();
    let (mut selected, mut others, mut not_quick) = (Vec::new(), Vec::new(), Vec::new());
    for trial in trials {
        let as_test = of_libtest(&trial, empty());
        if arguments.is_filtered_out(&as_test) {
            others.push(as_test);
        } else if arguments.is_ignored(&as_test) {
            not_quick.push(format!("{}::{}", trial.suite, trial.base.name));
        } else {
            selected.push(trial);
        }
    }

    let bases = open_bases(project, &selected, open);
    let (mut state, mut failed) = (State::default(), BTreeSet::new());
    selected.retain(|trial| {
        let Err(error) = &bases[&trial.base.name] else { return true };
        let is_lack = error.is::<NotRun>() && !is_required;
        // The first trial of a base fails for all.
        if !is_lack && failed.insert(trial.base.name.clone()) {
            return true;
        }
        let base = &trial.base.name;
        let failed = format!("the base {base} cannot be opened, as a failed trial says");
        let reason = if is_lack { format!("{error:#}") } else { failed };
        state.lacking.entry(reason).or_default().push(trial.full_name());
        false
    });
    state.queue = selected.iter().map(|trial| trial.needs.clone()).enumerate().collect();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let run = Arc::new(Run {
        project: project.clone(),
        is_required,
        processors: arguments.test_threads.unwrap_or(cores),
        bases,
        state: Mutex::new(state),
        changed: Condvar::new(),
    });
    // Each trial has a thread, in which it waits for its turn.
    arguments.test_threads.get_or_insert(selected.len().max(1));
    let watch = run.clone();
    thread::spawn(move || watch.watch());
    let ran = selected.len();
    let mut tests = others;
    for (index, trial) in selected.into_iter().enumerate() {
        let (run, as_test) = (run.clone(), of_libtest(&trial, empty()));
        let is_ignored = as_test.has_ignored_flag();
        let test = libtest_mimic::Trial::ignorable_test(trial.full_name(), move || {
            run.run_one(index, trial)
        });
        tests.push(test.with_ignored_flag(is_ignored));
    }
    let conclusion = libtest_mimic::run(&arguments, tests);
    clear_line();
    let mut report = run.report(&not_quick);
    if ran == 0 {
        report += &format!("\nno trial ran. Without the filter there are {total}, see `--list`.\n");
    }
    (conclusion, report)
}

/// Opens the bases of the trials side by side.
fn open_bases(project: &Project, trials: &[Trial], open: Open) -> BTreeMap<String, Ready> {
    let bases: BTreeMap<_, _> = trials.iter().map(|trial| (&trial.base.name, &trial.base)).collect();
    thread::scope(|scope| {
        let open = |(name, base)| (name, scope.spawn(move || ready(project, base, open)));
        let opening: Vec<(&String, _)> = bases.into_iter().map(open).collect();
        let join = |thread: thread::ScopedJoinHandle<Ready>| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("opening a base panicked")))
        };
        opening.into_iter().map(|(name, thread)| (name.clone(), join(thread))).collect()
    })
}

fn ready(project: &Project, base: &Base, open: Open) -> Ready {
    let opened = open(project, base)?;
    if has_work_beside(&project.tree(base), &opened.store.git) {
        eprintln!(
            "note: {} has work that patches/{} lacks. The trials are about the patches.",
            shown(&project.tree(base)),
            base.name
        );
    }
    Ok(Arc::new(opened))
}

/// Says whether a clone's files are not those of the series.
fn has_work_beside(tree: &Path, store: &Git) -> bool {
    let clone = Git { dir: tree.to_owned() };
    let text = |git: &Git, args: &[&str]| git.stdout_of(args).ok();
    tree.exists()
        && (text(store, &["rev-parse", "series^{tree}"]) != text(&clone, &["rev-parse", "HEAD^{tree}"])
            || text(&clone, &["status", "--porcelain"]) != Some(String::new()))
}

impl Run {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with the lock held")
    }

    fn run_one(&self, index: usize, trial: Trial) -> Result<Completion, Failed> {
        let Trial { suite, base, name, is_quick, needs, work } = trial;
        let full_name = format!("{suite}::{}::{name}", base.name);
        let turn = self.wait_for_turn(index, &full_name, &needs);
        let log = log_file(&self.project, &full_name);
        let outcome = self.place(suite, base, name, log.clone()).and_then(|place| {
            // Another process may run its trials side by side, as nextest does.
            let resource = |name: &&str| lock(&self.project.build.root.join("evidence").join(name));
            let _locks = needs.alone.iter().map(resource).collect::<Result<Vec<_>>>()?;
            work(&place)
        });
        drop(turn);
        clear_line();
        let outcome = outcome.or_else(|error| match error.downcast_ref() {
            Some(NotRun(reason)) => Ok(Outcome::Lacks(reason.clone())),
            None => Err(error),
        });
        match outcome {
            Ok(Outcome::Passed(text)) => {
                if !text.is_empty() {
                    self.state().texts.insert(full_name, text);
                }
                Ok(Completion::Completed)
            }
            Ok(Outcome::Lacks(reason)) if self.is_required && is_quick => {
                Err(format!("{REQUIRE} is set, and this machine lacks something: {reason}").into())
            }
            Ok(Outcome::Lacks(reason)) => {
                let first_line = reason.lines().next().unwrap_or_default().to_owned();
                self.state().lacking.entry(reason).or_default().push(full_name);
                Ok(Completion::ignored_with(first_line))
            }
            Err(error) => Err(format!("{error:#}\n\nthe log: {}", shown(&log)).into()),
        }
    }

    fn place(&self, suite: String, base: Base, name: String, log: PathBuf) -> Result<Place> {
        let opened = match &self.bases[&base.name] {
            Ok(opened) => opened.clone(),
            Err(error) => bail!("{error:#}"),
        };
        fs::create_dir_all(log.parent().context("a file is in a directory")?)?;
        fs::write(&log, "")?;
        let (dir, lock) = free_place(&self.project, &format!("{suite}-{}", base.name))?;
        let project = self.project.clone();
        Ok(Place { project, base, suite, name, dir, log, opened, _lock: lock })
    }

    /// Waits until a processor and the resource are free, and no earlier trial could start instead.
    fn wait_for_turn<'r>(&'r self, index: usize, name: &str, needs: &'r Needs) -> Turn<'r> {
        let mut state = self.state();
        while state.first(self.processors) != Some(index) {
            state = self.changed.wait(state).expect("nothing panics with the lock held");
        }
        state.queue.remove(&index);
        state.busy += usize::from(!needs.waits);
        state.taken.extend(&needs.alone);
        state.running.insert(name.into(), Running { since: Instant::now(), is_slow: false });
        // The next trial may be able to start, too.
        self.changed.notify_all();
        Turn { run: self, name: name.into(), needs }
    }

    /// Says what has been running for a minute. On a terminal, also shows what is running now.
    fn watch(&self) {
        loop {
            thread::sleep(Duration::from_secs(1));
            let mut line = String::new();
            for (name, running) in &mut self.state().running {
                let seconds = running.since.elapsed().as_secs();
                if seconds >= 60 && !running.is_slow {
                    running.is_slow = true;
                    clear_line();
                    let log = log_file(&self.project, name);
                    eprintln!(
                        "test {name} has been running for over 60 seconds; its log: {}",
                        shown(&log)
                    );
                }
                line += &format!("{}{name} ({seconds} s)", if line.is_empty() { "" } else { ", " });
            }
            if std::io::stderr().is_terminal() && !line.is_empty() {
                let line: String = line.chars().take(100).collect();
                eprint!("\x1b[2K{line}\r");
            }
        }
    }

    /// Returns what the trials found, which trials did not run and why, and where the evidence is.
    fn report(&self, not_quick: &[String]) -> String {
        let (state, mut report) = (self.state(), String::new());
        for (name, text) in &state.texts {
            report += &format!("{name}: {}\n", text.trim_end());
        }
        let lacking: usize = state.lacking.values().map(Vec::len).sum();
        if lacking > 0 {
            report += &format!("\nleft out, for these reasons: {lacking} trials\n");
        }
        for (reason, names) in &state.lacking {
            let names = match &names[..] {
                [first, .., last] if names.len() > 3 => {
                    format!("{} trials, {first} to {last}", names.len())
                }
                names => names.join(", "),
            };
            report += &format!("  {names}:\n    {}\n", reason.trim_end().replace('\n', "\n    "));
        }
        if !not_quick.is_empty() {
            let mut sets = BTreeMap::<&str, usize>::new();
            for set in not_quick {
                *sets.entry(set).or_default() += 1;
            }
            let sets: Vec<_> = sets.iter().map(|(set, count)| format!("{set} {count}")).collect();
            report += &format!(
                "\nleft out, because only `-- --include-ignored` runs them: {} trials\n  {}\n",
                not_quick.len(),
                sets.join(", ")
            );
        }
        let root = self.project.build.root.join("evidence");
        let dirs = [
            ("logs", "a log for each trial"),
            ("results", "the rows of the tables under docs/"),
            ("lab", "captures, tables and pictures of the network lab"),
        ];
        let dirs = dirs.iter().filter(|(dir, _)| root.join(dir).is_dir());
        let dirs: String = dirs.map(|(dir, what)| format!("  {dir}/: {what}\n")).collect();
        if !dirs.is_empty() {
            report += &format!("\nthe evidence is in {}:\n{dirs}", shown(&root));
        }
        report
    }
}

impl State {
    /// Returns the first trial that could start now.
    fn first(&self, processors: usize) -> Option<usize> {
        let may_start = |needs: &Needs| {
            (needs.waits || self.busy < processors)
                && needs.alone.iter().all(|resource| !self.taken.contains(resource))
        };
        self.queue.iter().find(|(_, needs)| may_start(needs)).map(|(index, _)| *index)
    }
}

/// The processor and the resource of a running trial. Both are free again when it is dropped.
struct Turn<'r> {
    run: &'r Run,
    name: String,
    needs: &'r Needs,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.run.state();
        state.busy -= usize::from(!self.needs.waits);
        state.taken.retain(|resource| !self.needs.alone.contains(resource));
        state.running.remove(&self.name);
        self.run.changed.notify_all();
    }
}

/// Returns the lowest-numbered directory of the set that no other trial uses, in any process, and its lock.
fn free_place(project: &Project, set: &str) -> Result<(PathBuf, fs::File)> {
    let places = project.build.root.join("evidence/places");
    for number in 0.. {
        let dir = places.join(format!("{set}-{number}"));
        fs::create_dir_all(&dir)?;
        let file = fs::File::create(dir.join("lock"))?;
        match file.file().try_lock() {
            Ok(()) => return Ok((dir, file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    unreachable!("numbers do not end")
}

/// Waits for the lock of a directory.
pub fn lock(dir: &Path) -> Result<fs::File> {
    fs::create_dir_all(dir)?;
    let file = fs::File::create(dir.join("lock"))?;
    file.file().lock()?;
    Ok(file)
}

fn log_file(project: &Project, full_name: &str) -> PathBuf {
    let name = full_name.replace("::", "/").replace(' ', "-");
    project.build.root.join("evidence/logs").join(format!("{name}.log"))
}

/// Clears the line that shows what is running.
fn clear_line() {
    if std::io::stderr().is_terminal() {
        eprint!("\x1b[2K");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Returns a project with three bases.
    fn project(dir: &Path) -> Project {
        let mut text = "default = \"a\"\n[mend]\nleave-out = []\nfiles = {}\n".to_owned();
        for base in ["a", "broken", "lacking"] {
            text += &format!("[base.{base}]\nrelease = \"\"\ncommit = \"\"\ndate = \"\"\n");
            text += "compiler = []\narchive = []\n";
        }
        fs::write(dir.join("base.toml"), text).unwrap();
        Project::open(dir).unwrap()
    }

    /// Runs the trials, and returns what libtest counted and all that was printed.
    fn run_with(args: &[&str], make: fn(&Base) -> Vec<Trial>, is_required: bool) -> (Conclusion, String) {
        let dir = tempfile::tempdir().unwrap();
        let project = project(dir.path());
        let printed = dir.path().join("printed");
        let args = [&["evidence", "--logfile", printed.to_str().unwrap()], args].concat();
        let trials = project.bases().iter().flat_map(make).collect();
        let open: Open = |project, base| match &*base.name {
            "lacking" => Err(NotRun("no compiler\ninstall it".into()))?,
            "broken" => bail!("no patch applies"),
            _ => {
                let sysroot = Command::new("rustc").args(["--print", "sysroot"]).stdout_of()?;
                let (compiler, base) = (Compiler::at(sysroot.into())?, base.clone());
                Ok(Opened { store: Store::at(project, &base), base, compiler })
            }
        };
        let arguments = Arguments::from_iter(args);
        let (conclusion, report) = run(&project, arguments, trials, open, is_required);
        (conclusion, fs::read_to_string(printed).unwrap() + &report)
    }

    fn passed(text: &str) -> Result<Outcome> {
        Ok(Outcome::Passed(text.into()))
    }

    fn made_up(base: &Base) -> Vec<Trial> {
        vec![
            Trial::new("s", base, "says", |_| passed("12 tests")),
            Trial::new("s", base, "fails", |_| bail!("it is wrong")),
            Trial::new("s", base, "lacks", |_| Err(NotRun("no program\napt-get it".into()))?),
            Trial::new("s", base, "slow", |_| passed("")).quick(false),
        ]
    }

    #[test]
    fn report_counts_and_groups_what_did_not_run() {
        let (conclusion, printed) = run_with(&["--skip=broken"], made_up, false);
        let Conclusion { num_passed, num_failed, num_ignored, .. } = conclusion;
        assert_eq!((num_passed, num_failed, num_ignored), (1, 1, 1), "{printed}");
        for text in [
            "s::a::says: 12 tests\n",
            "it is wrong\n\nthe log: ",
            "test s::a::lacks ... ignored (no program)\n",
            "reasons: 4 trials\n  s::lacking::says, s::lacking::fails, s::lacking::lacks:\n    no compiler\n    \
             install it\n  s::a::lacks:\n    no program\n    apt-get it\n",
            "runs them: 2 trials\n  s::a 1, s::lacking 1\n",
            "logs/: a log for each trial\n",
        ] {
            assert!(printed.replace("    ... ", " ... ").contains(text), "{text}\n{printed}");
        }
        assert!(!printed.contains("test s::lacking") && !printed.contains("slow"), "{printed}");
    }

    #[test]
    fn first_trial_fails_for_a_base_that_cannot_be_opened() {
        let (conclusion, printed) = run_with(&["broken"], made_up, false);
        assert_eq!((conclusion.num_failed, conclusion.num_passed), (1, 0));
        assert!(printed.contains("\nno patch applies\n"), "{printed}");
        assert!(printed.contains("2 trials\n  s::broken::fails, s::broken::lacks:\n"), "{printed}");
    }

    #[test]
    fn lack_is_a_failure_where_all_must_run() {
        let (conclusion, printed) = run_with(&["lack", "--skip=broken"], made_up, true);
        assert_eq!((conclusion.num_failed, conclusion.num_passed), (2, 0), "{printed}");
    }

    #[test]
    fn selection_is_that_of_libtest() {
        let passed = |args: &[&str]| run_with(args, made_up, false).0.num_passed;
        assert_eq!(passed(&["s::a", "--include-ignored", "--skip=fails"]), 2);
        assert_eq!(passed(&["--exact", "s::a::slow", "--ignored"]), 1);
        let (conclusion, printed) = run_with(&["no-such-name"], made_up, false);
        assert!(!conclusion.has_failed() && printed.contains("the filter there are 12,"), "{printed}");
        let (_, printed) = run_with(&["s::a::slow"], made_up, false);
        assert!(printed.contains("runs them: 1 trials\n  s::a 1\n\nno trial ran"), "{printed}");
    }

    #[test]
    fn suite_without_trials_and_name_of_two_trials_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let project = project(dir.path());
        let error = |suite: Suite| trials(&project, &[suite]).err().unwrap().to_string();
        assert!(error(("empty", |_| Ok(vec![]))).contains("empty has no trials"));
        let twice = |project: &Project| Ok([(); 2].map(|()| made_up(&project.bases()[0]).remove(0)).into());
        assert!(error(("s", twice)).contains("s::a::says"));
    }

    static RUNNING: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

    /// Counts how many trials of a kind run, and fails above `most`.
    fn counted(kind: usize, most: usize) -> Result<Outcome> {
        let running = RUNNING[kind].fetch_add(1, Ordering::SeqCst) + 1;
        thread::yield_now();
        RUNNING[kind].fetch_sub(1, Ordering::SeqCst);
        if running > most { bail!("{running} run") } else { passed("") }
    }

    #[test]
    fn resource_and_processors_are_limited() {
        let many = |base: &Base| {
            let name = |n: usize| format!("{n:03}");
            let alone = (0..100).map(|n| {
                Trial::new("alone", base, &name(n), |_| counted(0, 1)).alone("ports").waits()
            });
            let working = (0..100).map(|n| Trial::new("work", base, &name(n), |_| counted(1, 2)));
            alone.chain(working).collect()
        };
        let (conclusion, printed) = run_with(&["--test-threads=2", "::a::"], many, false);
        assert_eq!(conclusion.num_passed, 200, "{printed}");
    }

    #[test]
    fn limit_ends_a_program_with_its_children() {
        let endless = |base: &Base| {
            let run = |place: &Place| {
                let mut shell = Command::new("sh");
                // A child that went on would keep the output open.
                place.run(shell.args(["-c", "sleep 1000 & echo waiting; wait"]), 1)?;
                passed("")
            };
            vec![Trial::new("s", base, "endless", run)]
        };
        let (_, printed) = run_with(&["::a::"], endless, false);
        assert!(printed.contains("still ran after 1 seconds and was ended"), "{printed}");
    }
}
