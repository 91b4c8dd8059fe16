//! Puts the cases of one or more stds side by side, for the reader: a verdict for each thing that
//! was looked at, and a table of them.

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;

use super::{CaseResult, Observation};
use crate::network::Family;

/// All cases against one std.
pub struct StdResults {
    pub std: String,
    pub cases: Vec<CaseResult>,
}

/// One expectation, against every std and in both IP families.
#[derive(Serialize)]
pub struct Verdict {
    scenario: String,
    side: String,
    what: String,
    expected: String,
    /// One for each std.
    seen: Vec<SeenByStd>,
    pub pass: bool,
}

#[derive(Serialize, Debug, PartialEq)]
struct SeenByStd {
    std: String,
    seen: String,
    /// IPv4, IPv6
    seconds: Vec<Option<f64>>,
}

/// A verdict passes if every std and family saw what was expected, so they are equal too.
pub fn verdicts(stds: &[StdResults]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for case in stds.iter().flat_map(|std| &std.cases) {
        let CaseResult { scenario, side, .. } = case;
        for Observation { what, expected, .. } in &case.observations {
            let known = |it: &Verdict| (&it.scenario, &it.side, &it.what) == (scenario, side, what);
            if verdicts.iter().any(known) {
                continue;
            }
            let seen = stds.iter().map(|std| seen_by(std, case, what));
            let (seen, pass): (_, Vec<bool>) = seen.unzip();
            verdicts.push(Verdict {
                scenario: scenario.clone(),
                side: side.clone(),
                what: what.clone(),
                expected: expected.clone(),
                seen,
                pass: !pass.contains(&false),
            });
        }
    }
    verdicts
}

/// What the IPv4 and IPv6 cases of a std saw of one thing, and whether both passed.
fn seen_by(std: &StdResults, like: &CaseResult, what: &str) -> (SeenByStd, bool) {
    let observations = Family::BOTH.map(|family| {
        let case = std.cases.iter().find(|case| {
            (&case.scenario, &case.side, case.family) == (&like.scenario, &like.side, family)
        })?;
        case.observations.iter().find(|observation| observation.what == what)
    });
    let pass = observations.iter().all(|it| it.is_some_and(|it| it.pass));
    let [v4, v6] = observations.map(|it| it.map_or("nothing", |it| &*it.seen));
    let seen = if v4 == v6 { v4.to_string() } else { format!("IPv4: {v4}; IPv6: {v6}") };
    let seconds = observations.map(|it| it?.seconds).to_vec();
    (SeenByStd { std: std.std.clone(), seen, seconds }, pass)
}

/// The verdicts in one of comfy-table's styles, no wider than `width` if it is known.
pub fn table(verdicts: &[Verdict], style: TableStyle, width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    let mut header = vec!["scenario".into(), "case".into(), "what".into(), "expected".into()];
    for SeenByStd { std, .. } in verdicts.first().iter().flat_map(|verdict| &verdict.seen) {
        header.extend([format!("seen ({std})"), "seconds, IPv4 / IPv6".into()]);
    }
    header.push("verdict".into());
    table.set_header(header);
    for Verdict { scenario, side, what, expected, seen, pass } in verdicts {
        let mut row = [scenario, side, what, expected].map(String::clone).to_vec();
        for SeenByStd { seen, seconds, .. } in seen {
            let seconds = seconds.iter().flatten().map(|seconds| format!("{seconds:.2}"));
            row.extend([seen.clone(), seconds.collect::<Vec<_>>().join(" / ")]);
        }
        row.push(if *pass { "pass" } else { "FAIL" }.into());
        table.add_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use comfy_table::presets::ASCII_MARKDOWN;

    use super::*;

    /// A std whose IPv4 and IPv6 cases have seen this of one thing.
    fn std(name: &str, v4: &str, v6: &str) -> StdResults {
        let cases = [(Family::IPv4, v4), (Family::IPv6, v6)].map(|(family, seen)| CaseResult {
            scenario: "power-loss".to_string(),
            side: "without".to_string(),
            family,
            observations: vec![Observation::new("read", "blocked", seen)],
            ..CaseResult::default()
        });
        StdResults { std: name.to_string(), cases: cases.into() }
    }

    #[test]
    fn equal_stds_make_one_verdict_that_passes() {
        let stds = [std("patched", "blocked", "blocked"), std("nightly", "blocked", "blocked")];
        let verdicts = verdicts(&stds);
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts[0].pass);
        let seen: Vec<_> = verdicts[0].seen.iter().map(|it| (&*it.std, &*it.seen)).collect();
        assert_eq!(seen, [("patched", "blocked"), ("nightly", "blocked")]);
    }

    #[test]
    fn one_family_that_differs_fails_the_verdict_and_is_named() {
        let verdicts = verdicts(&[std("patched", "blocked", "TimedOut")]);
        assert!(!verdicts[0].pass);
        assert_eq!(verdicts[0].seen[0].seen, "IPv4: blocked; IPv6: TimedOut");
    }

    #[test]
    fn one_std_that_differs_fails_the_verdict() {
        let verdicts =
            verdicts(&[std("patched", "blocked", "blocked"), std("socket2", "no", "no")]);
        assert!(!verdicts[0].pass);
    }

    #[test]
    fn an_observation_that_one_family_did_not_make_fails() {
        let mut std = std("patched", "blocked", "blocked");
        std.cases[1].observations.clear();
        let verdicts = verdicts(&[std]);
        assert!(!verdicts[0].pass);
        assert_eq!(verdicts[0].seen[0].seen, "IPv4: blocked; IPv6: nothing");
    }

    #[test]
    fn the_table_names_what_failed() {
        let verdicts = verdicts(&[std("patched", "blocked", "TimedOut")]);
        let table = table(&verdicts, ASCII_MARKDOWN, None).to_string();
        assert!(table.lines().last().unwrap().ends_with("| FAIL    |"), "{table}");
    }
}
