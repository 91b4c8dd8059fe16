//! What came out, platform by platform.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::platform::{Need, Source, What};
use super::run::Traced;
use crate::base::Base;
use crate::evidence::targets::Spec;
use crate::library::libtest::Counts;
use crate::library::sources::{LibraryId, Patched};
use crate::say::table::{self, Format};

pub enum Verdict {
    /// The tests ran to their end.
    Ran(Passed),
    /// They did not build, or did not come to their end.
    Failed(String),
    /// What is missing, and how to get it.
    NotRun(String),
}

pub struct Passed {
    pub counts: Counts,
    /// Of std's own unit tests, if these were asked for.
    pub unit_tests: Option<Counts>,
    pub calls: Result<Traced>,
    pub runner: String,
    pub build_seconds: f32,
    pub run_seconds: f32,
}

impl Verdict {
    pub fn not_run(missing: Vec<Need>) -> Verdict {
        let what = missing.iter().map(|need| match need.what {
            What::Program(name) | What::Tool(name) => name.to_owned(),
            What::File(paths) => paths[0].to_owned(),
            What::Processor(name) => format!("a processor of {name}"),
        });
        let what: Vec<_> = what.collect();
        let sources: BTreeSet<_> = missing.iter().map(|need| need.from.to_string()).collect();
        let sources: Vec<_> = sources.into_iter().collect();
        Verdict::NotRun(format!("lacks {}: {}", what.join(", "), sources.join(", ")))
    }

    fn failed(&self) -> bool {
        match self {
            Verdict::Ran(Passed { counts, unit_tests, calls, .. }) => {
                counts.failed > 0
                    || unit_tests.as_ref().is_some_and(|counts| counts.failed > 0)
                    || calls.is_err()
            }
            Verdict::Failed(_) => true,
            Verdict::NotRun(_) => false,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Source::Debian(package) => write!(f, "apt-get install {package}"),
            Source::Unpacked { package, suite } => {
                write!(f, "--install, for Debian {suite}'s {package}")
            }
            Source::Python { package, version } => {
                write!(f, "--install, for {package} {version} of the Python registry")
            }
            Source::Nowhere => f.write_str("another machine"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Verdict::Ran(_) if !self.failed() => f.write_str("passed"),
            Verdict::Ran(_) | Verdict::Failed(_) => f.write_str("FAILED"),
            Verdict::NotRun(reason) => write!(f, "not run ({reason})"),
        }
    }
}

/// A row of the table; all of it text or numbers.
#[derive(Serialize)]
pub struct Row {
    target: &'static str,
    endian: String,
    pointer_width: u32,
    runner: Option<String>,
    passed: Option<usize>,
    failed: Option<usize>,
    ignored: Option<usize>,
    unit_tests: Option<String>,
    /// Of no use for comparisons: what was built before is not built again.
    build_seconds: Option<f32>,
    run_seconds: Option<f32>,
    /// What is said of the calls that the system sees.
    calls: String,
    /// These calls, as the trace has them.
    trace: Vec<String>,
    verdict: String,
    /// What the table has no room for.
    details: Vec<String>,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Passed,
    Failed,
    NotRun,
}

impl Row {
    pub fn new(target: &'static str, spec: &Spec, verdict: Verdict) -> Result<Row> {
        let mut row = Row {
            target,
            endian: spec.endian.clone(),
            pointer_width: spec.pointer_width,
            runner: None,
            passed: None,
            failed: None,
            ignored: None,
            unit_tests: None,
            build_seconds: None,
            run_seconds: None,
            calls: "-".into(),
            trace: Vec::new(),
            verdict: verdict.to_string(),
            details: Vec::new(),
            kind: match &verdict {
                _ if verdict.failed() => Kind::Failed,
                Verdict::NotRun(_) => Kind::NotRun,
                _ => Kind::Passed,
            },
        };
        match verdict {
            Verdict::Ran(passed) => row.fill(passed),
            Verdict::Failed(reason) => row.details.push(reason),
            Verdict::NotRun(_) => {}
        }
        Ok(row)
    }

