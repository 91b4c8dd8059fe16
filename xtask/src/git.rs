//! Runs git, independently of the user's configuration.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{self, CommandExt};

/// The committer in the store. These commits are not for submission.
const NAME: &str = "tcp-keepalive maintainers";
const EMAIL: &str = "maintainers@tcp-keepalive.example";

/// Settings that override those of the repository.
const SETTINGS: [&str; 8] = [
    // The store is one big pack, which needs no maintenance in the background.
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "status.showUntrackedFiles=normal",
    // In containers, the clone often has another owner. A user who runs this tool trusts it.
    "safe.directory=*",
];

/// An option of `git fetch` and `git clone` that sets `safe.directory` for the other repository, where git starts a
/// program without the settings above.
pub const UPLOAD_PACK: &str = "--upload-pack=git -c 'safe.directory=*' upload-pack";

/// A git repository, bare or with a work tree.
#[derive(Clone)]
pub struct Git {
    pub dir: PathBuf,
}

impl Git {
    pub fn at(dir: &Path) -> Git {
        Git { dir: dir.to_owned() }
    }

    /// Creates a repository in a directory.
    pub fn init(dir: &Path, options: &[&str]) -> Result<Git> {
        let git = Git::at(dir);
        git.run(
            &[&["init", "--quiet", "--template=", "--initial-branch=series"], options].concat(),
        )?;
        Ok(git)
    }

    /// Returns the command `git ARGS` in this repository.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.git_env().arg("-C").arg(&self.dir);
        // Otherwise git would search the parent directories, and find this project's repository.
        let dir = std::fs::canonicalize(&self.dir).ok();
        if let Some(parent) = dir.as_deref().and_then(Path::parent) {
            command.env("GIT_CEILING_DIRECTORIES", parent);
        }
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(args);
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            // Otherwise `git status` would write to the index of the user's clone.
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_COMMITTER_NAME", NAME)
            .env("GIT_COMMITTER_EMAIL", EMAIL)
            .env("LC_ALL", "C");
        command
    }

    pub fn run(&self, args: &[&str]) -> Result<()> {
        self.command(args).run_quiet()
    }

    pub fn stdout_of(&self, args: &[&str]) -> Result<String> {
        self.command(args).stdout_of()
    }

    /// Runs `git ARGS` with `input` as its standard input, and returns its standard output.
    pub fn filter(&self, args: &[&str], input: &[u8]) -> Result<String> {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        run::announce(&command);
        #[expect(clippy::disallowed_methods, reason = "the input is written to a pipe")]
        let mut child = command.spawn().context("cannot run `git`")?;
        let written = child.stdin.take().context("git has no standard input")?.write_all(input);
        let output = child.wait_with_output()?;
        // A git that fails may not have read its input.
        if !output.status.success() {
            bail!("`{}` failed ({})", run::words(&command), output.status);
        }
        written?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Returns the hashes of files, one on each line.
    pub fn hash_files(&self, files: &[PathBuf]) -> Result<String> {
        let paths: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
        self.filter(&["hash-object", "--no-filters", "--stdin-paths"], paths.as_bytes())
    }

    /// Returns the hash of a commit.
    pub fn rev(&self, name: &str) -> Result<String> {
        self.stdout_of(&[
            "rev-parse",
            "--verify",
            "--end-of-options",
            &format!("{name}^{{commit}}"),
        ])
    }

    /// Returns the hash that a reference points to, or `None` if there is no such reference.
    pub fn reference(&self, name: &str) -> Result<Option<String>> {
        let list = self.stdout_of(&["for-each-ref", "--format=%(objectname) %(refname)", name])?;
        let mut lines = list.lines().filter_map(|line| line.split_once(' '));
        Ok(lines.find(|(_, found)| *found == name).map(|(hash, _)| hash.to_owned()))
    }

    /// Returns the contents of a file in a commit, or in the index if `commit` is empty. Returns `None` if
    /// the file is not there.
    pub fn blob(&self, commit: &str, path: &Path) -> Result<Option<Vec<u8>>> {
        let mut name = OsString::from(format!("{commit}:"));
        name.push(path);
        // Unlike other commands, `--batch-check` distinguishes a missing object from an error.
        let checked = self.filter(&["cat-file", "--batch-check"], name.as_bytes())?;
        if checked.ends_with(" missing") {
            return Ok(None);
        }
        let mut show = self.command(&["cat-file", "blob"]);
        Ok(Some(run::successful(show.arg(name))?.stdout))
    }

    /// Returns the NUL-separated output of `git ARGS`, as paths.
    pub fn paths(&self, args: &[&str]) -> Result<Vec<PathBuf>> {
        let printed = run::successful(&mut self.command(args))?.stdout;
        let paths = printed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(|path| OsStr::from_bytes(path).into()).collect())
    }
}
