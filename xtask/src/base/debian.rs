//! Fetches from Debian's archive, by way of the machine's own `apt-get`.
//!
//! apt gets a configuration of its own, with the machine's mirror but other suites, so that neither
//! the system's lists nor its sources change and no root is needed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::{DebianKind, DebianPackage};
use crate::run::command::CommandExt;
use crate::run::ownership;
use crate::say::failure::NotRun;
use crate::say::progress::Step;

/// Debian's own keys; the package that has them is one that apt needs.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads the file called `file` of a package to `destination`, from the first suite that has it.
/// apt works in `dir` meanwhile.
pub fn download(dir: &Path, package: &DebianPackage, file: &str, destination: &Path) -> Result<()> {
    let DebianPackage { package, version, suites, kind } = package;
    let wanted = format!("{package}={version}");
    let how: &[&str] = match kind {
        DebianKind::Source => &["source", "--download-only", "--tar-only", &wanted],
        DebianKind::Binary => &["download", &wanted],
    };
    let mut failures = Vec::new();
    for suite in suites {
        let got = PrivateApt::new(dir, std::slice::from_ref(suite), *kind).and_then(|apt| {
            let step = Step::start(format!("downloading {file} from Debian {suite}"));
            ask(&mut apt.command(how))?;
            step.done();
            fs::copy(apt.files().join(file), destination)
                .with_context(|| format!("apt-get ended well, but {file} cannot be kept"))
        });
        match got {
            Ok(_) => return Ok(()),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    bail!("{}", failures.join("\n"));
}

/// `apt-get` with a configuration in a directory of its own, which goes when this is dropped.
pub struct PrivateApt {
    dir: PathBuf,
}

impl PrivateApt {
    /// Reads the indexes of the suites.
    pub fn new(dir: &Path, suites: &[String], kind: DebianKind) -> Result<PrivateApt> {
        if which::which("apt-get").is_err() {
            Err(NotRun("Debian's packages need apt-get, which this machine does not have".into()))?;
        }
        let mirrors = mirrors()?;
        ownership::remove(dir)?;
        for name in ["etc/sources.list.d", "etc/preferences.d", "lists/partial", "files"] {
            fs::create_dir_all(dir.join(name))?;
        }
        fs::create_dir_all(dir.join("cache/archives/partial"))?;
        let types = if kind == DebianKind::Source { "deb-src" } else { "deb" };
        let suites = suites.join(" ");
        fs::write(
            dir.join("etc/sources.list.d/base.sources"),
            format!(
                "Types: {types}\nURIs: {mirrors}\nSuites: {suites}\nComponents: main\n\
                 Signed-By: {KEYS}\n"
            ),
        )?;
        let apt = PrivateApt { dir: dir.to_owned() };
        let step = Step::start(format!("reading the index of Debian {suites}"));
        ask(&mut apt.command(&["update", "--error-on=any"]))?;
        step.done();
        Ok(apt)
    }

    /// `apt-get ARGS`, to be run in [`PrivateApt::files`].
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command.current_dir(self.files()).env("LC_ALL", "C");
        for (name, value) in
            [("Dir::Etc", "etc"), ("Dir::State::lists", "lists"), ("Dir::Cache", "cache")]
        {
            command.args(["-o", &format!("{name}={}", self.dir.join(value).display())]);
        }
        command
            // Root's apt would hand the download to a user who may not write here.
            .args(["-o", "APT::Sandbox::User=root"])
            .args(["-o", "Acquire::http::Timeout=15", "-o", "Acquire::Retries=1"])
            .args(args);
        command
    }

    /// Where `apt-get download` and `apt-get source` put what they get.
    pub fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// Where `apt-get install --download-only` puts what it gets.
    pub fn archives(&self) -> PathBuf {
        self.dir.join("cache/archives")
    }
}

impl Drop for PrivateApt {
    fn drop(&mut self) {
        // What is left over is cleared away by the next one.
        let _ = ownership::remove(&self.dir);
    }
}

/// Runs apt and returns what it printed. Of a failure, its errors are told alone: there is much else.
pub fn ask(apt: &mut Command) -> Result<String> {
    let answer = apt.answer()?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        let errors = said.lines().filter(|line| line.starts_with("E: "));
        bail!("apt-get failed ({}):\n  {}", answer.status, Vec::from_iter(errors).join("\n  "));
    }
    Ok(String::from_utf8(answer.stdout)?)
}

/// The mirrors of Debian that the machine's own apt is set to, separated by spaces.
fn mirrors() -> Result<String> {
    // Names every file that an update would fetch, and fetches none.
    let uris = ask(Command::new("apt-get").args(["update", "--print-uris"]))?;
    let mirrors: BTreeSet<_> = uris
        .lines()
        .filter_map(|line| line.strip_prefix('\'')?.split_once("/dists/"))
        .map(|(mirror, _)| mirror)
        // Debian's mirrors have their archive of packages, and no other, under this name.
        .filter(|mirror| mirror.ends_with("/debian"))
        .collect();
    if mirrors.is_empty() {
        bail!("this machine's apt is set to no mirror of Debian");
    }
    Ok(Vec::from_iter(mirrors).join(" "))
}
