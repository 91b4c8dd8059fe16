//! Removes what was generated, and nothing else.

mod work;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::project::{MADE, Project, cache_dir, display};
use crate::compiler;
use crate::run::files::{entries, file_name, temporary_name};
use crate::run::kill_point::kill_point;
use crate::run::lock;
use crate::run::ownership;
use crate::say::progress::Step;
use crate::series::checkout::{is_linked, not_linked};
use crate::series::tree::Tree;
use crate::session::Invocation;
use crate::toolchain;

/// Remove what prepare and upstream's x.py made under build/.
///
/// Refuses while build/rust holds work that the patches do not. Downloaded archives stay.
#[derive(Args)]
pub struct Clean {
    /// Remove the archives and compilers in the user's cache directory, too.
    #[arg(long)]
    archives: bool,
}

impl Clean {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        on.refuse_base("clean")?;
        let project = &on.project;
        // Who works in a directory of its own got its lock while it held that of a tree.
        let trees: Vec<_> = project.bases().iter().map(|base| project.tree_lock(base)).collect();
        let _trees = lock::acquire_all(&trees, "clean")?;
        let _others = lock::acquire_all(&other_locks(&project.build())?, "clean")?;
        clean(project, self.archives)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn clean(project: &Project, archives: bool) -> Result<()> {
    for base in project.bases() {
        let tree = Tree::of(project, &base);
        let checkout = project.build_of(&base, "verify");
        if checkout.exists() && !is_linked(&tree.git, &checkout) {
            bail!(not_linked(&checkout));
        }
        if tree.exists() {
            work::require_exported(&tree, &checkout)?;
        }
    }
    for base in project.bases() {
        if let Some(name) = toolchain::linked_name(&base, &toolchain::directory(project, &base)) {
            eprintln!(
                "note: rustup still knows a toolchain {name}, which goes away now. \
                 `rustup toolchain uninstall {name}` takes it out"
            );
        }
    }
    let made = made(project);
    for path in entries(&project.build())? {
        let name = file_name(&path);
        if made.contains(&*name) {
            let step = Step::start(format!("removing {}", display(&path)));
            ownership::discard(&path)?;
            kill_point("removing what was made");
            step.done();
        // The locks are held, and target/ is cargo's: it holds this very program.
        } else if name != "target" && !name.ends_with(".lock") {
            eprintln!("note: {} stays: it was not made for a base in base.toml", display(&path));
        }
    }
    if archives {
        remove_downloads(project)?;
    }
    Ok(())
}

/// The locks of directories under build/, and of those in them.
fn other_locks(build: &Path) -> Result<Vec<PathBuf>> {
    let mut locks = Vec::new();
    for directory in entries(build)?.into_iter().filter(|path| path.is_dir()) {
        locks.extend(entries(&directory)?.into_iter().map(|path| path.join("lock")));
        locks.push(directory.join("lock"));
    }
    locks.retain(|lock| lock.is_file());
    Ok(locks)
}

/// The names under build/ of what the tool makes.
fn made(project: &Project) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["apt", "ci", "cross-support"].map(str::to_owned).into();
    for base in project.bases() {
        let tree = base.name_of("rust");
        names.extend(MADE.map(|what| base.name_of(what)));
        names.extend([format!("{tree}-prebuilt"), format!("{tree}-full")]);
    }
    // How they are called until they are whole, or no longer needed.
    let temporary = |name: &String| {
        ["unfinished", "scratch", "replaced"].map(|state| temporary_name(name, state))
    };
    names.iter().flat_map(temporary).chain(names.iter().cloned()).collect()
}

/// Removes the archives and compilers of base.toml, and what is not whole of them or was set aside.
fn remove_downloads(project: &Project) -> Result<()> {
    let cache = cache_dir()?;
    if !cache.exists() {
        return Ok(());
    }
    let lock = lock::acquire(&cache.join("lock"), "clean")?;
    let mut names = vec!["apt".to_owned(), "lock".to_owned()];
    for base in project.bases() {
        for directory in compiler::kept_in_cache(&base)? {
            let name = file_name(&directory).into_owned();
            names.extend([temporary_name(&name, "unfinished"), name]);
        }
        names.extend(base.archive.into_iter().map(|archive| archive.file));
    }
    for path in entries(&cache)? {
        let name = file_name(&path);
        let is_of = |made: &String| {
            let rest = name.strip_prefix(&**made);
            rest.is_some_and(|rest| ["", ".part"].contains(&rest) || rest.starts_with(".damaged-"))
        };
        if names.iter().any(is_of) {
            ownership::discard(&path)?;
        } else {
            eprintln!("note: {} stays: it is of nothing in base.toml", path.display());
        }
    }
    drop(lock);
    // It stays if something is left in it.
    let _ = fs::remove_dir(cache);
    Ok(())
}
