//! Downloads archives to the user's cache directory, and checks their SHA-256 before each use.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Error, Result, bail};
use fs_err as fs;

use crate::base::{Archive, Base, Place};
use crate::error::NotRun;
use crate::out::{Step, shown};
use crate::owned::Owned;
use crate::project::cache;
use crate::run::CommandExt;

/// Returns the first of the base's archives that is cached, and its path. If none is cached, returns the first that can
/// be downloaded.
pub fn archive_of(base: &Base) -> Result<(&Archive, PathBuf)> {
    let advice = format!(
        "If you have the archive, or a clone of rust-lang/rust with commit {}, use it:\n  {} --source PATH",
        base.commit,
        base.command("cargo xtask prepare")
    );
    first_of(&base.archive, &advice)
}

/// Returns the path of the archive in the cache. Downloads the archive if it is not cached.
pub fn cached(archive: &Archive) -> Result<PathBuf> {
    Ok(first_of(std::slice::from_ref(archive), "")?.1)
}

/// Returns the first archive that is cached, and its path. If none is cached, returns the first that can be downloaded.
/// `advice` ends the error's message if no archive can be downloaded.
fn first_of<'a>(archives: &'a [Archive], advice: &str) -> Result<(&'a Archive, PathBuf)> {
    let cache = cache()?;
    // Another clone of this repository may be downloading the archive.
    let _lock = cache.lock(&cache.root)?;
    // Prefer any cached archive to a download.
    for archive in archives {
        if is_cached(archive)? {
            return Ok((archive, cache.root.join(&archive.file)));
        }
    }
    let (mut message, mut only_downloads_failed) =
        (String::from("these downloads failed:\n"), true);
    for archive in archives {
        match download_to_cache(archive, &cache) {
            Ok(path) => return Ok((archive, path)),
            Err(error) => {
                only_downloads_failed &= error.is::<NotRun>();
                writeln!(message, "- {}: {error:#}", archive.file)?;
            }
        }
    }
    message += advice;
    if only_downloads_failed { Err(NotRun(message))? } else { bail!(message) }
}

/// Downloads an archive and returns its path in the cache. A failed download is a [`NotRun`], and a wrong hash is
/// another error.
fn download_to_cache(archive: &Archive, cache: &Owned) -> Result<PathBuf> {
    let (partial, path) =
        (cache.root.join(format!("{}.part", archive.file)), cache.root.join(&archive.file));
    // `partial` may be a link, which must not be followed.
    cache.remove(&partial)?;
    let downloaded = download(archive, &partial).map_err(|error| NotRun(format!("{error:#}")));
    let fetched = downloaded.map_err(Error::new).and_then(|()| {
        let found = sha256(&partial)?;
        if found != archive.sha256 {
            bail!("its SHA-256 is {found}, expected {}", archive.sha256);
        }
        cache.rename(&partial, &path)
    });
    if fetched.is_err() {
        cache.remove(&partial)?;
    }
    fetched.map(|()| path)
}

/// Returns whether the archive is in the cache. A wrong hash is an error, and the file is kept for the user to inspect.
pub fn is_cached(archive: &Archive) -> Result<bool> {
    let path = cache()?.root.join(&archive.file);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(false);
    }
    let step = Step::start(format!("checking {}", archive.file));
    let found = sha256(&path);
    drop(step);
    match found {
        Ok(found) if found == archive.sha256 => Ok(true),
        found => bail!(
            "{} has a wrong SHA-256. Expected:\n  {}\nFound:\n  {}\nTo download it again, remove it and run the \
             command again:\n  rm -r {}",
            path.display(),
            archive.sha256,
            found.unwrap_or_else(|error| format!("none, because {error:#}")),
            shown(&path)
        ),
    }
}

/// Returns the base's archive that has the SHA-256 of the user's file.
pub fn identify<'b>(path: &Path, base: &'b Base) -> Result<&'b Archive> {
    let found = sha256(path)?;
    let archive = base.archive.iter().find(|archive| archive.sha256 == found);
    archive.with_context(|| {
        let known = base.archive.iter().map(|a| format!("\n  {}  {}", a.sha256, a.file));
        format!(
            "{} is none of the archives of Rust {} in base.toml. Its SHA-256 is\n  {found}\nand the \
             archives have{}\nName one of these archives, or run the command without --source",
            path.display(),
            base.release,
            known.collect::<String>()
        )
    })
}

