//! Puts down what came out for one target.

use anyhow::{Error, Result};
use serde_json::json;

use super::check::{Methods, Outcome};
use crate::evidence::report::{Class, Row};
use crate::library::diagnostic::{Diagnostic, added};

pub const HEADER: [&str; 4] = ["target", "backend", "base", "series"];

pub fn row(target: &str, outcomes: Result<(Outcome, Outcome)>) -> Row {
    let (base, series) = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => return failed(target, &error),
    };
    let new = added(&base.diagnostics, &series.diagnostics);
    let was_broken = base.diagnostics.iter().any(Diagnostic::is_error);
    let (verdict, class) = match series.methods {
        _ if !new.is_empty() => ("NEW DIAGNOSTICS", Class::Failed),
        // std and a caller of both methods compile, and the compiler says nothing that it did not say
        // before.
        Methods::Compiled if !was_broken => ("compiled", Class::Passed),
        Methods::Compiled => ("mended", Class::Passed),
        // std does not compile for this target, with or without the series. Both methods' bodies were
        // looked into and nothing was said that was not said before.
        Methods::Reached => ("no worse", Class::Passed),
        // std breaks before the methods are looked at.
        Methods::Unreached => ("METHODS NOT REACHED", Class::NotRun),
        // A caller that fails says so with an error, which the base cannot have.
        Methods::Missing | Methods::Unasked => ("CHECK FAILED", Class::Failed),
    };
    let [base, series_counts] = [&base, &series].map(|outcome| count(&outcome.diagnostics));
    Row {
        name: target.into(),
        cells: vec![series.backend.clone().unwrap_or_else(|| "-".into()), base, series_counts],
        verdict: verdict.into(),
        class,
        details: new.iter().map(|diagnostic| format!("new\n{}", diagnostic.rendered)).collect(),
        covers: series.backend,
        data: json!({ "new": new }),
    }
}

fn failed(target: &str, error: &Error) -> Row {
    Row {
        name: target.into(),
        cells: vec!["-".into(); HEADER.len() - 1],
        verdict: "CHECK FAILED".into(),
        class: Class::Failed,
        details: vec![format!("the check failed: {error:#}")],
        covers: None,
        data: json!(null),
    }
}

/// How many errors and warnings there are, in words.
fn count(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let counts = [(errors, "error"), (diagnostics.len() - errors, "warning")];
    let words = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| format!("{count} {noun}{}", if *count == 1 { "" } else { "s" }));
    let words: Vec<_> = words.collect();
    if words.is_empty() { "ok".into() } else { words.join(", ") }
}
