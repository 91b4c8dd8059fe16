//! Getting the base's archive: from the cache, else from the first source that has it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::base::debian;
use crate::base::project::{Project, cache_dir};
use crate::base::{Archive, Base, Origin};
use crate::say::progress::Step;

/// An unreachable server must not hold up the sources after it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The path of an archive of the base, with its hash checked.
pub fn obtain(project: &Project, base: &Base) -> Result<PathBuf> {
    let cache = cache_dir()?;
    fs::create_dir_all(&cache)?;
    // With an archive in the cache, no network is needed: look there first for all of them.
    for archive in &base.archive {
        let path = cache.join(&archive.file);
        if path.exists() && is_intact(&path, archive)? {
            return Ok(path);
        }
    }
    let mut failures = String::new();
    for archive in &base.archive {
        match fetch(project, archive, &cache) {
            Ok(path) => return Ok(path),
            Err(error) => writeln!(failures, "- {}: {error:#}", archive.file)?,
        }
    }
    bail!(
        "no source of Rust {} could be had:\n{failures}With an archive of these names, or a \
         checkout of rust-lang/rust at {}, at hand: --source PATH",
        base.release,
        base.commit
    );
}

/// Checks an archive that the user names. It is the user's: on a mismatch it stays where it is.
pub fn check_users(path: &Path, base: &Base) -> Result<()> {
    let found = sha256(path)?;
    if base.archive.iter().any(|archive| archive.sha256 == found) {
        return Ok(());
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

/// Whether a cached archive has the hash that base.toml gives. One that has not is set aside.
pub fn is_intact(path: &Path, archive: &Archive) -> Result<bool> {
    let step = Step::start(format!("checking {}", archive.file));
    let found = sha256(path)?;
    step.done();
    if found == archive.sha256 {
        return Ok(true);
    }
    let aside = (1..)
        .map(|n| path.with_file_name(format!("{}.damaged-{n}", archive.file)))
        .find(|aside| !aside.exists())
        .expect("some number is free");
    fs::rename(path, &aside)?;
    eprintln!(
        "warning: {} is damaged and not used: its SHA-256 is\n  {found}\nand should be\n  {}\n\
         It was set aside as {}",
        path.display(),
        archive.sha256,
        aside.display()
    );
    Ok(false)
}

fn fetch(project: &Project, archive: &Archive, cache: &Path) -> Result<PathBuf> {
    // Until it is complete, the file has another name: what is interrupted is never taken for whole.
    let partial = cache.join(format!("{}.part", archive.file));
    match &archive.origin {
        Origin::Url(url) => download(url, &partial)?,
        Origin::Debian(source) => debian::download(project, source, &archive.file, &partial)?,
    }
    let path = cache.join(&archive.file);
    fs::rename(&partial, &path)?;
    if !is_intact(&path, archive)? {
        bail!("what was downloaded has another hash than base.toml gives");
    }
    Ok(path)
}

/// Downloads `url`, going on where an earlier download stopped.
fn download(url: &str, partial: &Path) -> Result<()> {
    let file = fs::OpenOptions::new().append(true).create(true).open(partial)?;
    let (mut file, _) = file.into_parts();
    // The cache is shared: another clone of this repository may be downloading the same file.
    file.lock()?;
    let have = file.metadata()?.len();

    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(CONNECT_TIMEOUT))
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().with_context(|| format!("cannot download {url}"))?;
    match response.status().as_u16() {
        206 => {}
        // The server sends the whole file, whatever was asked for.
        200 if have > 0 => file.set_len(0)?,
        200 => {}
        // There is nothing after what we have: it is complete, or the hash will tell.
        416 if have > 0 => return Ok(()),
        status => bail!("cannot download {url}: the server answers with status {status}"),
    }
    let body = response.into_body();
    let left = body.content_length().unwrap_or(0);
    let step = Step::start_bytes(format!("downloading {url}"), left);
    io::copy(&mut step.wrap_read(body.into_reader()), &mut file)
        .with_context(|| format!("cannot download {url} to {}", partial.display()))?;
    file.flush()?;
    step.done();
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal digits.
pub fn sha256(path: &Path) -> Result<String> {
    Ok(hex(&Sha256::digest(fs::read(path)?)))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
