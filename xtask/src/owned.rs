//! Deletes and renames. Only the directories that belong to the tool have an [`Owned`]: `build/` and the
//! tool's directory in the user's cache. A path outside of them is refused. `disallowed-methods` in
//! clippy.toml sends all callers here.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::out::shown;

/// The ending of temporary names for what is being written.
pub const UNFINISHED: &str = ".unfinished";

/// A directory whose whole content belongs to the tool. An export makes one of `patches/`, `library/` and
/// `tests/`, for the files that it found to be replaceable.
#[derive(Clone)]
pub struct Owned {
    pub root: PathBuf,
}

impl Owned {
    /// Removes the file, link or directory at `path`, if there is one. Does not follow links. A directory
    /// loses its name first, so that an interruption leaves no half of it under the name.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let removed = beside(path, ".removed");
        for path in [&removed, path] {
            let Ok(metadata) = fs::symlink_metadata(path) else { continue };
            self.require_inside(path)?;
            #[expect(clippy::disallowed_methods, reason = "the path is inside")]
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
        #[expect(clippy::disallowed_methods, reason = "both paths are inside")]
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

    /// Has `fill` fill an empty directory, and gives it the name `directory` when that succeeded. Removes
    /// what is there under this name. The caller holds a lock.
    pub fn make(&self, directory: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let unfinished = beside(directory, UNFINISHED);
        self.remove(&unfinished)?;
        fs::create_dir_all(&unfinished)?;
        let filled = fill(&unfinished).and_then(|()| {
            self.remove(directory)?;
            self.rename(&unfinished, directory)
        });
        // The disk may be full: the space is given back.
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

    /// Refuses a path that is not below the directory, also by way of a link in between.
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
