//! Compares and writes library/ and tests/: the files that the series adds, at their upstream
//! paths.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use walkdir::WalkDir;

use crate::base::project::Project;
use crate::run::git::Git;
use crate::run::ownership::{Files, Found, Replacement};

const DIRECTORIES: [&str; 2] = ["library", "tests"];

/// The files, by path, that are in `tip` and not in `base`.
fn added(git: &Git, base: &str, tip: &str) -> Result<Files> {
    let diff = ["diff", "--no-renames", "--diff-filter=A", "--name-only", "-z", base, tip, "--"];
    let mut files = Files::new();
    for path in git.paths(&[&diff[..], &DIRECTORIES].concat())? {
        if let Some(text) = git.text(tip, &path)? {
            files.insert(path, text);
        }
    }
    Ok(files)
}

/// What is in library/ and tests/ of this repository. Links are not followed.
fn found(project: &Project) -> Result<Found> {
    let mut found = Found::new();
    let directories = DIRECTORIES.map(|directory| project.root.join(directory));
    for directory in directories.iter().filter(|path| fs::symlink_metadata(path).is_ok()) {
        for entry in WalkDir::new(directory).follow_root_links(false) {
            let entry = entry?;
            if !entry.file_type().is_dir() {
                let text = entry.file_type().is_file().then(|| fs::read(entry.path()));
                found.insert(entry.path().strip_prefix(&project.root)?.into(), text.transpose()?);
            }
        }
    }
    Ok(found)
}

/// What differs between the mirrored files and those that the series adds, a line each.
pub fn differences(project: &Project, git: &Git, base: &str, tip: &str) -> Result<Vec<String>> {
    let (added, found) = (added(git, base, tip)?, found(project)?);
    let name = |path: &Path| path.display().to_string();
    let mut differences = Vec::new();
    for (path, text) in &added {
        match found.get(path) {
            None => differences.push(format!("{} is missing", name(path))),
            Some(found) if found.as_ref() != Some(text) => {
                differences.push(format!("{} is not what the series adds", name(path)));
            }
            Some(_) => {}
        }
    }
    for path in found.keys().filter(|path| !added.contains_key(*path)) {
        differences.push(format!("{} is not in the series", name(path)));
    }
    Ok(differences)
}

/// library/ and tests/, to be replaced by the files that `new` adds. Those that one of the commits
/// `written` added are the tool's own.
pub fn replacement<'p>(
    project: &'p Project,
    git: &Git,
    base: &str,
    written: &[&str],
    new: &str,
) -> Result<Replacement<'p>> {
    let written = written.iter().map(|tip| added(git, base, tip)).collect::<Result<_>>()?;
    let new = added(git, base, new)?;
    Ok(Replacement { root: &project.root, found: found(project)?, written, new })
}
