//! What an export writes, and what is found in its place: the patches, and the files that the series adds
//! to library/ and tests/, at their upstream paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use fs_err as fs;
use walkdir::WalkDir;

use crate::base::Base;
use crate::base::project::Project;
use crate::run::git::Git;
use crate::series::patches::{self, Series};

/// Texts of files, by path below the project's root.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;
/// The same of what is there. What is no file, such as a link, has no text.
pub type Found = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Where files are that the default series adds. Those of the others are in their patches alone.
const MIRRORED: [&str; 2] = ["library", "tests"];

/// What an export of the commits from `from` to `tip` writes.
pub fn to_write(project: &Project, base: &Base, git: &Git, from: &str, tip: &str) -> Result<Files> {
    let range = format!("{from}..{tip}");
    let raw = git.read(&["log", "--format=", "--no-renames", "--raw", &range])?;
    if let Some(line) = raw.lines().find(|line| line.get(8..14) == Some("160000")) {
        let path = line.split('\t').next_back().unwrap_or_default();
        bail!(
            "{path} is a repository of its own, which no patch can hold; take it out of the commits"
        );
    }
    let dir = Series::of(project, base).dir;
    let dir = dir.strip_prefix(&project.root)?;
    let patches = patches::exported(git, from, tip)?.into_iter();
    let mut files: Files = patches.map(|(name, text)| (dir.join(name), text)).collect();
    if base.default {
        let diff =
            ["diff", "--no-renames", "--diff-filter=A", "--name-only", "-z", from, tip, "--"];
        for path in git.paths(&[&diff[..], &MIRRORED].concat())? {
            if let Some(text) = git.text(tip, &path)? {
                files.insert(path, text);
            }
        }
    }
    Ok(files)
}

/// What is in its place. Links are not followed.
pub fn found(project: &Project, base: &Base) -> Result<Found> {
    let mut paths = Series::of(project, base).found()?;
    let mirrored = MIRRORED.map(|directory| project.root.join(directory));
    for directory in
        mirrored.iter().filter(|path| base.default && fs::symlink_metadata(path).is_ok())
    {
        for entry in WalkDir::new(directory).follow_root_links(false) {
            let entry = entry?;
            if !entry.file_type().is_dir() {
                paths.push(entry.into_path());
            }
        }
    }
    let mut found = Found::new();
    for path in paths {
        let text = fs::symlink_metadata(&path)?.is_file().then(|| fs::read(&path)).transpose()?;
        found.insert(path.strip_prefix(&project.root)?.to_owned(), text);
    }
    Ok(found)
}

/// In what the two differ, a line each.
pub fn differences(to_write: &Files, found: &Found) -> Vec<String> {
    let paths: BTreeSet<_> = to_write.keys().chain(found.keys()).collect();
    let differs =
        |path: &&&PathBuf| found.get(**path) != to_write.get(**path).cloned().map(Some).as_ref();
    paths.iter().filter(differs).map(|path| format!("{} differs", path.display())).collect()
}
