//! Puts down what came out for one crate, and for all of them as a tree of causes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::check::{Found, Graph, Outcome};
use super::list::{Entry, Verdict};
use super::work::User;
use crate::evidence::report::{Class, Report, Row};
use crate::say::table::Format;

pub const HEADER: [&str; 3] = ["crate", "why it is here", "because of"];

/// What was found out about a crate: all that its row has for machines.
#[derive(Deserialize, Serialize)]
pub struct Checked {
    /// Name and version.
    package: String,
    /// Whether it is beside the table, and counts for nothing.
    is_made_up: bool,
    verdict: Verdict,
    /// The errors that the series brings, or those of the base.
    errors: BTreeSet<Found>,
    /// What the compiler warns of at the base, here and below.
    collisions: BTreeSet<Found>,
    /// The packages that were compiled for it, at the base.
    packages: BTreeSet<String>,
    /// From the package with the errors to this one, if it breaks.
    path: Vec<String>,
}

impl Checked {
    /// `series` is not there if the crate does not compile at the base.
    pub fn new(user: &User, graph: &Graph, base: Outcome, series: Option<Outcome>) -> Checked {
        let (package, packages) = (&user.package, base.compiled);
        let (verdict, errors, compiled) = match series {
            Some(series) if series.built => (Verdict::Same, series.errors, series.compiled),
            Some(series) => (Verdict::Breaks, series.errors, series.compiled),
            None => (Verdict::NotBuilt, base.errors, BTreeSet::new()),
        };
        let path = match (verdict, errors.first()) {
            (Verdict::Breaks, Some(found)) => graph.path(package, &found.package, &compiled),
            _ => Vec::new(),
        };
        Checked {
            package: package.clone(),
            is_made_up: user.entry.is_made_up(),
            verdict,
            errors,
            collisions: base.collisions,
            packages,
            path,
        }
    }

    /// The result as a row, which passes if it is as the table has it.
    pub fn row(&self, entry: &Entry) -> Result<Row> {
        let Checked { package, verdict, errors, path, .. } = self;
        let class = if *verdict == entry.expect { Class::Passed } else { Class::Failed };
        // Those of a dependency are told with the dependency.
        let own = errors.iter().filter(|found| found.package == *package);
        let details = match verdict {
            Verdict::Breaks => own.map(|found| format!("breaks by {found}")).collect(),
            _ => Vec::new(),
        };
        let because = match (verdict, path.split_last()) {
            (Verdict::Breaks, Some((_, []))) => "its own code".into(),
            (Verdict::Breaks, Some((_, before))) => before.join(" → "),
            _ => errors.first().map(Found::to_string).unwrap_or_default(),
        };
        Ok(Row {
            name: package.clone(),
            cells: vec![entry.why.clone(), because],
            verdict: verdict.to_string(),
            class,
            details,
            covers: None,
            data: serde_json::to_value(self)?,
        })
    }
}

/// The report with what its rows have in common below, if they are about crates: how many packages the
/// lint names today, and what breaks because of what.
pub fn render(report: &Report, format: Format) -> Result<String> {
    let mut text = report.render(format)?;
    let checked = report.rows.iter().map(|row| serde_json::from_value(row.data.clone()));
    let mut checked: Vec<Checked> = checked.filter_map(Result::ok).collect();
    if format != Format::Json && !checked.is_empty() {
        checked.retain(|checked| !checked.is_made_up);
        text += &format!("\n{}", causes(&checked));
    }
    Ok(text)
}

/// Each package below the one whose errors, or whose failing dependency, keep it from compiling.
fn causes(checked: &[Checked]) -> String {
    let packages: BTreeSet<_> = checked.iter().flat_map(|c| &c.packages).collect();
    let collisions: BTreeSet<_> = checked.iter().flat_map(|c| &c.collisions).collect();
    let warned: BTreeSet<_> = collisions.iter().map(|found| &*found.package).collect();
    let mut text = format!(
        "{} packages compile at the base. In {} of them, the lint unstable_name_collisions is about \
         these methods{}{}\n",
        packages.len(),
        warned.len(),
        if warned.is_empty() { "" } else { ": " },
        Vec::from_iter(warned).join(", "),
    );
    let listed: BTreeSet<_> = checked.iter().map(|c| &*c.package).collect();
    let mut root = Branch::default();
    for Checked { path, .. } in checked {
        let mut branch = &mut root;
        for (index, package) in path.iter().enumerate() {
            // The cause itself need not be in the table, what is between need not be shown.
            if index == 0 || listed.contains(&**package) {
                branch = branch.0.entry(package).or_default();
            }
        }
    }
    text += "\n```text\n";
    root.write(&mut text, 0);
    text + "```\n"
}

/// A package's dependents.
#[derive(Default)]
struct Branch<'a>(BTreeMap<&'a str, Branch<'a>>);

impl Branch<'_> {
    /// How many packages are in it.
    fn count(&self) -> usize {
        self.0.len() + self.0.values().map(Branch::count).sum::<usize>()
    }

    fn write(&self, text: &mut String, depth: usize) {
        for (package, branch) in &self.0 {
            let count = match branch.count() {
                0 => String::new(),
                count => format!(" ({count})"),
            };
            writeln!(text, "{:1$}{package}{count}", "", 2 * depth).expect("text takes text");
            branch.write(text, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &[&str]) -> Checked {
        let path: Vec<_> = path.iter().map(|package| package.to_string()).collect();
        Checked {
            package: path.last().unwrap().clone(),
            is_made_up: false,
            verdict: Verdict::Breaks,
            errors: BTreeSet::new(),
            collisions: BTreeSet::new(),
            packages: BTreeSet::new(),
            path,
        }
    }

    #[test]
    fn tree_shows_the_cause_and_the_crates_of_the_table() {
        let checked = [
            broken(&["mio 0.6", "tokio-reactor 0.1", "tokio 0.1"]),
            broken(&["mio 0.6", "tokio-reactor 0.1", "tokio 0.1", "hyper 0.12"]),
            broken(&["mio 0.6", "notify 4"]),
        ];
        let tree = "mio 0.6 (3)\n  notify 4\n  tokio 0.1 (1)\n    hyper 0.12\n";
        assert!(causes(&checked).contains(tree), "{}", causes(&checked));
    }
}
