//! Decides what the tool may delete and overwrite: only what it made itself, as long as it is as
//! the tool made it. Whatever does either goes through here; `disallowed-methods` in
//! xtask/clippy.toml sees to it.
//!
//! - Under build/, a directory or file that the tool made as a whole is its own: [`discard`].
//! - Where people work, too (patches/, library/, tests/), a file is its own if it has, to the byte, a
//!   text that the tool wrote there: [`Replacement`]. bootstrap.toml says so itself: [`is_sealed`].
//! - build/rust is its user's. What may happen there, `series::follow` decides.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::run::files::file_name;
use crate::run::kill_point::kill_point;
use crate::run::lock;

/// Texts of files, by path below some directory.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;
/// What is below some directory: the texts of files, and no text for what is no file, such as a link.
pub type Found = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// How a file is called until it is whole.
const UNFINISHED: &str = ".xtask-unfinished-";

/// Removes a directory or a file that the tool made, if it is there: something below a directory that
/// this process holds a lock in. Of a link, the link alone.
pub fn discard(path: &Path) -> Result<()> {
    if !lock::covers(path) {
        bail!("{} is not the tool's to remove", path.display());
    }
    remove(path)
}

/// The same for a file outside of build/ whose name tells that it is the tool's.
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

/// Gives what was made under another name its own, which must be free.
pub fn settle(unfinished: &Path, path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        bail!("{} is there already", path.display());
    }
    #[expect(clippy::disallowed_methods, reason = "nothing is there")]
    Ok(fs::rename(unfinished, path)?)
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

/// A text under `header`, sealed with a hash by which the tool knows it for its own as long as no one
/// changed it.
pub fn seal(header: &str, text: &str) -> String {
    format!("{header}# Unchanged, the rest has the SHA-256 {}\n{text}", hex(&Sha256::digest(text)))
}

/// Whether a text is as [`seal`] returned it.
pub fn is_sealed(header: &str, sealed: &str) -> bool {
    let parts = sealed.strip_prefix(header).and_then(|rest| rest.split_once('\n'));
    parts.is_some_and(|(_, text)| seal(header, text) == sealed)
}

/// The bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

/// Whether an interrupted [`write`] left this.
pub fn is_leftover(path: &Path) -> bool {
    file_name(path).starts_with(UNFINISHED)
}

/// New files for old ones, in a directory where people work, too.
pub struct Replacement<'a> {
    pub root: &'a Path,
    pub found: Found,
    /// What the tool wrote there, in each state that it can have left the directory in.
    pub written: Vec<Files>,
    pub new: Files,
}

impl Replacement<'_> {
    /// The paths of what is there and is neither what the tool wrote nor what it would write.
    pub fn foreign(&self) -> Vec<&Path> {
        let states = || self.written.iter().chain([&self.new]);
        let is_own = |path: &Path, found: &Option<Vec<u8>>| {
            is_leftover(path)
                || states().any(|files| files.get(path) == found.as_ref() && found.is_some())
        };
        self.found.iter().filter(|(path, f)| !is_own(path, f)).map(|(path, _)| &**path).collect()
    }

    /// Replaces the files. `overwrite` says that the user was told of foreign ones and gives them up.
    pub fn make(self, overwrite: bool) -> Result<()> {
        if !overwrite && !self.foreign().is_empty() {
            bail!("{} is not as this tool wrote it", self.root.display());
        }
        // First the new ones, so that an interruption leaves too many rather than too few.
        for (path, text) in &self.new {
            if self.found.get(path).and_then(Option::as_ref) != Some(text) {
                let path = self.root.join(path);
                fs::create_dir_all(path.parent().context("a file has a directory")?)?;
                write(&path, text)?;
            }
        }
        for path in self.found.keys().filter(|path| !self.new.contains_key(*path)) {
            remove(&self.root.join(path))?;
            kill_point("removing a file");
        }
        Ok(())
    }
}
