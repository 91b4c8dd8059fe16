//! Type-checks std for every target, with and without the series: no target may get a diagnostic
//! that it did not have before, and every target must get the methods.
//!
//! Base and series are checked in one place, one after the other, so that everything below std is
//! checked once. Several targets are checked side by side, each in a place of its own.

mod check;
mod row;
mod specs;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use self::check::{Checker, METHOD, Outcome};
pub use self::specs::{Spec, Specs};
use crate::compiler::Compiler;
use crate::evidence::cache::Cache;
use crate::evidence::pool;
use crate::evidence::report::{Report, Row, Subject};
use crate::evidence::scope::Scope;
use crate::evidence::shard::Part;
use crate::library::sources::{self, Patched, Sources};
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
/// Exit code 1 if the series breaks a target; 3 if a target is so broken at the base that the
/// methods were not reached, and nothing is known of them.
///
///     cargo xtask targets
///     cargo xtask targets aarch64-unknown-nuttx x86_64-unknown-uefi
///     cargo xtask targets --all --shard 0/8 --format json >0.json
///     cargo xtask targets --base 1.98 --first 1 '*nuttx*'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Targets {
    #[command(flatten)]
    scope: Scope,
}

impl Targets {
    /// Checks the selected targets, prints what came out, and fails if the series breaks any.
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let Scope { part: Part { shard, format }, first, .. } = self.scope;
        // A name that is wrong is told before anything is prepared.
        let selection = Specs::of(&Compiler::find(&on.base()?)?)?.select(&self.scope)?;
        let (session, _lock) = on.open_beside("targets")?;
        let Session { tree, .. } = &session;
        let series = Patched::of(tree, first)?;
        let title = "std for every target, type-checked at the base and with the series";
        let command = format!("targets{}", self.scope.words());
        let mut subject =
            Subject::new(&session, &series, title, &command, &row::HEADER, &selection)?;
        if !self.scope.names_some() {
            subject.must_cover = check::backends(tree, &series.library)?;
        }
        let mine = shard.map_or(selection.clone(), |shard| shard.part(&selection));
        let rows = check_all(&session, &series, &mine, &self.scope)?;
        let report = Report::new(subject, shard, rows)?;
        print!("{}", report.render(format)?);
        Ok(report.exit_code(true))
    }
}

/// A row for each target. What is not remembered is checked, several side by side.
fn check_all(
    session: &Session,
    series: &Patched,
    names: &[String],
    scope: &Scope,
) -> Result<Vec<Row>> {
    let Session { tree, compiler, dir, .. } = session;
    let commit = compiler.version_field("commit-hash")?;
    let base = sources::base_library(tree)?;
    let cache = |side, library| {
        Cache::of(&dir.join("results"), &[&[side, library, commit], METHOD].concat())
    };
    let (of_base, of_series) = (cache("base", &base), cache("series", &series.library));

    let recall = |name: &String| Some((of_base.get(name)?, of_series.get(name)?));
    let known: Vec<Option<(Outcome, Outcome)>> = names.iter().map(recall).collect();
    let unknown = names.iter().zip(&known).filter(|(_, outcomes)| outcomes.is_none());
    let unknown: Vec<_> = unknown.map(|(name, _)| name).collect();
    let workers = scope.jobs(unknown.len());
    let checkers: Vec<_> = (0..workers)
        .map(|n| dir.join(format!("worker-{n}")))
        .map(|dir| Checker::new(&dir, Sources::at(tree, &dir), compiler))
        .collect();
    let check = |checker: &Checker, name: &str| {
        let outcomes = (|| {
            let of_base = of_base.get_or(name, || checker.check(&base, name, false))?;
            let with_methods = || checker.check(&series.library, name, true);
            Ok((of_base, of_series.get_or(name, with_methods)?))
        })();
        // Some 80 MB for each target: nothing of it is of use for another one.
        checker.clear(name).with_context(|| format!("cannot clear up after {name}"))?;
        outcomes
    };
    let mut checked = Vec::new();
    if !unknown.is_empty() {
        checkers[0].fetch_crates(&base)?;
        checked = pool::each("checking std for targets", &unknown, workers, |worker, name| {
            let row = row::row(name, check(&checkers[worker], name));
            let line = format!("{name}: {}", row.verdict);
            (row, line)
        });
    }
    let mut checked = checked.into_iter();
    let rows = names.iter().zip(known).map(|(name, known)| match known {
        Some(outcomes) => row::row(name, Ok(outcomes)),
        None => checked.next().expect("what was not known was checked"),
    });
    Ok(rows.collect())
}
