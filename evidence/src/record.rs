//! What the records of all suites have in common.

use std::process::Command;

use anyhow::Result;
use sha2::{Digest, Sha256};
use xtask::docs::Record;
use xtask::library::sources::LibraryId;
use xtask::run::command::CommandExt;
use xtask::run::ownership::hex;
use xtask::session::Session;

/// A record that says what is looked at, and not yet what was found out.
pub fn begin(session: &Session, series: &LibraryId) -> Result<Record> {
    let Session { base, compiler, .. } = session;
    Ok(Record {
        key: String::new(),
        base: format!("Rust {} ({})", base.release, &base.commit[..12]),
        series: series.clone(),
        compiler: format!("{} ({})", compiler.title(), compiler.version_field("commit-hash")?),
        date: Command::new("date").args(["--utc", "+%F"]).read()?,
        header: Vec::new(),
        row: Vec::new(),
        notes: Vec::new(),
    })
}

/// Cells of a table.
pub fn cells(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
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
