//! Shows what a command found out, a row for each target: as a table, as a file for docs/, or as
//! JSON, which can be put together from the parts that several machines wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::shard::Shard;
use crate::library::sources::{LibraryId, Patched};
use crate::say::failure::NOT_RUN;
use crate::say::table::{self, Format};
use crate::session::Session;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Passed,
    Failed,
    /// Nothing was found out, so it neither passed nor failed.
    NotRun,
}

/// The result for one target, or whatever else the command looks at.
#[derive(Deserialize, Serialize)]
pub struct Row {
    pub name: String,
    /// What the table shows between the name and the verdict.
    pub cells: Vec<String>,
    pub verdict: String,
    pub class: Class,
    /// What the table has no room for. What several rows have in common is shown once.
    pub details: Vec<String>,
    /// Which of the things that the rows together must cover it does.
    pub covers: Option<String>,
    /// All that is known, for machines.
    pub data: serde_json::Value,
}

/// What was looked at. All parts of a result have it in common.
#[derive(Deserialize, Serialize)]
pub struct Subject {
    pub title: String,
    /// As it could be typed, but for what divides the work or formats the results.
    pub command: String,
    pub base: String,
    pub release: String,
    pub commit: String,
    /// library/ with the series.
    pub series: LibraryId,
    /// How much of the series is in it.
    pub extent: String,
    pub compiler: String,
    /// The names of all rows, on this machine and others.
    pub selection: Vec<String>,
    /// The table's header, without the verdict.
    pub header: Vec<String>,
    /// What the rows together must cover.
    pub must_cover: BTreeSet<String>,
}

impl Subject {
    /// `command` is its name and options.
    pub fn new(
        session: &Session,
        series: &Patched,
        title: &str,
        command: &str,
        header: &[&str],
        selection: &[String],
    ) -> Result<Subject> {
        let Session { base, compiler, .. } = session;
        Ok(Subject {
            title: title.into(),
            command: format!("cargo xtask {command}{}", base.option()),
            base: base.name.clone(),
            release: base.release.clone(),
            commit: base.commit.clone(),
            series: series.library.clone(),
            extent: series.extent.clone(),
            compiler: format!("{} ({})", compiler.title(), compiler.version_field("commit-hash")?),
            selection: selection.to_vec(),
            header: header.iter().map(|cell| cell.to_string()).collect(),
            must_cover: BTreeSet::new(),
        })
    }
}

#[derive(Deserialize, Serialize)]
pub struct Report {
    #[serde(flatten)]
    subject: Subject,
    date: String,
    /// Which part of the selection the rows are, if not all of it.
    shard: Option<Shard>,
    pub rows: Vec<Row>,
}

impl Report {
    pub fn new(subject: Subject, shard: Option<Shard>, rows: Vec<Row>) -> Result<Report> {
        Ok(Report { subject, date: table::today()?, shard, rows })
    }

    /// 1 if a row failed or the rows do not cover what they must; 3 if nothing was found out, or, with
    /// `require`, about one of them.
    pub fn exit_code(&self, require: bool) -> ExitCode {
        let has = |class| self.rows.iter().any(|row| row.class == class);
        if has(Class::Failed) || !self.uncovered().is_empty() {
            ExitCode::FAILURE
        } else if has(Class::NotRun) && (require || !has(Class::Passed)) {
            ExitCode::from(NOT_RUN)
        } else {
            ExitCode::SUCCESS
        }
    }

    fn uncovered(&self) -> Vec<&str> {
        if self.shard.is_some() {
            return Vec::new();
        }
        let covered: BTreeSet<_> = self.rows.iter().flat_map(|row| &row.covers).collect();
        let must_cover = self.subject.must_cover.iter().filter(|name| !covered.contains(name));
        must_cover.map(String::as_str).collect()
    }

    pub fn render(&self, format: Format) -> Result<String> {
        let Subject { title, command, .. } = &self.subject;
        let rest = || format!("{}\n{}", self.details(), self.summary());
        Ok(match format {
            Format::Json => serde_json::to_string_pretty(self)? + "\n",
            Format::Table => self.table(format) + &rest(),
            Format::Markdown => {
                let table = self.table(format);
                format!(
                    "# {title}\n\nWritten by `{command} --format markdown`.\n\n{table}{}",
                    rest()
                )
            }
        })
    }

