//! Type-checks std for a target, with and without the series: no target may get a diagnostic that it did
//! not have before, and every target must get the methods.

mod check;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use xtask::base::Base;
use xtask::docs::Record;
use xtask::library::sources::{self, library_right_now};
use xtask::run::lock;
use xtask::say::failure::NotRun;
use xtask::session::Session;

use self::check::{Checker, METHOD, Methods, Outcome};
use crate::diagnostic::{Diagnostic, added, rendered};
use crate::record::{self, cells};
use crate::suite;

/// A row of targets.toml.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub name: String,
    backend: String,
    /// The bases for which it is in the quick set.
    #[serde(default)]
    pub quick: Vec<String>,
    /// The bases whose own std breaks for it before the compiler looks at the methods.
    #[serde(default)]
    unreached: Vec<String>,
}

/// The rows of targets.toml, by the target's name.
pub fn table() -> Result<BTreeMap<String, Target>> {
    #[derive(Deserialize)]
    struct Table {
        target: Vec<Target>,
    }
    let Table { target } = toml::from_str(include_str!("../../targets.toml"))?;
    Ok(target.into_iter().map(|target| (target.name.clone(), target)).collect())
}

/// Sees that the table has a target for each backend that there is.
pub fn every_backend_has_a_target(base: &Base) -> Result<String> {
    let session = suite::open(base)?;
    let library = library_right_now(&session.tree)?;
    let table = table()?;
    let mut backends = check::backends(&session.tree, &library)?;
    backends.retain(|backend| table.values().all(|target| target.backend != *backend));
    if !backends.is_empty() {
        bail!("evidence/targets.toml has no target for {backends:?}");
    }
    Ok(String::new())
}

/// Checks the target. What was found out before of the same sources is not found out again.
pub fn check(base: &Base, target: &str, expected: Option<&Target>) -> Result<String> {
    let session = suite::open(base)?;
    let Session { project, compiler, tree, .. } = &session;
    let series = library_right_now(tree)?;
    let of_base = sources::base_library(tree)?;
    let begun = record::begin(&session, &series)?;
    let subject = [&*begun.base, &begun.compiler, &series, &of_base, target];
    let key = record::key(&[&subject, METHOD].concat());
    let name = format!("{}::{target}", base.name);
    if Record::read(project, "targets", &name).is_some_and(|known| known.key == key) {
        return Ok(String::new());
    }

    let dir = project.build().join("evidence/targets");
    let dir = dir.join(format!("{}-{}", base.name, suite::slot()));
    let _lock = lock::acquire(&dir.join("lock"), "type-checking std")?;
    let checker = Checker::new(&dir, tree, compiler);
    let outcome = || -> Result<_> {
        let with_series = checker.check(&series, target, true)?;
        // Where nothing is said at all, nothing is new.
        let with_base = match with_series.diagnostics[..] {
            [] => None,
            _ => Some(checker.check(&of_base, target, false)?),
        };
        Ok((with_base, with_series))
    };
    let outcome = outcome();
    checker.clear(target)?;
    let header = cells(&["target", "backend", "base", "series", "verdict"]);
    let (with_base, with_series) = match outcome {
        Err(lack) if lack.is::<NotRun>() => {
            // The table says so, and since there is no key, the next run looks again.
            let (row, notes) = (cells(&[target, "-", "-", "-", "not run"]), vec![lack.to_string()]);
            Record { header, row, notes, ..begun }.write(project, "targets", &name)?;
            return Err(lack);
        }
        outcome => outcome?,
    };
    let is_unreached = expected.is_some_and(|target| target.unreached.contains(&base.name));
    let verdict = verdict(with_base.as_ref(), &with_series, is_unreached)?;
    let backend = with_series.backend.clone().unwrap_or_else(|| "-".into());
    if let Some(expected) = expected.filter(|expected| expected.backend != backend) {
        bail!("it uses {backend}, and not {} as evidence/targets.toml says", expected.backend);
    }
    let of_series = count(&with_series.diagnostics);
    let of_base = with_base.map_or("-".into(), |outcome| count(&outcome.diagnostics));
    let said = match verdict {
        "no worse" | "not known" => {
            format!("{verdict}: {of_base} at the base, {of_series} with the series")
        }
        _ => String::new(),
    };
    let row = cells(&[target, &backend, &of_base, &of_series, verdict]);
    Record { key, header, row, ..begun }.write(project, "targets", &name)?;
    Ok(said)
}

/// What came out, or what is wrong; `is_unreached` where it is known that the methods are not looked at.
fn verdict(base: Option<&Outcome>, series: &Outcome, is_unreached: bool) -> Result<&'static str> {
    let known = base.map_or(&[][..], |base| &base.diagnostics);
    let new = added(known, &series.diagnostics);
    if !new.is_empty() {
        bail!("with the series, the compiler says more than at the base:\n{}", rendered(new));
    }
    Ok(match series.methods.context("nobody asked for the methods")? {
        Methods::Unreached if is_unreached => "not known",
        _ if is_unreached => {
            bail!("the compiler looks at the methods, and evidence/targets.toml says no")
        }
        // A caller that fails says so with an error, which the base cannot have.
        Methods::Compiled => "compiled",
        Methods::Reached => "no worse",
        Methods::Unreached => bail!(
            "std breaks at the base before the compiler looks at the methods, so nothing is known of them. It \
             says:\n{}",
            rendered(known)
        ),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Identity;

    fn outcome(errors: &[&str], methods: Methods) -> Outcome {
        let error = |message: &&str| Diagnostic {
            identity: Identity {
                is_error: true,
                code: None,
                message: message.to_string(),
                file: None,
            },
            rendered: format!("error: {message}"),
            package: None,
        };
        Outcome {
            diagnostics: errors.iter().map(error).collect(),
            backend: None,
            methods: Some(methods),
        }
    }

    #[test]
    fn verdicts_are_as_the_two_builds_have_it() {
        let compiled = outcome(&[], Methods::Compiled);
        assert_eq!(verdict(None, &compiled, false).unwrap(), "compiled");
        assert!(verdict(None, &compiled, true).unwrap_err().to_string().contains("says no"));
        let broken = outcome(&["A"], Methods::Unreached);
        let said = |methods, errors: &[&str]| {
            let series = outcome(errors, methods);
            verdict(Some(&broken), &series, false).map_err(|error| error.to_string())
        };
        let unreached = outcome(&["A"], Methods::Unreached);
        assert_eq!(verdict(Some(&broken), &unreached, true).unwrap(), "not known");
        assert_eq!(said(Methods::Reached, &["A"]).unwrap(), "no worse");
        assert_eq!(said(Methods::Compiled, &[]).unwrap(), "compiled");
        assert!(said(Methods::Unreached, &["A"]).unwrap_err().contains("nothing is known"));
        assert!(said(Methods::Reached, &["A", "B"]).unwrap_err().contains("error: B"));
        assert!(said(Methods::Compiled, &["no method"]).unwrap_err().contains("no method"));
    }
}
