//! Writes the commits of build/rust to patches/, library/ and tests/.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::run::git::Git;
use crate::run::kill_point::kill_point;
use crate::run::save::save;
use crate::run::{lock, ownership};
use crate::series::patches::Series;
use crate::series::tree::{State, Tree};
use crate::series::written::{self, Files};

/// Write the commits of build/rust to patches/, and the files they add to library/ and tests/.
///
/// Commit first: export takes the commits of the branch that is checked out, not uncommitted changes. Its
/// inverse is prepare. What it replaces goes to build/saved/, unless an export wrote it or git has it at
/// HEAD of this repository.
#[derive(Args)]
pub struct Export {}

impl Export {
    pub fn run(self, project: &Project, base: &Base) -> Result<ExitCode> {
        let _lock = lock::acquire(&project.tree_lock(base), "export")?;
        export(project, base)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn export(project: &Project, base: &Base) -> Result<()> {
    let tree = Tree::of(project, base);
    tree.require()?;
    let mut state = tree.state()?;
    let series = Series::of(project, base);
    let tip = exportable(&tree, &state)?;
    let files = written::to_write(project, base, &tree.git, &state.base, &tip)?;
    let hashes: BTreeSet<_> = files.values().map(|text| hash(text)).collect();
    // Where this is interrupted, what was written is known for the tool's own.
    state.written.extend(hashes.iter().cloned());
    tree.write_state(&state)?;
    replace(project, base, &state, &files)?;
    kill_point("between files and state");
    let digest = series.digest()?;
    tree.write_state(&State { series: tip, digest, written: hashes, ..state })?;
    for patch in series.patches()? {
        println!("{}", display(&patch));
    }
    Ok(())
}

/// The commit that is checked out, if a series ends in it.
fn exportable(tree: &Tree, state: &State) -> Result<String> {
    let src = display(&tree.src);
    let Some(branch) = tree.branch()? else {
        bail!("in {src}, no branch is checked out:\n{}", tree.status()?);
    };
    // This changes nothing, but git refuses it in the middle of a merge, a cherry-pick and the like.
    let unfinished = || format!("what is under way in {src} comes first");
    tree.git.run(&["switch", "--quiet", &branch]).with_context(unfinished)?;
    let changes = tree.git.changes()?;
    if !changes.is_empty() {
        bail!("{src} has uncommitted changes, which an export would leave out:\n{changes}");
    }
    let tip = tree.git.rev("HEAD")?;
    if tip == state.base {
        bail!("in {src}, no commit is on top of the base, so there is nothing to export");
    }
    if branch != "series" {
        eprintln!("note: what is exported is the branch {branch}");
    }
    Ok(tip)
}

/// Puts the files in place of what is there.
fn replace(project: &Project, base: &Base, state: &State, files: &Files) -> Result<()> {
    let (root, repository) = (&project.root, Git::at(&project.root));
    let found = written::found(project, base)?;
    let mut outdated = Vec::new();
    for (path, text) in
        found.iter().filter(|(path, text)| text.is_none() || files.get(*path) != text.as_ref())
    {
        let has = |path: &Path, text: &Vec<u8>| -> Result<bool> {
            Ok(state.written.contains(&hash(text))
                || repository.text("HEAD", path)?.as_ref() == Some(text))
        };
        let is_known = text.as_ref().map(|text| has(path, text)).transpose()?.unwrap_or(false);
        if !is_known && !ownership::is_leftover(path) {
            save(project, &root.join(path), "export")?;
        } else if !files.contains_key(path) {
            outdated.push(root.join(path));
        }
    }
    // First the new ones, so that an interruption leaves too many rather than too few.
    for (path, text) in
        files.iter().filter(|(path, text)| found.get(*path) != Some(&Some((*text).clone())))
    {
        let file = root.join(path);
        if file.is_dir() {
            save(project, &file, "export")?;
        }
        fs::create_dir_all(file.parent().context("a file has a directory")?)?;
        ownership::write(&file, text)?;
    }
    for file in outdated {
        ownership::remove(&file)?;
        kill_point("removing a file");
    }
    Ok(())
}

fn hash(text: &[u8]) -> String {
    ownership::hex(&Sha256::digest(text))
}
