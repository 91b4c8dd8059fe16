//! Git, run so that the user's own configuration changes nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::run::command::CommandExt;

/// The identity of the project, for commits in build/rust that nobody submits as they are.
const NAME: &str = "tcp-keepalive maintainers";
const EMAIL: &str = "maintainers@tcp-keepalive.example";

/// A git repository, or a linked work tree of one.
#[derive(Clone)]
pub struct Git {
    pub dir: PathBuf,
}

impl Git {
    pub fn at(dir: &Path) -> Git {
        Git { dir: dir.to_owned() }
    }

    /// `git ARGS`, to be run in this repository.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.dir)
            // A crash of the machine costs a rerun, so nothing here waits for the disk. Git may
            // not start a clean-up in the background either: build/rust is one big pack.
            .args(["-c", "core.fsync=none", "-c", "gc.auto=0", "-c", "advice.detachedHead=false"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_COMMITTER_NAME", NAME)
            .env("GIT_COMMITTER_EMAIL", EMAIL)
            .env("LC_ALL", "C");
        // A hook of the outer repository sets these for its own.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Result<()> {
        self.command(args).run().map(drop)
    }

    pub fn read(&self, args: &[&str]) -> Result<String> {
        self.command(args).read()
    }

    pub fn rev(&self, name: &str) -> Result<String> {
        self.read(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])
    }

    /// What `git status` says of changed and untracked files, a line each.
    pub fn changes(&self) -> Result<String> {
        self.read(&["status", "--porcelain"])
    }
}
