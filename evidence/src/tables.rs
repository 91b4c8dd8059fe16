//! Writes the tables in docs/ from the rows that trials wrote to build/evidence/results/. The rows of one base, series
//! and compiler are in one directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use xtask::out::shown;
use xtask::owned::Owned;
use xtask::project::Project;

use crate::platforms;
use crate::suite::{self, Opened, Suite};

struct Table {
    suite: &'static str,
    title: &'static str,
    meaning: &'static str,
    header: &'static [&'static str],
    /// Returns the current `Row::method` of each trial, by name. A row with another method does not count. Trials that
    /// are not named may have any method.
    methods: fn(&Project) -> Result<BTreeMap<String, String>>,
}

const TABLES: [Table; 3] = [
    Table {
        suite: "targets",
        title: "std type-checked for each target",
        meaning: "No target got a diagnostic that it did not have at the base. The base is type-checked only if the \
                  series has a diagnostic. *compiled*: std and a caller of both methods compiled. *no worse*: std \
                  has errors at the base, too, and the compiler looked at both methods. *not known*: at the base, \
                  the compiler stops before it looks at the methods. *not run*: this compiler lacks the target's \
                  processor.",
        header: &["target", "backend", "base", "series", "verdict"],
        methods: |_| Ok(BTreeMap::new()),
    },
    Table {
        suite: "platforms",
        title: "The tests of keepalive, run on other platforms",
        meaning: "*tests* are those of `tcp_keepalive.rs`, *std's own* its unit tests of `net::tcp`. *system \
                  calls*: in a trace, each call of a method is one system call with the right arguments, and there \
                  is no other. UEFI and WASI 0.1 do not support keepalive: on a connection, all three calls of the \
                  methods fail with `Unsupported`, and after that the connection sends and receives.\n\nSGX, Motor \
                  OS, SOLID and Xous do not support keepalive either, and nothing was run there, because they \
                  need hardware or images that this project does not have. std was type-checked for them ([targets.md](targets.md)), \
                  and the code of their backends was read: each method is a call of `unsupported()`, or of the \
                  macro `unimpl!()` on Xous.",
        header: &[
            "target",
            "endian, width",
            "runner",
            "tests",
            "std's own",
            "system calls",
            "verdict",
        ],
        methods: platforms::methods,
    },
    Table {
        suite: "crates",
        title: "Published crates, with the methods made stable",
        meaning: "*same*: the crate compiles with the series. *breaks*: it compiles at the base, and not with the \
                  series. *not built*: with neither. In parentheses: *patched mio* is `mio` with the patch in \
                  patches/mio-0.6, *today* are the networking crates that were most used in 2026, and *made-up* are \
                  crates of this suite. All others are from earlier years.",
        header: &["crate", "why it is here", "because of", "verdict"],
        methods: |_| Ok(BTreeMap::new()),
    },
];

/// A row of a suite's table.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The cells under the header of the table.
    pub cells: Vec<String>,
    /// Texts that follow the table.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Identifies the check. A recorded row counts only while its method is the current one.
    #[serde(default)]
    pub method: String,
    /// The day of the result.
    #[serde(default)]
    pub date: String,
}

impl Row {
    pub fn read(file: &Path) -> Result<Option<Row>> {
        if !file.exists() {
            return Ok(None);
        }
        let row = toml::from_str(&fs::read_to_string(file)?);
        Ok(Some(row.with_context(|| format!("{} is not a row; remove it", shown(file)))?))
    }

    pub fn write(&self, build: &Owned, file: &Path) -> Result<()> {
        build.write(file, toml::to_string(self)?)
    }
}

/// Returns the file with a trial's row. `found_with` is the directory for a base, a series and a compiler.
pub fn file(project: &Project, suite: &str, found_with: &str, trial: &str) -> PathBuf {
    let dir = project.build.root.join("evidence/results").join(suite).join(found_with);
    dir.join(format!("{}.toml", trial.replace(['/', ' '], "-")))
}

