//! Reads, applies and writes the patches of a series.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name, temporary};
use crate::run::git::Git;
use crate::run::kill_point::kill_point;
use crate::run::ownership::{self, Files, Found, Replacement, hex};

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

    /// The patches, in order.
    pub fn patches(&self) -> Result<Vec<PathBuf>> {
        let mut patches = entries(&self.dir)?;
        patches.retain(|path| is_patch(path) && !ownership::is_leftover(path));
        if patches.is_empty() {
            bail!("{} holds no patch", display(&self.dir));
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

    /// What is in the directory and no cover letter or other text: what an export replaces.
    pub fn found(&self) -> Result<Found> {
        let mut found = Found::new();
        if !self.dir.exists() {
            return Ok(found);
        }
        for path in entries(&self.dir)?.into_iter().filter(|path| is_patch(path)) {
            let is_file = fs::symlink_metadata(&path)?.is_file();
            let text = is_file.then(|| fs::read(&path)).transpose()?;
            found.insert(path.strip_prefix(&self.dir)?.to_owned(), text);
        }
        Ok(found)
    }

    /// The patches, to be replaced by none so far. Those that export writes for one of the commits
    /// `written` are the tool's own.
    pub fn replacement(&self, git: &Git, base: &str, written: &[&str]) -> Result<Replacement<'_>> {
        let written = written.iter().map(|tip| exported(git, base, tip)).collect::<Result<_>>()?;
        Ok(Replacement { root: &self.dir, found: self.found()?, written, new: Files::new() })
    }

    /// Commits the patches on top of `onto` and returns the last commit. No branch and no work tree of
    /// the repository changes. A patch that does not apply is a [`Misfit`].
    pub fn apply(&self, git: &Git, onto: &str) -> Result<String> {
        Scratch::beside(git)?.apply(self, onto)
    }

    /// The hashes of the files that the patches were made for.
    pub fn blobs(&self) -> Result<Vec<String>> {
        let mut blobs = Vec::new();
        for patch in self.patches()? {
            let text = fs::read(patch)?;
            for line in String::from_utf8_lossy(&text).lines() {
                let hash = line.strip_prefix("index ").and_then(|rest| rest.split_once(".."));
                blobs.extend(hash.map(|(blob, _)| blob.to_owned()));
            }
        }
        Ok(blobs)
    }
}

fn is_patch(path: &Path) -> bool {
    path.extension() == Some("patch".as_ref())
}

/// A patch that does not apply.
#[derive(Debug)]
pub struct Misfit {
    patch: PathBuf,
    reasons: Vec<String>,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} does not apply:\n  {}", display(&self.patch), self.reasons.join("\n  "))
    }
}

impl std::error::Error for Misfit {}

/// The patches of the commits from `base` to `tip`, by name. They depend on the commits alone: not on
/// hashes, the version of git, or anyone's configuration.
pub fn exported(git: &Git, base: &str, tip: &str) -> Result<Files> {
    Scratch::beside(git)?.format(base, tip)
}

/// The same, having seen that the patches give the same commits when they are applied.
pub fn exported_and_applied(git: &Git, base: &str, tip: &str) -> Result<Files> {
    let scratch = Scratch::beside(git)?;
    let files = scratch.format(base, tip)?;
    let applied = scratch.apply(&Series { dir: scratch.patches() }, base);
    let commits = |tip: &str| -> Result<Vec<String>> {
        let range = format!("{base}..{tip}");
        let format = "--format=%T%n%an <%ae> %ad%n%B%x00";
        let log = git.read(&["log", "--reverse", "--date=raw", format, &range])?;
        Ok(log.split_terminator('\0').map(|commit| commit.trim_start().to_owned()).collect())
    };
    let ours = commits(tip)?;
    let theirs = applied.as_ref().map_or_else(|_| Ok(Vec::new()), |tip| commits(tip))?;
    if applied.is_ok() && ours == theirs {
        return Ok(files);
    }
    let reason = applied.err().map_or_else(
        || {
            let at = ours.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs);
            let commit = ours.get(at.unwrap_or(theirs.len())).map(|commit| commit.lines().nth(2));
            format!("the commit {:?} would come back as another", commit.flatten().unwrap_or(""))
        },
        |error| format!("{error:#}"),
    );
    bail!(
        "the commits cannot be written as patches, so nothing was written: {reason}\n\
         `git am` takes a line `---` or a diff in a message for the end of the message, drops words in \
         brackets at the beginning of a subject, and carries no carriage return at the end of a line \
         and no commit without a change"
    );
}

/// A repository beside the tree that shares its objects and nothing else. No configuration, hook or
/// attribute of the tree's changes what is applied or written in it, and what a killed run leaves of it
/// is in no one's way.
pub struct Scratch {
    dir: PathBuf,
    pub git: Git,
}

impl Scratch {
    fn beside(tree: &Git) -> Result<Scratch> {
        let scratch = Scratch::empty(temporary(&tree.dir, "scratch"))?;
        let objects = scratch.git.dir.join(".git/objects");
        ownership::discard(&objects)?;
        fs_err::os::unix::fs::symlink(tree.dir.join(".git/objects"), objects)?;
        kill_point("in the scratch repository");
        Ok(scratch)
    }

    /// One that reads the objects of other repositories, but keeps its own to itself.
    pub fn apart<'a>(dir: &Path, others: impl Iterator<Item = &'a Git>) -> Result<Scratch> {
        let scratch = Scratch::empty(dir.to_owned())?;
        let mut alternates = String::new();
        for other in others {
            alternates += &format!("{}\n", other.path("objects")?.display());
        }
        fs::write(scratch.git.dir.join(".git/objects/info/alternates"), alternates)?;
        kill_point("in the scratch repository");
        Ok(scratch)
    }

    fn empty(dir: PathBuf) -> Result<Scratch> {
        ownership::discard(&dir)?;
        let git = Git::at(&dir.join("repository"));
        fs::create_dir_all(&git.dir)?;
        git.run(&["init", "--quiet", "--template="])?;
        Ok(Scratch { dir, git })
    }

    fn patches(&self) -> PathBuf {
        self.dir.join("patches")
    }

    fn format(&self, base: &str, tip: &str) -> Result<Files> {
        let into = self.patches();
        let into = into.to_str().context("the path of this repository is not UTF-8")?;
        self.git
            .command(&["format-patch", "--quiet", "--zero-commit", "--no-signature", "--numbered"])
            .args(["--full-index", "--no-renames", "--diff-algorithm=histogram", "--stat=80"])
            .args(["-o", into, &format!("{base}..{tip}")])
            .run()?;
        let found = Series { dir: self.patches() }.found()?;
        Ok(found.into_iter().filter_map(|(name, text)| Some((name, text?))).collect())
    }

    fn apply(&self, series: &Series, onto: &str) -> Result<String> {
        self.git.run(&["update-ref", "HEAD", onto])?;
        self.git.run(&["read-tree", "HEAD"])?;
        for patch in series.patches()? {
            // It takes from the index what files it needs.
            let mut am = self.git.command(&["am", "--committer-date-is-author-date"]);
            let output = am.arg(&patch).env("GIT_EDITOR", "true").answer()?;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                let errors: Vec<_> =
                    said.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
                // It does not call everything an error that it stops at.
                let reasons =
                    if errors.is_empty() { said.lines().take(1).collect() } else { errors };
                bail!(Misfit { reasons: reasons.into_iter().map(str::to_owned).collect(), patch });
            }
        }
        self.git.rev("HEAD")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A failure costs some disk space until the next run.
        let _ = ownership::discard(&self.dir);
    }
}
