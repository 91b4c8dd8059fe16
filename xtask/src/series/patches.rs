//! Reads, applies and writes the patches of a series.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::base::Base;
use crate::base::archive::hex;
use crate::base::project::{Project, display};
use crate::run::command::CommandExt;
use crate::run::git::Git;

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
        let mut letters = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(COVER_LETTERS) {
                letters.push(entry.path());
            }
        }
        Ok(letters)
    }

    /// The patches, in order.
    pub fn patches(&self) -> Result<Vec<PathBuf>> {
        let mut patches = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                patches.push(path);
            }
        }
        patches.sort();
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

    /// Commits the patches on top of `onto` and returns the last commit. No branch and no work
    /// tree of the repository changes.
    pub fn apply(&self, git: &Git, onto: &str) -> Result<String> {
        let scratch = Scratch::new(git, onto)?;
        for patch in self.patches()? {
            if let Err(reasons) = scratch.am(&patch, &[])? {
                bail!(
                    "{} does not apply:\n  {}\nTo resolve it, apply the series with a merge:\n  \
                     cd {src} && git checkout -B series {base}\n  git am --3way {dir}/*.patch\n  \
                     (edit, git add, git am --continue)\n  cargo xtask export --overwrite",
                    display(&patch),
                    reasons.join("\n  "),
                    src = display(&git.dir),
                    base = &onto[..12],
                    dir = self.dir.display(),
                );
            }
        }
        scratch.git.rev("HEAD")
    }
}

/// A linked work tree without files, for `git am`: it fetches from the index what it needs.
struct Scratch {
    owner: Git,
    git: Git,
    // Removed after git has forgotten it.
    _dir: tempfile::TempDir,
}

impl Scratch {
    fn new(owner: &Git, at: &str) -> Result<Scratch> {
        let parent = owner.dir.parent().context("build/rust has no parent directory")?;
        let dir = tempfile::Builder::new().prefix(".apply-").tempdir_in(parent)?;
        // What a run that was killed left behind.
        owner.run(&["worktree", "prune"])?;
        let path = dir.path().join("tree");
        let name = path.to_str().context("the path of this repository is not UTF-8")?;
        owner.run(&["worktree", "add", "--quiet", "--no-checkout", "--detach", name, at])?;
        let scratch = Scratch { owner: owner.clone(), git: Git::at(&path), _dir: dir };
        scratch.git.run(&["read-tree", "HEAD"])?;
        Ok(scratch)
    }

    /// Commits a patch, or says why it does not apply and leaves all as it was.
    fn am(&self, patch: &Path, options: &[&str]) -> Result<Result<(), Vec<String>>> {
        let path = patch.to_str().context("the path of this repository is not UTF-8")?;
        let mut am = self.git.command(&["am", "--committer-date-is-author-date"]);
        let output = am.args(options).arg(path).env("GIT_EDITOR", "true").answer()?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let reasons = said.lines().filter_map(|line| line.strip_prefix("error: "));
        let reasons = reasons.map(str::to_owned).collect();
        self.git.run(&["am", "--abort"])?;
        Ok(Err(reasons))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let path = self.git.dir.to_string_lossy();
        // A failure costs some disk space until the next `git worktree prune`.
        let _ = self.owner.run(&["worktree", "remove", "--force", &path]);
    }
}

/// Writes patches that depend on the commits alone: not on hashes, the version of git, or anyone's
/// configuration.
pub fn format_patches(git: &Git, base: &str, tip: &str, into: &Path) -> Result<()> {
    let into = into.to_str().context("the path of this repository is not UTF-8")?;
    git.command(&["format-patch", "--quiet", "--zero-commit", "--no-signature", "--numbered"])
        .args(["--full-index", "--no-renames", "--diff-algorithm=histogram", "--stat=80"])
        .args(["-o", into, &format!("{base}..{tip}")])
        .run()?;
    Ok(())
}
