//! Writes the tables under docs/ from what the test suites left under build/.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::base::project::{Project, display};
use crate::run::command::CommandExt;
use crate::run::ownership;
use crate::session::Invocation;

/// Write the table of a suite under docs/, from what its tests found out.
///
/// Refuses, and names them, if results are missing, or were found out with another series or compiler
/// than the others.
///
///     cargo test --test targets -- --include-ignored
///     cargo xtask docs targets
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Docs {
    #[arg(value_enum)]
    suite: Suite,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    Targets,
    Platforms,
    Crates,
}

/// What a test found out.
#[derive(Clone, Deserialize, Serialize)]
pub struct Record {
    /// Changes with whatever the result depends on.
    pub key: String,
    /// The base, with its release and commit.
    pub base: String,
    /// The hash by which git knows library/ with the series.
    pub series: String,
    pub compiler: String,
    pub date: String,
    /// What the columns of the table are.
    pub header: Vec<String>,
    /// A row of it, from the test's name to its verdict.
    pub row: Vec<String>,
    /// What the table has no room for.
    pub notes: Vec<String>,
}

impl Record {
    /// The record of a suite's test, if there is one.
    pub fn read(project: &Project, suite: &str, test: &str) -> Option<Record> {
        serde_json::from_slice(&fs::read(file(project, suite, test)).ok()?).ok()
    }

    pub fn write(&self, project: &Project, suite: &str, test: &str) -> Result<()> {
        let file = file(project, suite, test);
        fs::create_dir_all(file.parent().expect("a file is in a directory"))?;
        ownership::write(&file, &serde_json::to_vec_pretty(self)?)
    }
}

fn file(project: &Project, suite: &str, test: &str) -> PathBuf {
    let name = format!("{}.json", test.replace([':', '/', ' '], "-"));
    project.build().join("evidence").join(suite).join("results").join(name)
}

impl Docs {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        on.refuse_base("docs")?;
        let (name, title, meaning) = match self.suite {
            Suite::Targets => (
                "targets",
                "std type-checked for each target",
                "No target got a diagnostic that it did not have at the base, which is asked where anything \
                 is said with the series. *compiled*: so did a caller of both methods. *no worse*: std breaks \
                 there by itself, and the compiler did look into both methods. *not known*: it breaks before \
                 that. *not run*: this compiler cannot be asked.",
            ),
            Suite::Platforms => (
                "platforms",
                "The tests of keepalive, run on other platforms",
                "*tests* are those of `tcp_keepalive.rs`, *std's own* its unit tests of `net::tcp`.",
            ),
            Suite::Crates => (
                "crates",
                "Published crates, with the methods made stable",
                "*breaks*: it compiles at the base, and not with the series. *not built*: with neither.",
            ),
        };
        let tests = tests(&on.project, name)?;
        let records = tests.iter().map(|test| (&**test, Record::read(&on.project, name, test)));
        let tables = tables(records)?;
        let text =
            format!("# {title}\n\nWritten by `cargo xtask docs {name}`. {meaning}\n{tables}");
        let file = on.project.root.join("docs").join(format!("{name}.md"));
        ownership::write(&file, text.as_bytes())?;
        println!("{}", display(&file));
        Ok(ExitCode::SUCCESS)
    }
}

/// The names of the suite's tests, in its own order.
fn tests(project: &Project, suite: &str) -> Result<Vec<String>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--package", "evidence", "--test", suite, "--", "--list"]);
    let list = cargo.current_dir(&project.root).read()?;
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    // What a suite looks at beside its rows has a name in words, and no row.
    Ok(tests.filter(|test| !test.contains(' ')).map(str::to_owned).collect())
}

/// A table for each base, in the order of the records.
fn tables<'t>(records: impl Iterator<Item = (&'t str, Option<Record>)>) -> Result<String> {
    let (mut missing, mut bases) = (Vec::new(), BTreeMap::<String, Vec<Record>>::new());
    for (test, record) in records {
        match record {
            Some(record) => bases.entry(record.base.clone()).or_default().push(record),
            None => missing.push(test),
        }
    }
    if !missing.is_empty() {
        bail!("there are no results of\n  {}", missing.join("\n  "));
    }
    let mut text = String::new();
    for (base, records) in bases {
        let subjects: BTreeSet<_> = records.iter().map(|r| (&*r.series, &*r.compiler)).collect();
        if subjects.len() > 1 {
            let of = |(series, compiler)| {
                let is_of = |r: &&Record| (&*r.series, &*r.compiler) == (series, compiler);
                let rows: Vec<_> = records.iter().filter(is_of).map(|r| &*r.row[0]).collect();
                format!("with library/ {series} and {compiler}: {}", rows.join(", "))
            };
            let all = subjects.into_iter().map(of).collect::<Vec<_>>().join("\n  ");
            bail!("the results of {base} do not belong together:\n  {all}");
        }
        let first = &records[0];
        let dates = records.iter().map(|record| &*record.date);
        let date = dates.max().unwrap_or_default();
        text += &format!("\n## {base}\n\n{}\n", line(&first.header));
        text += &format!("{}\n", line(&vec!["---".into(); first.header.len()]));
        for record in &records {
            text += &format!("{}\n", line(&record.row));
        }
        let mut verdicts = BTreeMap::<&str, usize>::new();
        for record in &records {
            *verdicts.entry(record.row.last().map_or("", |cell| cell)).or_default() += 1;
        }
        let counts = verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        text += &format!(
            "\n{counts}, of {}. {date}, with {}; library/ with the series is {}.\n",
            records.len(),
            first.compiler,
            first.series
        );
        let notes: BTreeSet<_> = records.iter().flat_map(|record| &record.notes).collect();
        for note in notes {
            text += &format!("\n```text\n{}\n```\n", note.trim_end());
        }
    }
    Ok(text)
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, compiler: &str) -> Record {
        Record {
            key: String::new(),
            base: "Rust 1.95.0".into(),
            series: "abc".into(),
            compiler: compiler.into(),
            date: "2026-11-25".into(),
            header: ["target", "verdict"].map(String::from).into(),
            row: vec![name.into(), "compiled".into()],
            notes: vec!["a note".into()],
        }
    }

    #[test]
    fn rows_and_notes_are_written_for_each_base() {
        let other = Record { base: "Rust 1.98.1".into(), ..record("three", "rustc 1.98.1") };
        let records = [record("one", "rustc 1.95.0"), record("two", "rustc 1.95.0"), other];
        let text = tables(records.map(|record| ("test", Some(record))).into_iter()).unwrap();
        assert!(text.contains("## Rust 1.95.0\n\n| target | verdict |\n| --- | --- |\n| one |"));
        assert!(text.contains("2 compiled, of 2. 2026-11-25, with rustc 1.95.0"), "{text}");
        assert_eq!(text.matches("a note").count(), 2);
    }

    #[test]
    fn what_is_missing_or_does_not_belong_is_named() {
        let one = || ("a", Some(record("one", "rustc 1.95.0")));
        let error = tables([one(), ("b::two", None)].into_iter()).unwrap_err().to_string();
        assert!(error.contains("b::two"), "{error}");
        let other = ("c", Some(record("two", "another rustc")));
        let error = tables([one(), other].into_iter()).unwrap_err().to_string();
        assert!(error.contains("another rustc: two"), "{error}");
    }
}
