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
    mend: Mend,
    base: BTreeMap<String, Base>,
}

/// A release of rust-lang/rust that a series applies to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The key in `base.toml`, and the directory's name below `patches/`.
    #[serde(skip)]
    pub name: String,
    /// Whether commands without `--base` use this base.
    #[serde(skip)]
    pub default: bool,
    pub release: String,
    /// Upstream's commit of the release, which its compiler was built from.
    pub commit: String,
    /// The date of the base's commit in the store, so that its hash is the same everywhere.
    pub date: String,
    /// The names under which rustup may have the release's compiler, in order of preference.
    pub compiler: Vec<String>,
    /// The archives of the sources, in order of preference.
    pub archive: Vec<Archive>,
    #[serde(skip)]
    pub mend: Mend,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Archive {
    /// The file's name, in the cache directory and at its place.
    pub file: String,
    pub sha256: String,
    pub place: Place,
    /// The archive's top directory.
    pub root: String,
    /// Patches of a distribution, which are taken back.
    pub take_back: Option<TakeBack>,
}

/// A place that archives are downloaded from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The address of the directory that holds the file.
    Url(String),
    /// A directory below `pool/` of a Debian mirror.
    Pool(String),
}

/// The changes to the sources of every base.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mend {
    /// Directories that are not unpacked.
    pub leave_out: Vec<PathBuf>,
    /// Files that are written if the sources lack them, by path.
    pub files: BTreeMap<String, String>,
}

/// Patches that are applied in reverse, the last one first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBack {
    /// The directory of the patches. Its file `series` has their order.
    pub patches: PathBuf,
    /// Patterns of the files that the patches change and the archive lacks.
    pub except: Vec<String>,
    /// Files that are replaced by the files of the same name with the ending `.orig`.
    pub originals: Vec<PathBuf>,
}

impl Base {
    /// Returns `text` for the default base, and `text-NAME` for another one.
    pub fn suffixed(&self, text: &str) -> String {
        if self.default { text.into() } else { format!("{text}-{}", self.name) }
    }

    /// Returns `command` with the option that names this base, if one is needed.
    pub fn command(&self, command: &str) -> String {
        if self.default { command.into() } else { format!("{command} --base {}", self.name) }
    }
}

impl Bases {
    pub fn read(path: &Path) -> Result<Bases> {
        let text = fs::read_to_string(path)?;
        let bases: Bases =
            toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        if !bases.base.contains_key(&bases.default) {
            bail!(
                "`default` in {} names no base of this file: {:?}",
                path.display(),
                bases.default
            );
        }
        Ok(bases)
    }

    pub fn get(&self, name: Option<&str>) -> Result<Base> {
        let name = name.unwrap_or(&self.default);
        let Some(base) = self.base.get(name) else {
            let known: Vec<_> = self.base.keys().map(String::as_str).collect();
            bail!("base.toml has no base {name:?}; it has {}", known.join(", "));
        };
        let default = name == self.default;
        Ok(Base { name: name.into(), default, mend: self.mend.clone(), ..base.clone() })
    }

    pub fn all(&self) -> Vec<Base> {
        self.base.keys().filter_map(|name| self.get(Some(name)).ok()).collect()
    }
}
