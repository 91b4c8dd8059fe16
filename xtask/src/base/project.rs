//! Knows where things are in this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::{Base, Bases};

/// What the tool makes under build/ for each base.
pub const MADE: [&str; 3] = ["rust", "std", "toolchain"];

/// This repository: the directory that holds `base.toml`.
pub struct Project {
    pub root: PathBuf,
    bases: Bases,
}

impl Project {
    pub fn open(root: PathBuf) -> Result<Project> {
        let root = fs::canonicalize(root)?;
        // Other programs get these paths in their arguments and configuration.
        for path in [&root, &cache_dir()?] {
            if path.to_str().is_none() {
                bail!(
                    "{} is not UTF-8, as the paths that this tool works in must be",
                    path.display()
                );
            }
        }
        let bases = Bases::read(&root.join("base.toml"))?;
        Ok(Project { root, bases })
    }

    /// The base called `name`, or the default one.
    pub fn base(&self, name: Option<&str>) -> Result<Base> {
        self.bases.get(name)
    }

    pub fn bases(&self) -> Vec<Base> {
        self.bases.all()
    }

    /// Everything generated, the trees that people work in, and what was moved out of the way.
    pub fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// What was moved out of the way.
    pub fn saved(&self) -> PathBuf {
        self.build().join("saved")
    }

    /// The directory below build/ that holds `what` for one base: that of the default base has the
    /// plain name.
    pub fn build_of(&self, base: &Base, what: &str) -> PathBuf {
        assert!(MADE.contains(&what), "`clean` must know of {what}");
        self.build().join(base.name_of(what))
    }

    /// The lock of a base's tree, for whoever changes it or must find it unchanged.
    pub fn tree_lock(&self, base: &Base) -> PathBuf {
        self.build_of(base, "rust").with_added_extension("lock")
    }

    pub fn x_py_config(&self) -> PathBuf {
        self.root.join("x.py-config.toml")
    }
}

/// Where downloaded archives are kept: shared by all clones of this repository.
pub fn cache_dir() -> Result<PathBuf> {
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let own = || std::env::home_dir().map(|home| home.join(".cache"));
    let cache = set.or_else(own).context("cannot tell the user's cache directory")?;
    Ok(cache.join("rust-tcp-keepalive"))
}

/// `path` as seen from the current directory, for messages.
pub fn display(path: &Path) -> std::path::Display<'_> {
    std::env::current_dir()
        .ok()
        .and_then(|dir| path.strip_prefix(dir).ok())
        .unwrap_or(path)
        .display()
}

/// `path` as [`display`] shows it, to be typed into a shell.
pub fn quoted(path: &Path) -> String {
    let shown = display(path).to_string();
    let shown = if shown.is_empty() { ".".to_owned() } else { shown };
    shlex::try_quote(&shown).map_or(shown.clone(), |quoted| quoted.into_owned())
}
