//! The table of a scenario's results, in Markdown.

use super::{CaseResult, Observation};

/// An observation in the IPv4 and in the IPv6 case of one side.
pub struct Row {
    cells: [String; 6],
    pub pass: bool,
}

const HEADER: [&str; 6] = ["case", "check", "expected", "seen", "seconds, IPv4 / IPv6", "verdict"];

/// Returns the rows of a scenario. A row passes if both families have the observation, and both
/// observations pass.
pub fn rows(cases: &[[CaseResult; 2]]) -> Vec<Row> {
    let mut rows = Vec::new();
    for families in cases {
        let mut names: Vec<&str> = Vec::new();
        for Observation { name, .. } in families.iter().flat_map(|case| &case.observations) {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
        rows.extend(names.into_iter().map(|name| row(name, families)));
    }
    rows
}

fn row(name: &str, families: &[CaseResult; 2]) -> Row {
    let observations = families.each_ref().map(|CaseResult { observations, .. }| {
        observations.iter().find(|observation| observation.name == name)
    });
    let pass = observations.iter().all(|made| made.is_some_and(|made| made.pass));
    let expected = observations.iter().flatten().next().expect("one family made the observation");
    let [v4, v6] = observations.map(|made| made.map_or("nothing", |made| &*made.seen));
    let seen = if v4 == v6 { v4.to_string() } else { format!("IPv4: {v4}; IPv6: {v6}") };
    let seconds = observations.iter().filter_map(|made| made.as_ref()?.seconds);
    let seconds: Vec<_> = seconds.map(|seconds| format!("{seconds:.2}")).collect();
    let [side, verdict] = [families[0].side(), if pass { "pass" } else { "FAIL" }];
    let (expected, seconds) = (expected.expected.clone(), seconds.join(" / "));
    Row { cells: [side.into(), name.into(), expected, seen, seconds, verdict.into()], pass }
}

/// Returns the rows under a heading, with columns of equal width.
pub fn markdown(heading: &str, rows: &[Row]) -> String {
    let rows = rows.iter().map(|row| row.cells.each_ref().map(String::as_str));
    let lines: Vec<[&str; 6]> = [HEADER].into_iter().chain(rows).collect();
    let width = |column: usize| lines.iter().map(|it| it[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADER.len()).filter_map(width).collect();
    let mut table = format!("## {heading}\n\n");
    for (n, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            table += &format!("| {cell:width$} ");
        }
        table += "|\n";
        if n == 0 {
            widths.iter().for_each(|width| table += &format!("|{:-<1$}", "", width + 2));
            table += "|\n";
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Scenario;
    use crate::network::Family;

    /// Returns the table of an observation with these values in the two families.
    fn table(v4: &str, v6: &str) -> Vec<String> {
        let [v4, v6] = [(Family::IPv4, v4), (Family::IPv6, v6)].map(|(family, seen)| {
            let mut case = CaseResult::new(Scenario::PowerLoss, family, false);
            let observation = (!seen.is_empty()).then(|| Observation::new("read", "blocked", seen));
            case.observations.extend(observation);
            case
        });
        markdown("x", &rows(&[[v4, v6]])).lines().map(str::to_string).collect()
    }

    #[test]
    fn table_has_a_row_for_both_families() {
        assert_eq!(
            table("blocked", "blocked"),
            [
                "## x",
                "",
                "| case    | check | expected | seen    | seconds, IPv4 / IPv6 | verdict |",
                "|---------|-------|----------|---------|----------------------|---------|",
                "| without | read  | blocked  | blocked |                      | pass    |"
            ]
        );
    }

    #[test]
    fn row_fails_if_a_family_differs_or_made_no_observation() {
        for (v4, v6, seen) in [
            ("blocked", "TimedOut", "IPv4: blocked; IPv6: TimedOut"),
            ("blocked", "", "IPv4: blocked; IPv6: nothing"),
            ("", "blocked", "IPv4: nothing; IPv6: blocked"),
        ] {
            let row = table(v4, v6).pop().unwrap();
            assert!(row.contains(seen) && row.ends_with("| FAIL    |"), "{row}");
        }
    }
}
