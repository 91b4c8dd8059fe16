//! Makes directories whole or not at all.

use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::run::files::temporary;
use crate::run::kill_point::kill_point;
use crate::run::ownership;
use crate::say::progress::Step;

/// Has `fill` make the directory under another name, and gives it its own when it is whole. Only one
/// at a time may do so, and what an interrupted one left is cleared away first.
pub fn make(directory: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let unfinished = temporary(directory, "unfinished");
    if unfinished.exists() {
        let step = Step::start("clearing away what an interrupted run left");
        ownership::discard(&unfinished)?;
        step.done();
    }
    fs::create_dir_all(&unfinished)?;
    if let Err(error) = fill(&unfinished) {
        // The disk may be full; give the space back.
        ownership::discard(&unfinished).context("cannot clear away what is half made")?;
        return Err(error);
    }
    kill_point("before it has its name");
    ownership::settle(&unfinished, directory)
}
