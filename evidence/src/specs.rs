//! Reads the specifications of the targets that a compiler knows.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use xtask::compiler::Compiler;
use xtask::run::CommandExt;

/// The specifications of a compiler's targets, by name.
pub struct Specs(BTreeMap<String, Value>);

impl Specs {
    pub fn of(compiler: &Compiler) -> Result<Specs> {
        let json = compiler
            .rustc()
            .args(["-Zunstable-options", "--print=all-target-specs-json"])
            .env("RUSTC_BOOTSTRAP", "1")
            .stdout_of()?;
        Specs::parse(&json)
    }

    fn parse(json: &str) -> Result<Specs> {
        Ok(Specs(
            serde_json::from_str(json).context("rustc's target specifications cannot be read")?,
        ))
    }

    /// Returns the order of bytes and the width of pointers, such as `big, 64`.
    pub fn kind(&self, target: &str) -> Result<String> {
        let spec = self.0.get(target).with_context(|| {
            format!("the compiler knows no target {target}. `rustc --print target-list` lists them")
        })?;
        // A specification names the order only if it is not the default.
        let endian = spec["target-endian"].as_str().unwrap_or("little");
        let width =
            spec["target-pointer-width"].as_u64().context("a target has no pointer width")?;
        Ok(format!("{endian}, {width}"))
    }

    /// Returns the targets that may have a std: those whose specification does not say that they have none.
    pub fn with_std(&self) -> impl Iterator<Item = &str> {
        let all = self.0.iter().filter(|(_, spec)| spec["metadata"]["std"] != false);
        all.map(|(name, _)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_may_have_a_std_unless_it_says_no() {
        let specs = r#"{
            "aarch64-apple-darwin": {"target-pointer-width": 64, "metadata": {"std": true}},
            "s390x-linux": {"target-pointer-width": 64, "target-endian": "big", "metadata": {"std": null}},
            "thumbv6m-none": {"target-pointer-width": 32, "metadata": {"std": false, "tier": 2}},
            "x86_64-linux": {"target-pointer-width": 64}
        }"#;
        let specs = Specs::parse(specs).unwrap();
        let all: Vec<_> = specs.with_std().collect();
        assert_eq!(all, ["aarch64-apple-darwin", "s390x-linux", "x86_64-linux"]);
        let kinds = ["s390x-linux", "thumbv6m-none"].map(|target| specs.kind(target).unwrap());
        assert_eq!(kinds, ["big, 64", "little, 32"]);
        assert!(specs.kind("none").is_err());
    }
}
