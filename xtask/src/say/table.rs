//! Lays results out as a table, for people and for docs/.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

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
    let mut lines = vec![header.iter().map(|&word| word.to_owned()).collect()];
    lines.extend(rows);
    let columns = (0..header.len()).map(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    });
    let widths: Vec<_> = columns.collect();
    if format == Format::Markdown {
        lines.insert(1, widths.iter().map(|&width| "-".repeat(width)).collect());
    }
    let edge = if format == Format::Markdown { "|" } else { "" };
    let text = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} {edge}"));
        // Without trailing blanks, which no editor and no whitespace check likes.
        format!("{edge}{}", cells.collect::<String>()).trim_end().to_owned() + "\n"
    };
    lines.iter().map(text).collect()
}

/// The date that a result is given, in UTC.
pub fn today() -> Result<String> {
    Command::new("date").args(["--utc", "+%F"]).read()
}
