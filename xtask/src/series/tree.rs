//! build/rust: a git repository with the base as one commit and then a commit for each patch.
//!
//! People work in it. Whatever is there and not in the patches is theirs: the tool moves the tree
//! only where nothing of it goes out of reach, and otherwise says what is there, how to keep it and
//! how to drop it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::base::project::{Project, display, quoted};
use crate::run::command::CommandExt;
use crate::run::git::Git;
use crate::run::ownership;

pub struct Tree {
    pub src: PathBuf,
    pub git: Git,
    /// How commands for it name its base: ` --base NAME`, or nothing for the default one.
    option: String,
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
    /// The commit that was being exported when the tool was last interrupted, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporting: Option<String>,
}

impl State {
    /// The commits that are in patches/, wholly or, if an export was interrupted, in part.
    pub fn written(&self) -> Vec<&str> {
        [Some(&self.series), self.exporting.as_ref()].into_iter().flatten().map(|s| &**s).collect()
    }
}

/// What git can be in the middle of: the file in its directory that tells, a name, and the command that
/// calls it off.
const UNDER_WAY: [(&str, &str, &str); 8] = [
    ("rebase-merge", "a rebase", "rebase --abort"),
    ("rebase-apply/applying", "a git am", "am --abort"),
    ("rebase-apply", "a rebase", "rebase --abort"),
    ("MERGE_HEAD", "a merge", "merge --abort"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "cherry-pick --abort"),
    ("REVERT_HEAD", "a revert", "revert --abort"),
    ("sequencer", "a cherry-pick", "cherry-pick --abort"),
    ("BISECT_LOG", "a bisection", "bisect reset"),
];

impl Tree {
    pub fn of(project: &Project, base: &Base) -> Tree {
        Tree { option: base.option(), ..Tree::at(&project.build_of(base, "rust")) }
    }

    pub fn at(src: &Path) -> Tree {
        Tree { src: src.to_owned(), git: Git::at(src), option: String::new() }
    }

    /// `cargo xtask WHAT` for this tree's base, to be typed.
    pub fn xtask(&self, what: &str) -> String {
        format!("cargo xtask {what}{}", self.option)
    }

    /// `git ARGS` in this tree, to be typed.
    pub fn typed(&self, args: &str) -> String {
        format!("git -C {} {args}", quoted(&self.src))
    }

    /// Whether the tree has been made. It appears under its name only when it is whole.
    pub fn exists(&self) -> bool {
        self.src.exists()
    }

    /// Stops unless the tree has been made.
    pub fn require(&self) -> Result<()> {
        if !self.exists() {
            let make = self.xtask("prepare");
            bail!("{} is not there yet; `{make}` makes it", display(&self.src));
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
        // So that git keeps the commits by which the tool knows its own patches again.
        self.git.run(&["update-ref", "refs/xtask/series", &state.series])?;
        ownership::write(&self.state_file(), toml::to_string(state)?.as_bytes())
    }

    /// The branch that is checked out, if one is.
    pub fn branch(&self) -> Result<Option<String>> {
        let answer = self.git.command(&["symbolic-ref", "--quiet", "--short", "HEAD"]).answer()?;
        let name = String::from_utf8_lossy(&answer.stdout).trim_end().to_owned();
        Ok(answer.status.success().then_some(name))
    }

    /// What git is in the middle of, if it is, and what calls it off.
    pub fn under_way(&self) -> Option<(&'static str, &'static str)> {
        let found = UNDER_WAY.iter().find(|(file, ..)| self.src.join(".git").join(file).exists());
        found.map(|(_, name, abort)| (*name, *abort))
    }

    /// Stops if git was told to overlook what changes in some files: nobody could tell then whether
    /// there is work in them.
    pub fn see_all(&self) -> Result<()> {
        let flagged = self.git.read(&["ls-files", "-v"])?;
        let is_hidden = |tag: char| tag.is_ascii_lowercase() || tag == 'S';
        let hidden: Vec<_> = flagged
            .lines()
            .filter(|line| line.starts_with(is_hidden))
            .map(|line| &line[2..])
            .collect();
        if hidden.is_empty() {
            return Ok(());
        }
        let files = hidden.iter().map(|file| quoted(Path::new(file))).collect::<Vec<_>>().join(" ");
        bail!(
            "in {}, git overlooks changes in {}. To have it look again:\n  {}",
            display(&self.src),
            hidden.join(", "),
            self.typed(&format!("update-index --no-assume-unchanged --no-skip-worktree {files}"))
        )
    }

    /// Commits below some of `tips` that are below none of `others`, a line each.
    pub fn commits(&self, tips: &[&str], others: &[&str]) -> Result<String> {
        let range = [tips, &["--not"], others].concat();
        let log = self.git.command(&["log", "--format=  commit %h %s"]).args(range).read()?;
        Ok(lines(&log, ""))
    }

    /// Whether there is the branch that the series is on.
    pub fn has_series(&self) -> Result<bool> {
        self.git.says_yes(&["show-ref", "--verify", "--quiet", "refs/heads/series"])
    }
}

/// Each line with `before` in front of it and its end.
pub fn lines(text: &str, before: &str) -> String {
    text.lines().map(|line| format!("{before}{line}\n")).collect()
}
