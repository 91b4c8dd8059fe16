//! Removes what was generated, and nothing else.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::project::{Project, cache_dir, display};
use crate::run::lock;
use crate::say::progress::Step;
use crate::series::tree::Tree;
use crate::session::Invocation;
use crate::toolchain::{assembly, link};

/// Remove what prepare and upstream's x.py made under build/.
///
/// Refuses while build/rust holds work that the patches do not. Downloaded archives stay.
#[derive(Args)]
pub struct Clean {
    /// Remove the downloaded archives in the user's cache directory, too.
    #[arg(long)]
    archives: bool,
}

impl Clean {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        on.refuse_base("clean")?;
        let lock = |base| lock::acquire(&on.project.tree_lock(base), "clean");
        let _locks = on.project.bases().iter().map(lock).collect::<Result<Vec<_>>>()?;
        clean(&on.project, self.archives)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn clean(project: &Project, archives: bool) -> Result<()> {
    for base in project.bases() {
        let tree = Tree::of(project, &base);
        if !tree.exists() {
            continue;
        }
        let unexported = tree.unexported(&tree.state()?)?;
        if !unexported.is_empty() {
            bail!(
                "{src} holds work that {} lacks, so nothing was removed:\n{unexported}To keep it, \
                 commit it and run `cargo xtask export`. To drop it, remove {src} by hand",
                display(&project.root.join("patches").join(&base.name)),
                src = display(&tree.src),
            );
        }
    }
    for base in project.bases() {
        // Where there is no rustup, nothing is linked.
        for name in link::names_of(&assembly::directory(project, &base)).unwrap_or_default() {
            eprintln!(
                "note: rustup still knows a toolchain {name}, which goes away now. \
                 `cargo xtask toolchain --unlink {name}` takes it out"
            );
        }
    }
    let mut doomed = Vec::new();
    for entry in fs::read_dir(project.build())? {
        let path = entry?.path();
        // The locks are held, and target/ is cargo's: it holds this very program.
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        if !is_lock && path.file_name().is_some_and(|name| name != "target") {
            doomed.push(path);
        }
    }
    if archives && cache_dir()?.exists() {
        doomed.push(cache_dir()?);
    }
    for path in doomed {
        let step = Step::start(format!("removing {}", display(&path)));
        if path.is_dir() {
            fs::remove_dir_all(&path)?
        } else {
            fs::remove_file(&path)?
        }
        step.done();
    }
    Ok(())
}
