//! Lists directories.

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
