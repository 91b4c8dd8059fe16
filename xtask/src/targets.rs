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

use self::check::{Checker, Outcome};
use self::memory::Memory;
use self::report::{Report, Row};
pub use self::selection::{Selection, Spec, Targets};
use crate::base::Base;
use crate::lock;
use crate::prepare::prepare;
use crate::progress::Step;
use crate::project::Project;
use crate::sources::{self, LibraryId, Patched, Sources};
use crate::table::Format;
use crate::toolchain::Toolchain;
use crate::tree::Tree;

pub struct Options {
    /// How many patches of the series to take, if not all.
    pub first: Option<usize>,
    pub jobs: Option<usize>,
    pub format: Format,
}

/// Checks the selected targets, prints what came out, and fails if the series breaks any.
pub fn run(
    project: &Project,
    base: &Base,
    selection: &Selection,
    options: &Options,
) -> Result<ExitCode> {
    let toolchain = Toolchain::find(base)?;
    let known = Targets::of(&toolchain)?;
    let names = known.select(selection)?;
    let tree = {
        let _lock = lock::acquire(project, "targets: preparing the tree")?;
        prepare(project, base, None, &toolchain)?
    };
    let dir = project.build_of(base, "targets");
    let _lock = lock::acquire_in(&dir, "targets")?;
    let series = Patched::of(&tree, options.first)?;
    let work = Work::new(dir, &tree, &toolchain, series.library.clone())?;
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let rows = work.check(&names, options.jobs.unwrap_or_else(cores))?;

    let backends = report::backends(&tree, &work.series)?;
    let report = Report::new(base, &series, rows, backends, selection)?;
    print!("{}", report.render(options.format, &known)?);
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that the checks of one base and one series share.
struct Work<'a> {
    dir: PathBuf,
    tree: &'a Tree,
    toolchain: &'a Toolchain,
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
        toolchain: &'a Toolchain,
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
