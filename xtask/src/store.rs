//! `build/<base>/store.git`: the base as one commit, and the patches of `patches/<base>/` on top.
//!
//! The store is a bare repository with two branches, `base` and `series`. The tool creates it from `base.toml`, an
//! archive and the patches, so it can be removed at any time.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::Base;
use crate::compiler::Compiler;
use crate::git::Git;
use crate::out::{Step, shown};
use crate::owned::{Owned, entries, file_name};
use crate::project::Project;
use crate::run::CommandExt;
use crate::unpack;

/// The prefix of the names of texts about the patches, in `patches/<base>/`.
const TEXT_PREFIX: &str = "0000-";

pub struct Store {
    pub git: Git,
    /// `build/<base>/`.
    pub dir: PathBuf,
    build: Owned,
}

impl Store {
    /// Opens the store with the patches applied. Creates or updates the store if necessary.
    pub fn open(project: &Project, base: &Base, compiler: &Compiler) -> Result<Store> {
        let store = Store::with_base(project, base, compiler, None)?;
        store.apply_patches(&project.patches(base))?;
        Ok(store)
    }

    /// Opens the store. Creates it if it is missing, or if `base.toml` changed for this base. The branch `series` of a
    /// new store is at the base.
    pub fn with_base(
        project: &Project,
        base: &Base,
        compiler: &Compiler,
        source: Option<&Path>,
    ) -> Result<Store> {
        let store = Store::at(project, base);
        let _lock = store.build.lock(&store.dir)?;
        let made_from = format!("{base:#?}\n");
        let stamp = store.git.dir.join("made-from");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == made_from) {
            if let Some(source) = source {
                eprintln!(
                    "note: Rust {} is unpacked already; {} is not used",
                    base.release,
                    shown(source)
                );
            }
            return Ok(store);
        }
        store.build.make(&store.git.dir, |new| {
            let git = Git::init(new, &["--bare"])?;
            let sources = new.join("sources");
            fs::create_dir(&sources)?;
            unpack::sources_into(&sources, base, compiler, source)?;
            commit_base(&git, &sources, base)?;
            store.build.remove(&sources)?;
            Ok(fs::write(new.join("made-from"), made_from)?)
        })?;
        Ok(store)
    }

    /// Returns the store of a base, which need not exist.
    pub fn at(project: &Project, base: &Base) -> Store {
        let dir = project.dir(base);
        Store { git: Git::at(&dir.join("store.git")), dir, build: project.build.clone() }
    }

    /// Applies the patches in a directory, and sets the branch `series` to the result.
    pub fn apply_patches(&self, patches: &Path) -> Result<()> {
        let tip = self.applied(patches)?;
        self.git.run(&["update-ref", "refs/heads/series", &tip])
    }

    /// Applies the patches in a directory to the base, and returns the last commit. The reference
    /// `refs/applied/<digest of the patches>` caches the result.
    pub fn applied(&self, directory: &Path) -> Result<String> {
        let patches = series_in(directory)?;
        let mut contents = self.git.rev("base")?.into_bytes();
        for patch in &patches {
            contents.extend(format!("\n{}\n", file_name(patch)).into_bytes());
            contents.extend(fs::read(patch)?);
        }
        let digest = self.git.filter(&["hash-object", "--stdin"], &contents)?;
        let reference = format!("refs/applied/{digest}");
        if let Some(tip) = self.git.reference(&reference)? {
            return Ok(tip);
        }
        let _lock = self.build.lock(&self.dir)?;
        let _step = Step::start(format!("applying {}", shown(directory)));
        let scratch = self.scratch()?;
        let tip = am(&scratch, &patches);
        self.build.remove(&scratch.dir)?;
        let tip = tip?;
        self.git.run(&["update-ref", &reference, &tip])?;
        Ok(tip)
    }

    /// Writes the commits from the base to `tip` as patches to a directory. The patches do not depend on the commits'
    /// hashes, git's version or its configuration.
    pub fn format(&self, tip: &str, directory: &Path) -> Result<()> {
        let mut format = self.git.command(&["format-patch", "--quiet", "--zero-commit"]);
        format.args(["--no-signature", "--numbered", "--full-index", "--no-renames"]);
        format.args(["--diff-algorithm=histogram", "--stat=80", "-o"]).arg(directory);
        format.arg(format!("base..{tip}")).run_quiet()
    }

    /// Returns a directory with `library/` of a commit. Its files never change.
    pub fn library(&self, commit: &str) -> Result<PathBuf> {
        let tree = self.tree_of(&format!("{commit}:library"))?;
        let sources = self.dir.join("src").join(&tree);
        if !sources.exists() {
            let _lock = self.build.lock(&self.dir)?;
            if !sources.exists() {
                self.build.make(&sources, |new| {
                    self.show(&tree, &new.join("library"))?;
                    self.build.remove(&new.join("library.index"))
                })?;
            }
        }
        Ok(sources.join("library"))
    }

    /// Returns the hash of a tree, such as `series:library`.
    pub fn tree_of(&self, name: &str) -> Result<String> {
        self.git.stdout_of(&["rev-parse", "--verify", "--end-of-options", name])
    }

    /// Checks out a tree to `directory`. Writes only files that differ, so that cargo compiles only their crates. The
    /// caller must be the only user of the directory.
    pub fn show(&self, tree: &str, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        let index = directory.with_extension("index");
        // A killed git leaves its lock file.
        self.build.remove(&directory.with_extension("index.lock"))?;
        let mut show = self.git.command(&["read-tree", "--reset", "-u", tree]);
        show.env("GIT_WORK_TREE", directory).env("GIT_INDEX_FILE", index).run_quiet()
    }

    /// Creates a repository that shares the store's objects, with the base in its index and no files. It has no hooks,
    /// settings or attributes. The caller holds the lock.
    fn scratch(&self) -> Result<Git> {
        let dir = self.dir.join("scratch");
        self.build.remove(&dir)?;
        fs::create_dir_all(&dir)?;
        let git = Git::init(&dir, &[])?;
        let objects = dir.join(".git/objects");
        self.build.remove(&objects)?;
        // git writes new commits to the store.
        fs_err::os::unix::fs::symlink(self.git.dir.join("objects"), objects)?;
        git.run(&["update-ref", "HEAD", &self.git.rev("base")?])?;
        git.run(&["read-tree", "HEAD"])?;
        Ok(git)
    }
}

