//! Copies library/ in one state of the tree to a place of its own: builds there neither see what
//! someone edits in build/rust meanwhile, nor get in the way.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::git::Git;
use crate::run::ownership;
use crate::say::progress::Step;
use crate::series::tree::Tree;

/// The hash by which git knows a state of library/.
pub type LibraryId = String;

pub struct Sources {
    /// The directory called `library`.
    pub library: PathBuf,
    git: Git,
}

impl Sources {
    /// Sources below `dir`, none to begin with.
    pub fn at(tree: &Tree, dir: &Path) -> Sources {
        Sources { library: dir.join("library"), git: tree.git.clone() }
    }

    /// Makes the files those of `id`. It writes only those that differ from what is there, so that
    /// cargo builds nothing again that did not change.
    pub fn show(&self, id: &LibraryId) -> Result<()> {
        show(&self.git, &self.library, id)
    }

    /// Cargo of `toolchain`, to be run in library/.
    pub fn cargo(&self, toolchain: &Compiler, subcommand: &str) -> Command {
        let mut command = toolchain.cargo();
        command.arg(subcommand).current_dir(&self.library);
        // std is written for the unstable features of its own release.
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }

    /// Has the crates that std depends on, for all targets, in cargo's cache. With all of them there, no
    /// network is needed.
    pub fn fetch_crates(&self, toolchain: &Compiler) -> Result<()> {
        let fetch = || {
            let mut cargo = self.cargo(toolchain, "fetch");
            cargo.arg("--locked");
            cargo
        };
        if fetch().arg("--offline").run().is_ok() {
            return Ok(());
        }
        let step = Step::start("downloading the crates that std depends on");
        fetch().run().context(
            "the crates that std depends on are not all in cargo's cache, and cannot be downloaded. With \
             the network there once, later runs do without",
        )?;
        step.done();
        Ok(())
    }
}

/// Makes the files in `directory` those of a commit or of a directory in one, and no other than these
/// where they differ. `directory` is only ever used by one at a time.
pub fn show(git: &Git, directory: &Path, tree: &str) -> Result<()> {
    fs::create_dir_all(directory)?;
    let index = directory.with_extension("index");
    // An earlier run may have been killed.
    ownership::discard(&directory.with_extension("index.lock"))?;
    let path = directory.to_str().context("the path of this repository is not UTF-8")?;
    git.command(&["--work-tree", path, "read-tree", "--reset", "-u", tree])
        .env("GIT_INDEX_FILE", index)
        .run()?;
    Ok(())
}

/// library/ at the base.
pub fn base_library(tree: &Tree) -> Result<LibraryId> {
    tree.git.read(&["rev-parse", "--verify", &format!("{}:library", tree.state()?.base)])
}

/// library/ as it is in the tree right now, with what is not committed, by way of a copy of the tree's
/// index: what someone has staged stays as it is.
pub fn library_right_now(tree: &Tree) -> Result<LibraryId> {
    let git_dir = tree.git.read(&["rev-parse", "--absolute-git-dir"])?;
    let scratch = tempfile::Builder::new().prefix("xtask-index-").tempdir_in(&git_dir)?;
    let index = scratch.path().join("index");
    fs::copy(Path::new(&git_dir).join("index"), &index)?;
    let git = |args: &[&str]| {
        let mut command = tree.git.command(args);
        command.env("GIT_INDEX_FILE", &index);
        command
    };
    git(&["add", "--all", "--", "library"]).run()?;
    git(&["write-tree", "--prefix=library/"]).read()
}
