//! Building std with the series for other platforms and running its tests there, for real.

pub mod build;
pub mod platform;
mod report;
pub mod run;
pub mod support;
mod trace;
pub mod unit;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use self::build::Package;
use self::platform::{Choice, Platform};
use self::report::{Outcome, Passed, Report, Row, Verdict};
use self::support::Support;
use crate::evidence::targets::Targets;
use crate::library::sources::{Patched, Sources};
use crate::say::failure::NOT_RUN;
use crate::say::progress::Step;
use crate::say::table::Format;
use crate::session::{Invocation, Session};

/// What the user asked for.
pub enum Selection {
    Default,
    Quick,
    All,
    Named(Vec<String>),
}

/// Build std with the series for other platforms, and run its tests there: in emulators, in
/// Wine and wasmtime, and natively.
///
/// What runs is library/std/tests/tcp_keepalive.rs of build/rust as it is. Where the system
/// can be watched, the calls that it sees are compared with those that there should be. A
/// target that lacks a linker, a C library or a runner is not run and not counted as passed; its
/// row says what to install. Exit code 1 if a test fails or does not build, 3 if nothing was run.
///
///     cargo xtask cross --install
///     cargo xtask cross s390x-unknown-linux-gnu x86_64-pc-windows-gnu
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Cross {
    /// Run on these targets alone. [default: all but some rare ones]
    #[arg(value_name = "TARGET", conflicts_with_all = ["all", "quick"])]
    names: Vec<String>,
    /// Run on every target that this tool knows how to run.
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// Run on one big-endian target, one of Windows and one native.
    #[arg(long)]
    quick: bool,
    /// First install what is missing: Debian's packages (as root), others below build/.
    #[arg(long)]
    install: bool,
    /// Exit with code 3 also if some target cannot be run here, and nothing else is wrong.
    #[arg(long)]
    require: bool,
    /// Also build and run std's own unit tests of net::tcp.
    #[arg(long)]
    unit_tests: bool,
    /// Take only the first N patches of the series, as they are committed.
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// Build and run so many targets side by side. [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// How to print the results.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Selection {
    fn of(&self, platforms: Vec<Platform>) -> Result<Vec<Platform>> {
        let chosen = |choices: &'static [Choice]| {
            move |platform: &Platform| choices.contains(&platform.choice)
        };
        let platforms = platforms.into_iter();
        Ok(match self {
            Selection::All => platforms.collect(),
            Selection::Default => {
                platforms.filter(chosen(&[Choice::Quick, Choice::Default])).collect()
            }
            Selection::Quick => platforms.filter(chosen(&[Choice::Quick])).collect(),
            Selection::Named(names) => {
                let platforms: Vec<_> = platforms.collect();
                let known: Vec<_> = platforms.iter().map(|platform| platform.target).collect();
                if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
                    bail!(
                        "nothing is known of how to run {name} here. Known are\n  {}",
                        known.join("\n  ")
                    );
                }
                platforms.into_iter().filter(|p| names.iter().any(|n| n == p.target)).collect()
            }
        })
    }
}

impl Cross {
    /// Builds and runs on the selected targets, prints what came out, and fails if any failed.
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let selection = match (self.all, self.quick) {
            (true, _) => Selection::All,
            (_, true) => Selection::Quick,
            _ if self.names.is_empty() => Selection::Default,
            _ => Selection::Named(self.names),
        };
        let platforms = selection.of(platform::all())?;
        let session = on.open_beside("cross")?;
        let Session { base, tree, compiler, dir, project, .. } = &session;
        let targets = Targets::of(compiler)?;
        let support = Support::at(&project.build().join("cross-support"));
        if self.install {
            let missing = platforms.iter().flat_map(|platform| support.missing(platform));
            support.install(&missing.map(|need| need.from).collect::<BTreeSet<_>>())?;
        }

        let sources = Sources::at(tree, dir);
        let series = Patched::of(tree, self.first)?;
        sources.show(&series.library)?;
        let std = series.std.clone();
        let package = Package::write(&dir.join("package"), sources, std, compiler)?;
        let work = Work { package, support, dir: dir.join("targets"), unit_tests: self.unit_tests };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let verdicts = work.all(&platforms, self.jobs.unwrap_or(cores), cores)?;

