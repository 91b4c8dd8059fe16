//! Makes a tree in which upstream's x.py runs, or brings an older one up to date.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::base::unpack;
use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::git::Git;
use crate::run::kill_point::kill_point;
use crate::run::whole;
use crate::say::progress::Step;
use crate::series::patches::Series;
use crate::series::tree::{State, Tree};

/// The tree with the current series in it, made or moved as far as needed.
pub fn prepare(
    project: &Project,
    base: &Base,
    source: Option<&Path>,
    compiler: &Compiler,
) -> Result<Tree> {
    let tree = with_base(project, base, source, compiler)?;
    tree.follow(&Series::of(project, base))?;
    Ok(tree)
}

/// The tree, with the base in it and whatever else it holds.
pub fn with_base(
    project: &Project,
    base: &Base,
    source: Option<&Path>,
    compiler: &Compiler,
) -> Result<Tree> {
    let tree = Tree::of(project, base);
    if !tree.exists() {
        whole::make(&tree.src, |new| create(&Tree::at(new), base, source, compiler))?;
    } else if let Some(source) = source {
        eprintln!(
            "note: {} is there already, so {} is not looked at",
            display(&tree.src),
            source.display()
        );
    }
    Ok(tree)
}

fn create(new: &Tree, base: &Base, source: Option<&Path>, compiler: &Compiler) -> Result<()> {
    unpack::base_into(&new.src, base, compiler, source)?;
    kill_point("unpacked");
    let commit = commit_base(&new.git, base)?;
    // The series comes later: a patch that does not apply is mended in a tree that is there.
    let (series, digest) = (commit.clone(), String::new());
    new.write_state(&State { base: commit, series, digest, exporting: None })
}

/// Commits everything in the directory as the base.
fn commit_base(git: &Git, base: &Base) -> Result<String> {
    let step = Step::start(format!("committing Rust {} as the base", base.release));
    git.run(&["init", "--quiet", "--initial-branch=series"])?;
    fs::write(
        git.dir.join(".git/info/exclude"),
        "/bootstrap.toml\n/build/\n__pycache__/\n.xtask-*\n",
    )?;
    // One uncompressed pack instead of a file for each blob: a third of the time.
    git.command(&["-c", "core.bigFileThreshold=1", "-c", "core.compression=0"])
        .args(["add", "--all", "--force", "."])
        .run()?;
    let message = format!("Rust {}\n\nUpstream's commit {}.", base.release, base.commit);
    git.command(&["commit", "--quiet", "--no-verify", "-m", &message])
        // Bootstrap takes the newest commit of this author for upstream's, and so the compiler
        // that it finds for that commit for the one to use.
        .args(["--author=bors <bors@rust-lang.org>", "--date", &base.date])
        .env("GIT_COMMITTER_DATE", &base.date)
        .run()?;
    git.run(&["tag", "base"])?;
    step.done();
    git.rev("HEAD")
}
