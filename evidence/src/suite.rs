//! Runs the trials of all suites in one process, in parallel, with libtest's command line and output.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use libtest_mimic::{Arguments, Completion, Conclusion, Failed};
use xtask::base::Base;
use xtask::error::{NotRun, report};
use xtask::git::Git;
use xtask::out::shown;
use xtask::project::Project;
use xtask::store::Store;

pub use crate::place::{Opened, Place};
use crate::place::{lock, log_file};

/// With this variable set, a trial of the quick set fails if the machine lacks what the trial needs.
const REQUIRE: &str = "EVIDENCE_REQUIRE";

/// A suite: its name, and the function that makes its trials from the repository's data.
pub type Suite = (&'static str, fn(&Project) -> Result<Vec<Trial>>);

pub enum Outcome {
    /// The text is shown after the run. It may be empty.
    Passed(String),
    /// The machine lacks something. The text names the missing thing, and how to get it.
    Lacks(String),
}

pub struct Trial {
    suite: String,
    base: Base,
    name: String,
    is_quick: bool,
    needs: Needs,
    work: Work,
}

type Work = Box<dyn FnOnce(&Place) -> Result<Outcome> + Send>;

/// The resources that a trial occupies while it runs.
#[derive(Clone, Default)]
struct Needs {
    waits: bool,
    alone: Vec<String>,
}

impl Trial {
    /// Returns the trial `SUITE::BASE::NAME` of the quick set.
    pub fn new(
        suite: &str,
        base: &Base,
        name: &str,
        work: impl FnOnce(&Place) -> Result<Outcome> + Send + 'static,
    ) -> Trial {
        let (suite, base, name) = (suite.into(), base.clone(), name.into());
        Trial { suite, base, name, is_quick: true, needs: Needs::default(), work: Box::new(work) }
    }

    /// Sets whether the trial runs without `--ignored` and `--include-ignored`.
    pub fn quick(self, is_quick: bool) -> Trial {
        Trial { is_quick, ..self }
    }

    /// Lets no other trial that names this resource run at the same time.
    pub fn alone(mut self, resource: &str) -> Trial {
        self.needs.alone.push(resource.into());
        self
    }

    /// Marks a trial that mostly waits. It runs even if no processor is free.
    pub fn waits(mut self) -> Trial {
        self.needs.waits = true;
        self
    }

    fn full_name(&self) -> String {
        format!("{}::{}::{}", self.suite, self.base.name, self.name)
    }
}

/// The `main` of a test program: runs the suites with libtest's command line.
pub fn main(suites: &[Suite]) -> ExitCode {
    let main = || -> Result<ExitCode> {
        let project = Project::of_cargo()?;
        std::env::set_current_dir(&project.root)?;
        let trials = trials(&project, suites)?;
        let is_required = std::env::var_os(REQUIRE).is_some();
        let (conclusion, report) =
            run(&project, Arguments::from_args(), trials, Opened::open, is_required)?;
        print!("{report}");
        Ok(conclusion.exit_code())
    };
    main().unwrap_or_else(|error| report(&error))
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
    for trial in &trials {
        if !names.insert(trial.full_name()) {
            bail!("two trials have the name {}", trial.full_name());
        }
    }
    Ok(trials)
}

/// The state that all trials of a run share.
struct Run {
    project: Project,
    is_required: bool,
    /// The number of trials that run at a time, without those that wait.
    processors: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bases: BTreeMap<String, Arc<Opened>>,
    /// The trials that have not started, by their index.
    queue: BTreeMap<usize, Needs>,
    busy: usize,
    taken: BTreeSet<String>,
    /// The start and the log of each trial that runs, by name.
    running: BTreeMap<String, (Instant, PathBuf)>,
    /// The texts of the trials that passed, by name.
    texts: BTreeMap<String, String>,
    /// The trials that were left out, by what the machine lacks.
    lacking: BTreeMap<String, Vec<String>>,
}

type Open = fn(&Project, &Base) -> Result<Opened>;

/// Runs the trials that the arguments select. Returns libtest's counts, and a report: the texts of the trials, the
/// trials that did not run, and the directories with results.
fn run(
    project: &Project,
    mut arguments: Arguments,
    trials: Vec<Trial>,
    open: Open,
    is_required: bool,
) -> Result<(Conclusion, String)> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let run = Arc::new(Run {
        project: project.clone(),
        is_required,
        processors: arguments.test_threads.unwrap_or(cores),
        state: Mutex::default(),
        changed: Condvar::new(),
    });
    let (total, mut others, mut selected) = (trials.len(), Vec::new(), Vec::new());
    let mut not_quick = BTreeMap::<String, usize>::new();
    for (index, trial) in trials.into_iter().enumerate() {
        let (name, base, needs) = (trial.full_name(), trial.base.clone(), trial.needs.clone());
        let (run, is_quick) = (run.clone(), trial.is_quick);
        let set = format!("{}::{}", trial.suite, base.name);
        let test = libtest_mimic::Trial::ignorable_test(&name, move || run.run_one(index, trial))
            .with_ignored_flag(!is_quick);
        if arguments.list || arguments.is_filtered_out(&test) {
            others.push(test);
        } else if arguments.is_ignored(&test) {
            *not_quick.entry(set).or_default() += 1;
        } else {
            selected.push((index, name, base, needs, test));
        }
    }
    if arguments.list {
        return Ok((libtest_mimic::run(&arguments, others), String::new()));
    }

    let bases: BTreeMap<_, _> =
        selected.iter().map(|(_, _, base, ..)| (&base.name, base)).collect();
    let opened = open_all(project, bases.into_values(), open);
    let (mut tests, mut ran) = (others, 0);
    for (index, name, base, needs, test) in selected {
        let mut state = run.state();
        match &opened[&base.name] {
            Ok(opened) => {
                state.bases.insert(base.name, opened.clone());
                state.queue.insert(index, needs);
                tests.push(test);
                ran += 1;
            }
            Err(error) if error.is::<NotRun>() && !is_required => {
                state.lacking.entry(error.to_string()).or_default().push(name);
            }
            Err(error) => bail!("the base {}: {error:#}", base.name),
        }
    }
    // Each trial has a thread, in which it waits for its turn.
    arguments.test_threads.get_or_insert(ran.max(1));
    let watch = run.clone();
    thread::spawn(move || watch.say_what_is_slow());
    let conclusion = libtest_mimic::run(&arguments, tests);
    let mut report = run.report(&not_quick);
    if ran == 0 {
        report +=
            &format!("\nno trial ran, of {total} without a filter. `--list` shows their names.\n");
    }
    Ok((conclusion, report))
}