/// Returns the paths in a directory that have a patch's name, in order. They may be links or directories.
pub fn patches_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = if directory.exists() { entries(directory)? } else { Vec::new() };
    found.retain(|path| {
        path.extension() == Some("patch".as_ref()) && !file_name(path).starts_with(TEXT_PREFIX)
    });
    Ok(found)
}

/// Returns the patches in a directory, in order. There must be patches, and each must be a file.
pub fn series_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let patches = patches_in(directory)?;
    if patches.is_empty() {
        bail!("{} has no patch", shown(directory));
    }
    if let Some(other) = patches.iter().find(|patch| !patch.is_file()) {
        bail!("{} is not a file. Move it away", shown(other));
    }
    Ok(patches)
}

/// Returns the texts about the patches in a directory.
pub fn texts_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut texts = entries(directory)?;
    texts.retain(|path| file_name(path).starts_with(TEXT_PREFIX));
    Ok(texts)
}

/// Commits everything in the directory as the base.
fn commit_base(git: &Git, sources: &Path, base: &Base) -> Result<()> {
    let _step = Step::start(format!("committing Rust {} as the base", base.release));
    let index = git.dir.join("base.index");
    let in_sources = |args: &[&str]| {
        let mut command = Git::at(sources).command(args);
        command
            .env("GIT_DIR", &git.dir)
            .env("GIT_WORK_TREE", sources)
            .env("GIT_INDEX_FILE", &index);
        command
    };
    // With the first two settings, git writes one uncompressed pack and not a file for each blob, in a third of the
    // time. Nobody's work is in the store, so git need not wait for the disk.
    in_sources(&["-c", "core.bigFileThreshold=1", "-c", "core.compression=0"])
        .args(["-c", "core.fsync=none", "add", "--all", "--force", "."])
        .run_quiet()?;
    let tree = in_sources(&["write-tree"]).stdout_of()?;
    let message = format!("Rust {}\n\nUpstream's commit {}.", base.release, base.commit);
    let commit = git
        .command(&["commit-tree", &tree, "-m", &message])
        // bootstrap takes the newest commit of this author for upstream's newest, and uses the compiler of that commit.
        .env("GIT_AUTHOR_NAME", "bors")
        .env("GIT_AUTHOR_EMAIL", "bors@rust-lang.org")
        .env("GIT_AUTHOR_DATE", &base.date)
        .env("GIT_COMMITTER_DATE", &base.date)
        .stdout_of()?;
    for branch in ["base", "series"] {
        git.run(&["update-ref", &format!("refs/heads/{branch}"), &commit])?;
    }
    Ok(())
}

/// Applies the patches with `git am`, and returns the last commit.
fn am(git: &Git, patches: &[PathBuf]) -> Result<String> {
    for patch in patches {
        // The repository has no files, so `git am` reads them from the index.
        let mut am = git.command(&["am", "--committer-date-is-author-date"]);
        let output = am.arg(patch).env("GIT_EDITOR", "true").any_output()?;
        if !output.status.success() {
            // Not every reason begins with "error:".
            let printed = [output.stderr, output.stdout].concat();
            let printed = String::from_utf8_lossy(&printed);
            let is_noise = |line: &&str| line.starts_with("hint:") || line.starts_with("Applying:");
            let reasons: Vec<_> = printed.lines().filter(|line| !is_noise(line)).collect();
            bail!("{} does not apply:\n  {}", shown(patch), reasons.join("\n  "));
        }
    }
    git.rev("HEAD").context("git am made no commit")
}
