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
        Ok(Specs(serde_json::from_str(json).context("cannot parse rustc's target specifications")?))
    }

    /// Returns the endianness and the width of pointers, such as `big, 64`.
    pub fn endian_and_width(&self, target: &str) -> Result<String> {
        let spec = self.0.get(target).with_context(|| {
            format!("the compiler knows no target {target}. `rustc --print target-list` lists its targets")
        })?;
        // A specification names the endianness only if it is not the default.
        let endian = spec["target-endian"].as_str().unwrap_or("little");
        let width = spec["target-pointer-width"]
            .as_u64()
            .with_context(|| format!("the target-pointer-width of {target} is not a number"))?;
        Ok(format!("{endian}, {width}"))
    }

    /// Returns the targets that may have a std. In the specification of a target that has none, `metadata.std` is
    /// `false`.
    pub fn with_std(&self) -> impl Iterator<Item = &str> {
        let specs = self.0.iter().filter(|(_, spec)| spec["metadata"]["std"] != false);
        specs.map(|(name, _)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &str = r#"{
        "aarch64-apple-darwin": {"target-pointer-width": 64, "metadata": {"std": true}},
        "s390x-linux": {"target-pointer-width": 64, "target-endian": "big", "metadata": {"std": null}},
        "thumbv6m-none": {"target-pointer-width": 32, "metadata": {"std": false, "tier": 2}},
        "x86_64-linux": {"target-pointer-width": 64}
    }"#;

    #[test]
    fn targets_without_std_are_left_out() {
        let specs = Specs::parse(SPECS).unwrap();
        let names: Vec<_> = specs.with_std().collect();
        assert_eq!(names, ["aarch64-apple-darwin", "s390x-linux", "x86_64-linux"]);
    }

    #[test]
    fn missing_endianness_is_little() {
        let specs = Specs::parse(SPECS).unwrap();
        assert_eq!(specs.endian_and_width("s390x-linux").unwrap(), "big, 64");
        assert_eq!(specs.endian_and_width("thumbv6m-none").unwrap(), "little, 32");
        assert!(specs.endian_and_width("none").is_err());
    }
}
