//! Reads `base.toml`: the releases that the series apply to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Deserialize;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bases {
    default: String,
    sources: Sources,
    base: BTreeMap<String, Base>,
}

/// A release of rust-lang/rust that a series applies to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The key in `base.toml`, and the directory's name below `patches/`.
    #[serde(skip)]
    pub name: String,
    /// True for the base that commands without `--base` use.
    #[serde(skip)]
    pub default: bool,
    pub release: String,
    /// The commit of rust-lang/rust that the release was built from.
    pub commit: String,
    /// The date of the base's commit in the store. A fixed date fixes the commit's hash.
    pub date: String,
    /// The rustup toolchains that may be the release, in order of preference.
    pub compiler: Vec<String>,
    /// The archives of the sources, in order of preference.
    pub archive: Vec<Archive>,
    #[serde(skip)]
    pub sources: Sources,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The file's name, on the server and in the cache directory.
    pub file: String,
    pub sha256: String,
    pub place: Place,
    /// The archive's top directory.
    pub root: String,
    pub revert: Option<Revert>,
}

/// The directory on a server that has an archive.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The directory's URL.
    Url(String),
    /// The directory's path below `pool/` of a Debian mirror.
    Pool(String),
}

/// The changes to the sources of every base.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// The directories that are not unpacked.
    pub exclude: Vec<PathBuf>,
    /// The contents of files that are written if the sources lack them, by path.
    pub stubs: BTreeMap<String, String>,
}

/// A distribution's patches, which are applied in reverse.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// The directory with the patches. Its file `series` lists them in order.
    pub patches: PathBuf,
    /// Patterns for `git apply --exclude`: files that the archive lacks.
    pub exclude: Vec<String>,
    /// Files that are replaced by the archive's `<file>.orig`.
    pub originals: Vec<PathBuf>,
}

impl Base {
    /// Returns `text` for the default base, and `text-NAME` for other bases.
    pub fn suffixed(&self, text: &str) -> String {
        if self.default { text.into() } else { format!("{text}-{}", self.name) }
    }

    /// Returns ` --base NAME`, or nothing for the default base.
    pub fn option(&self) -> String {
        if self.default { String::new() } else { format!(" --base {}", self.name) }
    }

    /// Returns `command`, with `--base NAME` unless this is the default base.
    pub fn command(&self, command: &str) -> String {
        format!("{command}{}", self.option())
    }
}

impl Bases {
    pub fn read(path: &Path) -> Result<Bases> {
        let text = fs::read_to_string(path)?;
        let bases: Bases =
            toml::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))?;
        bases.get(None).context("`default` in base.toml is wrong")?;
        Ok(bases)
    }

    pub fn get(&self, name: Option<&str>) -> Result<Base> {
        let name = name.unwrap_or(&self.default);
        let Some(base) = self.base.get(name) else {
            let known: Vec<_> = self.base.keys().map(String::as_str).collect();
            bail!("base.toml has no base {name:?}; it has {}", known.join(", "));
        };
        let default = name == self.default;
        Ok(Base { name: name.into(), default, sources: self.sources.clone(), ..base.clone() })
    }

    pub fn all(&self) -> Vec<Base> {
        self.base.keys().filter_map(|name| self.get(Some(name)).ok()).collect()
    }
}
