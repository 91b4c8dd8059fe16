//! Moves what is in the way to build/saved/. Nothing that a person can have touched is deleted or
//! overwritten; where git has it, or the tool wrote it, is for the callers to know.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::base::project::{Project, display};
use crate::run::command::CommandExt;
use crate::run::kill_point::kill_point;
use crate::run::ownership::settle;

/// Moves what is at `path`, somewhere in the project, to build/saved/<date>-<what>/, in which it keeps its
/// path, and says so. Returns the new place.
pub fn save(project: &Project, path: &Path, what: &str) -> Result<PathBuf> {
    let saved = project.saved().join(format!("{}-{what}", date()?));
    let place = free(&saved.join(path.strip_prefix(&project.root)?));
    fs::create_dir_all(place.parent().context("a file has a directory")?)?;
    settle(path, &place).or_else(|error| match error.downcast_ref::<std::io::Error>() {
        // build/ may be a link to another disk.
        Some(cause) if cause.kind() == ErrorKind::CrossesDevices => {
            Command::new("mv").args([path, &place]).run().map(drop)
        }
        _ => Err(error),
    })?;
    eprintln!("moved {} to {}", display(path), display(&place));
    kill_point("moving away");
    Ok(place)
}

/// The time at which this program first asked for it, for names.
pub fn date() -> Result<&'static str> {
    static DATE: OnceLock<String> = OnceLock::new();
    if DATE.get().is_none() {
        let _ = DATE.set(Command::new("date").arg("+%Y-%m-%d-%H%M%S").read()?);
    }
    Ok(DATE.get().expect("it was set"))
}

/// The path, or the first with a number behind it that is free.
pub fn free(path: &Path) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{}-{n}", path.display())));
    let mut paths = std::iter::once(path.to_owned()).chain(numbered);
    paths.find(|path| fs::symlink_metadata(path).is_err()).expect("some number is free")
}
