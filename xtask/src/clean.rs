//! Removes what is purely generated, and moves the rest of build/ away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use fs_err as fs;
use walkdir::WalkDir;

use crate::base::Base;
use crate::base::project::{MADE, Project, cache_dir, display};
use crate::run::files::{entries, file_name, temporary_name};
use crate::run::save::save;
use crate::run::{lock, ownership};
use crate::say::progress::Step;
use crate::session::Invocation;
use crate::toolchain;

/// Empty build/: what is purely generated is deleted, and all else moved to build/saved/.
///
/// The trees that people work in are moved as they are, and so is whatever holds a git repository or is
/// not known. What was downloaded stays in the user's cache directory, which can be deleted as a whole.
#[derive(Args)]
pub struct Clean {
    /// Delete what was moved to build/saved/ instead, and say what it was and how large.
    #[arg(long)]
    saved: bool,
}

impl Clean {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        on.refuse_base("clean")?;
        let project = &on.project;
        // Who works in a directory of its own got its lock while it held that of a tree.
        let trees: Vec<_> = project.bases().iter().map(|base| project.tree_lock(base)).collect();
        let _trees = lock::acquire_all(&trees, "clean")?;
        let _others = lock::acquire_all(&Vec::from_iter(locks_below(project)?), "clean")?;
        if self.saved {
            delete_saved(project)?;
        } else {
            clean(project)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The locks of directories that are generated, and of those in them.
fn locks_below(project: &Project) -> Result<BTreeSet<PathBuf>> {
    let generated =
        entries(&project.build())?.into_iter().filter(|path| is_generated(project, path));
    let walk = |path| WalkDir::new(path).min_depth(1).max_depth(2).into_iter();
    let files = generated.flat_map(walk).filter_map(Result::ok).filter(|e| e.file_type().is_file());
    let locks = files.filter(|file| file.file_name() == "lock");
    locks.map(|lock| Ok(fs::canonicalize(lock.path())?)).collect()
}

fn clean(project: &Project) -> Result<()> {
    for base in project.bases() {
        if let Some(name) = toolchain::linked_name(&base, &toolchain::directory(project, &base)) {
            eprintln!(
                "note: rustup still knows a toolchain {name}, which goes away now. \
                 `rustup toolchain uninstall {name}` takes it out"
            );
        }
    }
    let cache = cache_dir()?;
    let cache = fs::canonicalize(&cache).unwrap_or(cache);
    // target/ is cargo's, and holds this very program.
    let stays = [project.saved(), project.build().join("target"), cache];
    let is_lock = |path: &Path| path.extension() == Some("lock".as_ref()) && path.is_file();
    let mut all = entries(&project.build())?;
    all.retain(|path| !stays.contains(path) && !is_lock(path));
    let (delete, keep): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|path| is_generated(project, path));
    for path in keep {
        save(project, &path, "clean")?;
    }
    for path in delete {
        let step = Step::start(format!("removing {}", display(&path)));
        ownership::discard(&path)?;
        step.done();
    }
    Ok(())
}

/// Whether nobody works in what is at a path under build/: the tool gives such names to what it makes, or
/// to what is not whole or no longer needed, and there is no work tree of git in it.
fn is_generated(project: &Project, path: &Path) -> bool {
    let name = file_name(path);
    let mut made: Vec<String> = ["apt", "evidence"].map(str::to_owned).into();
    for base in project.bases() {
        made.extend(MADE.map(|what| base.name_of(what)));
        made.extend(["prebuilt", "full"].map(|lane| format!("{}-{lane}", base.name_of("rust"))));
    }
    let temporary = |name: &String| {
        ["unfinished", "replaced", "removed"].map(|state| temporary_name(name, state))
    };
    if made.iter().flat_map(temporary).any(|temporary| temporary == name) {
        return true;
    }
    let is_tree = |base: &Base| base.name_of("rust") == name;
    made.iter().any(|made| *made == name)
        && !project.bases().iter().any(is_tree)
        && !holds_repository(path)
}

fn holds_repository(path: &Path) -> bool {
    WalkDir::new(path).into_iter().any(|e| e.is_ok_and(|entry| entry.file_name() == ".git"))
}

fn delete_saved(project: &Project) -> Result<()> {
    let saved = project.saved();
    for path in if saved.exists() { entries(&saved)? } else { Vec::new() } {
        let files = WalkDir::new(&path).into_iter().filter_map(|entry| entry.ok()?.metadata().ok());
        let size: u64 = files.map(|metadata| metadata.len()).sum();
        println!("deleting {} ({} kB)", display(&path), size / 1000);
        ownership::discard(&path)?;
    }
    Ok(())
}
