//! Which targets there are, and which of them to check.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail};
use glob::Pattern;
use serde::Deserialize;

use crate::compiler::Compiler;
use crate::run::command::CommandExt;

/// What a target's specification says, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub struct Spec {
    #[serde(default = "none")]
    pub os: String,
    #[serde(default)]
    pub env: String,
    #[serde(default = "unknown")]
    pub vendor: String,
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
pub struct Targets(BTreeMap<String, Spec>);

/// What the user asked for.
pub enum Selection {
    /// One for each operating system, environment and vendor.
    OneOfEach,
    /// The least that compiles every backend of `sys::net`.
    Quick,
    All,
    Named(Vec<String>),
}

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

impl Targets {
    pub fn of(toolchain: &Compiler) -> Result<Targets> {
        let json = Command::new(toolchain.bin("rustc"))
            .args(["-Zunstable-options", "--print=all-target-specs-json"])
            .env("RUSTC_BOOTSTRAP", "1")
            .read()?;
        Targets::parse(&json)
    }

    pub fn parse(json: &str) -> Result<Targets> {
        Ok(Targets(serde_json::from_str(json).context("rustc's target specifications are odd")?))
    }

    pub fn get(&self, name: &str) -> Result<&Spec> {
        self.0.get(name).with_context(|| {
            format!("the compiler knows no target {name}. `rustc --print target-list` lists them")
        })
    }

    /// The targets that may have a std: all whose specification does not say that they have none.
    fn with_std(&self) -> impl Iterator<Item = (&String, &Spec)> {
        self.0.iter().filter(|(_, spec)| spec.metadata.std != Some(false))
    }

    pub fn select(&self, selection: &Selection) -> Result<Vec<String>> {
        match selection {
            Selection::All => Ok(self.with_std().map(|(name, _)| name.clone()).collect()),
            Selection::OneOfEach => Ok(self.one_of_each()),
            Selection::Quick => self.named(&QUICK.map(String::from)),
            Selection::Named(names) => self.named(names),
        }
    }

    fn named(&self, names: &[String]) -> Result<Vec<String>> {
        let mut selected = BTreeSet::new();
        for name in names {
            if name.contains('*') {
                let pattern = Pattern::new(name)?;
                let all = self.with_std().map(|(name, _)| name);
                let matching: Vec<_> = all.filter(|name| pattern.matches(name)).cloned().collect();
                if matching.is_empty() {
                    bail!("{name} matches no target that may have a std");
                }
                selected.extend(matching);
            } else if self.get(name)?.metadata.std == Some(false) {
                bail!("{name} has no std: its specification says so");
            } else {
                selected.insert(name.clone());
            }
        }
        Ok(selected.into_iter().collect())
    }

    fn one_of_each(&self) -> Vec<String> {
        let mut groups = BTreeMap::<_, (_, &String)>::new();
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
        let mut names: Vec<_> = groups.into_values().map(|(_, name)| name.clone()).collect();
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

    fn select(selection: Selection) -> Result<Vec<String>> {
        Targets::parse(SPECS).unwrap().select(&selection)
    }

    #[test]
    fn all_are_those_that_may_have_a_std() {
        let all = select(Selection::All).unwrap();
        assert_eq!(all.len(), 6);
        assert!(!all.contains(&"thumbv6m-none".to_owned()));
    }

    #[test]
    fn one_of_each_is_the_best_supported() {
        assert_eq!(
            select(Selection::OneOfEach).unwrap(),
            ["aarch64-apple-darwin", "x86_64-linux", "x86_64-linux-musl"]
        );
    }

    #[test]
    fn names_are_checked() {
        let named = |name: &str| select(Selection::Named(vec![name.to_owned(); 2]));
        assert_eq!(named("s390x-linux").unwrap(), ["s390x-linux"]);
        assert!(named("s390x-linus").unwrap_err().to_string().contains("no target s390x-linus"));
        assert!(named("thumbv6m-none").unwrap_err().to_string().contains("has no std"));
    }

    #[test]
    fn names_can_be_patterns() {
        let named = |name: &str| select(Selection::Named(vec![name.into(), "s390x-linux".into()]));
        assert_eq!(
            named("*-linux*").unwrap(),
            ["aarch64-linux", "s390x-linux", "x86_64-linux", "x86_64-linux-musl"]
        );
        assert!(named("thumb*").unwrap_err().to_string().contains("thumb* matches no target"));
    }

    #[test]
    fn specification_has_defaults() {
        let targets = Targets::parse(SPECS).unwrap();
        assert_eq!(targets.get("s390x-linux").unwrap().endian, "big");
        let bare = targets.get("thumbv6m-none").unwrap();
        assert_eq!((&*bare.os, &*bare.vendor, &*bare.endian), ("none", "unknown", "little"));
    }
}