fn download(archive: &Archive, partial: &Path) -> Result<()> {
    match &archive.place {
        Place::Url(directory) => with_curl(&format!("{directory}/{}", archive.file), partial),
        Place::Pool(directory) => {
            let mut failures = Vec::new();
            for mirror in debian_mirrors()? {
                let url = format!("{mirror}pool/{directory}/{}", archive.file);
                match with_apt(&url, partial) {
                    Ok(()) => return Ok(()),
                    Err(error) => failures.push(format!("{error:#}")),
                }
            }
            bail!("{}", failures.join("; "))
        }
    }
}

/// Downloads with curl, which writes to its standard output: snap's curl may not write to hidden directories
/// (rust-lang/rust#107722).
fn with_curl(url: &str, partial: &Path) -> Result<()> {
    let _step = Step::start(format!("downloading {url}"));
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location"])
        // A server that does not respond must not delay the next archive for long.
        .args(["--connect-timeout", "5", "--speed-limit", "1", "--speed-time", "30"])
        .arg(url)
        .stdin(Stdio::null())
        .stdout(fs::File::create(partial)?.into_parts().0);
    let output = curl.any_output()?;
    if !output.status.success() {
        bail!("{url}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// Downloads with apt-helper, which uses apt's proxy settings.
fn with_apt(url: &str, partial: &Path) -> Result<()> {
    let _step = Step::start(format!("downloading {url}"));
    let mut helper = Command::new(APT_HELPER);
    // As root, apt would download as the user `_apt`, who may not write to the cache directory.
    helper.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::http::Timeout=15"]);
    helper.args(["-o", "Acquire::Retries=1", "download-file", url]).arg(partial);
    let output = helper.env("LC_ALL", "C").any_output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let errors = stderr.lines().filter(|line| line.starts_with("E: ") || line.contains("Err:"));
        bail!("{}", errors.collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

/// Returns the mirrors of Debian that this machine's apt uses.
fn debian_mirrors() -> Result<Vec<String>> {
    if which::which("apt-get").is_err() || !Path::new(APT_HELPER).exists() {
        bail!("this machine has no apt, which is needed to download from Debian's mirrors");
    }
    // Prints the URLs of apt's indexes without fetching them. `apt-get indextargets` prints nothing if apt has no
    // lists yet, as in a container image.
    let list =
        Command::new("apt-get").args(["update", "--print-uris"]).env("LC_ALL", "C").stdout_of()?;
    // By convention, the URL of a Debian mirror ends in /debian.
    let mirror_of = |line: &str| {
        let (mirror, _) = line.strip_prefix('\'')?.split_once("/dists/")?;
        mirror.ends_with("/debian").then(|| format!("{mirror}/"))
    };
    let mut mirrors: Vec<_> = list.lines().filter_map(mirror_of).collect();
    mirrors.sort();
    mirrors.dedup();
    if mirrors.is_empty() {
        bail!("this machine's apt uses no mirror of Debian");
    }
    Ok(mirrors)
}

/// Returns the SHA-256 of a file, in hexadecimal digits.
pub fn sha256(path: &Path) -> Result<String> {
    // coreutils has sha256sum, and macOS has shasum.
    let (program, args): (_, &[&str]) = match which::which("sha256sum") {
        Ok(_) => ("sha256sum", &[]),
        Err(_) => ("shasum", &["-a", "256"]),
    };
    if !path.is_file() {
        bail!("{} is not a file, or is a link to a missing file", path.display());
    }
    let input = fs::File::open(path)?.into_parts().0;
    let printed = Command::new(program).args(args).stdin(input).stdout_of()?;
    let hash = printed.split_whitespace().next();
    Ok(hash.with_context(|| format!("`{program}` printed nothing"))?.to_owned())
}
