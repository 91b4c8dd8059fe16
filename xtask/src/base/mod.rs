//! The pinned bases: what base.toml says of them, and how their sources are had.

pub mod archive;
pub mod debian;
pub mod project;
pub mod unpack;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bases {
    default: String,
    mend: Mend,
    base: BTreeMap<String, Base>,
}

/// A release of rust-lang/rust that a series applies to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The key in `base.toml`; also the directory's name under `patches/`.
    #[serde(skip)]
    pub name: String,
    /// Whether this base is the one used when none is named.
    #[serde(skip)]
    pub default: bool,
    pub release: String,
    /// Upstream's commit of that release, which its compiler was built from.
    pub commit: String,
    /// The date of the base's commit in build/rust, so that its hash is the same everywhere.
    pub date: String,
    /// Where the compiler comes from, in order of preference.
    pub compiler: Vec<CompilerOrigin>,
    /// Where the sources come from, in order of preference.
    pub archive: Vec<Archive>,
    /// What is done to the sources of every base alike.
    #[serde(skip)]
    pub mend: Mend,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompilerOrigin {
    /// rustup, which knows it by this name.
    Rustup(String),
    Debian(DebianCompiler),
}

/// Debian's packages of a compiler.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianCompiler {
    pub packages: Vec<String>,
    /// The version that all of them have.
    pub version: String,
    /// The suites that they, and what they need, are taken from.
    pub suites: Vec<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Archive {
    pub file: String,
    pub sha256: String,
    /// The directory of the archive that holds the tree, as the archive spells it.
    pub root: String,
    /// The patches that whoever made the archive applied.
    pub take_back: Option<TakeBack>,
    #[serde(flatten)]
    pub origin: ArchiveOrigin,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchiveOrigin {
    Url(String),
    Debian(DebianPackage),
}

/// A package in Debian's archive.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianPackage {
    pub package: String,
    pub version: String,
    /// The suites that may have it, as a version wanders from one to the other.
    pub suites: Vec<String>,
    pub kind: DebianKind,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DebianKind {
    /// The upstream archive of a source package.
    Source,
    /// A `.deb` file.
    Binary,
}

/// How an unpacked archive is made into a tree that bootstrap accepts.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mend {
    /// Files and directories of the archive that are not unpacked.
    pub leave_out: Vec<PathBuf>,
    /// Files, by path, with their text, where the archive has none.
    pub files: BTreeMap<String, String>,
}

/// Patches that are applied in reverse, the last one first.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBack {
    /// The directory that holds them, and their order in a file called `series`.
    pub patches: PathBuf,
    /// Patterns of the files that the patches change and the archive lacks.
    pub except: Vec<String>,
    /// Files that lie beside their originals, which have the ending `.orig`.
    pub originals: Vec<PathBuf>,
}

impl Base {
    /// `what` for the default base, and with the base's name for another.
    pub fn name_of(&self, what: &str) -> String {
        if self.default { what.into() } else { format!("{what}-{}", self.name) }
    }

    /// How a command names the base: ` --base NAME`, or nothing for the default one.
    pub fn option(&self) -> String {
        if self.default { String::new() } else { format!(" --base {}", self.name) }
    }
}

impl Bases {
    pub fn read(path: &Path) -> Result<Bases> {
        let text = fs::read_to_string(path)?;
        toml::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
    }

    pub fn get(&self, name: Option<&str>) -> Result<Base> {
        let name = name.unwrap_or(&self.default);
        let Some(base) = self.base.get(name) else {
            let known: Vec<_> = self.base.keys().map(String::as_str).collect();
            bail!("base.toml has no base {name:?}; it has {}", known.join(", "));
        };
        let (mend, default) = (self.mend.clone(), name == self.default);
        Ok(Base { name: name.into(), default, mend, ..base.clone() })
    }

    pub fn all(&self) -> Vec<Base> {
        self.base.keys().map(|name| self.get(Some(name)).expect("the name is a key")).collect()
    }
}
