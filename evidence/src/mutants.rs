//! Breaks the methods on purpose. With each mutant of mutants.toml, exactly the tests that its row names must fail.
//!
//! One std is compiled with all mutants, and an environment variable chooses the mutant when the tests run. The tests
//! run twice: on this system as it is, and with bsd_answer.c preloaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use fs_err as fs;
use serde::Deserialize;
use toml::Spanned;
use xtask::owned::{entries, file_name};
use xtask::project::Project;
use xtask::run::CommandExt;
use xtask::std::{Profile, Std};

use crate::data::Data;
use crate::libtest;
use crate::suite::{Outcome, Place, Trial};

/// The environment variable that chooses a mutant when the tests run.
const CHOICE: &str = "TCP_KEEPALIVE_MUTANT";

const BSD_ANSWER: &str = include_str!("bsd_answer.c");

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    place: BTreeMap<String, Expression>,
    mutant: Vec<Mutant>,
    #[serde(skip)]
    text: String,
}

/// An expression in std, on a line of its own, that mutants replace.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    /// The file, in library/.
    file: String,
    /// The end of the previous line.
    after: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Mutant {
    name: Spanned<String>,
    /// The wrong expressions, by place.
    wrong: BTreeMap<String, String>,
    noticed_by: BTreeSet<String>,
    /// The file and line of the row.
    #[serde(skip)]
    at: String,
}

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let table = table(&Data::read(project, "mutants.toml")?)?;
    let mut trials = Vec::new();
    for base in project.bases() {
        let mut add = |name: &str, work: fn(&Place, &Table, usize) -> Result<()>, index| {
            let table = table.clone();
            let trial = Trial::new("mutants", &base, name, move |place| {
                if !cfg!(target_os = "linux") {
                    return Ok(Outcome::Lacks(
                        "the mutants are in std's code for Linux: run this trial on Linux".into(),
                    ));
                }
                if which::which("cc").is_err() {
                    return Ok(Outcome::Lacks("no C compiler: apt-get install gcc".into()));
                }
                work(place, &table, index)?;
                Ok(Outcome::Passed(String::new()))
            });
            // The bases' test files differ in the line of the feature gate alone.
            trials.push(trial.quick(base.default).alone("the std with mutants"));
        };
        add("without a mutant, all tests pass", without_mutant, 0);
        add("each test alone notices a mutant", each_test_is_alone, 0);
        for (index, mutant) in table.mutant.iter().enumerate() {
            add(mutant.name.get_ref(), with_mutant, index);
        }
    }
    Ok(trials)
}

fn table(data: &Data) -> Result<Table> {
    let mut table: Table = data.parse()?;
    table.text = data.text.clone();
    for mutant in &mut table.mutant {
        mutant.at = data.location(mutant.name.span());
        if mutant.wrong.is_empty() || mutant.noticed_by.is_empty() {
            bail!("{}: `wrong` and `noticed-by` must not be empty", mutant.at);
        }
        if let Some(place) = mutant.wrong.keys().find(|place| !table.place.contains_key(*place)) {
            bail!("{}: there is no [place.{place}]", mutant.at);
        }
    }
    Ok(table)
}

fn without_mutant(place: &Place, table: &Table, _: usize) -> Result<()> {
    let failed = failed_tests(place, table, "none")?;
    if !failed.is_empty() {
        bail!("without a mutant, the tests {failed:?} fail");
    }
    Ok(())
}

fn each_test_is_alone(place: &Place, table: &Table, _: usize) -> Result<()> {
    let listed = Command::new(build(place, table)?.join("tests")).arg("--list").stdout_of()?;
    let tests: Vec<_> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let is_alone =
        |test: &&str| table.mutant.iter().any(|mutant| mutant.noticed_by.iter().eq([*test]));
    let others: Vec<_> = tests.iter().filter(|test| !is_alone(test)).collect();
    if tests.is_empty() || !others.is_empty() {
        bail!(
            "each of the tests {tests:?} needs a mutant that no other test notices, and evidence/mutants.toml has none \
             for {others:?}"
        );
    }
    Ok(())
}

