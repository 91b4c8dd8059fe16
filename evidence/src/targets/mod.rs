//! Type-checks std for each target. The series must add no diagnostic, and every target must have the methods.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Deserialize;
use toml::Spanned;
use xtask::base::Base;
use xtask::compiler::Compiler;
use xtask::error::NotRun;
use xtask::out::shown;
use xtask::project::Project;

use self::check::{Checked, Checker, Methods};
use crate::data::Data;
use crate::diagnostic::{Diagnostic, added, rendered};
use crate::specs::Specs;
use crate::suite::{Outcome, Place, Trial};
use crate::tables::Row;

const NAME: &str = "targets";

/// The verdict on a target whose std has errors before the compiler checks the methods.
const UNREACHED: &str = "not known";

/// A row of targets.toml.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    name: String,
    backend: String,
    /// The bases for which the target is in the quick set.
    #[serde(default)]
    quick: Vec<String>,
    /// The bases whose own std has errors before the compiler checks the methods.
    #[serde(default)]
    unreached: Vec<String>,
}

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let mut names = BTreeMap::new();
    for base in project.bases() {
        names.insert(base.name.clone(), names_of(project, &base)?);
    }
    let table = table(&Data::read(project, "targets.toml")?, &names)?;
    let mut trials = Vec::new();
    for base in project.bases() {
        // For the default base, the quick set has a target of every backend.
        let counts = |target: &&Target| !base.default || target.quick.contains(&base.name);
        let backends = table.iter().filter(counts).map(|target| target.backend.clone()).collect();
        trials.push(Trial::new(NAME, &base, "every backend has a target", |place| {
            every_backend_has_a_target(place, backends)
        }));
        trials.push(Trial::new(NAME, &base, "the list is the compiler's", compare_names));
        for name in &names[&base.name] {
            let expected = table.iter().find(|target| target.name == *name).cloned();
            let is_quick = expected.as_ref().is_some_and(|row| row.quick.contains(&base.name));
            let target = name.clone();
            let check = move |place: &Place| check(place, &target, expected.as_ref());
            trials.push(Trial::new(NAME, &base, name, check).quick(is_quick));
        }
    }
    Ok(trials)
}

/// Reads targets.toml. Refuses targets and bases that do not exist.
fn table(data: &Data, names: &BTreeMap<String, Vec<String>>) -> Result<Vec<Target>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        target: Vec<Spanned<Target>>,
    }
    let (rows, mut seen) = (data.parse::<Table>()?.target, BTreeSet::new());
    for row in &rows {
        let (at, Target { name, quick, unreached, .. }) =
            (data.location(row.span()), row.get_ref());
        if !seen.insert(name) {
            bail!("{at}: {name:?} has two rows");
        }
        if names.values().all(|names| !names.contains(name)) {
            bail!("{at}: no base has a target {name:?}, see evidence/targets/");
        }
        for base in quick.iter().chain(unreached) {
            if !names.get(base).is_some_and(|names| names.contains(name)) {
                bail!("{at}: the base {base:?} has no target {name:?}");
            }
        }
    }
    Ok(rows.into_iter().map(Spanned::into_inner).collect())
}

/// Reads the names of a base's targets from evidence/targets/.
fn names_of(project: &Project, base: &Base) -> Result<Vec<String>> {
    let file = names_file(project, base);
    let text =
        fs::read_to_string(&file).with_context(|| format!("{WRITE_NAMES} writes this file"))?;
    if text.trim().is_empty() {
        bail!("{} is empty. {WRITE_NAMES} writes this file", shown(&file));
    }
    Ok(text.lines().map(str::to_owned).collect())
}

fn names_file(project: &Project, base: &Base) -> PathBuf {
    project.root.join("evidence/targets").join(format!("{}.txt", base.name))
}

const WRITE_NAMES: &str = "`cargo run -p evidence -- targets`";

