//! Reads the table of crates, and lays out the workspaces in which cargo checks them: a package for
//! each crate, which depends on that crate alone, and a committed lock file for each workspace.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::ownership;
use crate::say::progress::Step;

/// `crates/crates.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pub workspace: BTreeMap<String, Vec<Entry>>,
    /// Other names for the methods, to see what they would break.
    #[serde(default)]
    pub names: Vec<Names>,
    /// The release that would mend what the methods break.
    pub mend: Option<Mend>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    pub name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default = "yes")]
    default_features: bool,
    /// A crate beside the table, in place of one from the registry. The tests have such.
    path: Option<PathBuf>,
    /// Why it is in the table.
    pub why: String,
    /// Whether it is in the small set for `ci`.
    #[serde(default)]
    pub quick: bool,
    /// What is known to come out, if it is not that nothing changes.
    #[serde(default)]
    pub expect: Verdict,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The crate compiles with both.
    #[default]
    Same,
    /// It compiles at the base, and does not with the series.
    Breaks,
    /// It does not compile at the base.
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

fn yes() -> bool {
    true
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    pub set: String,
    pub get: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mend {
    pub name: String,
    pub version: String,
    pub new_version: String,
    file: PathBuf,
    /// What is in the file, and what takes its place.
    edits: Vec<[String; 2]>,
}

impl List {
    pub fn read(dir: &Path) -> Result<List> {
        let path = dir.join("crates.toml");
        let text = fs::read_to_string(&path)?;
        toml::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.workspace.values().flatten()
    }
}

impl Entry {
    /// The package that depends on the crate.
    pub fn member(&self) -> String {
        let version = self.version.trim_start_matches('=').replace('.', "-");
        format!("{}-{version}-user", self.name)
    }

    /// Whether it is a crate beside the table, which counts for nothing.
    pub fn is_made_up(&self) -> bool {
        self.path.is_some()
    }

    /// The source of a crate beside the table, and nothing for one from the registry.
    pub fn source(&self, beside: &Path) -> Result<String> {
        match &self.path {
            Some(path) => Ok(fs::read_to_string(beside.join(path).join("src/lib.rs"))?),
            None => Ok(String::new()),
        }
    }

    /// Its manifest. `beside` is the directory of the table.
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

/// A workspace that cargo can work in.
pub struct Workspace {
    pub dir: PathBuf,
    /// The text of its lock file, and what else its crates are made of.
    pub pinned: String,
}

impl Workspace {
    /// Writes the workspace's manifests to `dir`, and its lock file as it is committed in `beside`. Where
    /// there is none, cargo resolves the dependencies as it does for a user today, and the lock file
    /// is there to be committed.
    pub fn write(
        compiler: &Compiler,
        beside: &Path,
        name: &str,
        entries: &[Entry],
        dir: PathBuf,
    ) -> Result<Workspace> {
        let members: Vec<_> = entries.iter().map(Entry::member).collect();
        for entry in entries {
            let member = dir.join(entry.member());
            fs::create_dir_all(member.join("src"))?;
            fs::write(member.join("Cargo.toml"), entry.manifest(beside)?)?;
            fs::write(member.join("src/lib.rs"), "")?;
        }
        let members = toml::Value::from(members);
        let manifest = format!("[workspace]\nresolver = \"2\"\nmembers = {members}\n");
        fs::write(dir.join("Cargo.toml"), manifest)?;
        let committed = beside.join(format!("{name}.lock"));
        let lock = dir.join("Cargo.lock");
        if committed.exists() {
            fs::copy(&committed, &lock)?;
        } else {
            let step = Step::start(format!("resolving the dependencies of {name}"));
            cargo(compiler, &dir, "generate-lockfile").run()?;
            fs::copy(&lock, &committed)?;
            step.done();
        }
        let workspace = Workspace { pinned: fs::read_to_string(lock)?, dir };
        compiler.fetch(name, &workspace.dir, &["--target", &compiler.host]).with_context(|| {
            format!(
                "if crates.toml was changed, delete crates/{name}.lock, and cargo resolves it anew"
            )
        })?;
        Ok(workspace)
    }

    /// This workspace as its users would have it with the release that mends.
    /// `sources` are those of the release that it mends.
    pub fn mended(
        &self,
        compiler: &Compiler,
        mend: &Mend,
        sources: &Path,
        dir: PathBuf,
    ) -> Result<Workspace> {
        ownership::discard(&dir)?;
        copy_dir(&self.dir, &dir)?;
        mend.apply(sources, &dir.join("mended"))?;
        let manifest = dir.join("Cargo.toml");
        let mut text = fs::read_to_string(&manifest)?;
        let patch = format!("[patch.crates-io]\n{} = {{ path = \"mended\" }}\n", mend.name);
        text += &format!("exclude = [\"mended\"]\n{patch}");
        fs::write(&manifest, text)?;
        let mended = Path::new("mended").join(&mend.file);
        let locked = format!("{}@{}", mend.name, mend.version);
        cargo(compiler, &dir, "update")
            .args(["--offline", &locked, "--precise", &mend.new_version])
            .run()?;
        let made_of = [Path::new("Cargo.lock"), Path::new("mended/Cargo.toml"), &mended];
        let texts = made_of.map(|file| fs::read_to_string(dir.join(file)));
        let pinned = texts.into_iter().collect::<Result<_, _>>()?;
        Ok(Workspace { dir, pinned })
    }
}

impl Mend {
    /// The release's package, by name and version.
    pub fn package(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Writes the mended crate to `dir`, from the release's sources.
    fn apply(&self, sources: &Path, dir: &Path) -> Result<()> {
        copy_dir(sources, dir)?;
        let version = |version: &str| format!("version = \"{version}\"");
        let new_version = [version(&self.version), version(&self.new_version)];
        replace(&dir.join("Cargo.toml"), std::slice::from_ref(&new_version))?;
        replace(&dir.join(&self.file), &self.edits)?;
        // What the compiler denies in one's own code, it lets pass in a crate from the registry.
        let mut manifest = fs::read_to_string(dir.join("Cargo.toml"))?;
        manifest += "\n[lints.rust]\nuseless_deprecated = \"warn\"\n";
        Ok(fs::write(dir.join("Cargo.toml"), manifest)?)
    }
}

/// Makes each edit once. What is to be replaced must be there.
fn replace(file: &Path, edits: &[[String; 2]]) -> Result<()> {
    let mut text = fs::read_to_string(file)?;
    for [old, new] in edits {
        if !text.contains(old.as_str()) {
            bail!("{} has no {old:?}", file.display());
        }
        text = text.replacen(old.as_str(), new, 1);
    }
    Ok(fs::write(file, text)?)
}

/// Copies a directory to a place where there is none.
fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    Command::new("cp").arg("-R").args([from, to]).run().map(drop)
}

/// Cargo in a workspace.
pub fn cargo(compiler: &Compiler, dir: &Path, subcommand: &str) -> Command {
    let mut cargo = compiler.cargo();
    cargo.arg(subcommand).current_dir(dir);
    cargo
}
