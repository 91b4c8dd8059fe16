//! Debian's archive as a source, by way of the machine's own `apt-get`.
//!
//! apt gets a configuration of its own, with the machine's mirror but another suite, so that
//! neither the system's lists nor its sources change and no root is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::project::Project;
use crate::base::{DebianKind, DebianPackage};
use crate::run::command::CommandExt;
use crate::say::progress::Step;

/// Downloads the file called `file` of a package to `destination`.
pub fn download(
    project: &Project,
    package: &DebianPackage,
    file: &str,
    destination: &Path,
) -> Result<()> {
    let DebianPackage { package, version, suite, kind } = package;
    let apt = PrivateApt::new(&project.build().join("apt"), suite, *kind)?;
    let step = Step::start(format!("downloading {file} from Debian {suite}"));
    let package = format!("{package}={version}");
    match kind {
        DebianKind::Source => {
            apt.command(&["source", "--download-only", "--tar-only", &package]).run()?
        }
        DebianKind::Binary => apt.command(&["download", &package]).run()?,
    };
    step.done();
    fs::copy(apt.files().join(file), destination)
        .with_context(|| format!("apt-get ended well, but {file} cannot be kept"))?;
    apt.remove()
}

/// `apt-get` with a configuration in a directory of its own.
pub struct PrivateApt {
    dir: PathBuf,
}

impl PrivateApt {
    /// Reads the index of `suite`.
    pub fn new(dir: &Path, suite: &str, kind: DebianKind) -> Result<PrivateApt> {
        if which::which("apt-get").is_err() {
            bail!("Debian's packages need apt-get, which this machine does not have");
        }
        let stanzas = sources(Path::new("/etc/apt"), suite, kind)?;
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        for name in [
            "etc/sources.list.d",
            "etc/preferences.d",
            "lists/partial",
            "cache/archives/partial",
            "files",
        ] {
            fs::create_dir_all(dir.join(name))?;
        }
        fs::write(dir.join("etc/sources.list.d/base.sources"), stanzas)?;
        let apt = PrivateApt { dir: dir.to_owned() };
        let step = Step::start(format!("reading the index of Debian {suite}"));
        apt.command(&["update", "--error-on=any"]).run()?;
        step.done();
        Ok(apt)
    }

    /// `apt-get ARGS`, to be run in [`PrivateApt::files`].
    pub fn command(&self, args: &[&str]) -> Command {
        let option = |name: &str, value: &str| format!("{name}={}", self.dir.join(value).display());
        let mut command = Command::new("apt-get");
        command
            .current_dir(self.files())
            .args(["-o", &option("Dir::Etc", "etc"), "-o", &option("Dir::State::lists", "lists")])
            .args(["-o", &option("Dir::Cache", "cache")])
            // Without it, sources with no Signed-By would have no keys here.
            .args(["-o", "Dir::Etc::trustedparts=/etc/apt/trusted.gpg.d"])
            // Root's apt would hand the download to a user who may not write here.
            .args(["-o", "APT::Sandbox::User=root"])
            .args(["-o", "Acquire::http::Timeout=15", "-o", "Acquire::Retries=1"])
            .args(args)
            .env("LC_ALL", "C");
        command
    }

    /// Where downloads go.
    pub fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    pub fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.dir)?)
    }
}

/// The machine's own Debian mirrors, as deb822 stanzas for packages of `suite`.
fn sources(etc_apt: &Path, suite: &str, kind: DebianKind) -> Result<String> {
    let types = if kind == DebianKind::Source { "deb-src" } else { "deb" };
    let mut files: Vec<_> = fs::read_dir(etc_apt.join("sources.list.d"))
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.push(etc_apt.join("sources.list"));
    files.sort();

    let mut stanzas = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        let text = fs::read_to_string(file)?;
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => {
                stanzas.extend(text.split("\n\n").filter_map(|s| from_stanza(s, suite, types)))
            }
            Some("list") => stanzas.extend(text.lines().filter_map(|l| from_line(l, suite, types))),
            _ => {}
        }
    }
    stanzas.sort();
    stanzas.dedup();
    if stanzas.is_empty() {
        bail!("{} names no mirror of Debian", etc_apt.display());
    }
    Ok(stanzas.join("\n\n") + "\n")
}

/// Debian's mirrors have their archive of packages, and no other, under this name.
fn is_package_archive(uri: &str) -> bool {
    uri.trim_end_matches('/').ends_with("/debian")
}

/// Turns a stanza of a `.sources` file (sources.list(5)) to the sources of `suite`.
fn from_stanza(stanza: &str, suite: &str, types: &str) -> Option<String> {
    let mut is_debian = false;
    let lines: Vec<_> = stanza
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| match line.split_once(':').map(|(field, value)| (field, value.trim())) {
            Some(("Types", _)) => format!("Types: {types}"),
            Some(("Suites", _)) => format!("Suites: {suite}"),
            Some(("Components", _)) => "Components: main".into(),
            Some(("URIs", uris)) => {
                is_debian = uris.split_whitespace().any(is_package_archive);
                line.into()
            }
            _ => line.to_owned(),
        })
        .collect();
    is_debian.then(|| lines.join("\n").trim().to_owned())
}

/// Turns a line of a `.list` file (sources.list(5)) to the sources of `suite`.
fn from_line(line: &str, suite: &str, types: &str) -> Option<String> {
    let line = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match line.strip_prefix('[') {
        Some(line) => line.split_once(']')?,
        None => ("", line),
    };
    let uri = rest.split_whitespace().next().filter(|uri| is_package_archive(uri))?;
    let mut stanza = format!("Types: {types}\nURIs: {uri}\nSuites: {suite}\nComponents: main");
    let signed_by = options.split_whitespace().find_map(|o| o.strip_prefix("signed-by="));
    if let Some(key) = signed_by {
        stanza += &format!("\nSigned-By: {key}");
    }
    Some(stanza)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources_of(name: &str, text: &str) -> Result<String> {
        let etc = tempfile::tempdir()?;
        fs::create_dir(etc.path().join("sources.list.d"))?;
        fs::write(etc.path().join(name), text)?;
        sources(etc.path(), "sid", DebianKind::Source)
    }

    #[test]
    fn stanza_keeps_mirror_and_key() {
        let text = "Types: deb\n# a note\nURIs: http://mirror.example/debian\nSuites: trixie\n\
                    Components: main contrib\nSigned-By: /a/key.gpg\n\n\
                    Types: deb\nURIs: http://mirror.example/debian-security\nSuites: trixie-security\n";
        let expected = "Types: deb-src\nURIs: http://mirror.example/debian\nSuites: sid\n\
                        Components: main\nSigned-By: /a/key.gpg\n";
        assert_eq!(sources_of("sources.list.d/debian.sources", text).unwrap(), expected);
    }

    #[test]
    fn line_keeps_mirror_and_key() {
        let text = "deb [arch=amd64 signed-by=/a/key.gpg] http://mirror.example/debian/ trixie main\n\
                    deb-src http://mirror.example/debian/ trixie main\n\
                    deb http://mirror.example/ubuntu noble main\n";
        let expected = "Types: deb-src\nURIs: http://mirror.example/debian/\nSuites: sid\n\
                        Components: main\nSigned-By: /a/key.gpg\n";
        assert_eq!(sources_of("sources.list", text).unwrap(), expected);
    }

    #[test]
    fn no_mirror_is_an_error() {
        let error = sources_of("sources.list", "deb http://mirror.example/ubuntu noble main\n");
        assert!(error.unwrap_err().to_string().contains("names no mirror of Debian"));
    }
}
