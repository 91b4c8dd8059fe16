//! Finds whose code the methods break: a published crate is type-checked with the series' std and, where
//! that fails, with the base's.
//!
//! Each crate of the table is checked by itself, as a dependency of an empty package, so that cargo
//! turns on the features that a user of that crate alone gets. What several of them depend on in
//! the same form is compiled once.

mod check;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use xtask::base::Base;
use xtask::docs::Record;
use xtask::library::sources::{LibraryId, base_library, library_right_now};
use xtask::library::sysroot::{Profile, Workshop};
use xtask::run::{lock, whole};
use xtask::session::Session;

use self::check::{Checker, Found, Outcome};
use self::table::Verdict;
pub use self::table::{Crate, Table};
use crate::record::{self, cells};
use crate::suite;

/// Checks one crate of the table, and fails if what comes out is not what the table expects. What was
/// found out before of the same crate and the same std is not found out again.
pub fn check(base: &Base, workspace: &str, krate: &Crate) -> Result<String> {
    let session = suite::open(base)?;
    let Session { project, tree, .. } = &session;
    let table = Table::read(project)?;
    let series = library_right_now(tree)?;
    let of_base = base_library(tree)?;
    let begun = record::begin(&session, &series)?;
    let made_of = table.made_of(workspace, krate)?;
    let key = record::key(&[&begun.base, &begun.compiler, &series, &of_base, &made_of, "1"]);
    let test = format!("{}::{}", base.name, krate.spec());
    if Record::read(project, "crates", &test).is_some_and(|known| known.key == key) {
        return Ok(String::new());
    }

    let dir = project.build().join("evidence/crates").join(&base.name);
    // One at a time, as all have what they depend on compiled in the same place.
    let _lock = lock::acquire(&dir.join("lock"), "checking a crate")?;
    let checker = Checker::new(&session.compiler, &table, workspace, &dir)?;
    let with_series = checker.check(krate, &sysroot(&session, &dir, &series)?)?;
    // What compiles with the series is not broken by it.
    let with_base = match with_series.built {
        true => None,
        false => Some(checker.check(krate, &sysroot(&session, &dir, &of_base)?)?),
    };
    let (verdict, decisive) = verdict(&with_series, with_base.as_ref());
    let errors = lines(&decisive.errors);
    if verdict != krate.expect {
        bail!("{verdict}, and crates/crates.toml expects {}\n{errors}", krate.expect);
    }

    let package = checker.package(krate)?;
    let causes: BTreeSet<_> = decisive.errors.iter().map(|error| &*error.package).collect();
    let because = match Vec::from_iter(causes).join(", ") {
        causes if causes == package => "its own code".into(),
        causes => causes,
    };
    // What is no part of the crates of earlier years is counted by itself.
    let verdict = match workspace {
        "today" | "made-up" => format!("{verdict} ({workspace})"),
        _ => verdict.to_string(),
    };
    let warnings = with_base.map(|base| lines(&base.collisions)).unwrap_or_default();
    let notes = [errors, warnings].into_iter().filter(|note| !note.is_empty()).collect();
    let header = cells(&["crate", "why it is here", "because of", "verdict"]);
    let row = cells(&[&package, &krate.why, &because, &verdict]);
    Record { key, header, row, notes, ..begun }.write(project, "crates", &test)?;
    Ok(String::new())
}

fn lines(found: &BTreeSet<Found>) -> String {
    found.iter().map(|found| found.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// A directory for `--sysroot`, with that std as far as it takes to type-check others.
fn sysroot(session: &Session, dir: &Path, library: &LibraryId) -> Result<PathBuf> {
    // Metadata is of use to this very compiler alone: rustup's takes none from Debian's of the same commit.
    let sysroot = dir.join("sysroots").join(record::key(&[library, session.compiler.title()]));
    if !sysroot.exists() {
        let workshop = Workshop::open(session, &session.compiler.host, library)?;
        whole::make(&sysroot, |new| workshop.sysroot(Profile::Metadata, new))?;
    }
    Ok(sysroot)
}

/// What came out, and which of both checks shows why. The base's is only there if that with the series
/// failed.
fn verdict<'o>(series: &'o Outcome, base: Option<&'o Outcome>) -> (Verdict, &'o Outcome) {
    match base {
        None => (Verdict::Same, series),
        Some(base) if base.built => (Verdict::Breaks, series),
        Some(base) => (Verdict::NotBuilt, base),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_at_the_base_too_is_not_broken() {
        let outcome = |built| Outcome { built, ..Outcome::default() };
        let said =
            |series, base: Option<bool>| verdict(&outcome(series), base.map(outcome).as_ref()).0;
        assert_eq!(said(true, None), Verdict::Same);
        assert_eq!(said(false, Some(true)), Verdict::Breaks);
        assert_eq!(said(false, Some(false)), Verdict::NotBuilt);
    }
}