fn with_mutant(place: &Place, table: &Table, index: usize) -> Result<()> {
    let Mutant { name, noticed_by, at, .. } = &table.mutant[index];
    let refused = build(place, table)?.join(refused_file(index));
    if refused.exists() {
        bail!("{at}: the mutant does not compile:\n{}", fs::read_to_string(refused)?);
    }
    let failed = failed_tests(place, table, name.get_ref())?;
    if failed != *noticed_by {
        bail!("{at}: the tests {failed:?} fail, and noticed-by is {noticed_by:?}");
    }
    Ok(())
}

/// Runs the tests with the mutant of this name, and returns the tests that fail.
fn failed_tests(place: &Place, table: &Table, mutant: &str) -> Result<BTreeSet<String>> {
    let dir = build(place, table)?;
    let mut failed = BTreeSet::new();
    for preload in ["", "./bsd_answer.so"] {
        let mut tests = Command::new(dir.join("tests"));
        // The path is relative, because the loader takes a space for the end of a path.
        tests.env(CHOICE, mutant).env("LD_PRELOAD", preload).current_dir(&dir);
        let printed = libtest::run(place, &mut tests)?;
        let verdicts = libtest::verdicts("", &printed).into_iter();
        failed.extend(
            verdicts.filter(|(_, verdict)| *verdict == "FAILED").map(|(name, _)| name.into()),
        );
    }
    Ok(failed)
}

/// Returns the directory with the tests, compiled with all mutants. The directory's name identifies its inputs.
fn build(place: &Place, table: &Table) -> Result<PathBuf> {
    let owned = &place.project().build;
    let parent = owned.root.join("evidence/mutants");
    fs::create_dir_all(&parent)?;
    let opened = place.opened();
    let made_from = [&*table.text, BSD_ANSWER, include_str!("mutants.rs")].concat();
    let hash = opened.store.git.filter(&["hash-object", "--stdin"], made_from.as_bytes())?;
    let dir = parent.join(format!("{}-{}", opened.found_with()?, &hash[..12]));
    // A std that does not compile is not compiled again for each trial.
    static FAILED: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let mut failed = FAILED.lock().map_err(|_| anyhow!("another trial panicked"))?;
    if let Some(error) = failed.get(&dir) {
        bail!("{error}");
    }
    if !dir.exists() {
        for old in entries(&parent)? {
            let prefix = format!("{}-", place.base().name);
            if file_name(&old).trim_start_matches('.').starts_with(&prefix) {
                owned.remove(&old)?;
            }
        }
        owned.make(&dir, |new| compile(place, table, new)).inspect_err(|error| {
            failed.insert(dir.clone(), format!("{error:#}"));
        })?;
    }
    Ok(dir)
}

/// Compiles std with the mutants, the tests with that std, and bsd_answer.c. Leaves out a mutant that does not
/// compile, and writes the compiler's errors about the mutant to a file.
fn compile(place: &Place, table: &Table, dir: &Path) -> Result<()> {
    let opened = place.opened();
    let (compiler, original, work) = (&opened.compiler, opened.library()?, dir.join("work"));
    fs::create_dir(&work)?;
    let [library, sysroot] = ["library", "sysroot"].map(|name| work.join(name));
    Command::new("cp").arg("-R").args([&original, &library]).run_quiet()?;
    let std = Std::new(compiler, &library, &compiler.host, &work.join("std"));
    let mut refused = BTreeMap::new();
    loop {
        mutate(&original, &library, table, &refused)?;
        let Err(error) = std.sysroot(Profile::Dev, &sysroot) else { break };
        let errors = errors_by_mutant(&format!("{error:#}"));
        if errors.is_empty() {
            return Err(error);
        }
        refused.extend(errors);
    }
    for (index, error) in refused {
        fs::write(dir.join(refused_file(index)), error)?;
    }
    let mut rustc = compiler.rustc();
    rustc.args(["--edition=2024", "--test", "--sysroot"]).arg(&sysroot);
    rustc.arg(library.join(libtest::KEEPALIVE)).arg("-o").arg(dir.join("tests"));
    rustc.env("RUSTC_BOOTSTRAP", "1").run_quiet()?;
    let source = work.join("bsd_answer.c");
    fs::write(&source, BSD_ANSWER)?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).args([&dir.join("bsd_answer.so"), &source]).run_quiet()?;
    place.project().build.remove(&work)
}

