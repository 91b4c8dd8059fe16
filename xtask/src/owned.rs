//! Deletes and renames files, but only in directories that belong to the tool. clippy.toml disallows other ways to
//! delete and rename.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::out::shown;

/// The suffix of the temporary names of files that are being written.
pub const UNFINISHED: &str = ".unfinished";

/// A directory in which the tool may delete and rename: `build/`, the tool's directory in the user's cache, and, in an
/// export that checked the files, `patches/`, `library/` and `tests/`.
#[derive(Clone)]
pub struct Owned {
    pub root: PathBuf,
}

impl Owned {
    /// Removes the file, link or directory at `path`, if there is one. Does not follow links. Renames a directory
    /// first, so that an interruption does not leave an incomplete directory at `path`.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let removed = beside(path, ".removed");
        for path in [&removed, path] {
            let Ok(metadata) = fs::symlink_metadata(path) else { continue };
            self.require_inside(path)?;
            #[expect(clippy::disallowed_methods, reason = "the path was checked")]
            if !metadata.is_dir() {
                fs::remove_file(path)?;
            } else {
                if path != removed {
                    fs::rename(path, &removed)?;
                }
                fs::remove_dir_all(&removed)?;
            }
        }
        Ok(())
    }

    /// Renames `old` to `new`. A file at `new` is replaced. A directory at `new` is an error.
    pub fn rename(&self, old: &Path, new: &Path) -> Result<()> {
        self.require_inside(old)?;
        self.require_inside(new)?;
        #[expect(clippy::disallowed_methods, reason = "the paths were checked")]
        Ok(fs::rename(old, new)?)
    }

    /// Writes a file under a temporary name and renames it. Creates its directory.
    pub fn write(&self, path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
        fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
        let unfinished = beside(path, UNFINISHED);
        self.remove(&unfinished)?;
        let written = fs::write(&unfinished, text).map_err(Into::into);
        written.and_then(|()| self.rename(&unfinished, path)).inspect_err(|_| {
            let _ = self.remove(&unfinished);
        })
    }

    /// Calls `fill` with a new directory, and renames it to `directory` if `fill` succeeded. Replaces an existing
    /// directory. The caller holds a lock.
    pub fn make(&self, directory: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let unfinished = beside(directory, UNFINISHED);
        self.remove(&unfinished)?;
        fs::create_dir_all(&unfinished)?;
        let filled = fill(&unfinished).and_then(|()| {
            self.remove(directory)?;
            self.rename(&unfinished, directory)
        });
        // The disk may be full, so the space is freed.
        filled.inspect_err(|_| {
            let _ = self.remove(&unfinished);
        })
    }

    /// Waits until no other process or thread holds the lock of `directory`. The operating system releases
    /// the lock of a process that is killed.
    pub fn lock(&self, directory: &Path) -> Result<File> {
        fs::create_dir_all(directory)?;
        let path = directory.join(".lock");
        self.require_inside(&path)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot open {}", shown(&path)))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another command that works in {}", shown(directory));
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(file)
    }

    /// Returns an error if the path is not below the directory, or only by a link that leads out of it.
    fn require_inside(&self, path: &Path) -> Result<()> {
        let is_plain = !path.components().any(|component| component == Component::ParentDir);
        let parent = path.parent().context("the path has no parent")?;
        let root = fs::canonicalize(&self.root)?;
        if !is_plain
            || !path.starts_with(&self.root)
            || path == self.root
            || !fs::canonicalize(parent)?.starts_with(&root)
        {
            bail!("{} is not below {}, so it is left alone", shown(path), shown(&self.root));
        }
        Ok(())
    }
}

/// Returns a temporary name beside `path`, such as `.store.git.unfinished`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!(".{}{ending}", file_name(path)))
}

/// Returns the last component of a path, as text.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the paths of a directory's entries, sorted.
pub fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_outside_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [root, outside] = ["build", "mine"].map(|name| dir.path().join(name));
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("file"), "kept").unwrap();
        fs_err::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        let owned = Owned { root: root.clone() };
        for path in [&outside, &root, &root.join("link/file"), &root.join("sub/../../mine/file")] {
            assert!(owned.remove(path).is_err(), "{}", path.display());
        }
        owned.rename(&outside.join("file"), &root.join("file")).unwrap_err();
        owned.remove(&root.join("link")).unwrap();
        owned.remove(&root.join("sub")).unwrap();
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "kept");
        assert!(entries(&root).unwrap().is_empty());
    }
}