    fn fill(&mut self, passed: Passed) {
        let Passed { counts, unit_tests, calls, runner, build_seconds, run_seconds } = passed;
        self.runner = Some(runner);
        self.passed = Some(counts.passed);
        self.failed = Some(counts.failed);
        self.ignored = Some(counts.ignored);
        self.build_seconds = Some(build_seconds);
        self.run_seconds = Some(run_seconds);
        self.unit_tests = unit_tests.as_ref().map(|Counts { passed, failed, ignored, .. }| {
            format!("{passed} passed, {failed} failed, {ignored} ignored")
        });
        let failures = unit_tests.into_iter().flat_map(|counts| counts.failures);
        for (name, output) in counts.failures.into_iter().chain(failures) {
            self.details.push(format!("{name} failed:\n{}", output.trim_end()));
        }
        match calls {
            Ok(Traced::Expected(lines)) => {
                self.calls = "as expected".into();
                self.trace = lines;
            }
            Ok(Traced::Not(reason)) => {
                self.calls = "not traced".into();
                self.details.push(format!("the calls were not traced: {reason}"));
            }
            Err(error) => {
                self.calls = "WRONG".into();
                self.details.push(format!("the calls are not as they should be: {error:#}"));
            }
        }
    }

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<usize>| value.map_or("-".into(), |value| value.to_string());
        let seconds = |value: Option<f32>| value.map_or("-".into(), |value| format!("{value:.1}"));
        vec![
            self.target.into(),
            format!("{}, {}", self.endian, self.pointer_width),
            self.runner.clone().unwrap_or_else(|| "-".into()),
            number(self.passed),
            number(self.failed),
            number(self.ignored),
            seconds(self.run_seconds),
            self.calls.clone(),
            self.verdict.clone(),
        ]
    }
}

/// What came of all rows together.
pub enum Outcome {
    /// All were run and passed.
    Complete,
    /// Those that were run passed.
    Partial,
    /// None was run.
    NotRun,
    /// At least one failed.
    Failed,
}

#[derive(Serialize)]
pub struct Report {
    release: String,
    commit: String,
    library: LibraryId,
    /// How much of the series is in it.
    extent: String,
    date: String,
    platforms: Vec<Row>,
}

impl Report {
    pub fn new(base: &Base, series: &Patched, platforms: Vec<Row>) -> Result<Report> {
        Ok(Report {
            release: base.release.clone(),
            commit: base.commit.clone(),
            library: series.library.clone(),
            extent: series.extent.clone(),
            date: table::today()?,
            platforms,
        })
    }

    pub fn outcome(&self) -> Outcome {
        let totals = self.totals();
        match [Kind::Failed, Kind::Passed, Kind::NotRun].map(|kind| totals.contains_key(&kind)) {
            [true, ..] => Outcome::Failed,
            [false, true, false] => Outcome::Complete,
            [false, true, true] => Outcome::Partial,
            [false, false, _] => Outcome::NotRun,
        }
    }

    fn totals(&self) -> BTreeMap<Kind, usize> {
        let mut totals = BTreeMap::new();
        for row in &self.platforms {
            *totals.entry(row.kind).or_default() += 1;
        }
        totals
    }

    pub fn render(&self, format: Format) -> Result<String> {
        if format == Format::Json {
            return Ok(serde_json::to_string_pretty(self)? + "\n");
        }
        let mut header = vec![
            "target",
            "endian, width",
            "runner",
            "passed",
            "failed",
            "ignored",
            "seconds",
            "calls",
            "verdict",
        ];
        let mut rows: Vec<_> = self.platforms.iter().map(Row::cells).collect();
        // Few ask for them.
        if self.platforms.iter().any(|row| row.unit_tests.is_some()) {
            header.push("std's own net::tcp");
            for (cells, row) in rows.iter_mut().zip(&self.platforms) {
                cells.push(row.unit_tests.clone().unwrap_or_else(|| "-".into()));
            }
        }
        let mut text = table::render(format, &header, rows);
        for row in &self.platforms {
            for detail in &row.details {
                text += &format!("\n{}: {detail}\n", row.target);
            }
        }
        let totals = self.totals();
        let total = |kind| totals.get(&kind).copied().unwrap_or(0);
        text += &format!(
            "\n{} platforms, Rust {} ({}) and library/ {} of {}, {}: {} passed, {} failed, {} \
             not run\n",
            self.platforms.len(),
            self.release,
            &self.commit[..9],
            &self.library[..9],
            self.extent,
            self.date,
            total(Kind::Passed),
            total(Kind::Failed),
            total(Kind::NotRun),
        );
        Ok(text)
    }
}
