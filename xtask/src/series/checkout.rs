//! Keeps a repository of the tool's own beside build/rust, for checks that need the series' files.

use std::path::Path;

use anyhow::{Context, Result};

use crate::base::project::{Project, display};
use crate::run::git::Git;
use crate::run::save::save;
use crate::run::whole;
use crate::say::progress::Step;
use crate::series::tree::Tree;

/// What holds the commit that the tool checks out there.
const OWN: &str = "refs/xtask/checked";

/// The repository at `src`, with `commit` of the tree `owner` checked out; made where it is not there yet.
/// If somebody works in it, it is moved away.
pub fn checkout(project: &Project, owner: &Git, src: &Path, commit: &str) -> Result<Tree> {
    let tree = Tree::at(src);
    if tree.exists() && !is_as_left(&tree.git).unwrap_or(false) {
        save(project, src, "checkout")?;
    }
    let path = |path: &Path| path.to_str().map(str::to_owned).context("the path is not UTF-8");
    if !tree.exists() {
        let step = Step::start(format!("checking the series out to {}", display(src)));
        // Its objects are links to the same files, so it takes no time and stands alone.
        whole::make(src, |new| {
            let clone = ["clone", "--quiet", "--local", "--no-checkout", "--template="];
            owner.run(&[&clone[..], &[&path(&owner.dir)?, &path(new)?]].concat())
        })?;
        step.done();
    }
    owner.run(&["push", "--quiet", "--force", &path(src)?, &format!("{commit}:{OWN}")])?;
    tree.git.run(&["checkout", "--quiet", "--force", "--detach", commit])?;
    Ok(tree)
}

/// Whether nothing would be lost by another checkout.
fn is_as_left(git: &Git) -> Result<bool> {
    let lost = ["rev-list", "--max-count=1", "HEAD", "--not", "--branches", "--tags", OWN];
    Ok(git.changes()?.is_empty() && git.read(&lost)?.is_empty())
}