fn refused_file(index: usize) -> String {
    format!("refused-{index}.txt")
}

/// Replaces each expression of the table by a `match` that chooses between the right expression and the wrong ones.
/// Each wrong expression is in a file of its own, whose name tells [`errors_by_mutant`] the mutant.
fn mutate(
    original: &Path,
    library: &Path,
    table: &Table,
    refused: &BTreeMap<usize, String>,
) -> Result<()> {
    let wrong = library.join(WRONG);
    fs::create_dir_all(&wrong)?;
    let mut texts = BTreeMap::new();
    for (name, Expression { file, after }) in &table.place {
        let text = match texts.remove(file) {
            Some(text) => text,
            None => fs::read_to_string(original.join(file))?,
        };
        let after = format!("{after}\n");
        let [before, rest] = text.split(&after).collect::<Vec<_>>()[..] else {
            bail!(
                "[place.{name}] in evidence/mutants.toml: {file} does not have `{after}` exactly once"
            );
        };
        let (right, rest) = rest
            .split_once('\n')
            .with_context(|| format!("no line follows `{after}` in {file}"))?;
        let mut choice = format!("match crate::env::var({CHOICE:?}).as_deref() {{\n");
        for (index, mutant) in table.mutant.iter().enumerate() {
            if let Some(expression) =
                mutant.wrong.get(name).filter(|_| !refused.contains_key(&index))
            {
                let file = wrong.join(format!("{index}-{name}.rs"));
                fs::write(&file, expression)?;
                choice += &format!("Ok({:?}) => include!({file:?}),\n", mutant.name.get_ref());
            }
        }
        choice += &format!("_ => {right},\n}}\n");
        texts.insert(file, [before, &after, &choice, rest].concat());
    }
    for (file, text) in texts {
        fs::write(library.join(file), text)?;
    }
    Ok(())
}

/// The directory of the wrong expressions, in library/.
const WRONG: &str = "wrong";

/// Returns the compiler's errors about each mutant, by the mutant's index.
fn errors_by_mutant(errors: &str) -> BTreeMap<usize, String> {
    let mut by_mutant = BTreeMap::<usize, String>::new();
    for text in errors.split("\n\n") {
        // Lines of cargo may precede the error.
        let Some(at) = format!("\n{text}").find("\nerror") else { continue };
        let error = &text[at..];
        let file = error.split_once(&format!("/{WRONG}/")).map(|(_, file)| file);
        let index = file.and_then(|file| file.split_once('-')?.0.parse().ok());
        if let Some(index) = index {
            *by_mutant.entry(index).or_default() += &format!("{error}\n");
        }
    }
    by_mutant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_attributed_to_mutants() {
        let errors = "warning: unused\n --> /b/library/wrong/1-set.rs:1:1\n\n   Compiling a v0.1.0\nerror[E0308]: mismatched types\n \
            --> /b/library/wrong/12-get.rs:1:1\n  |\n1 | 3\n\nerror: could not compile `std`\n";
        let errors = errors_by_mutant(errors);
        assert_eq!(Vec::from_iter(errors.keys()), [&12]);
        assert!(errors[&12].starts_with("error[E0308]: mismatched types"));
    }
}
