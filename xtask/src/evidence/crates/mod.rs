//! Finds whose code the methods break: published crates are type-checked with the base's std and
//! with the series', and the same for other names of the methods.
//!
//! Each crate of the table is checked by itself, as a dependency of an empty package, so that cargo
//! turns on the features that a user of that crate alone gets. What several of them depend on in
//! the same form is compiled once.

mod check;
mod list;
mod names;
pub mod row;
mod work;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use self::list::{Entry, List};
use self::row::Checked;
use self::work::Work;
use super::report::{Report, Subject};
use super::shard::Part;
use crate::library::sources::{Patched, base_library};
use crate::say::progress::Step;
use crate::say::table::Format;
use crate::session::Invocation;

/// Where the table is.
const TABLE: &str = "crates";

/// Type-check published crates with the base's std and with the series', and compare.
///
/// The crates are those of crates/crates.toml, in the versions of the lock files beside it. A finished
/// check is remembered, so a run that was interrupted goes on where it stopped. Exit code 1 if
/// anything comes out that the table does not expect.
///
///     cargo xtask crates --base 1.98
///     cargo xtask crates --base 1.98 tokio mio
///     cargo xtask crates --base 1.98 --names
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Crates {
    /// Check these crates alone.
    #[arg(value_name = "CRATE", conflicts_with = "quick")]
    crates: Vec<String>,
    /// Check the few that `cargo xtask ci` takes.
    #[arg(long)]
    quick: bool,
    /// Then check what the other names in crates.toml would break.
    #[arg(long, conflicts_with = "shard")]
    names: bool,
    /// Then check what breaks with the release in crates.toml that mends.
    #[arg(long, conflicts_with = "shard")]
    mend: bool,
    #[command(flatten)]
    part: Part,
}

impl Crates {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        if self.part.format == Format::Json && (self.names || self.mend) {
            bail!("--names and --mend print what is no JSON: leave out --format json");
        }
        let beside = on.project.root.join(TABLE);
        let list = List::read(&beside)?;
        let unknown = self.crates.iter().find(|name| list.entries().all(|e| e.name != **name));
        if let Some(name) = unknown {
            bail!("crates/crates.toml has no crate {name:?}");
        }
        let (session, _lock) = on.open_beside("crates")?;
        let series = Patched::of(&session.tree, None)?;
        let mut work = Work::new(&session, &list, &beside, &|entry| self.wants(entry))?;
        work.require_stable(&series.library)?;
        let selection: Vec<_> = work.users.iter().map(|user| user.package.clone()).collect();
        let Part { shard, format } = self.part;
        if let Some(shard) = shard {
            work.users = shard.part(&work.users);
        }
        let base = work.std(&base_library(&session.tree)?, &[])?;
        let patched = work.std(&series.library, &[])?;

        let step = Step::start_count("checking crates", work.users.len());
        let mut rows = Vec::new();
        for user in &work.users {
            let before = work.outcome(user, &base)?;
            let after = if before.built { Some(work.outcome(user, &patched)?) } else { None };
            let checked = Checked::new(user, work.graph(user), before, after);
            let row = checked.row(&user.entry)?;
            step.one_done(&format!("{}: {}", row.name, row.verdict));
            rows.push(row);
        }
        step.done();

        let title = "Published crates, type-checked with std at the base and with the series";
        let command = format!("crates{}", self.words());
        let subject = Subject::new(&session, &series, title, &command, &row::HEADER, &selection)?;
        let report = Report::new(subject, shard, rows)?;
        print!("{}", row::render(&report, format)?);
        if self.names {
            print!("\n{}", names::compare(&work, &list.names, [&base, &patched], format)?);
        }
        if self.mend {
            print!("\n{}", names::mend(&work, &list, [&base, &patched])?);
        }
        Ok(report.exit_code(true))
    }

    fn wants(&self, entry: &Entry) -> bool {
        (self.crates.is_empty() || self.crates.contains(&entry.name))
            && (entry.quick || !self.quick)
    }

    /// The selection, as it could be typed.
    fn words(&self) -> String {
        let words = self.crates.iter().map(|name| format!(" {name}"));
        words.chain(self.quick.then(|| " --quick".to_owned())).collect()
    }
}