    fn table(&self, format: Format) -> String {
        let header = self.subject.header.iter().map(String::as_str).chain(["verdict"]);
        let rows = self.rows.iter().map(|row| {
            let cells = [&row.name].into_iter().chain(&row.cells).chain([&row.verdict]);
            cells.cloned().collect()
        });
        table::render(format, &header.collect::<Vec<_>>(), rows)
    }

    fn details(&self) -> String {
        let mut details = BTreeMap::<&str, Vec<&str>>::new();
        for row in &self.rows {
            for detail in &row.details {
                details.entry(detail).or_default().push(&row.name);
            }
        }
        let texts = details
            .iter()
            .map(|(detail, names)| format!("\n{}: {}\n", names.join(", "), detail.trim_end()));
        texts.collect()
    }

    fn summary(&self) -> String {
        let mut totals = BTreeMap::<&str, usize>::new();
        for row in &self.rows {
            *totals.entry(&row.verdict).or_default() += 1;
        }
        let totals = totals.iter().map(|(verdict, count)| format!("{count} {verdict}"));
        let Subject { release, commit, series, extent, .. } = &self.subject;
        let shard = self.shard.map(|shard| format!("Shard {shard} of: ")).unwrap_or_default();
        let uncovered = self.uncovered();
        format!(
            "{shard}Rust {release} ({}) and library/ {} of {extent}, {}: {}, of {}\n{}",
            &commit[..9],
            &series[..9],
            self.date,
            totals.collect::<Vec<_>>().join(", "),
            self.rows.len(),
            if uncovered.is_empty() {
                String::new()
            } else {
                format!("NOTHING HERE covers {}\n", uncovered.join(", "))
            }
        )
    }

    /// The report that one machine would have written, from those in JSON files of all shards.
    pub fn merge(files: &[PathBuf]) -> Result<Report> {
        let mut parts = Vec::new();
        for file in files {
            let part: Report = serde_json::from_slice(&fs::read(file)?)
                .with_context(|| format!("{} holds no results of this tool", file.display()))?;
            let Some(shard) = part.shard else {
                bail!("{} holds no shard: it was made without --shard", file.display());
            };
            parts.push((shard, file, part));
        }
        parts.sort_by_key(|(shard, ..)| *shard);
        let Some((Shard { of, .. }, first_file, first)) = parts.first() else {
            bail!("there is nothing to merge");
        };
        for (shard, file, part) in &parts {
            same_subject(first_file, &first.subject, file, &part.subject)?;
            if shard.of != *of {
                bail!("{} holds shard {shard}, but others one of {of}", file.display());
            }
            let names: Vec<_> = part.rows.iter().map(|row| &row.name).collect();
            if names != shard.part(&part.subject.selection).iter().collect::<Vec<_>>() {
                bail!("{} does not hold the rows of shard {shard}", file.display());
            }
        }
        for index in 0..*of {
            let shard = Shard { of: *of, index };
            let same: Vec<_> = parts.iter().filter(|(found, ..)| *found == shard).collect();
            match &same[..] {
                [] => bail!("shard {shard} is missing"),
                [_] => {}
                [(_, a, _), (_, b, _), ..] => {
                    bail!("{} and {} both hold shard {shard}", a.display(), b.display())
                }
            }
        }

        let date = parts.iter().map(|(.., part)| part.date.clone()).max().unwrap_or_default();
        let mut subject = None;
        let mut rows = BTreeMap::new();
        for (shard, _, part) in parts {
            let numbered = part.rows.into_iter().enumerate();
            rows.extend(numbered.map(|(n, row)| (shard.index + n * shard.of, row)));
            subject = Some(part.subject);
        }
        let subject = subject.expect("there is a part");
        Ok(Report { subject, date, shard: None, rows: rows.into_values().collect() })
    }
}

/// Fails with the first thing in which two parts differ.
fn same_subject(file: &Path, subject: &Subject, other_file: &Path, other: &Subject) -> Result<()> {
    let (mine, theirs) = (serde_json::to_value(subject)?, serde_json::to_value(other)?);
    for (name, value) in mine.as_object().into_iter().flatten() {
        if theirs[name] != *value {
            let [file, other_file] = [file, other_file].map(Path::display);
            let theirs = &theirs[name];
            bail!("{other_file} was made with another {name} than {file}: {theirs}, not {value}");
        }
    }
    Ok(())
}
