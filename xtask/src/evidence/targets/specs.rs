//! Reads which targets a compiler knows, and selects those to check.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use crate::compiler::Compiler;
use crate::evidence::scope::Scope;
use crate::run::command::CommandExt;

/// What a target's specification says, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Spec {
    #[serde(default = "none")]
    os: String,
    #[serde(default)]
    env: String,
    #[serde(default = "unknown")]
    vendor: String,
    #[serde(default = "little", rename = "target-endian")]
    pub endian: String,
    #[serde(rename = "target-pointer-width")]
    pub pointer_width: u32,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Metadata {
    /// Whether the target has a std; `None` where nobody knows.
    std: Option<bool>,
    tier: Option<u8>,
}

fn none() -> String {
    "none".into()
}

fn unknown() -> String {
    "unknown".into()
}

fn little() -> String {
    "little".into()
}

/// The targets of a compiler, by name.
pub struct Specs(BTreeMap<String, Spec>);

/// A target for each backend file, and one where `libc` lacks the constant.
const QUICK: [&str; 12] = [
    "aarch64-kmc-solid_asp3",
    "aarch64-unknown-nuttx",
    "riscv32imac-unknown-xous-elf",
    "wasm32-unknown-unknown",
    "wasm32-wasip1",
    "wasm32-wasip2",
    "x86_64-apple-darwin",
    "x86_64-fortanix-unknown-sgx",
    "x86_64-pc-windows-msvc",
    "x86_64-unknown-hermit",
    "x86_64-unknown-motor",
    "x86_64-unknown-uefi",
];

impl Specs {
    pub fn of(compiler: &Compiler) -> Result<Specs> {
        let json = compiler
            .rustc()
            .args(["-Zunstable-options", "--print=all-target-specs-json"])
            .env("RUSTC_BOOTSTRAP", "1")
            .read()?;
        Specs::parse(&json)
    }

    fn parse(json: &str) -> Result<Specs> {
        Ok(Specs(serde_json::from_str(json).context("rustc's target specifications are odd")?))
    }

    pub fn get(&self, name: &str) -> Result<&Spec> {
        self.0.get(name).with_context(|| {
            format!("the compiler knows no target {name}. `rustc --print target-list` lists them")
        })
    }

    /// The targets to check.
    pub fn select(&self, scope: &Scope) -> Result<Vec<String>> {
        let all: Vec<_> = self.with_std().map(|(name, _)| name).collect();
        scope.select(&all, &self.one_of_each(), &QUICK, |name| match self.get(name) {
            Ok(_) => anyhow!("{name} has no std: its specification says so"),
            Err(error) => error,
        })
    }

    /// The targets that may have a std: all whose specification does not say that they have none.
    fn with_std(&self) -> impl Iterator<Item = (&str, &Spec)> {
        let all = self.0.iter().filter(|(_, spec)| spec.metadata.std != Some(false));
        all.map(|(name, spec)| (name.as_str(), spec))
    }

    fn one_of_each(&self) -> Vec<&str> {
        let mut groups = BTreeMap::<_, (_, &str)>::new();
        for (name, spec) in self.with_std() {
            // The best supported one, and of these the one that most people know.
            let architecture = match name.split('-').next() {
                Some("x86_64") => 0,
                Some("aarch64") => 1,
                _ => 2,
            };
            let rank = (spec.metadata.tier.unwrap_or(u8::MAX), architecture);
            let candidate = (rank, name);
            groups
                .entry((&spec.os, &spec.env, &spec.vendor))
                .and_modify(|best| *best = (*best).min(candidate))
                .or_insert(candidate);
        }
        let mut names: Vec<_> = groups.into_values().map(|(_, name)| name).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &str = r#"{
        "aarch64-apple-darwin": {"os": "macos", "vendor": "apple", "target-pointer-width": 64,
            "metadata": {"std": true, "tier": 1}},
        "x86_64-apple-darwin": {"os": "macos", "vendor": "apple", "target-pointer-width": 64,
            "metadata": {"std": true, "tier": 2}},
        "s390x-linux": {"os": "linux", "env": "gnu", "target-pointer-width": 64,
            "target-endian": "big", "metadata": {"std": true, "tier": 2}},
        "aarch64-linux": {"os": "linux", "env": "gnu", "target-pointer-width": 64,
            "metadata": {"std": true, "tier": 1}},
        "x86_64-linux": {"os": "linux", "env": "gnu", "target-pointer-width": 64,
            "metadata": {"std": true, "tier": 1}},
        "x86_64-linux-musl": {"os": "linux", "env": "musl", "target-pointer-width": 64,
            "metadata": {"std": null}},
        "thumbv6m-none": {"target-pointer-width": 32, "metadata": {"std": false, "tier": 2}}
    }"#;

    #[test]
    fn all_are_those_that_may_have_a_std() {
        let specs = Specs::parse(SPECS).unwrap();
        let all: Vec<_> = specs.with_std().map(|(name, _)| name).collect();
        assert_eq!(all.len(), 6);
        assert!(!all.contains(&"thumbv6m-none"));
    }

    #[test]
    fn one_of_each_is_the_best_supported() {
        let specs = Specs::parse(SPECS).unwrap();
        let expected = ["aarch64-apple-darwin", "x86_64-linux", "x86_64-linux-musl"];
        assert_eq!(specs.one_of_each(), expected);
    }

    #[test]
    fn specification_has_defaults() {
        let specs = Specs::parse(SPECS).unwrap();
        assert_eq!(specs.get("s390x-linux").unwrap().endian, "big");
        let bare = specs.get("thumbv6m-none").unwrap();
        assert_eq!((&*bare.os, &*bare.vendor, &*bare.endian), ("none", "unknown", "little"));
    }
}
