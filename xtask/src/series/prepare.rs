//! Makes a tree in which upstream's x.py runs, or moves one to changed patches: the branch `series`, if it
//! is as the tool left it and nothing is changed. Other trees are for their users to bring up to date.

use std::path::Path;

use anyhow::{Context, Error, Result, anyhow};
use fs_err as fs;

use crate::base::Base;
use crate::base::project::{Project, display, quoted};
use crate::base::unpack;
use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::files::file_name;
use crate::run::git::Git;
use crate::run::kill_point::kill_point;
use crate::run::save::{date, free};
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
    follow(&tree, &Series::of(project, base))?;
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
    let series = commit.clone();
    new.write_state(&State { base: commit, series, digest: String::new(), written: [].into() })
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

/// Moves the tree to what patches/ holds now, if that changed since the last time.
fn follow(tree: &Tree, series: &Series) -> Result<()> {
    let (mut state, digest) = (tree.state()?, series.digest()?);
    if digest == state.digest {
        return Ok(());
    }
    let step = Step::start(format!("applying {}", display(&series.dir)));
    let tip = series.apply(&tree.git, &state.base).with_context(|| {
        format!(
            "{} cannot be brought to what {} holds. For another base, CONTRIBUTING.md says how to merge",
            display(&tree.src),
            display(&series.dir)
        )
    })?;
    step.done();
    let head = tree.git.rev("HEAD")?;
    // If an earlier run was interrupted right before its end, only the state is to be written.
    if head != tip {
        let is_series = tree.branch()?.as_deref() == Some("series");
        if !is_series || head != state.series || !tree.git.changes()?.is_empty() {
            return Err(refusal(tree, series, &state, "")?);
        }
        keep(tree, &tip)?;
        kill_point("before the move");
        // Git itself refuses it in the middle of a merge and the like.
        let switch =
            ["switch", "--quiet", "--no-overwrite-ignore", "--force-create", "series", &tip];
        let said = tree.git.command(&switch).answer()?;
        if !said.status.success() {
            let why = String::from_utf8_lossy(&said.stderr);
            return Err(refusal(tree, series, &state, &format!("{}\n", why.trim_end()))?);
        }
        kill_point("after the move");
    }
    state.series = tip;
    state.digest = digest;
    tree.write_state(&state)
}

/// Keeps the tip of the branch `series` under the name of another branch, unless its commits stay in reach
/// when the branch moves to `tip`.
fn keep(tree: &Tree, tip: &str) -> Result<()> {
    let others = ["--not", tip, "--exclude=series", "--branches", "--tags"];
    let list = [&["rev-list", "--max-count=1", "refs/heads/series"][..], &others].concat();
    if tree.git.read(&list)?.is_empty() {
        return Ok(());
    }
    // Two may be kept within a second.
    let branch = format!("series-{}-{}", date()?, &tree.git.rev("refs/heads/series")?[..12]);
    tree.git.run(&["branch", &branch, "refs/heads/series"])?;
    let src = display(&tree.src);
    eprintln!("note: {src} moves to changed patches; what it held is the branch {branch} there");
    Ok(())
}

/// The error where the tree is not as the tool left it.
fn refusal(tree: &Tree, series: &Series, state: &State, why: &str) -> Result<Error> {
    let (src, dir) = (display(&tree.src), display(&series.dir));
    let old = &state.series[..12];
    let commits = tree.git.read(&["log", "--format=  commit %h %s", &format!("{old}..HEAD")])?;
    let aside = free(&tree.src.with_file_name(format!("{}-kept", file_name(&tree.src))));
    Ok(anyhow!(
        "{dir} changed, and {src} is not as it was when the two were last the same, so nothing was \
         touched:\n{why}{}\n{commits}\n\
         If {dir} is to become what {src} holds: `{export}`. If {src} is to become what {dir} holds, put it \
         aside, and make it anew:\n  mv {shown} {aside} &&\n  {prepare} &&\n  \
         git -C {shown} fetch ../{name} HEAD\n\
         Then take over what was committed: `git cherry-pick {old}..FETCH_HEAD` in {src}",
        tree.status()?,
        export = tree.xtask("export"),
        prepare = tree.xtask("prepare"),
        shown = quoted(&tree.src),
        name = file_name(&aside),
        aside = quoted(&aside),
    ))
}
