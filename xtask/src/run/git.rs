//! Runs git so that the user's own configuration changes nothing.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::run::command::CommandExt;

/// The identity of the project, for commits in build/rust that nobody submits as they are.
const NAME: &str = "tcp-keepalive maintainers";
pub const EMAIL: &str = "maintainers@tcp-keepalive.example";

/// What git does everywhere alike, whatever is set in the repository.
const SETTINGS: [&str; 8] = [
    // A crash of the machine costs a rerun, so nothing here waits for the disk.
    "core.fsync=none",
    // Git may not start a clean-up in the background: build/rust is one big pack.
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    // What others set up for their own commits and checkouts.
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "status.showUntrackedFiles=normal",
];

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
        command.arg("-C").arg(&self.dir);
        // Where there is no repository, git would take one further up, such as this project's.
        if let Some(parent) =
            std::fs::canonicalize(&self.dir).ok().as_deref().and_then(Path::parent)
        {
            command.env("GIT_CEILING_DIRECTORIES", parent);
        }
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(args);
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_COMMITTER_NAME", NAME)
            .env("GIT_COMMITTER_EMAIL", EMAIL)
            .env("LC_ALL", "C");
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

    /// Where git keeps something of its own, such as `objects`, for this repository.
    pub fn path(&self, of: &str) -> Result<PathBuf> {
        let path = self.read(&["rev-parse", "--path-format=absolute", "--git-path", of])?;
        Ok(path.into())
    }

    /// The text of a file in a commit, if it is there.
    pub fn text(&self, commit: &str, path: &Path) -> Result<Option<Vec<u8>>> {
        let mut name = OsString::from(format!("{commit}:"));
        name.push(path);
        let output = self.command(&["cat-file", "blob"]).arg(name).answer()?;
        Ok(output.status.success().then_some(output.stdout))
    }

    /// The paths that git prints with NUL characters behind them.
    pub fn paths(&self, args: &[&str]) -> Result<Vec<PathBuf>> {
        let printed = self.command(args).run()?.stdout;
        let paths = printed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(|path| OsStr::from_bytes(path).into()).collect())
    }

    /// What `git status` says of changed and untracked files, a line each, and which files git was told to
    /// overlook: nobody could tell whether there is work in them.
    pub fn changes(&self) -> Result<String> {
        let mut changes = self.read(&["status", "--porcelain", "--ignore-submodules=none"])?;
        let is_hidden = |tag: char| tag.is_ascii_lowercase() || tag == 'S';
        for line in self.read(&["ls-files", "-v"])?.lines().filter(|l| l.starts_with(is_hidden)) {
            changes += &format!("\n{} (hidden by `git update-index`)", &line[2..]);
        }
        Ok(changes.trim_start_matches('\n').to_owned())
    }
}
