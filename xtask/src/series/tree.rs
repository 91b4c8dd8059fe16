//! build/rust: a git repository with the base as one commit and then a commit for each patch.
//!
//! People work in it. Whatever is there and not in the patches is theirs, and only ever moved by
//! git commands that refuse to lose it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::run::git::Git;
use crate::say::progress::Step;
use crate::series::patches::Series;

pub struct Tree {
    pub src: PathBuf,
    pub git: Git,
}

/// What the tool last did to the tree; kept in its git directory.
#[derive(Clone, Serialize, Deserialize)]
pub struct State {
    /// The commit that holds the base.
    pub base: String,
    /// The tip of the series as patches/ had it when it was last applied or exported.
    pub series: String,
    /// The digest of patches/ at that time.
    pub digest: String,
    /// The commit that the tree was being moved to when the tool was last interrupted, if it was.
    pub moving_to: Option<String>,
}

impl Tree {
    pub fn of(project: &Project, base: &Base) -> Tree {
        Tree::at(&project.build_of(base, "rust"))
    }

    pub fn at(src: &Path) -> Tree {
        Tree { src: src.to_owned(), git: Git::at(src) }
    }

    /// Whether the tree has been made. It appears under its name only when it is whole.
    pub fn exists(&self) -> bool {
        self.src.exists()
    }

    /// Whether upstream's build system is in it. Not all bases have it.
    pub fn has_x_py(&self) -> bool {
        self.src.join("x.py").exists()
    }

    /// Stops unless the tree has been made.
    pub fn require(&self) -> Result<()> {
        if !self.exists() {
            bail!("{} is not there yet; `cargo xtask prepare` makes it", display(&self.src));
        }
        Ok(())
    }

    fn state_file(&self) -> PathBuf {
        self.src.join(".git/xtask.toml")
    }

    pub fn state(&self) -> Result<State> {
        let text = fs::read_to_string(self.state_file()).with_context(|| {
            format!("{} was not made by `cargo xtask prepare`", display(&self.src))
        })?;
        Ok(toml::from_str(&text)?)
    }

    pub fn write_state(&self, state: &State) -> Result<()> {
        let partial = self.state_file().with_extension("new");
        fs::write(&partial, toml::to_string(state)?)?;
        Ok(fs::rename(partial, self.state_file())?)
    }

    /// The commits and changes that patches/ does not hold, a line each.
    pub fn unexported(&self, state: &State) -> Result<String> {
        let mut lines = String::new();
        for entry in ["rebase-apply", "rebase-merge", "MERGE_HEAD", "CHERRY_PICK_HEAD"] {
            if self.src.join(".git").join(entry).exists() {
                lines += "  an unfinished git am, rebase, merge or cherry-pick\n";
            }
        }
        // All branches count, not only the one that is checked out.
        let commits = self.git.read(&[
            "log",
            "--format=  commit %h %s",
            "HEAD",
            "--branches",
            "--not",
            &state.series,
            &state.base,
        ])?;
        let changes = self.git.changes()?;
        for line in commits.lines() {
            lines += &format!("{line}\n");
        }
        for line in changes.lines() {
            lines += &format!("  changed {line}\n");
        }
        Ok(lines)
    }

    /// Moves the tree to what patches/ holds now, if that changed since the last time.
    pub fn follow(&self, series: &Series) -> Result<()> {
        let mut state = self.state()?;
        if let Some(target) = state.moving_to.clone() {
            return self.move_to(&mut state, target, series.digest()?);
        }
        let digest = series.digest()?;
        if digest == state.digest {
            return Ok(());
        }
        let step = Step::start(format!("applying {}", display(&series.dir)));
        let tip = series.apply(&self.git, &state.base)?;
        step.done();
        if self.git.rev("HEAD")? == tip {
            // Someone applied or wrote the same patches by hand.
            state.series = tip;
            state.digest = digest;
            return self.write_state(&state);
        }
        let unexported = self.unexported(&state)?;
        if !unexported.is_empty() {
            let src = display(&self.src);
            bail!(
                "{} changed, but {src} holds work that it lacks, so nothing was touched:\n\
                 {unexported}To keep that work, put it on top of the new series:\n  \
                 cd {src} && git stash --include-untracked   # uncommitted changes, if any\n  \
                 git rebase --onto {tip} {} && git stash pop\n  cargo xtask export\n\
                 To drop it:\n  cd {src} && git checkout -f -B series {} && git clean -fd",
                display(&series.dir),
                &state.series[..12],
                &state.series[..12],
            );
        }
        self.move_to(&mut state, tip, digest)
    }

    /// Moves a tree without work of its own to `target`. It can be interrupted: the state says
    /// that a move is under way, and the next run completes it.
    fn move_to(&self, state: &mut State, target: String, digest: String) -> Result<()> {
        if state.moving_to.is_some() {
            // The tree was without work of its own when the move began, so what git sees as
            // changes are its traces. Keep them all the same: there may have been time for more.
            let index_lock = self.src.join(".git/index.lock");
            if index_lock.exists() {
                fs::remove_file(index_lock)?;
            }
            let traces = self.git.read(&["stash", "create"])?;
            if !traces.is_empty() {
                self.git.run(&["update-ref", "refs/xtask/interrupted", &traces])?;
            }
        }
        state.moving_to = Some(target.clone());
        self.write_state(state)?;
        self.git.run(&["checkout", "--quiet", "--force", "-B", "series", &target])?;
        state.series = target;
        state.digest = digest;
        state.moving_to = None;
        self.write_state(state)
    }
}