/// Writes docs/SUITE.md from the rows for the series in patches/ and the compilers on this machine.
pub fn write_docs(project: &Project, suites: &[Suite], suite: &str) -> Result<()> {
    let Some(table) = TABLES.iter().find(|table| table.suite == suite) else {
        bail!("{suite} has no table. These have: {}", TABLES.map(|table| table.suite).join(", "));
    };
    let mut text = format!(
        "# {}\n\nWritten by `cargo run -p evidence -- docs {suite}`. {}\n",
        table.title, table.meaning
    );
    let (trials, methods) = (suite::names(project, suites, suite)?, (table.methods)(project)?);
    for base in project.bases() {
        // The names of trials without rows contain spaces.
        let of_base = trials.iter().filter(|(of, name)| *of == base.name && !name.contains(' '));
        let names: Vec<_> = of_base.map(|(_, name)| &**name).collect();
        if names.is_empty() {
            continue;
        }
        let found_with = Opened::open(project, &base)?.found_with()?;
        let (rest, compiler) = found_with.rsplit_once('-').context("no compiler in the name")?;
        let (_, series) = rest.rsplit_once('-').context("no series in the name")?;
        let rows = names.iter().map(|name| {
            let row = Row::read(&file(project, suite, &found_with, name))?;
            let is_current =
                |row: &Row| methods.get(*name).is_none_or(|method| row.method == *method);
            Ok((*name, row.filter(is_current)))
        });
        let command =
            format!("cargo test -p evidence -- --include-ignored {suite}::{}::", base.name);
        text += &format!(
            "\n## Rust {}\n\nWith the compiler of commit {compiler}; the hash of `library/` with the series is \
             {series}.\n\n{}",
            base.release,
            section(table.header, rows.collect::<Result<_>>()?, &command)?,
        );
    }
    let file = project.root.join("docs").join(format!("{suite}.md"));
    fs::write(&file, text)?;
    println!("{}", shown(&file));
    Ok(())
}

/// Returns a table, the count of each verdict, and the notes. `command` makes missing rows.
fn section(header: &[&str], rows: Vec<(&str, Option<Row>)>, command: &str) -> Result<String> {
    let missing: Vec<_> =
        rows.iter().filter(|(_, row)| row.is_none()).map(|(name, _)| *name).collect();
    if let [first, ..] = missing[..] {
        let (count, all) = (missing.len(), rows.len());
        bail!(
            "{count} of {all} results are missing, the first is {first}. They are made by\n  {command}"
        );
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&header.iter().map(ToString::to_string).collect::<Vec<_>>());
    text += &line(&vec!["---".into(); header.len()]);
    let (mut verdicts, mut notes, mut dates) =
        (BTreeMap::<String, usize>::new(), BTreeSet::new(), BTreeSet::new());
    for (name, row) in rows {
        let Row { cells, notes: of_row, date, .. } = row.context("no row is missing")?;
        let Some(verdict) = cells.last().filter(|_| cells.len() == header.len()) else {
            bail!("the row of {name} has {} cells, and the table {}", cells.len(), header.len());
        };
        *verdicts.entry(verdict.clone()).or_default() += 1;
        text += &line(&cells);
        notes.extend(of_row);
        dates.insert(date);
    }
    let counts = verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}"));
    let (first, last) = (dates.first().context("no rows")?, dates.last().context("no rows")?);
    let days = if first == last { first.clone() } else { format!("{first} to {last}") };
    text += &format!("\n{}, {days}.\n", counts.collect::<Vec<_>>().join(", "));
    for note in notes {
        text += &format!("\n```text\n{}\n```\n", note.trim_end());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Option<Row> {
        let cells = cells.iter().map(ToString::to_string).collect();
        Some(Row {
            cells,
            notes: vec!["a note".into()],
            date: "2026-11-30".into(),
            ..Row::default()
        })
    }

    #[test]
    fn rows_are_counted_and_followed_by_notes() {
        let rows = vec![("a", row(&["a", "passed"])), ("b", row(&["b", "passed"]))];
        assert_eq!(
            section(&["target", "verdict"], rows, "").unwrap(),
            "| target | verdict |\n| --- | --- |\n| a | passed |\n| b | passed |\n\n2 passed, 2026-11-30.\n\n\
             ```text\na note\n```\n"
        );
    }

    #[test]
    fn missing_rows_and_wrong_cells_are_errors() {
        let error =
            |rows| section(&["target", "verdict"], rows, "cargo test").unwrap_err().to_string();
        let missing = error(vec![("a", row(&["a", "passed"])), ("b", None)]);
        assert!(missing.contains("1 of 2") && missing.contains("is b"), "{missing}");
        assert!(missing.ends_with("cargo test"));
        assert!(error(vec![("a", row(&["a"]))]).contains("1 cells"));
        error(vec![]);
    }
}
