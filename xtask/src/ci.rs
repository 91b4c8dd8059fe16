//! Runs everything that guards the project, in one command.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::project::Project;
use crate::run::command::CommandExt;
use crate::run::{lock, ownership};
use crate::say::failure::NOT_RUN;
use crate::session::Invocation;

/// No step takes longer than this on a slow machine; what does, hangs.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// A step's name and command line. `cargo xtask` stands for this program.
type Step = (&'static str, &'static str);

const STEPS: [Step; 19] = [
    ("rustfmt", "cargo fmt --all --check"),
    ("rustfmt of the examples", "cargo fmt --check --manifest-path examples/Cargo.toml"),
    ("rustfmt of the benchmarks", "cargo fmt --check --manifest-path bench/Cargo.toml"),
    ("clippy", "cargo clippy --workspace --all-targets -- -D warnings"),
    ("the first series", "cargo xtask verify"),
    ("1.98: the second series", "cargo xtask verify --base 1.98"),
    ("std and ui tests", "cargo xtask x test library/std tests/ui/std"),
    ("1.98: std tests", "cargo xtask x --base 1.98 test library/std --tests"),
    // Those of all of std are run with the first series.
    ("1.98: examples of TCP", "cargo xtask x --base 1.98 test library/std --doc -- net::tcp"),
    ("a target for each backend", "cargo test --package evidence --test targets"),
    ("three other platforms", "cargo test --package evidence --test platforms"),
    ("the network lab", "cargo xtask lab"),
    ("mistakes that the tests must notice", "cargo test --package evidence --test mutants"),
    ("1.98: published crates", "cargo test --package evidence --test crates"),
    ("the toolchain for users", "cargo test --package evidence --test toolchain"),
    ("the tool on macOS and FreeBSD", "cargo xtask hosts"),
    ("the tool's own tests", "cargo test --package xtask"),
    ("the suites' own tests", "cargo test --package evidence --lib --test suite --test rehearse"),
    ("the lab's own tests", "cargo test --package lab --package observe"),
];

/// Run everything that guards the project; what must be green before a change is merged.
///
/// rustfmt, clippy and the tools' own tests; for both series verify, upstream's tests on the patched
/// tree, some targets, three other platforms, and mutants; the lab and the toolchain with its checks
/// for the first, and some published crates for the second. Two steps run side by side, and what each
/// printed is shown when it has ended. All of them run even if one fails. What this machine cannot
/// run is said, and not counted as passed.
#[derive(Args)]
pub struct Ci {}

impl Ci {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        on.refuse_base("ci")?;
        let _lock = lock::acquire(&on.project.build().join("ci/lock"), "ci")?;
        let xtask = own_program(&on.project)?;
        let work = Mutex::new(Work { left: STEPS.to_vec(), taken: Vec::new(), ended: Vec::new() });
        thread::scope(|scope| {
            let workers = [(); 2].map(|()| scope.spawn(|| run_steps(&on.project, &xtask, &work)));
            workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
        })?;
        sum_up(work.into_inner().expect("no worker panics").ended)
    }
}

/// A copy of this program: cargo replaces the original when it builds the tools' tests.
fn own_program(project: &Project) -> Result<PathBuf> {
    let copy = project.build().join("ci").join("xtask");
    let own = std::env::current_exe()?;
    if !fs::read(&copy).is_ok_and(|found| fs::read(&own).is_ok_and(|this| this == found)) {
        ownership::discard(&copy)?;
        fs::copy(own, &copy)?;
    }
    Ok(copy)
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Passed,
    Failed,
    NotRun,
}

struct Ended {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
    /// What a step that was not run says that it lacks.
    lacks: String,
}

/// What the two workers share.
struct Work {
    left: Vec<Step>,
    /// The bases in whose trees a worker is.
    taken: Vec<&'static str>,
    ended: Vec<Ended>,
}

/// Runs one step after the other, also after one failed, until none is left or the other worker has the
/// tree of those that are.
fn run_steps(project: &Project, xtask: &Path, work: &Mutex<Work>) -> Result<()> {
    let share = || work.lock().expect("no worker panics");
    loop {
        let mut shared = share();
        let is_free =
            |(_, line): &Step| tree_of(line).is_none_or(|base| !shared.taken.contains(&base));
        let Some(next) = shared.left.iter().position(is_free) else { return Ok(()) };
        let (name, line) = shared.left.remove(next);
        shared.taken.extend(tree_of(line));
        drop(shared);
        eprintln!("==> begun: {name}");
        let started = Instant::now();
        let log = project.build().join("ci").join(format!("{}.log", name.replace(' ', "-")));
        let file = fs::File::create(&log)?.into_parts().0;
        let (program, args) = match line.strip_prefix("cargo xtask ") {
            Some(args) => (xtask, args),
            None => (Path::new("cargo"), line.trim_start_matches("cargo ")),
        };
        let mut command = Command::new(program);
        command.args(args.split(' ')).current_dir(&project.root).env_of_x_py();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let verdict = match command.show_within(LIMIT) {
            Ok(status) if status.success() => Verdict::Passed,
            Ok(status) if status.code() == Some(NOT_RUN.into()) => Verdict::NotRun,
            Ok(_) => Verdict::Failed,
            Err(error) => {
                let printed = fs::read(&log)?;
                fs::write(&log, [&printed, format!("error: {error:#}\n").as_bytes()].concat())?;
                Verdict::Failed
            }
        };
        let took = started.elapsed();
        let printed = fs::read(&log)?;
        let printed = String::from_utf8_lossy(&printed);
        let lacks = match printed.lines().rfind(|line| line.starts_with("error: ")) {
            Some(line) if verdict == Verdict::NotRun => line.replacen("error: ", ": ", 1),
            _ => String::new(),
        };
        let mut shared = share();
        println!("\n==> {name}: {line}\n{}", printed.trim_end());
        shared.taken.retain(|base| tree_of(line) != Some(base));
        shared.ended.push(Ended { name, verdict, took, lacks });
    }
}

/// The base in whose tree a step works, if it works in one: two steps do not do so side by side.
fn tree_of(line: &'static str) -> Option<&'static str> {
    let mut args = line.strip_prefix("cargo xtask ")?.split(' ');
    Some(if args.any(|arg| arg == "--base") { args.next()? } else { "the default one" })
}

fn sum_up(steps: Vec<Ended>) -> Result<ExitCode> {
    println!();
    for Ended { name, verdict, took, lacks } in &steps {
        let word = match verdict {
            Verdict::Passed => "ok",
            Verdict::Failed => "FAILED",
            Verdict::NotRun => "not run",
        };
        println!("{word:7} {:4} s  {name}{lacks}", took.as_secs());
    }
    let count = |verdict| steps.iter().filter(|step| step.verdict == verdict).count();
    let [passed, failed, not_run] = [Verdict::Passed, Verdict::Failed, Verdict::NotRun].map(count);
    // The form in which test runners say it, for whoever reads the end of a log.
    println!("ci: {passed} passed, {failed} failed, {not_run} skipped");
    if failed > 0 {
        bail!("{failed} of {} steps failed; what they printed is above", steps.len());
    }
    Ok(ExitCode::SUCCESS)
}
