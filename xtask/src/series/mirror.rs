//! library/ and tests/: the files that the series adds, at their upstream paths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;

use crate::base::project::Project;
use crate::run::command::CommandExt;
use crate::run::git::Git;

const DIRECTORIES: [&str; 2] = ["library", "tests"];

/// The files, by path, that are in `tip` and not in `base`.
fn added(git: &Git, base: &str, tip: &str) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let names = git
        .command(&["diff", "--no-renames", "--diff-filter=A", "--name-only", "-z", base, tip, "--"])
        .args(DIRECTORIES)
        .read()?;
    let mut files = BTreeMap::new();
    for name in names.split_terminator('\0') {
        let text = git.command(&["show", &format!("{tip}:{name}")]).run()?.stdout;
        files.insert(PathBuf::from(name), text);
    }
    Ok(files)
}

/// The files that are in library/ and tests/ of this repository.
fn present(project: &Project) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut directories: Vec<_> =
        DIRECTORIES.iter().map(|d| project.root.join(d)).filter(|d| d.exists()).collect();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(&project.root)?.to_owned();
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// What differs between the mirrored files and those that the series adds, a line each.
pub fn differences(project: &Project, git: &Git, base: &str, tip: &str) -> Result<Vec<String>> {
    let added = added(git, base, tip)?;
    let present = present(project)?;
    let name = |path: &Path| path.display().to_string();
    let mut differences = Vec::new();
    for (path, text) in &added {
        match present.get(path) {
            None => differences.push(format!("{} is missing", name(path))),
            Some(found) if found != text => {
                differences.push(format!("{} is not what the series adds", name(path)));
            }
            Some(_) => {}
        }
    }
    for path in present.keys().filter(|path| !added.contains_key(*path)) {
        differences.push(format!("{} is not in the series", name(path)));
    }
    Ok(differences)
}

/// Makes library/ and tests/ hold the files that the series adds, and no others.
pub fn write(project: &Project, git: &Git, base: &str, tip: &str) -> Result<()> {
    let added = added(git, base, tip)?;
    for (path, text) in &added {
        let path = project.root.join(path);
        fs::create_dir_all(path.parent().expect("a file has a parent"))?;
        fs::write(path, text)?;
    }
    for path in present(project)?.keys().filter(|path| !added.contains_key(*path)) {
        fs::remove_file(project.root.join(path))?;
    }
    Ok(())
}