/// Opens the bases in parallel.
fn open_all<'b>(
    project: &Project,
    bases: impl Iterator<Item = &'b Base>,
    open: Open,
) -> BTreeMap<String, Result<Arc<Opened>>> {
    let open = |base| {
        let opened = open(project, base)?;
        note_other_work(&project.tree(base), &opened.store);
        Ok(Arc::new(opened))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = bases.map(|base| (base, scope.spawn(move || open(base)))).collect();
        let join = |thread: thread::ScopedJoinHandle<_>| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("opening the base panicked")))
        };
        threads.into_iter().map(|(base, thread)| (base.name.clone(), join(thread))).collect()
    })
}

/// Prints a note if the files of rust/ are not those of the series.
fn note_other_work(tree: &Path, store: &Store) {
    let clone = Git::at(tree);
    let series = store.git.stdout_of(&["rev-parse", "series:"]).ok();
    let is_same = || {
        clone.stdout_of(&["rev-parse", "HEAD:"]).ok() == series
            && clone.stdout_of(&["status", "--porcelain"]).is_ok_and(|changes| changes.is_empty())
    };
    if tree.exists() && !is_same() {
        eprintln!("note: the trials test the patches, and {} has other files", shown(tree));
    }
}

impl Run {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with the lock held")
    }

    fn run_one(&self, index: usize, trial: Trial) -> Result<Completion, Failed> {
        let (full_name, is_quick) = (trial.full_name(), trial.is_quick);
        let log = log_file(&self.project, &trial.suite, &trial.base, &trial.name);
        let turn = self.wait_for_turn(index, &full_name, trial.needs.clone(), &log);
        let outcome = self.work(trial);
        drop(turn);
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

    fn work(&self, trial: Trial) -> Result<Outcome> {
        let Trial { suite, base, name, needs, work, .. } = trial;
        // Other processes may run trials at the same time: nextest runs each trial in its own process.
        let resource = |name: &String| lock(&self.project.build.root.join("evidence").join(name));
        let _locks = needs.alone.iter().map(resource).collect::<Result<Vec<_>>>()?;
        let opened = self.state().bases.get(&base.name).context("the base is not open")?.clone();
        let place = Place::new(&self.project, opened, &suite, &name)?;
        work(&place).or_else(|error| match error.downcast_ref() {
            Some(NotRun(reason)) => Ok(Outcome::Lacks(reason.clone())),
            None => Err(error),
        })
    }

    /// Waits until the processor and the resources are free, and no earlier trial could start instead.
    fn wait_for_turn<'r>(
        &'r self,
        index: usize,
        name: &'r str,
        needs: Needs,
        log: &Path,
    ) -> Turn<'r> {
        let mut state = self.state();
        while state.next(self.processors) != Some(index) {
            state = self.changed.wait(state).expect("nothing panics with the lock held");
        }
        state.queue.remove(&index);
        state.busy += usize::from(!needs.waits);
        state.taken.extend(needs.alone.iter().cloned());
        state.running.insert(name.into(), (Instant::now(), log.into()));
        // The next trial may be able to start, too.
        self.changed.notify_all();
        Turn { run: self, name, needs }
    }

    fn say_what_is_slow(&self) {
        let mut said = BTreeSet::new();
        loop {
            thread::sleep(Duration::from_secs(1));
            for (name, (since, log)) in &self.state().running {
                if since.elapsed() >= Duration::from_secs(60) && said.insert(name.clone()) {
                    let log = shown(log);
                    eprintln!("test {name} has been running for over 60 seconds; its log: {log}");
                }
            }
        }
    }

    /// Returns the report for the end of a run. `not_quick` has the number of trials that are not quick, by suite and
    /// base.
    fn report(&self, not_quick: &BTreeMap<String, usize>) -> String {
        let (state, mut report) = (self.state(), String::new());
        for (name, text) in &state.texts {
            report += &format!("{name}: {}\n", text.trim_end());
        }
        let lacking: usize = state.lacking.values().map(Vec::len).sum();
        if lacking > 0 {
            report += &format!("\nleft out, because this machine lacks something: {lacking}\n");
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
            let sets: Vec<_> = not_quick.iter().map(|(set, n)| format!("{set} {n}")).collect();
            let (sum, sets) = (not_quick.values().sum::<usize>(), sets.join(", "));
            report += &format!(
                "\nleft out, because only `-- --include-ignored` runs them: {sum}\n  {sets}\n"
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
    fn next(&self, processors: usize) -> Option<usize> {
        let may_start = |needs: &Needs| {
            (needs.waits || self.busy < processors)
                && needs.alone.iter().all(|resource| !self.taken.contains(resource))
        };
        self.queue.iter().find(|(_, needs)| may_start(needs)).map(|(index, _)| *index)
    }
}

/// The processor and the resources of a running trial. Dropping a turn frees both.
struct Turn<'r> {
    run: &'r Run,
    name: &'r str,
    needs: Needs,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.run.state();
        state.busy -= usize::from(!self.needs.waits);
        state.taken.retain(|resource| !self.needs.alone.contains(resource));
        state.running.remove(self.name);
        self.run.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use fs_err as fs;
    use xtask::compiler::Compiler;
    use xtask::run::CommandExt;

    use super::*;

    /// Returns a project with two bases. [`open`] finds no compiler for the base b.
    fn project(dir: &Path) -> Project {
        let mut text = "default = \"a\"\n[sources]\nexclude = []\nstubs = {}\n".to_owned();
        for base in ["a", "b"] {
            text += &format!("[base.{base}]\nrelease = \"\"\ncommit = \"\"\ndate = \"\"\n");
            text += "compiler = []\narchive = []\n";
        }
        fs::write(dir.join("base.toml"), text).unwrap();
        Project::open(dir).unwrap()
    }

    fn open(project: &Project, base: &Base) -> Result<Opened> {
        if base.name == "b" {
            Err(NotRun("no compiler\ninstall it".into()))?;
        }
        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).stdout_of()?;
        let (compiler, store) = (Compiler::at(sysroot.into())?, Store::at(project, base));
        Ok(Opened { base: base.clone(), compiler, store })
    }

    /// Runs the trials. Returns libtest's counts, and libtest's output with the report.
    fn run_with(
        args: &[&str],
        make: fn(&Base) -> Vec<Trial>,
        require: bool,
    ) -> Result<(Conclusion, String)> {
        let dir = tempfile::tempdir()?;
        let (project, printed) = (project(dir.path()), dir.path().join("printed"));
        let args = [&["evidence", "--logfile", printed.to_str().unwrap()], args].concat();
        let trials = project.bases().iter().flat_map(make).collect();
        let (conclusion, report) =
            run(&project, Arguments::from_iter(args), trials, open, require)?;
        Ok((conclusion, fs::read_to_string(printed)? + &report))
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
        let (conclusion, printed) = run_with(&[], made_up, false).unwrap();
        let Conclusion { num_passed, num_failed, num_ignored, .. } = conclusion;
        assert_eq!((num_passed, num_failed, num_ignored), (1, 1, 1), "{printed}");
        for text in [
            "it is wrong\n\nthe log: ",
            "test s::a::lacks ... ignored (no program)\n",
            "s::a::says: 12 tests\n\nleft out, because this machine lacks something: 4\n  \
             s::b::says, s::b::fails, s::b::lacks:\n    no compiler\n    install it\n  \
             s::a::lacks:\n    no program\n    apt-get it\n\n\
             left out, because only `-- --include-ignored` runs them: 2\n  s::a 1, s::b 1\n\n",
            "logs/: a log for each trial\n",
        ] {
            assert!(printed.contains(text), "{text}\n{printed}");
        }
        assert!(!printed.contains("test s::b") && !printed.contains("slow"), "{printed}");
    }

    #[test]
    fn lack_is_an_error_where_all_must_run() {
        assert_eq!(run_with(&["s::a::lacks"], made_up, true).unwrap().0.num_failed, 1);
        let error = run_with(&[], made_up, true).unwrap_err().to_string();
        assert_eq!(error, "the base b: no compiler\ninstall it");
    }

    #[test]
    fn selection_is_that_of_libtest() {
        let run = |args: &[&str]| run_with(args, made_up, false).unwrap();
        assert_eq!(run(&["s::a", "--include-ignored", "--skip=fails"]).0.num_passed, 2);
        assert_eq!(run(&["--exact", "s::a::slow", "--ignored"]).0.num_passed, 1);
        let (conclusion, printed) = run(&["no-such-name"]);
        assert!(!conclusion.has_failed() && printed.contains("ran, of 8 "), "{printed}");
        let (_, printed) = run(&["s::a::slow"]);
        assert!(
            printed.contains("runs them: 1\n") && printed.contains("no trial ran"),
            "{printed}"
        );
    }

    #[test]
    fn suite_without_trials_and_name_of_two_trials_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let project = project(dir.path());
        let error = |suite: Suite| trials(&project, &[suite]).err().unwrap().to_string();
        assert!(error(("empty", |_| Ok(vec![]))).contains("empty has no trials"));
        let twice =
            |project: &Project| Ok([(); 2].map(|()| made_up(&project.bases()[0]).remove(0)).into());
        assert!(error(("s", twice)).contains("s::a::says"));
    }

    static RUNNING: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

    /// Counts the running trials of a kind, and fails if there are more than `most`.
    fn counted(kind: usize, most: usize) -> Result<Outcome> {
        let running = RUNNING[kind].fetch_add(1, Ordering::SeqCst) + 1;
        thread::yield_now();
        RUNNING[kind].fetch_sub(1, Ordering::SeqCst);
        if running > most { bail!("{running} run") } else { passed("") }
    }

    #[test]
    fn resources_and_processors_are_limited() {
        let many = |base: &Base| {
            let trial = |kind, n: usize| {
                Trial::new("s", base, &format!("{kind}-{n}"), move |_| counted(kind, kind + 1))
            };
            let alone = (0..100).map(|n| trial(0, n).alone("ports").waits());
            alone.chain((0..100).map(|n| trial(1, n))).collect()
        };
        let (conclusion, printed) = run_with(&["--test-threads=2", "::a::"], many, false).unwrap();
        assert_eq!(conclusion.num_passed, 200, "{printed}");
    }

    #[test]
    fn limit_ends_a_program_with_its_children() {
        let endless = |base: &Base| {
            let run = |place: &Place| {
                // Without the limit, the child would keep the output open.
                place.run(Command::new("sh").args(["-c", "sleep 1000 & wait"]), 1)?;
                passed("")
            };
            vec![Trial::new("s", base, "endless", run)]
        };
        let (_, printed) = run_with(&["::a::"], endless, false).unwrap();
        assert!(printed.contains("still ran after 1 seconds and was ended"), "{printed}");
    }
}