        let rows = platforms
            .iter()
            .zip(verdicts)
            .map(|(platform, verdict)| {
                Row::new(platform.target, targets.get(platform.target)?, verdict)
            })
            .collect::<Result<Vec<_>>>()?;
        let report = Report::new(base, &series, rows)?;
        print!("{}", report.render(self.format)?);
        Ok(match report.outcome() {
            Outcome::Failed => ExitCode::FAILURE,
            Outcome::Partial if !self.require => ExitCode::SUCCESS,
            Outcome::Partial | Outcome::NotRun => ExitCode::from(NOT_RUN),
            Outcome::Complete => ExitCode::SUCCESS,
        })
    }
}

struct Work<'a> {
    package: Package<'a>,
    support: Support,
    /// Where the builds are, by target.
    dir: PathBuf,
    unit_tests: bool,
}

impl Work<'_> {
    /// The verdicts, in the order of the platforms.
    fn all(&self, platforms: &[Platform], jobs: usize, cores: usize) -> Result<Vec<Verdict>> {
        let mut verdicts: Vec<Option<Verdict>> = Vec::new();
        let mut queue = VecDeque::new();
        for (index, platform) in platforms.iter().enumerate() {
            let missing = self.support.missing(platform);
            if missing.is_empty() {
                queue.push_back((index, platform));
                verdicts.push(None);
            } else {
                verdicts.push(Some(Verdict::not_run(missing)));
            }
        }
        if !queue.is_empty() {
            self.package.fetch_crates()?;
            let jobs = jobs.clamp(1, queue.len());
            let step = Step::start_count("building and running the tests", queue.len());
            let queue = Mutex::new(queue);
            let next = || queue.lock().expect("no worker panics").pop_front();
            let (sender, receiver) = mpsc::channel();
            thread::scope(|scope| {
                for _ in 0..jobs {
                    let sender = sender.clone();
                    scope.spawn(move || {
                        while let Some((index, platform)) = next() {
                            let verdict = match self.one(platform, (cores / jobs).max(1)) {
                                Ok(passed) => Verdict::Ran(passed),
                                Err(error) => Verdict::Failed(format!("{error:#}")),
                            };
                            if sender.send((index, verdict)).is_err() {
                                break;
                            }
                        }
                    });
                }
                drop(sender);
                for (index, verdict) in receiver {
                    step.one_done(&format!("{}: {verdict}", platforms[index].target));
                    verdicts[index] = Some(verdict);
                }
            });
            step.done();
        }
        Ok(verdicts.into_iter().map(|v| v.expect("each one was run or not")).collect())
    }

    fn one(&self, platform: &Platform, jobs: usize) -> Result<Passed> {
        let started = Instant::now();
        self.support.prepare(platform)?;
        let target_dir = self.dir.join(platform.target);
        let programs = self.package.build(platform, &self.support, &target_dir, jobs)?;
        let built = Instant::now();
        let counts = run::tests(platform, &self.support, &programs.tests, &[])?;
        let ran = built.elapsed();
        let unit_tests = if self.unit_tests {
            let dir = self.dir.join(format!("{}-unit", platform.target));
            let program = self.package.build_unit_tests(platform, &self.support, &dir, jobs)?;
            Some(run::tests(platform, &self.support, &program, &[unit::FILTER])?)
        } else {
            None
        };
        Ok(Passed {
            counts,
            unit_tests,
            // What a single failed test says is of more use than the trace of a failed program.
            calls: run::calls(platform, &self.support, &programs.calls),
            runner: run::description(platform, &self.support)?,
            build_seconds: (built - started).as_secs_f32(),
            run_seconds: ran.as_secs_f32(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selection: Selection) -> Vec<&'static str> {
        let platforms = selection.of(platform::all()).unwrap();
        platforms.into_iter().map(|platform| platform.target).collect()
    }

    #[test]
    fn selections_hold_what_they_promise() {
        assert_eq!(names(Selection::Default).len(), 10);
        let quick = names(Selection::Quick);
        for target in
            ["s390x-unknown-linux-gnu", "x86_64-pc-windows-gnu", "x86_64-unknown-linux-musl"]
        {
            assert!(quick.contains(&target), "{target} is not in {quick:?}");
        }
        assert!(names(Selection::All).len() > 10);
        assert_eq!(names(Selection::Named(vec!["wasm32-wasip2".into()])), ["wasm32-wasip2"]);
    }

    #[test]
    fn unknown_target_is_an_error() {
        let error = Selection::Named(vec!["z80-nothing".into()]).of(platform::all());
        let Err(error) = error else { panic!("it was found") };
        assert!(error.to_string().contains("how to run z80-nothing"), "{error}");
    }
}
