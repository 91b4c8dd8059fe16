//! Reads crates/crates.toml, and lays out the workspaces in which cargo checks the crates: a package for
//! each crate, which depends on that crate alone, and a committed lock file for each workspace.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;
use serde::Deserialize;
use xtask::base::project::Project;
use xtask::compiler::Compiler;
use xtask::run::command::CommandExt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The bases whose series make the methods stable.
    pub bases: Vec<String>,
    workspace: BTreeMap<String, Vec<Crate>>,
    /// The directory that it is in, with the lock files and the crates that were made up.
    #[serde(skip)]
    pub dir: PathBuf,
}

/// A row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Crate {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default = "yes")]
    default_features: bool,
    /// A crate beside the table, in place of one from the registry.
    path: Option<PathBuf>,
    /// Why it is in the table.
    pub why: String,
    #[serde(default)]
    pub quick: bool,
    /// What is known to come out, if it is not that nothing changes.
    #[serde(default)]
    pub expect: Verdict,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The crate compiles with the series.
    #[default]
    Same,
    /// It compiles at the base, and does not with the series.
    Breaks,
    /// It does not compile at the base either.
    NotBuilt,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Verdict::Same => "same",
            Verdict::Breaks => "breaks",
            Verdict::NotBuilt => "not built",
        })
    }
}

impl Table {
    pub fn read(project: &Project) -> Result<Table> {
        let dir = project.root.join("crates");
        let text = fs::read_to_string(dir.join("crates.toml"))?;
        let table: Table =
            toml::from_str(&text).context("crates/crates.toml is not as expected")?;
        Ok(Table { dir, ..table })
    }

    /// Each crate, with the name of its workspace.
    pub fn crates(&self) -> impl Iterator<Item = (&str, &Crate)> {
        let workspaces = self.workspace.iter();
        workspaces.flat_map(|(name, crates)| crates.iter().map(move |krate| (&**name, krate)))
    }

    /// All that decides what is compiled for the crate.
    pub fn made_of(&self, workspace: &str, krate: &Crate) -> Result<String> {
        let source = match &krate.path {
            Some(path) => fs::read_to_string(self.dir.join(path).join("src/lib.rs"))?,
            None => String::new(),
        };
        // Where there is no lock file, there will be one.
        let lock = fs::read_to_string(self.lock_file(workspace)).unwrap_or_default();
        Ok(format!("{krate:?}{source}{lock}"))
    }

    fn lock_file(&self, workspace: &str) -> PathBuf {
        self.dir.join(format!("{workspace}.lock"))
    }

    /// Writes the workspace's manifests to `dir`, and its lock file as it is committed. Where there is
    /// none, cargo resolves the dependencies as it does for a user today, and the lock file is there to be
    /// committed.
    pub fn lay_out(&self, workspace: &str, compiler: &Compiler, dir: &Path) -> Result<()> {
        let crates = &self.workspace[workspace];
        for krate in crates {
            let member = dir.join(krate.member());
            fs::create_dir_all(member.join("src"))?;
            fs::write(member.join("Cargo.toml"), krate.manifest(&self.dir)?)?;
            fs::write(member.join("src/lib.rs"), "")?;
        }
        let members: toml::Value = crates.iter().map(Crate::member).collect::<Vec<_>>().into();
        let manifest = format!("[workspace]\nresolver = \"2\"\nmembers = {members}\n");
        fs::write(dir.join("Cargo.toml"), manifest)?;
        let (committed, lock) = (self.lock_file(workspace), dir.join("Cargo.lock"));
        if committed.exists() {
            fs::copy(&committed, &lock)?;
        } else {
            compiler.cargo().arg("generate-lockfile").current_dir(dir).run()?;
            fs::copy(&lock, &committed)?;
        }
        Ok(())
    }
}

impl Crate {
    /// Its name, as cargo takes it, with the version that it is asked for.
    pub fn spec(&self) -> String {
        match &self.path {
            Some(_) => self.name.clone(),
            None => format!("{}@{}", self.name, self.version.trim_start_matches('=')),
        }
    }

    /// The package that depends on it.
    pub fn member(&self) -> String {
        let version = self.version.trim_start_matches('=').replace('.', "-");
        format!("{}-{version}-user", self.name)
    }

    /// That package's manifest. `beside` is the directory of the table.
    fn manifest(&self, beside: &Path) -> Result<String> {
        let mut dependency = toml::Table::new();
        match &self.path {
            Some(path) => {
                let path = beside.join(path);
                let path = path.to_str().context("the path of this repository is not UTF-8")?;
                dependency.insert("path".into(), path.into())
            }
            None => dependency.insert("version".into(), self.version.as_str().into()),
        };
        dependency.insert("features".into(), self.features.clone().into());
        dependency.insert("default-features".into(), self.default_features.into());
        let member = self.member();
        let mut manifest: toml::Table = toml::from_str(&format!(
            "package = {{ name = \"{member}\", version = \"0.0.0\", edition = \"2021\" }}"
        ))?;
        let dependencies = toml::Table::from_iter([(self.name.clone(), dependency.into())]);
        manifest.insert("dependencies".into(), dependencies.into());
        Ok(toml::to_string(&manifest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_manifests_of_users() {
        let row = "name = 'mio'\nversion = '=0.6.23'\ndefault-features = false\nwhy = 'a test'";
        let krate: Crate = toml::from_str(row).unwrap();
        assert_eq!((&*krate.spec(), krate.expect), ("mio@0.6.23", Verdict::Same));
        let manifest = krate.manifest(Path::new("/crates")).unwrap();
        assert!(manifest.contains("name = \"mio-0-6-23-user\""), "{manifest}");
        assert!(manifest.contains("version = \"=0.6.23\""), "{manifest}");
        assert!(manifest.contains("default-features = false"), "{manifest}");
        let krate: Crate = toml::from_str("name = 'a'\npath = 'b/a'\nwhy = 'made up'").unwrap();
        assert_eq!(krate.spec(), "a");
        assert!(krate.manifest(Path::new("/crates")).unwrap().contains("path = \"/crates/b/a\""));
    }
}
