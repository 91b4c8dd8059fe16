//! Lays results out as a table, for people and for docs/.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};

use crate::run::command::CommandExt;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For a file under docs/.
    Markdown,
    /// For machines: everything that is known.
    Json,
}

/// A table with a header, as text.
pub fn render(
    format: Format,
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(if format == Format::Markdown { ASCII_MARKDOWN } else { NOTHING });
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    // Without trailing blanks, which no editor and no whitespace check likes.
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The date that a result is given, in UTC.
pub fn today() -> Result<String> {
    Command::new("date").args(["--utc", "+%F"]).read()
}
