//! What the records of all suites have in common.

use std::fmt;
use std::process::Command;

use anyhow::Result;
use sha2::{Digest, Sha256};
use xtask::docs::Record;
use xtask::library::sources::LibraryId;
use xtask::run::command::CommandExt;
use xtask::run::ownership::hex;
use xtask::session::Session;

/// What a test looked at.
pub struct Subject {
    base: String,
    series: LibraryId,
    compiler: String,
}

impl Subject {
    pub fn new(session: &Session, series: &LibraryId) -> Result<Subject> {
        let Session { base, compiler, .. } = session;
        Ok(Subject {
            base: format!("Rust {} ({})", base.release, &base.commit[..12]),
            series: series.clone(),
            compiler: format!("{} ({})", compiler.title(), compiler.version_field("commit-hash")?),
        })
    }

    pub fn record(
        &self,
        key: String,
        header: &[&str],
        row: &[&str],
        notes: Vec<String>,
    ) -> Result<Record> {
        let own = |cells: &[&str]| cells.iter().map(|cell| cell.to_string()).collect();
        Ok(Record {
            key,
            base: self.base.clone(),
            series: self.series.clone(),
            compiler: self.compiler.clone(),
            date: Command::new("date").args(["--utc", "+%F"]).read()?,
            header: own(header),
            row: own(row),
            notes,
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} {}", self.base, self.series, self.compiler)
    }
}

/// A hash of the parts, and of where one ends and the next begins.
pub fn key(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())[..16].into()
}
