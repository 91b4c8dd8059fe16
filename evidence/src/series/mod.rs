//! Checks that an export of a series changes no file, and that the series is ready to be submitted. The patches
//! are applied when the base is opened, before the first trial: if that fails, no trial runs.

mod fences;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use xtask::export::{differences, exported_files, found_files};
use xtask::fetch;
use xtask::out::shown;
use xtask::project::Project;
use xtask::run::CommandExt;
use xtask::store::{Store, texts_in};

use crate::suite::{Outcome, Place, Trial};

type Check = fn(&Place) -> Result<Outcome>;

const CHECKS: [(&str, Check); 6] = [
    ("the archives in the cache have the right SHA-256", check_archives),
    ("each patch has a description, and the series has texts", check_descriptions),
    ("an export changes no file", check_export),
    ("each code fence closes", check_code_fences),
    ("each patch is formatted", check_formatting),
    ("tidy reports no error about the series", tidy::check),
];

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let bases = project.bases().into_iter();
    Ok(bases
        .flat_map(|base| CHECKS.map(|(name, check)| Trial::new("series", &base, name, check)))
        .collect())
}

const PASSED: Outcome = Outcome::Passed(String::new());

/// Compares each archive in the cache with its SHA-256 in base.toml. `is_cached` returns an error for a wrong hash.
fn check_archives(place: &Place) -> Result<Outcome> {
    let base = place.base();
    let mut is_any_cached = false;
    for archive in &base.archive {
        is_any_cached |= fetch::is_cached(archive)?;
    }
    if is_any_cached {
        return Ok(PASSED);
    }
    let (release, store) = (&base.release, shown(&place.project().dir(base).join("store.git")));
    Ok(Outcome::Lacks(format!(
        "the cache has no archive of Rust {release}. To download an archive, type `rm -r {store}`, and run the \
         trial again"
    )))
}

/// Checks that each commit has an author with a full email address, a subject and a body, and that the series has texts
/// for submitting.
fn check_descriptions(place: &Place) -> Result<Outcome> {
    let store = &place.opened().store;
    for commit in commits(store)? {
        let show = ["show", "--no-patch", "--format=%ae%n%an%n%s%n%b", &commit];
        let description = store.git.stdout_of(&show)?;
        let is_full_address =
            |email: &str| email.split_once('@').is_some_and(|a| a.1.contains('.'));
        let parts: Vec<_> =
            description.splitn(4, '\n').filter(|part| !part.trim().is_empty()).collect();
        if parts.len() < 4 || !is_full_address(parts[0]) {
            bail!(
                "a patch lacks its author's name or full email address, a subject, or a body:\n{description}"
            );
        }
    }
    let patches = place.project().patches(place.base());
    let texts = texts_in(&patches)?;
    let read = |text: &PathBuf| Ok(fs::read_to_string(text)?.trim().to_owned());
    let contents = texts.iter().map(read).collect::<Result<Vec<_>>>()?;
    if contents.is_empty() || contents.contains(&String::new()) {
        bail!("{} has no text 0000-*, or one of these texts is empty", shown(&patches));
    }
    Ok(PASSED)
}

/// Checks that an export of the series would change no file of this repository.
fn check_export(place: &Place) -> Result<Outcome> {
    let (project, base, opened) = (place.project(), place.base(), place.opened());
    let exported = exported_files(project, base, &opened.store, "series")?;
    let differences = differences(&exported, &found_files(project, base)?);
    if !differences.is_empty() {
        bail!(
            "{}\nTo write these files: `{}`, then `{}`",
            differences.join("\n"),
            base.command("cargo xtask prepare"),
            base.command("cargo xtask export")
        );
    }
    Ok(PASSED)
}

fn check_code_fences(place: &Place) -> Result<Outcome> {
    let store = &place.opened().store;
    for path in changed_rust_files(store, "base", "series")? {
        let source = file_at(store, "series", &path)?;
        if let Some(line) = fences::unclosed(&String::from_utf8_lossy(&source)).first() {
            bail!("the code fence at {}:{line} is not closed", path.display());
        }
    }
    Ok(PASSED)
}

fn check_formatting(place: &Place) -> Result<Outcome> {
    let opened = place.opened();
    let store = &opened.store;
    let dir = place.dir();
    fs::write(dir.join("rustfmt.toml"), file_at(store, "series", "rustfmt.toml".as_ref())?)?;
    let source = dir.join("source");
    for commit in commits(store)? {
        let parent = format!("{commit}^");
        // Finds trailing spaces and conflict markers, also in files that rustfmt does not read.
        store.git.run(&["diff", "--check", &parent, &commit])?;
        for path in changed_rust_files(store, &parent, &commit)? {
            // Upstream does not format ui tests, because some depend on the position of the code.
            if path.starts_with("tests/ui") {
                continue;
            }
            fs::write(&source, file_at(store, &commit, &path)?)?;
            let mut rustfmt = Command::new(opened.compiler.bin("rustfmt"));
            rustfmt.clean_env().args(["--check", "--edition", "2024", "--config-path"]).arg(&dir);
            // On standard input, so that rustfmt does not also check the file's modules.
            rustfmt.stdin(Stdio::from(fs::File::open(&source)?.into_parts().0));
            // On standard input, rustfmt --check exits with 0 even if it prints differences, so the output decides.
            let differences = rustfmt.args(["--color", "never"]).stdout_of()?;
            if !differences.is_empty() {
                bail!("{} is not formatted at {commit}:\n{differences}", path.display());
            }
        }
    }
    Ok(PASSED)
}

/// Returns the commits of the series, in order.
fn commits(store: &Store) -> Result<Vec<String>> {
    let commits = store.git.stdout_of(&["rev-list", "--reverse", "base..series"])?;
    if commits.is_empty() {
        bail!("the series has no commit");
    }
    Ok(commits.lines().map(str::to_owned).collect())
}

/// Returns the files that differ between two commits and are in the second one.
fn changed_files(store: &Store, from: &str, to: &str) -> Result<Vec<PathBuf>> {
    store.git.paths(&["diff", "--diff-filter=d", "--name-only", "-z", from, to])
}

/// Returns the Rust files that differ between two commits and are in the second one.
fn changed_rust_files(store: &Store, from: &str, to: &str) -> Result<Vec<PathBuf>> {
    let mut files = changed_files(store, from, to)?;
    files.retain(|path| path.extension() == Some("rs".as_ref()));
    Ok(files)
}

/// Returns the contents of a file in a commit. A missing file is an error.
fn file_at(store: &Store, commit: &str, path: &Path) -> Result<Vec<u8>> {
    let contents = store.git.blob(commit, path)?;
    contents.with_context(|| format!("{} is not in {commit}", path.display()))
}
