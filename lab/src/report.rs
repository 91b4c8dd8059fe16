//! What a run found: the rows of each case, put together for the reader.

use std::time::Duration;

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::{Deserialize, Serialize};

use crate::capture::Frame;
use crate::network::{Family, Node};

/// A scenario, once.
#[derive(Serialize, Deserialize)]
pub struct Case {
    pub scenario: String,
    /// How the scenario calls this side of it.
    pub side: String,
    pub with: bool,
    pub family: Family,
    /// Since the epoch.
    pub start: Duration,
    /// Seconds since then.
    pub end: f64,
    pub rows: Vec<Row>,
    pub marks: Vec<Mark>,
    pub frames: Vec<Frame>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    pub at: f64,
    pub node: Node,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    pub what: String,
    /// From when to when, in seconds; any time will do if it is not said.
    window: Option<(f64, f64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub what: String,
    pub seconds: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub what: String,
    pub expected: Expected,
    pub seen: Seen,
}

/// The kernel's timers are never early, but count in ticks of up to 10 ms; they may be late by an
/// eighth, and a busy machine keeps processes waiting.
const EARLY: f64 = 0.02;
pub const LATE: f64 = 0.8;
const _: () = assert!(EARLY + LATE < 1.0, "a probe more or less, of the shortest interval, shows");

impl Expected {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), window: None }
    }

    pub fn at(self, seconds: f64) -> Self {
        self.between(seconds, seconds + LATE)
    }

    pub fn between(self, from: f64, to: f64) -> Self {
        Self { window: Some((from, to)), ..self }
    }

    fn text(&self) -> String {
        match self.window {
            Some((from, to)) => format!("{}, {from:.1} to {to:.1} s", self.what),
            None => self.what.clone(),
        }
    }
}

impl From<String> for Seen {
    fn from(what: String) -> Self {
        Self { what, seconds: None }
    }
}

impl From<&str> for Seen {
    fn from(what: &str) -> Self {
        what.to_string().into()
    }
}

impl Row {
    pub fn new(what: &str, expected: Expected, seen: Seen) -> Self {
        Self { what: what.to_string(), expected, seen }
    }

    fn passes(&self) -> bool {
        let in_time = self.expected.window.is_none_or(|(from, to)| {
            self.seen.seconds.is_some_and(|seconds| (from - EARLY..=to).contains(&seconds))
        });
        self.expected.what == self.seen.what && in_time
    }
}

/// All cases against one std.
pub struct Run {
    pub std: String,
    pub cases: Vec<Case>,
}

/// A row of the report: one expectation, in every run and both IP families.
#[derive(Serialize)]
pub struct Line {
    scenario: String,
    side: String,
    what: String,
    expected: String,
    /// One for each run.
    seen: Vec<Cell>,
    pub pass: bool,
}

#[derive(Serialize, Debug, PartialEq)]
struct Cell {
    std: String,
    seen: String,
    /// IPv4, IPv6
    seconds: Vec<Option<f64>>,
}

/// Puts the runs side by side. A line passes if every run and family saw what was expected, so
/// they are equal too.
pub fn lines(runs: &[Run]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for case in runs.iter().flat_map(|run| &run.cases) {
        for Row { what, expected, .. } in &case.rows {
            let same = |line: &Line| {
                line.scenario == case.scenario && line.side == case.side && line.what == *what
            };
            if lines.iter().any(same) {
                continue;
            }
            let rows: Vec<_> = runs.iter().map(|run| rows(run, case, what)).collect();
            lines.push(Line {
                scenario: case.scenario.clone(),
                side: case.side.clone(),
                what: what.clone(),
                expected: expected.text(),
                seen: runs.iter().zip(&rows).map(|(run, rows)| cell(&run.std, rows)).collect(),
                pass: rows.iter().flatten().all(|row| row.is_some_and(Row::passes)),
            });
        }
    }
    lines
}

/// The row by its name in a run's IPv4 and IPv6 case.
fn rows<'a>(run: &'a Run, like: &Case, what: &str) -> [Option<&'a Row>; 2] {
    [Family::IPv4, Family::IPv6].map(|family| {
        let case = run.cases.iter().find(|case| {
            (&case.scenario, &case.side, case.family) == (&like.scenario, &like.side, family)
        })?;
        case.rows.iter().find(|row| row.what == what)
    })
}

