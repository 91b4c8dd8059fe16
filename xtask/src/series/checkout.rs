//! Keeps a work tree of the tool's own, linked to build/rust, and sees that nobody works in it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::project::{display, quoted};
use crate::run::files::temporary;
use crate::run::git::{self, Git};
use crate::run::kill_point::kill_point;
use crate::run::ownership;
use crate::say::progress::Step;
use crate::series::tree::Tree;

/// The work tree at `src`, with `commit` checked out; made where it is not there yet. Stops if it holds
/// what is in none of the commits `known`, of which an interrupted run may have left any.
pub fn checkout(owner: &Git, src: &Path, commit: &str, known: &[&str]) -> Result<Tree> {
    let tree = Tree::at(src);
    if tree.exists() {
        require_own(owner, &tree, known)?;
        tree.git.run(&["checkout", "--quiet", "--force", "--detach", commit])?;
        return Ok(tree);
    }
    let step = Step::start(format!("checking the series out to {}", display(src)));
    let unfinished = temporary(src, "unfinished");
    let (from, to) = (path_str(&unfinished)?, path_str(src)?);
    ownership::discard(&unfinished)?;
    // A second `--force` takes the place of one that is registered and not there.
    let add = ["worktree", "add", "--quiet", "--force", "--force", "--detach", from, commit];
    owner.run(&add)?;
    kill_point("before the checkout has its name");
    owner.run(&["worktree", "move", "--force", "--force", from, to])?;
    step.done();
    Ok(tree)
}

fn require_own(owner: &Git, tree: &Tree, known: &[&str]) -> Result<()> {
    let (src, shown) = (display(&tree.src), quoted(&tree.src));
    if !is_linked(owner, &tree.src) {
        bail!(not_linked(&tree.src));
    }
    tree.see_all()?;
    let log = ["log", "--format=%ce   commit %h %s", "HEAD", "--not", "--branches", "--tags"];
    let commits = tree.git.read(&log)?;
    let mut work: String = commits
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(committer, _)| *committer != git::EMAIL)
        .map(|(_, commit)| format!("{commit}\n"))
        .collect();
    let changes = tree.git.changes()?;
    let mut is_trace = changes.is_empty();
    for commit in known {
        is_trace = is_trace || tree.is_between("HEAD", commit)?;
    }
    if !is_trace {
        work.extend(changes.lines().map(|change| format!("  changed {change}\n")));
    }
    if !work.is_empty() {
        bail!(
            "{src} is for checks alone, and holds work:\n{work}To keep that work, move it away:\n  git -C {} \
             worktree move {to} {to}-kept\nTo drop it:\n  rm -rf {shown}",
            quoted(&owner.dir),
            to = shlex::try_quote(path_str(&tree.src)?)?,
        );
    }
    Ok(())
}

/// Whether what is at `src` is linked to the tree that is there: not where that was made anew, or where the
/// project is a copy of another, to which the link still leads.
pub fn is_linked(owner: &Git, src: &Path) -> bool {
    let repository = fs::canonicalize(owner.dir.join(".git"));
    let link = fs::read_to_string(src.join(".git")).ok();
    let link =
        link.and_then(|text| fs::canonicalize(text.strip_prefix("gitdir: ")?.trim_end()).ok());
    link.is_some_and(|link| repository.is_ok_and(|repository| link.starts_with(repository)))
}

/// What is said of a work tree that is not linked to the tree that is there.
pub fn not_linked(src: &Path) -> String {
    let (src, shown) = (display(src), quoted(src));
    format!(
        "{src} is a work tree of another repository than the one that is there, if of any. To keep it, move \
         it away:\n  mv {shown} {shown}-kept\nTo drop it:\n  rm -rf {shown}"
    )
}

fn path_str(path: &Path) -> Result<&str> {
    path.to_str().context("the path of this repository is not UTF-8")
}
