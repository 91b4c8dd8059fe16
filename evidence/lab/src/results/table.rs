//! The table of a scenario's results, in Markdown.

use super::{CaseResult, Observation};

/// An observation in the IPv4 and in the IPv6 case of one side.
#[derive(Debug)]
pub struct Row {
    cells: [String; 5],
    pub pass: bool,
}

const HEADER: [&str; 6] = ["case", "what", "expected", "seen", "seconds, IPv4 / IPv6", "verdict"];

/// Returns the rows of a scenario. A row passes if the observation was made and passed in both
/// families.
pub fn rows(cases: &[[CaseResult; 2]]) -> Vec<Row> {
    let mut rows = Vec::new();
    for families in cases {
        let mut names: Vec<&str> = Vec::new();
        for Observation { what, .. } in families.iter().flat_map(|case| &case.observations) {
            if !names.contains(&&**what) {
                names.push(what);
            }
        }
        rows.extend(names.into_iter().map(|what| row(what, families)));
    }
    rows
}

fn row(what: &str, families: &[CaseResult; 2]) -> Row {
    let observations = families
        .each_ref()
        .map(|case| case.observations.iter().find(|observation| observation.what == what));
    let pass = observations.iter().all(|made| made.is_some_and(|made| made.pass));
    let expected = observations.iter().flatten().next().map(|made| made.expected.clone());
    let [v4, v6] = observations.map(|made| made.map_or("nothing", |made| &*made.seen));
    let seen = if v4 == v6 { v4.to_string() } else { format!("IPv4: {v4}; IPv6: {v6}") };
    let seconds = observations.iter().filter_map(|made| made.as_ref()?.seconds);
    let seconds: Vec<_> = seconds.map(|seconds| format!("{seconds:.2}")).collect();
    let expected = expected.expect("one family made the observation");
    let cells = [families[0].side().into(), what.into(), expected, seen, seconds.join(" / ")];
    Row { cells, pass }
}

/// Returns the rows under a heading, with columns of equal width.
pub fn markdown(heading: &str, rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| {
        let [side, what, expected, seen, seconds] = row.cells.each_ref().map(String::as_str);
        [side, what, expected, seen, seconds, if row.pass { "pass" } else { "FAIL" }]
    });
    let lines: Vec<[&str; 6]> = [HEADER].into_iter().chain(lines).collect();
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
                "| case    | what | expected | seen    | seconds, IPv4 / IPv6 | verdict |",
                "|---------|------|----------|---------|----------------------|---------|",
                "| without | read | blocked  | blocked |                      | pass    |"
            ]
        );
    }

    #[test]
    fn row_fails_if_one_family_differs() {
        let row = table("blocked", "TimedOut").pop().unwrap();
        assert!(row.contains("| IPv4: blocked; IPv6: TimedOut |"), "{row}");
        assert!(row.ends_with("| FAIL    |"), "{row}");
    }

    #[test]
    fn row_fails_if_one_family_made_no_observation() {
        for (v4, v6) in [("", "blocked"), ("blocked", "")] {
            let row = table(v4, v6).pop().unwrap();
            assert!(row.contains("nothing") && row.ends_with("| FAIL    |"), "{row}");
        }
    }
}
