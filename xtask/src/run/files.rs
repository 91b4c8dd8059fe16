//! Lists directories and names files.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;

/// The paths of what is in a directory, in their order.
pub fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The last part of a path, as text.
pub fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// What is called `name` for good, as it is called while it is in such a state.
pub fn temporary_name(name: &str, state: &str) -> String {
    format!(".{name}.{state}")
}

/// The path of it, beside its own.
pub fn temporary(path: &Path, state: &str) -> PathBuf {
    path.with_file_name(temporary_name(&file_name(path), state))
}
