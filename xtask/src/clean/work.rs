//! Finds what is in build/rust and would be gone with it: work that patches/ does not hold.

use std::path::Path;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::base::project::{display, quoted};
use crate::run::files::entries;
use crate::run::git::{self, Git};
use crate::run::ownership;
use crate::series::tree::{Tree, lines};
use crate::upstream::bootstrap;

/// Stops if the tree, a stash, or a linked work tree, such as `checkout`, holds work that patches/ does not.
pub fn require_exported(tree: &Tree, checkout: &Path) -> Result<()> {
    let state = tree.state()?;
    tree.see_all()?;
    let mut work = String::new();
    if let Some((name, _)) = tree.under_way() {
        work += &format!("  {name} that is not finished\n");
    }
    let known = [&*state.series, &*state.base];
    // All branches and tags count, not only what is checked out. Remotes have their own copies.
    let refs = ["--exclude=refs/stash", "--exclude=refs/xtask/*", "--exclude=refs/remotes/*"];
    let refs = [&refs[..], &["--single-worktree", "--all"]].concat();
    work += &tree.commits(&refs, &known)?;
    work += &lines(&tree.git.read(&["stash", "list"])?, "  ");
    let names = tree.git.read(&["for-each-ref", "--format=%(objecttype) %(refname)"])?;
    let of_no_commit = |name: &&str| name.starts_with("blob ") || name.starts_with("tree ");
    work += &lines(&names.lines().filter(of_no_commit).collect::<Vec<_>>().join("\n"), "  ");
    let hooks = tree.src.join(".git/hooks");
    if hooks.exists() {
        for hook in entries(&hooks)? {
            if hook.extension().is_none_or(|extension| extension != "sample") {
                work += &format!("  hook {}\n", display(&hook));
            }
        }
    }
    work += &in_work_trees(tree, &known)?;
    if work.is_empty() {
        return Ok(());
    }
    let mut trees = vec![&*tree.src];
    if checkout.exists() {
        trees.push(checkout);
    }
    let keep: Vec<_> = trees.iter().map(|tree| format!("mv {0} {0}-kept", quoted(tree))).collect();
    let drop: String = trees.iter().map(|tree| format!(" {}", quoted(tree))).collect();
    bail!(
        "{} holds work that patches/ lacks, so nothing was removed:\n{work}To keep what belongs to the \
         series, commit it on the branch `series` and run `{}`. To keep all of it, move it away:\n  \
         {}\nTo drop it:\n  rm -rf{drop}",
        display(&tree.src),
        tree.xtask("export"),
        keep.join(" &&\n  "),
    );
}

/// Commits and changes in the work trees that are linked to the tree, and changes in its own.
fn in_work_trees(tree: &Tree, known: &[&str]) -> Result<String> {
    let mut work = String::new();
    let worktrees = tree.git.read(&["worktree", "list", "--porcelain"])?;
    for worktree in worktrees.split("\n\n") {
        let field = |name| worktree.lines().find_map(|line| line.strip_prefix(name));
        let (Some(path), Some(head)) = (field("worktree "), field("HEAD ")) else { continue };
        let path = Path::new(path);
        let others = [&["--not", "--branches", "--tags"], known].concat();
        let log = ["log", "--format=%ce   commit %h %s", head];
        for commit in tree.git.read(&[&log[..], &others[..]].concat())?.lines() {
            // Those that the tool made of patches are in its own work trees, for one.
            let (committer, commit) = commit.split_once(' ').unwrap_or_default();
            if path != tree.src && committer != git::EMAIL {
                work += &format!("{commit} in {}\n", display(path));
            }
        }
        // It may be on a disk that is not there now.
        if !path.exists() {
            continue;
        }
        for line in Git::at(path).read(&["status", "--porcelain", "--ignored"])?.lines() {
            if !is_generated(path, line)? {
                work += &format!("  changed {line} in {}\n", display(path));
            }
        }
    }
    Ok(work)
}

/// Whether a line of `git status` is about an ignored file that the tool or python made.
fn is_generated(worktree: &Path, line: &str) -> Result<bool> {
    Ok(match line.strip_prefix("!! ") {
        Some("bootstrap.toml") => {
            bootstrap::is_own_config(&fs::read_to_string(worktree.join("bootstrap.toml"))?)
        }
        Some(name) => name.ends_with("__pycache__/") || ownership::is_leftover(Path::new(name)),
        None => false,
    })
}
