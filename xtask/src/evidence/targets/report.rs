//! What came out, target by target and in sum.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use anyhow::Result;
use serde::Serialize;

use super::check::{BACKENDS, Methods, Outcome, backend_of};
use super::selection::{Selection, Targets};
use crate::base::Base;
use crate::library::diagnostic::{Diagnostic, Identity, added};
use crate::library::sources::{LibraryId, Patched};
use crate::say::table::{self, Format};
use crate::series::tree::Tree;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// std and a caller of both methods compile, and the compiler says nothing that it did not say
    /// before.
    Compiled,
    /// std and a caller of both methods compile, and std did not at the base.
    Mended,
    /// std does not compile for this target, with or without the series. Both methods' bodies were
    /// looked into and nothing was said that was not said before.
    NoWorse,
    /// std does not compile for this target, and breaks before the methods are looked at.
    Unreached,
    /// The series adds diagnostics.
    Worse,
    /// The check itself failed.
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Verdict::Compiled => "compiled",
            Verdict::Mended => "mended, broken at the base",
            Verdict::NoWorse => "broken at the base, no worse",
            Verdict::Unreached => "broken at the base, methods not reached",
            Verdict::Worse => "NEW DIAGNOSTICS",
            Verdict::Failed => "CHECK FAILED",
        })
    }
}

#[derive(Serialize)]
pub struct Row {
    pub target: String,
    pub backend: Option<String>,
    base: Counts,
    series: Counts,
    pub verdict: Verdict,
    /// The diagnostics that the series adds.
    new: Vec<Diagnostic>,
    /// Why the check failed, if it did.
    failure: Option<String>,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Counts {
    errors: usize,
    warnings: usize,
}

impl Counts {
    fn of(outcome: &Outcome) -> Counts {
        let errors = outcome.diagnostics.iter().filter(|d| d.is_error()).count();
        Counts { errors, warnings: outcome.diagnostics.len() - errors }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let count = |count, noun| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        match (self.errors, self.warnings) {
            (0, 0) => f.write_str("ok"),
            (0, warnings) => f.write_str(&count(warnings, "warning")),
            (errors, 0) => f.write_str(&count(errors, "error")),
            (errors, warnings) => {
                write!(f, "{}, {}", count(errors, "error"), count(warnings, "warning"))
            }
        }
    }
}

impl Row {
    pub fn new(target: &str, base: &Outcome, series: &Outcome) -> Row {
        let new = added(&base.diagnostics, &series.diagnostics);
        let verdict = match series.methods {
            _ if !new.is_empty() => Verdict::Worse,
            Methods::Compiled if Counts::of(base).errors > 0 => Verdict::Mended,
            Methods::Compiled => Verdict::Compiled,
            Methods::Reached => Verdict::NoWorse,
            Methods::Unreached => Verdict::Unreached,
            // A caller that fails says so with an error, which the base cannot have.
            Methods::Missing | Methods::Unasked => Verdict::Failed,
        };
        Row {
            target: target.to_owned(),
            backend: series.backend.clone(),
            base: Counts::of(base),
            series: Counts::of(series),
            verdict,
            new: new.into_iter().cloned().collect(),
            failure: None,
        }
    }

    pub fn failed(target: &str, error: &anyhow::Error) -> Row {
        Row {
            target: target.to_owned(),
            backend: None,
            base: Counts::default(),
            series: Counts::default(),
            verdict: Verdict::Failed,
            new: Vec::new(),
            failure: Some(format!("{error:#}")),
        }
    }

    fn backend(&self) -> &str {
        self.backend.as_deref().unwrap_or("-")
    }
}

#[derive(Serialize)]
pub struct Report {
    release: String,
    commit: String,
    library: LibraryId,
    /// How much of the series is in it.
    extent: String,
    date: String,
    totals: BTreeMap<Verdict, usize>,
    /// Backends that none of the checked targets compiles.
    unchecked_backends: BTreeSet<String>,
    /// Whether those are a mistake: the selection is meant to have all of them.
    covers_backends: bool,
    targets: Vec<Row>,
}

/// The backends of `sys::net` in a state of library/.
pub fn backends(tree: &Tree, library: &LibraryId) -> Result<BTreeSet<String>> {
    let directory = format!("{library}:{BACKENDS}");
    let files = tree.git.read(&["ls-tree", "-r", "--name-only", &directory])?;
    Ok(files.lines().filter_map(backend_of).collect())
}

impl Report {
    pub fn new(
        base: &Base,
        series: &Patched,
        targets: Vec<Row>,
        mut backends: BTreeSet<String>,
        selection: &Selection,
    ) -> Result<Report> {
        let mut totals = BTreeMap::new();
        for row in &targets {
            *totals.entry(row.verdict).or_default() += 1;
            if let Some(backend) = &row.backend {
                backends.remove(backend);
            }
        }
        Ok(Report {
            release: base.release.clone(),
            commit: base.commit.clone(),
            library: series.library.clone(),
            extent: series.extent.clone(),
            date: table::today()?,
            totals,
            unchecked_backends: backends,
            covers_backends: !matches!(selection, Selection::Named(_)),
            targets,
        })
    }