/// Writes the targets of each base's compiler to evidence/targets/.
pub fn write_names(project: &Project) -> Result<()> {
    for base in project.bases() {
        let file = names_file(project, &base);
        fs::create_dir_all(file.parent().context("a file is in a directory")?)?;
        fs::write(&file, names(&Compiler::find(&base)?)?)?;
        println!("{}", shown(&file));
    }
    Ok(())
}

fn names(compiler: &Compiler) -> Result<String> {
    Ok(Specs::of(compiler)?.with_std().map(|name| format!("{name}\n")).collect())
}

fn compare_names(place: &Place) -> Result<Outcome> {
    let file = names_file(place.project(), place.base());
    if fs::read_to_string(&file)? != names(&place.opened().compiler)? {
        bail!(
            "the compiler knows other targets than {}. {WRITE_NAMES} writes this file",
            shown(&file)
        );
    }
    Ok(Outcome::Passed(String::new()))
}

fn every_backend_has_a_target(place: &Place, known: BTreeSet<String>) -> Result<Outcome> {
    let backends = check::backends(&place.opened().store)?;
    let missing: Vec<_> = backends.difference(&known).collect();
    if backends.is_empty() || !missing.is_empty() {
        bail!(
            "the series has {} backends, and evidence/targets.toml has no target for {missing:?}",
            backends.len()
        );
    }
    Ok(Outcome::Passed(String::new()))
}

/// Checks the target and compares the result with the target's row in targets.toml. Uses the recorded result if
/// method, series and compiler did not change.
fn check(place: &Place, target: &str, expected: Option<&Target>) -> Result<Outcome> {
    let method = check::method();
    let row = match place.recorded()?.filter(|row| row.method == method) {
        Some(row) => row,
        None => match type_check(place, target) {
            Err(error) if error.is::<NotRun>() => {
                // Without a method, the next run checks the target again.
                let cells = [target, "-", "-", "-", "not run"].map(Into::into).into();
                place.record(&Row { cells, notes: vec![error.to_string()], ..Row::default() })?;
                return Err(error);
            }
            cells => Row { cells: cells?, method, ..Row::default() },
        },
    };
    let text = judge(&row.cells, &place.base().name, expected)?;
    place.record(&row)?;
    Ok(Outcome::Passed(text))
}

/// Type-checks std for the target, and returns the cells of its row. A diagnostic that the series adds is an error.
fn type_check(place: &Place, target: &str) -> Result<Vec<String>> {
    let opened = place.opened();
    let checker = Checker::new(place, opened)?;
    let checked = || -> Result<_> {
        let with_series = checker.check("series:library", target, true)?;
        // No diagnostics with the series: none can be new, so the base need not be checked.
        let with_base = match with_series.diagnostics[..] {
            [] => None,
            _ => Some(checker.check("base:library", target, false)?),
        };
        Ok((with_base, with_series))
    };
    let checked = checked();
    checker.clear(target)?;
    let (with_base, with_series) = checked?;
    place.log(&rendered(&with_series.diagnostics));
    let verdict = verdict(with_base.as_ref(), &with_series)?;
    let of_base = with_base.map_or("-".into(), |checked| count(&checked.diagnostics));
    let of_series = count(&with_series.diagnostics);
    let backend = with_series.backend.unwrap_or_else(|| "-".into());
    Ok(vec![target.into(), backend, of_base, of_series, verdict.into()])
}

/// Returns the verdict, or the diagnostics that the series adds as an error.
fn verdict(base: Option<&Checked>, series: &Checked) -> Result<&'static str> {
    let known = base.map_or(&[][..], |base| &base.diagnostics);
    let new = added(known, &series.diagnostics);
    if !new.is_empty() {
        bail!("the series adds diagnostics:\n{}", rendered(new));
    }
    Ok(match series.methods.context("the methods were not asked for")? {
        // An error of the caller is new, because the base has no caller.
        Methods::Compiled => "compiled",
        Methods::Reached => "no worse",
        Methods::Unreached => UNREACHED,
    })
}

