//! Reads which targets a compiler knows.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use xtask::compiler::Compiler;
use xtask::run::command::CommandExt;

/// What a target's specification says, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Spec {
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
}

fn little() -> String {
    "little".into()
}

/// The targets of a compiler, by name.
pub struct Specs(BTreeMap<String, Spec>);

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

    /// The targets that may have a std: all whose specification does not say that they have none.
    pub fn with_std(&self) -> impl Iterator<Item = String> {
        let all = self.0.iter().filter(|(_, spec)| spec.metadata.std != Some(false));
        all.map(|(name, _)| name.clone())
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
        let all: Vec<_> = specs.with_std().collect();
        assert_eq!(all.len(), 6);
        assert!(!all.contains(&"thumbv6m-none".into()));
    }

    #[test]
    fn specification_has_defaults() {
        let specs = Specs::parse(SPECS).unwrap();
        assert_eq!(specs.get("s390x-linux").unwrap().endian, "big");
        let bare = specs.get("thumbv6m-none").unwrap();
        assert_eq!((&*bare.endian, bare.pointer_width), ("little", 32));
    }
}
