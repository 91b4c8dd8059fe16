//! From nothing to a tree in which upstream's x.py runs; from an older state to the current one.

use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::base::Base;
use crate::base::project::Project;
use crate::base::unpack;
use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::git::Git;
use crate::say::progress::Step;
use crate::series::patches::Series;
use crate::series::tree::{State, Tree};

/// The tree with the current series in it, made or moved as far as needed.
pub fn prepare(
    project: &Project,
    base: &Base,
    source: Option<&Path>,
    toolchain: &Compiler,
) -> Result<Tree> {
    let tree = with_base(project, base, source, toolchain)?;
    tree.follow(&Series::of(project, base))?;
    Ok(tree)
}

/// The tree, with the base in it and whatever else it holds.
pub fn with_base(
    project: &Project,
    base: &Base,
    source: Option<&Path>,
    toolchain: &Compiler,
) -> Result<Tree> {
    let tree = Tree::of(project, base);
    if !tree.exists() {
        create(&tree, project, base, toolchain, source)?;
    }
    Ok(tree)
}

/// Makes the tree under another name, and gives it its own when it is whole.
fn create(
    tree: &Tree,
    project: &Project,
    base: &Base,
    toolchain: &Compiler,
    source: Option<&Path>,
) -> Result<()> {
    let name = tree.src.file_name().expect("the tree has a name").to_string_lossy();
    let unfinished = project.build().join(format!(".{name}.unfinished"));
    if unfinished.exists() {
        let step = Step::start("clearing away what an interrupted run left");
        fs::remove_dir_all(&unfinished)?;
        step.done();
    }
    fs::create_dir_all(&unfinished)?;
    let made = (|| {
        unpack::base_into(&unfinished, project, base, toolchain, source)?;
        let new = Tree::at(&unfinished);
        let commit = commit_base(&new.git, base)?;
        // The series comes later: a patch that does not apply is mended in a tree that is there.
        let (series, digest) = (commit.clone(), String::new());
        new.write_state(&State { base: commit, series, digest, moving_to: None })
    })();
    if let Err(error) = made {
        // The disk may be full; give the space back.
        fs::remove_dir_all(&unfinished).context("cannot clear away the unfinished tree")?;
        return Err(error);
    }
    fs::rename(unfinished, &tree.src)?;
    Ok(())
}

/// Commits everything in the directory as the base.
fn commit_base(git: &Git, base: &Base) -> Result<String> {
    let step = Step::start(format!("committing Rust {} as the base", base.release));
    git.run(&["init", "--quiet", "--initial-branch=series"])?;
    fs::write(git.dir.join(".git/info/exclude"), "/bootstrap.toml\n/build/\n__pycache__/\n")?;
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