    pub fn passed(&self) -> bool {
        let bad = [Verdict::Worse, Verdict::Failed];
        !bad.iter().any(|verdict| self.totals.contains_key(verdict))
            && (!self.covers_backends || self.unchecked_backends.is_empty())
    }

    pub fn render(&self, format: Format, known: &Targets) -> Result<String> {
        Ok(match format {
            Format::Json => serde_json::to_string_pretty(self)? + "\n",
            Format::Markdown => self.by_backend(known)?,
            Format::Table => self.by_target()?,
        })
    }

    fn by_target(&self) -> Result<String> {
        let mut text = table::render(
            Format::Table,
            &["target", "backend", "base", "series", "verdict"],
            self.targets.iter().map(|row| {
                vec![
                    row.target.clone(),
                    row.backend().into(),
                    row.base.to_string(),
                    row.series.to_string(),
                    row.verdict.to_string(),
                ]
            }),
        );
        for row in &self.targets {
            if let Some(failure) = &row.failure {
                write!(text, "\n{} could not be checked: {failure}\n", row.target)?;
            }
        }
        for (diagnostic, targets) in self.new_diagnostics() {
            write!(
                text,
                "\nNew on {} target{} ({}):\n{}\n",
                targets.len(),
                if targets.len() == 1 { "" } else { "s" },
                targets.into_iter().collect::<Vec<_>>().join(", "),
                diagnostic.rendered.trim_end(),
            )?;
        }
        write!(text, "\n{}", self.summary())?;
        Ok(text)
    }

    /// Each new diagnostic once, with the targets that have it.
    fn new_diagnostics(&self) -> Vec<(&Diagnostic, BTreeSet<&str>)> {
        let mut all = BTreeMap::<&Identity, (&Diagnostic, BTreeSet<&str>)>::new();
        for row in &self.targets {
            for diagnostic in &row.new {
                let entry = all.entry(&diagnostic.identity);
                entry.or_insert((diagnostic, BTreeSet::new())).1.insert(&row.target);
            }
        }
        all.into_values().collect()
    }

    fn summary(&self) -> String {
        let totals: Vec<_> =
            self.totals.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        let mut text = format!(
            "{} targets, Rust {} ({}) and library/ {} of {}: {}\n",
            self.targets.len(),
            self.release,
            &self.commit[..9],
            &self.library[..9],
            self.extent,
            totals.join("; "),
        );
        if self.covers_backends && !self.unchecked_backends.is_empty() {
            let names: Vec<_> = self.unchecked_backends.iter().map(String::as_str).collect();
            text += &format!("NO TARGET here compiles the backends {}\n", names.join(", "));
        }
        text
    }

    /// A row for each backend and verdict, short enough for the README.
    fn by_backend(&self, known: &Targets) -> Result<String> {
        let mut groups = BTreeMap::<(&str, Verdict), Vec<&str>>::new();
        for row in &self.targets {
            groups.entry((row.backend(), row.verdict)).or_default().push(&row.target);
        }
        let mut rows = Vec::new();
        for ((backend, verdict), targets) in groups {
            let names = match targets.len() {
                0..=4 => targets.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", "),
                _ => systems(&targets, known)?,
            };
            let count = targets.len().to_string();
            rows.push(vec![format!("`{backend}`"), verdict.to_string(), count, names]);
        }
        let header = ["backend", "with the series", "targets", "which, or how many of each system"];
        let table = table::render(Format::Markdown, &header, rows);
        Ok(format!("{table}\n{}, {}\n", self.summary().trim_end(), self.date))
    }
}

/// How many of the targets are for each operating system.
fn systems(targets: &[&str], known: &Targets) -> Result<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for target in targets {
        *counts.entry(&known.get(target)?.os).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    let counts: Vec<_> = counts.iter().map(|(os, count)| format!("{count} {os}")).collect();
    Ok(counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_with_the_most_targets_comes_first() {
        let spec = |os| format!(r#"{{"os": "{os}", "target-pointer-width": 64}}"#);
        let json =
            format!(r#"{{"a": {}, "b": {}, "c": {}}}"#, spec("aix"), spec("linux"), spec("linux"));
        let known = Targets::parse(&json).unwrap();
        assert_eq!(systems(&["a", "b", "c"], &known).unwrap(), "2 linux, 1 aix");
    }
}
