//! The project's paths: in this repository, in `build/`, and in the user's cache directory.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::{Base, Bases};
use crate::owned::Owned;

/// This repository: the directory that holds `base.toml`.
#[derive(Clone)]
pub struct Project {
    pub root: PathBuf,
    /// `build/`, which belongs to the tool.
    pub build: Owned,
    bases: Bases,
}

impl Project {
    /// Opens the project of the package that cargo runs, named by `CARGO_MANIFEST_DIR`.
    pub fn of_cargo() -> Result<Project> {
        let package = env::var_os("CARGO_MANIFEST_DIR").context(
            "CARGO_MANIFEST_DIR is not set, so this program does not know which clone to work in. \
             Start it with `./x.py`, `cargo xtask` or `cargo test`",
        )?;
        Project::open(Path::new(&package).parent().context("cargo's package has no parent")?)
    }

    /// Opens the project in a directory.
    pub fn open(root: &Path) -> Result<Project> {
        let root = fs::canonicalize(root)?;
        let bases = Bases::read(&root.join("base.toml"))?;
        let build = Owned { root: root.join("build") };
        fs::create_dir_all(&build.root).with_context(|| {
            format!(
                "cannot create build/ (if {} is a symbolic link, create its target)",
                build.root.display()
            )
        })?;
        // Other programs get these paths in their arguments and configuration.
        for path in [&root, &cache()?.root] {
            if path.to_str().is_none() {
                bail!(
                    "the path {} is not UTF-8. Use a directory whose path is UTF-8",
                    path.display()
                );
            }
        }
        Ok(Project { root, build, bases })
    }

    /// Returns the base `name`, or the default base.
    pub fn base(&self, name: Option<&str>) -> Result<Base> {
        self.bases.get(name)
    }

    pub fn bases(&self) -> Vec<Base> {
        self.bases.all()
    }

    /// Returns `build/<base>/`.
    pub fn dir(&self, base: &Base) -> PathBuf {
        self.build.root.join(&base.name)
    }

    /// Returns the directory of the user's clone: `rust/` for the default base, `rust-<base>/` for others.
    pub fn tree(&self, base: &Base) -> PathBuf {
        self.root.join(base.suffixed("rust"))
    }

    /// Returns `patches/<base>/`.
    pub fn patches(&self, base: &Base) -> PathBuf {
        self.root.join("patches").join(&base.name)
    }
}

/// Returns the directory for downloads, which all clones of this repository share.
pub fn cache() -> Result<Owned> {
    let set = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let default = || env::home_dir().map(|home| home.join(".cache"));
    let cache =
        set.or_else(default).context("there is no cache directory: set XDG_CACHE_HOME or HOME")?;
    let root = cache.join("rust-tcp-keepalive");
    fs::create_dir_all(&root).with_context(|| {
        format!("cannot create {} (XDG_CACHE_HOME sets another directory)", root.display())
    })?;
    Ok(Owned { root })
}
