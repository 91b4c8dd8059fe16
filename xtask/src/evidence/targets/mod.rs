//! Type-checking std for every target, with and without the series: no target may get a diagnostic
//! that it did not have before, and every target must get the methods.
//!
//! Base and series are checked in one place, one after the other, so that everything below std is
//! checked once. Several targets are checked side by side, each in a place of its own.

mod check;
mod memory;
mod report;
mod selection;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, mpsc};
use std::thread;

use anyhow::{Result, anyhow};
use clap::Args;

use self::check::{Checker, Outcome};
use self::memory::Memory;
use self::report::{Report, Row};
pub use self::selection::{Selection, Spec, Targets};
use crate::compiler::Compiler;
use crate::library::sources::{self, LibraryId, Patched, Sources};
use crate::say::progress::Step;
use crate::say::table::Format;
use crate::series::tree::Tree;
use crate::session::{Invocation, Session};

/// Type-check std for many targets, at the base and with the series, and compare.
///
/// A target may get no diagnostic (error or warning) that it does not have at the base, and
/// must get both methods: a crate that calls them is checked, too. Targets whose std is broken
/// at the base are compared by their diagnostics. What is checked is library/ of build/rust as
/// it is, with changes that are not committed. A finished target is remembered, so a run that
/// was interrupted goes on where it stopped.
///
/// Without arguments: one target for each operating system, environment and vendor.
/// Exit code 1 if the series breaks a target.
///
///     cargo xtask targets
///     cargo xtask targets aarch64-unknown-nuttx x86_64-unknown-uefi
///     cargo xtask targets --all --format json
///     cargo xtask targets --base 1.98 --first 1 '*nuttx*'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct CheckTargets {
    /// Check these targets alone. Patterns with `*` are taken, too.
    #[arg(value_name = "TARGET", conflicts_with_all = ["all", "quick"])]
    names: Vec<String>,
    /// Check every target that may have a std.
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// Check the least that compiles every backend of std's sockets.
    #[arg(long)]
    quick: bool,
    /// Take only the first N patches of the series, as they are committed.
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// Check so many targets side by side. [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// How to print the results.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl CheckTargets {
    /// Checks the selected targets, prints what came out, and fails if the series breaks any.
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let selection = match (self.all, self.quick) {
            (true, _) => Selection::All,
            (_, true) => Selection::Quick,
            _ if self.names.is_empty() => Selection::OneOfEach,
            _ => Selection::Named(self.names),
        };
        // A name that is wrong is told before anything is prepared.
        let known = Targets::of(&Compiler::find(&on.base()?)?)?;
        let names = known.select(&selection)?;
        let session = on.open_beside("targets")?;
        let Session { base, tree, compiler, dir, .. } = &session;
        let series = Patched::of(tree, self.first)?;
        let work = Work::new(dir.clone(), tree, compiler, series.library.clone())?;
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let rows = work.check(&names, self.jobs.unwrap_or_else(cores))?;

        let backends = report::backends(tree, &work.series)?;
        let report = Report::new(base, &series, rows, backends, &selection)?;
        print!("{}", report.render(self.format, &known)?);
        Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Everything that the checks of one base and one series share.
struct Work<'a> {
    dir: PathBuf,
    tree: &'a Tree,
    toolchain: &'a Compiler,
    base: LibraryId,
    series: LibraryId,
    base_memory: Memory,
    series_memory: Memory,
}

/// What is known of the base and of the series.
type Outcomes = (Option<Outcome>, Option<Outcome>);

impl<'a> Work<'a> {
    fn new(
        dir: PathBuf,
        tree: &'a Tree,
        toolchain: &'a Compiler,
        series: LibraryId,
    ) -> Result<Work<'a>> {
        let base = sources::base_library(tree)?;
        let results = dir.join("results");
        Ok(Work {
            base_memory: Memory::of(&results, toolchain, &base, "base")?,
            series_memory: Memory::of(&results, toolchain, &series, "series")?,
            dir,
            tree,
            toolchain,
            base,
            series,
        })
    }

    fn recall(&self, target: &str) -> Outcomes {
        (self.base_memory.recall(target), self.series_memory.recall(target))
    }

    /// Checks what is not remembered, `jobs` targets at a time.
    fn check(&self, names: &[String], jobs: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut queue = VecDeque::new();
        for name in names {
            match self.recall(name) {
                (Some(base), Some(series)) => rows.push(Row::new(name, &base, &series)),
                _ => queue.push_back(name.as_str()),
            }
        }
        if !queue.is_empty() {
            rows.extend(self.check_queue(queue, jobs)?);
        }
        rows.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(rows)
    }

    fn check_queue(&self, queue: VecDeque<&str>, jobs: usize) -> Result<Vec<Row>> {
        let checkers = (0..jobs.clamp(1, queue.len()))
            .map(|n| {
                let dir = self.dir.join(format!("worker-{n}"));
                Checker::new(&dir, Sources::at(self.tree, &dir), self.toolchain)
            })
            .collect::<Vec<_>>();
        checkers[0].fetch_crates(&self.base)?;

        let step = Step::start_count("checking std for targets", queue.len());
        let queue = Mutex::new(queue);
        let next = || queue.lock().expect("no worker panics").pop_front();
        let (sender, receiver) = mpsc::channel();
        let mut rows = Vec::new();
        thread::scope(|scope| {
            for checker in &checkers {
                let sender = sender.clone();
                scope.spawn(move || {
                    while let Some(target) = next() {
                        let row = match self.check_one(checker, target) {
                            Ok((base, series)) => Row::new(target, &base, &series),
                            Err(error) => Row::failed(target, &error),
                        };
                        if sender.send(row).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for row in receiver {
                step.one_done(&format!("{}: {}", row.target, row.verdict));
                rows.push(row);
            }
        });
        step.done();
        Ok(rows)
    }

    fn check_one(&self, checker: &Checker, target: &str) -> Result<(Outcome, Outcome)> {
        let outcomes = || {
            let (base, series) = self.recall(target);
            let base = match base {
                Some(base) => base,
                None => {
                    let base = checker.check_base(&self.base, target)?;
                    self.base_memory.remember(target, &base)?;
                    base
                }
            };
            let series = match series {
                Some(series) => series,
                None => {
                    let series = checker.check_series(&self.series, target)?;
                    self.series_memory.remember(target, &series)?;
                    series
                }
            };
            Ok((base, series))
        };
        let outcomes = outcomes();
        // Some 80 MB for each target: nothing of it is of use for another one.
        checker
            .clear(target)
            .map_err(|error| anyhow!("cannot clear up after {target}: {error}"))?;
        outcomes
    }
}
