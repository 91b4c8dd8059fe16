//! What the tool deletes and overwrites goes through here; `disallowed-methods` in xtask/clippy.toml sees
//! to it. That is what is purely generated. Whatever a person can have touched is moved: `run::save`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::run::files::{file_name, temporary};
use crate::run::kill_point::kill_point;

/// How a file is called until it is whole.
const UNFINISHED: &str = ".xtask-unfinished-";

/// Removes a directory or a file that the tool made, if it is there. Of a link, the link alone. A directory
/// first loses its name, so that an interruption leaves nothing half deleted that passes for whole.
pub fn discard(path: &Path) -> Result<()> {
    let removed = temporary(path, "removed");
    remove(&removed)?;
    if path.is_symlink() || !path.is_dir() || file_name(path).starts_with('.') {
        return remove(path);
    }
    settle(path, &removed)?;
    kill_point("removing what was made");
    remove(&removed)
}

/// The same, at once: for what has no name that anybody relies on.
pub fn remove(path: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    #[expect(clippy::disallowed_methods, reason = "what is removed is decided above")]
    if metadata.is_dir() {
        fs::remove_dir_all(path)?
    } else {
        fs::remove_file(path)?
    }
    Ok(())
}

/// Gives what is called `old` another name, which must be free.
pub fn settle(old: &Path, new: &Path) -> Result<()> {
    if fs::symlink_metadata(new).is_ok() {
        bail!("{} is there already", new.display());
    }
    #[expect(clippy::disallowed_methods, reason = "nothing is there")]
    Ok(fs::rename(old, new)?)
}

/// Writes a file of the tool's own so that it is there as a whole or as it was.
pub fn write(path: &Path, text: &[u8]) -> Result<()> {
    let unfinished = path.with_file_name(format!("{UNFINISHED}{}", file_name(path)));
    let written = fs::write(&unfinished, text);
    kill_point("writing a file");
    #[expect(clippy::disallowed_methods, reason = "the callers know that the file is the tool's")]
    if let Err(error) = written.and_then(|()| fs::rename(&unfinished, path)) {
        // The disk may be full; give the space back.
        remove(&unfinished)?;
        return Err(error.into());
    }
    Ok(())
}

/// Whether an interrupted [`write`] left this.
pub fn is_leftover(path: &Path) -> bool {
    file_name(path).starts_with(UNFINISHED)
}

/// The bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
