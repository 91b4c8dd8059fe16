//! Lets one invocation at a time into a directory: two that prepare the same tree would undo each
//! other's work.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;

/// Held until dropped. The operating system drops it for a process that is killed.
pub struct Lock(std::fs::File);

impl Lock {
    fn hold(mut file: std::fs::File, purpose: &str) -> Result<Lock> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{purpose} (process {})", std::process::id())?;
        Ok(Lock(file))
    }

    /// Leaves the lock to the program that is about to replace this process.
    pub fn keep_for_successor(self) -> Result<()> {
        rustix::io::fcntl_setfd(&self.0, rustix::io::FdFlags::empty())?;
        // Dropped, it would be closed.
        std::mem::forget(self);
        Ok(())
    }
}

/// Waits until no other invocation holds the lock at `path`, saying which one it waits for. `purpose`
/// is what the others are told.
pub fn acquire(path: &Path, purpose: &str) -> Result<Lock> {
    let mut file = open(path)?;
    if !take(&file)? {
        // Who has just got it is about to write down what for.
        thread::sleep(Duration::from_millis(10));
        let mut holder = String::new();
        file.read_to_string(&mut holder)?;
        eprintln!("waiting for another invocation to finish: {}", holder.trim_end());
        file.lock()?;
    }
    Lock::hold(file, purpose)
}

/// The same for several locks. While it waits for one of them, it holds none: who has that one may need
/// another.
pub fn acquire_all(paths: &[PathBuf], purpose: &str) -> Result<Vec<Lock>> {
    let mut locks = Vec::new();
    while let Some(path) = paths.get(locks.len()) {
        let file = open(path)?;
        if take(&file)? {
            locks.push(Lock::hold(file, purpose)?);
        } else {
            locks.clear();
            drop(acquire(path, purpose)?);
        }
    }
    Ok(locks)
}

fn open(path: &Path) -> Result<std::fs::File> {
    fs::create_dir_all(path.parent().expect("a lock is in a directory"))?;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // What a link leads to is not the tool's to write to.
    Ok(options.custom_flags(libc::O_NOFOLLOW).open(path)?.into_parts().0)
}

/// Takes the lock if nobody has it.
fn take(file: &std::fs::File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