fn cell(std: &str, rows: &[Option<&Row>; 2]) -> Cell {
    let seen = rows.map(|row| row.map_or("nothing", |row| &row.seen.what));
    Cell {
        std: std.to_string(),
        seen: match seen {
            [v4, v6] if v4 == v6 => v4.to_string(),
            [v4, v6] => format!("IPv4: {v4}; IPv6: {v6}"),
        },
        seconds: rows.iter().map(|row| row.and_then(|row| row.seen.seconds)).collect(),
    }
}

/// The lines as a table, in one of comfy-table's styles.
pub fn table(runs: &[Run], lines: &[Line], style: TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
    let mut header = ["scenario", "case", "what", "expected"].map(String::from).to_vec();
    for run in runs {
        header.extend([format!("seen ({})", run.std), "seconds, IPv4 / IPv6".to_string()]);
    }
    header.push("verdict".to_string());
    table.set_header(header);
    for line in lines {
        let mut row = vec![&line.scenario, &line.side, &line.what, &line.expected]
            .into_iter()
            .cloned()
            .collect::<Vec<String>>();
        for cell in &line.seen {
            let seconds = cell.seconds.iter().flatten().map(|seconds| format!("{seconds:.2}"));
            row.extend([cell.seen.clone(), seconds.collect::<Vec<_>>().join(" / ")]);
        }
        row.push(if line.pass { "pass" } else { "FAIL" }.to_string());
        table.add_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(what: &str, seconds: Option<f64>) -> Seen {
        Seen { what: what.to_string(), seconds }
    }

    fn case(family: Family, rows: Vec<Row>) -> Case {
        Case {
            scenario: "power-loss".to_string(),
            side: "without".to_string(),
            with: false,
            family,
            start: Duration::ZERO,
            end: 0.0,
            rows,
            marks: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// A run where IPv4 and IPv6 have seen this of one row.
    fn run(std: &str, v4: &str, v6: &str) -> Run {
        let row = |what| vec![Row::new("read", Expected::new("blocked"), seen(what, None))];
        let cases = vec![case(Family::IPv4, row(v4)), case(Family::IPv6, row(v6))];
        Run { std: std.to_string(), cases }
    }

    #[test]
    fn a_row_passes_only_if_it_saw_what_was_expected() {
        let row = |what| Row::new("read", Expected::new("TimedOut"), seen(what, None));
        assert!(row("TimedOut").passes());
        assert!(!row("ConnectionReset").passes());
    }

    #[test]
    fn a_row_passes_only_in_its_time() {
        let at =
            |seconds| Row::new("read", Expected::new("x").at(3.0), seen("x", seconds)).passes();
        assert!(at(Some(3.0 - EARLY / 2.0)) && at(Some(3.0)) && at(Some(3.0 + LATE - 0.01)));
        assert!(!at(Some(3.0 - 2.0 * EARLY)));
        assert!(!at(Some(3.0 + LATE + 0.01)));
        assert!(!at(None), "what never came is not in time");
    }

    #[test]
    fn equal_runs_make_one_line_that_passes() {
        let lines =
            lines(&[run("patched", "blocked", "blocked"), run("nightly", "blocked", "blocked")]);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].pass);
        let seen: Vec<_> = lines[0].seen.iter().map(|cell| (&*cell.std, &*cell.seen)).collect();
        assert_eq!(seen, [("patched", "blocked"), ("nightly", "blocked")]);
    }

    #[test]
    fn one_family_that_differs_fails_the_line_and_is_named() {
        let lines = lines(&[run("patched", "blocked", "TimedOut")]);
        assert!(!lines[0].pass);
        assert_eq!(lines[0].seen[0].seen, "IPv4: blocked; IPv6: TimedOut");
    }

    #[test]
    fn one_std_that_differs_fails_the_line() {
        let lines = lines(&[run("patched", "blocked", "blocked"), run("socket2", "no", "no")]);
        assert!(!lines[0].pass);
    }

    #[test]
    fn a_row_that_one_family_did_not_reach_fails() {
        let mut run = run("patched", "blocked", "blocked");
        run.cases[1].rows.clear();
        let lines = lines(&[run]);
        assert!(!lines[0].pass);
        assert_eq!(lines[0].seen[0].seen, "IPv4: blocked; IPv6: nothing");
    }

    #[test]
    fn the_table_names_what_failed() {
        let runs = [run("patched", "blocked", "TimedOut")];
        let table = table(&runs, &lines(&runs), comfy_table::presets::ASCII_MARKDOWN).to_string();
        assert!(table.lines().last().unwrap().ends_with("| FAIL    |"), "{table}");
    }
}
