//! Reads, applies and writes the patches of a series.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name};
use crate::run::git::Git;
use crate::run::kill_point::kill_point;
use crate::run::ownership::{self, hex};

/// How the files in a series' directory begin that are no patches: the texts of pull requests.
const COVER_LETTERS: &str = "0000-";

pub struct Series {
    pub dir: PathBuf,
}

impl Series {
    pub fn of(project: &Project, base: &Base) -> Series {
        Series { dir: project.root.join("patches").join(&base.name) }
    }

    /// The texts of the pull requests.
    pub fn cover_letters(&self) -> Result<Vec<PathBuf>> {
        let mut letters = entries(&self.dir)?;
        letters.retain(|path| file_name(path).starts_with(COVER_LETTERS));
        Ok(letters)
    }

    /// What is in the place of patches, in order: maybe none, or what is no file.
    pub fn found(&self) -> Result<Vec<PathBuf>> {
        let mut found = if self.dir.exists() { entries(&self.dir)? } else { Vec::new() };
        let is_letter = |path: &PathBuf| file_name(path).starts_with(COVER_LETTERS);
        found.retain(|path| path.extension() == Some("patch".as_ref()) && !is_letter(path));
        Ok(found)
    }

    /// The patches, in order.
    pub fn patches(&self) -> Result<Vec<PathBuf>> {
        let mut patches = self.found()?;
        patches.retain(|path| !ownership::is_leftover(path));
        if patches.is_empty() {
            bail!("{} holds no patch", display(&self.dir));
        }
        if let Some(other) = patches.iter().find(|path| !path.is_file()) {
            bail!("{} is no file", display(other));
        }
        Ok(patches)
    }

    /// A digest of the patches' names and contents: what is applied anew when it changes.
    pub fn digest(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        for patch in self.patches()? {
            hasher.update(patch.file_name().expect("a patch has a name").as_encoded_bytes());
            hasher.update(fs::read(&patch)?);
        }
        Ok(hex(&hasher.finalize()))
    }

    /// Commits the patches on top of `onto` and returns the last commit. No branch and no work tree of
    /// the repository changes.
    pub fn apply(&self, git: &Git, onto: &str) -> Result<String> {
        Scratch::beside(git)?.apply(self, onto)
    }
}

/// The patches of the commits from `base` to `tip`, by name, having seen that they give the same commits
/// when they are applied. They depend on the commits alone: not on hashes, the version of git, or anyone's
/// configuration.
pub fn exported(git: &Git, base: &str, tip: &str) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let scratch = Scratch::beside(git)?;
    let series = scratch.format(base, tip)?;
    let commits = |tip: &str| -> Result<Vec<String>> {
        let format = "--format=%s%n%T%n%an <%ae> %ad%n%B%x00";
        let log = ["log", "--reverse", "--date=raw", format, &format!("{base}..{tip}")];
        Ok(git.read(&log)?.split_terminator('\0').map(|c| c.trim_start().to_owned()).collect())
    };
    let (ours, theirs) = (commits(tip)?, commits(&scratch.apply(&series, base).context(WHY)?)?);
    if ours != theirs {
        let pairs = ours.iter().zip(&theirs);
        let same = pairs.take_while(|(ours, theirs)| ours == theirs).count();
        let subject = ours.get(same).and_then(|commit| commit.lines().next()).unwrap_or_default();
        bail!("{WHY}: {subject:?} would come back as another commit, or not at all");
    }
    let read = |path: PathBuf| Ok((file_name(&path).into_owned().into(), fs::read(&path)?));
    series.patches()?.into_iter().map(read).collect()
}

const WHY: &str = "the commits cannot be written as patches, so nothing was written (`git am` takes a line \
    `---` or a diff in a message for the end of the message, drops words in brackets at the beginning of a \
    subject, and carries no carriage return at the end of a line, no merge, and no commit without a change)";

/// A repository that shares other repositories' objects and nothing else. No configuration, hook or attribute
/// of theirs changes what is applied or written in it.
pub struct Scratch {
    dir: TempDir,
    pub git: Git,
}

impl Scratch {
    fn beside(tree: &Git) -> Result<Scratch> {
        let scratch = Scratch::empty()?;
        let objects = scratch.git.dir.join(".git/objects");
        ownership::remove(&objects)?;
        fs_err::os::unix::fs::symlink(tree.dir.join(".git/objects"), objects)?;
        Ok(scratch)
    }

    /// One that reads the objects of other repositories, but keeps its own to itself.
    pub fn apart<'a>(others: impl Iterator<Item = &'a Git>) -> Result<Scratch> {
        let scratch = Scratch::empty()?;
        let mut alternates = String::new();
        for other in others {
            alternates += &format!("{}\n", other.path("objects")?.display());
        }
        fs::write(scratch.git.dir.join(".git/objects/info/alternates"), alternates)?;
        kill_point("in the scratch repository");
        Ok(scratch)
    }

    fn empty() -> Result<Scratch> {
        let dir = tempfile::tempdir()?;
        let git = Git::at(dir.path());
        git.run(&["init", "--quiet", "--template="])?;
        Ok(Scratch { dir, git })
    }

    fn format(&self, base: &str, tip: &str) -> Result<Series> {
        let mut format = self.git.command(&["format-patch", "--quiet", "--zero-commit"]);
        format.args(["--no-signature", "--numbered", "--full-index", "--no-renames"]);
        format.args(["--diff-algorithm=histogram", "--stat=80", "-o", "patches"]);
        format.arg(format!("{base}..{tip}")).run()?;
        Ok(Series { dir: self.dir.path().join("patches") })
    }

    fn apply(&self, series: &Series, onto: &str) -> Result<String> {
        self.git.run(&["update-ref", "HEAD", onto])?;
        self.git.run(&["read-tree", "HEAD"])?;
        for patch in series.patches()? {
            // It takes from the index what files it needs.
            let mut am = self.git.command(&["am", "--committer-date-is-author-date"]);
            let output = am.arg(&patch).env("GIT_EDITOR", "true").answer()?;
            if !output.status.success() {
                // It does not call everything an error that it stops at.
                let said = [output.stderr, output.stdout].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                let is_hint =
                    |line: &&str| line.starts_with("hint:") || line.starts_with("Applying:");
                let said: Vec<_> = said.lines().filter(|line| !is_hint(line)).collect();
                bail!("{} does not apply:\n  {}", display(&patch), said.join("\n  "));
            }
        }
        self.git.rev("HEAD")
    }
}
