//! Gets a base's archive: from the user's cache directory, else from the first source that has it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::base::project::{cache_dir, quoted};
use crate::base::{Archive, ArchiveOrigin, Base, debian};
use crate::run::command::CommandExt;
use crate::run::lock;
use crate::run::ownership::{self, hex};
use crate::say::failure::NotRun;
use crate::say::progress::Step;

impl Archive {
    /// Where it is kept.
    pub fn path(&self) -> Result<PathBuf> {
        Ok(cache_dir()?.join(&self.file))
    }

    /// Whether the cache has it. What is damaged there stays as it is: the user may want to see what
    /// became of it.
    pub fn is_cached(&self) -> Result<bool> {
        let path = self.path()?;
        let Ok(metadata) = fs::metadata(&path) else { return Ok(false) };
        let step = Step::start(format!("checking {}", self.file));
        let found = if metadata.is_file() { sha256(&path)? } else { "that of no file".into() };
        if found != self.sha256 {
            bail!(
                "{0} is damaged: its SHA-256 is\n  {found}\nand should be\n  {1}\nWithout it, it is \
                 downloaded again:\n  rm -r {2}",
                path.display(),
                self.sha256,
                quoted(&path)
            );
        }
        step.done();
        Ok(true)
    }
}

/// An archive of the base, in the cache and with its hash checked.
pub fn obtain(base: &Base) -> Result<&Archive> {
    let cache = cache_dir()?;
    // The cache is shared: another clone of this repository may want the same file.
    let _lock = lock::acquire(&cache.join("lock"), "fetching an archive")?;
    // With an archive in the cache, no network is needed: look there first for all of them.
    for archive in &base.archive {
        if archive.is_cached()? {
            return Ok(archive);
        }
    }
    let mut failures = String::new();
    for archive in &base.archive {
        match fetch(archive, &cache) {
            Ok(()) => return Ok(archive),
            Err(error) => writeln!(failures, "- {}: {error:#}", archive.file)?,
        }
    }
    Err(NotRun(format!(
        "no source of Rust {} could be had:\n{failures}With an archive of these names, or a clone of \
         rust-lang/rust that has the commit {}, at hand: --source PATH",
        base.release, base.commit
    )))?
}

/// The archive of the base that a file of the user's is.
pub fn identify<'b>(path: &Path, base: &'b Base) -> Result<&'b Archive> {
    let found = sha256(path)?;
    if let Some(archive) = base.archive.iter().find(|archive| archive.sha256 == found) {
        return Ok(archive);
    }
    let known: Vec<_> =
        base.archive.iter().map(|a| format!("  {}  {}", a.sha256, a.file)).collect();
    bail!(
        "{} is none of the archives of Rust {}, or it is damaged: its SHA-256 is\n  {found}\n\
         and those in base.toml are\n{}",
        path.display(),
        base.release,
        known.join("\n")
    );
}

fn fetch(archive: &Archive, cache: &Path) -> Result<()> {
    // Until it is complete, the file has another name: what is interrupted is never taken for whole.
    let partial = cache.join(format!("{}.part", archive.file));
    match &archive.origin {
        ArchiveOrigin::Url(url) => download(url, &partial)?,
        ArchiveOrigin::Debian(package) => {
            debian::download(&cache.join("apt"), package, &archive.file, &partial)?;
        }
    }
    if sha256(&partial)? != archive.sha256 {
        ownership::discard(&partial)?;
        bail!("what was downloaded has another hash than base.toml gives");
    }
    ownership::settle(&partial, &archive.path()?)
}

fn download(url: &str, partial: &Path) -> Result<()> {
    let step = Step::start(format!("downloading {url}"));
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location"])
        // An unreachable server, or one that falls silent, must not hold up the sources after it.
        .args(["--connect-timeout", "5", "--speed-limit", "1", "--speed-time", "30"])
        .arg("--output")
        .arg(partial)
        .arg(url)
        .run()
        .with_context(|| format!("cannot download {url}"))?;
    step.done();
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal digits.
pub fn sha256(path: &Path) -> Result<String> {
    Ok(hex(&Sha256::digest(fs::read(path)?)))
}
