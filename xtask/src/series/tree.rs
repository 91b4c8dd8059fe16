//! build/rust: a git repository with the base as one commit and then a commit for each patch. People work
//! in it, so the tool changes nothing there but in the one case that `series::prepare` describes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::base::project::{Project, display};
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
    /// The SHA-256 of each file that the last export wrote.
    #[serde(default)]
    pub written: BTreeSet<String>,
}

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
        ownership::write(&self.state_file(), toml::to_string(state)?.as_bytes())
    }

    /// The branch that is checked out, if one is.
    pub fn branch(&self) -> Result<Option<String>> {
        let answer = self.git.command(&["symbolic-ref", "--quiet", "HEAD"]).answer()?;
        let name = String::from_utf8_lossy(&answer.stdout);
        Ok(name.trim_end().strip_prefix("refs/heads/").map(str::to_owned))
    }

    /// What git says of the tree, to be shown.
    pub fn status(&self) -> Result<String> {
        self.git.read(&["-c", "advice.statusHints=false", "status"])
    }
}
