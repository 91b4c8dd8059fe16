//! Reads the manifests in `evidence/crates/`. Each crate to check is an optional dependency there, and has a
//! row in the table `[package.metadata.crates]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Deserialize;
use serde::de::IgnoredAny;
use xtask::out::shown;
use xtask::owned::entries;

/// A crate to check.
#[derive(Clone)]
pub struct Crate {
    /// The directory of the package that has the dependency.
    pub package: PathBuf,
    /// The name of the dependency, which is the feature that enables it.
    pub feature: String,
    pub row: Row,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The reason to check the crate.
    pub why: String,
    #[serde(default)]
    pub quick: bool,
    /// The expected verdict.
    #[serde(default)]
    pub expect: Verdict,
    /// The expected verdict with the patched `mio`. Without this key, only the published `mio` is used.
    pub patched: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The crate compiles with the std of the series.
    #[default]
    Same,
    /// The crate compiles with the std of the base, and not with the std of the series.
    Breaks,
    /// The crate compiles with neither std.
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

#[derive(Deserialize)]
struct Manifest {
    package: Package,
    dependencies: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Package {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    crates: BTreeMap<String, Row>,
}

/// Returns the crates of all packages in `dir`.
pub fn read_all(dir: &Path) -> Result<Vec<Crate>> {
    let mut crates = Vec::new();
    for package in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        let file = package.join("Cargo.toml");
        let rows = parse(&fs::read_to_string(&file)?).with_context(|| shown(&file))?;
        let krate = |(feature, row)| Crate { package: package.clone(), feature, row };
        crates.extend(rows.into_iter().map(krate));
    }
    Ok(crates)
}

/// Returns the rows of a manifest by feature.
fn parse(manifest: &str) -> Result<BTreeMap<String, Row>> {
    let Manifest { package, dependencies } = toml::from_str(manifest)?;
    let rows = package.metadata.crates;
    if rows.is_empty() {
        bail!("[package.metadata.crates] has no rows");
    }
    let [features, names] = [dependencies.keys().collect(), rows.keys().collect::<BTreeSet<_>>()];
    if let Some(name) = features.symmetric_difference(&names).next() {
        bail!("{name} is in only one of [dependencies] and [package.metadata.crates]");
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = 'p'\n[dependencies]\n\
        mio-0_6 = { package = 'mio', version = '0.6', optional = true }\n\
        [package.metadata.crates]\nmio-0_6 = { why = 'a test', expect = 'not-built' }\n";

    #[test]
    fn rows_have_an_expected_verdict() {
        let row = &parse(MANIFEST).unwrap()["mio-0_6"];
        assert_eq!((&*row.why, row.expect, row.patched), ("a test", Verdict::NotBuilt, None));
        let row = &parse(&MANIFEST.replace(", expect = 'not-built'", "")).unwrap()["mio-0_6"];
        assert_eq!((row.expect, row.quick), (Verdict::Same, false));
    }

    #[test]
    fn invalid_manifests_are_refused() {
        for (right, wrong, error) in [
            ("expect", "expects", "unknown field `expects`"),
            ("not-built", "broken", "unknown variant `broken`"),
            ("metadata.crates", "metadata.crate", "unknown field `crate`"),
            ("mio-0_6 = { why", "mio-0_5 = { why", "mio-0_5 is in only one of"),
            ("mio-0_6 = { why = 'a test', expect = 'not-built' }", "", "has no rows"),
        ] {
            let found = parse(&MANIFEST.replace(right, wrong)).map(drop).unwrap_err();
            assert!(format!("{found:#}").contains(error), "{found:#}");
        }
    }
}