/// Compares a row of the table with the target's row in targets.toml. Returns the text to show.
fn judge(cells: &[String], base: &str, expected: Option<&Target>) -> Result<String> {
    let [_, backend, of_base, of_series, verdict] = cells else { bail!("a row has {cells:?}") };
    let is_unreached = expected.is_some_and(|row| row.unreached.iter().any(|name| name == base));
    if is_unreached && verdict != UNREACHED {
        bail!(
            "the compiler checks the methods, and evidence/targets.toml lists {base} as `unreached`"
        );
    }
    if !is_unreached && verdict == UNREACHED {
        bail!("std has errors at the base ({of_base}), so the compiler does not check the methods");
    }
    if let Some(expected) = expected.filter(|expected| expected.backend != *backend) {
        bail!("the backend is {backend}, and evidence/targets.toml has {}", expected.backend);
    }
    Ok(match &**verdict {
        "compiled" => String::new(),
        _ => format!("{verdict}: {of_base} at the base, {of_series} with the series"),
    })
}

/// Returns the numbers of errors and warnings, such as `1 error, 2 warnings`.
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

    fn checked(errors: &[&str], methods: Methods) -> Checked {
        let error = |message: &&str| Diagnostic {
            identity: Identity {
                is_error: true,
                code: None,
                message: message.to_string(),
                file: None,
            },
            rendered: format!("error: {message}"),
        };
        Checked {
            diagnostics: errors.iter().map(error).collect(),
            backend: None,
            methods: Some(methods),
        }
    }

    #[test]
    fn verdict_depends_on_both_builds() {
        assert_eq!(verdict(None, &checked(&[], Methods::Compiled)).unwrap(), "compiled");
        let broken = checked(&["A"], Methods::Unreached);
        let of = |errors: &[&str], methods| verdict(Some(&broken), &checked(errors, methods));
        assert_eq!(of(&["A"], Methods::Unreached).unwrap(), "not known");
        assert_eq!(of(&["A"], Methods::Reached).unwrap(), "no worse");
        assert_eq!(of(&[], Methods::Compiled).unwrap(), "compiled");
        let new = of(&["A", "B"], Methods::Reached).unwrap_err().to_string();
        assert!(new.contains("error: B") && !new.contains("error: A"), "{new}");
        assert!(of(&["no method"], Methods::Compiled).is_err());
    }

    #[test]
    fn row_of_the_table_is_part_of_the_verdict() {
        let names = BTreeMap::from([("1.95".to_owned(), vec!["t".to_owned()])]);
        let row = |text: &str| {
            let text = format!("[[target]]\nname = \"t\"\nbackend = \"sgx.rs\"\n{text}\n");
            table(&Data { name: "data".into(), text }, &names).map_err(|error| format!("{error:#}"))
        };
        let judged = |text: &str, verdict: &str| {
            let cells = ["t", "sgx.rs", "1 error", "1 error", verdict].map(Into::into);
            judge(&cells, "1.95", Some(&row(text).unwrap()[0])).map_err(|error| error.to_string())
        };
        assert_eq!(judged("", "compiled").unwrap(), "");
        assert!(judged("", "no worse").unwrap().starts_with("no worse: 1 error"));
        assert!(judged("", UNREACHED).unwrap_err().contains("at the base"));
        assert!(judged("unreached = [\"1.95\"]", UNREACHED).is_ok());
        assert!(judged("unreached = [\"1.95\"]", "no worse").unwrap_err().contains("unreached"));
        let cells = ["t", "uefi", "-", "ok", "compiled"].map(Into::into);
        assert!(judge(&cells, "1.95", Some(&row("").unwrap()[0])).is_err());
        let refused = |text: &str, word: &str| {
            let error = row(text).err().unwrap();
            assert!(error.contains(word), "{error}");
        };
        refused("quik = []", "quik");
        refused("quick = [\"1.96\"]", "1.96");
        refused("[[target]]\nname = \"u\"\nbackend = \"\"", "data:4: no base has a target \"u\"");
        refused("[[target]]\nname = \"t\"\nbackend = \"\"", "two rows");
    }
}
