//! Reads platforms.toml: the targets that this machine may run std's tests for.

use std::fmt;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Deserialize;

use crate::evidence::scope::Scope;

/// The program that shows calls, and Debian's package of it. Without it, calls are not looked at.
pub const TRACER: &str = "strace";

/// A target and all that it takes to build and run a test for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Platform {
    pub target: String,
    set: Set,
    /// The processor that this machine must have.
    pub processor: Option<String>,
    pub linker: String,
    /// Options of the compiler, with `{tools}` and `{made}` in them.
    #[serde(default)]
    pub rustflags: Vec<String>,
    pub runner: Runner,
    /// Whether std's own unit tests do not compile for it upstream.
    #[serde(default)]
    pub no_unit_tests: bool,
    pub needs: Vec<Need>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Set {
    Quick,
    Default,
    Further,
}

/// What executes the target's programs.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// This machine, by these words before the program, if any.
    Native(Vec<String>),
    /// An emulator of one program.
    Qemu(Vec<String>),
    Wine,
    Wasmtime,
}

/// Something that must be there before a target can be built or run.
#[derive(Clone, Deserialize)]
pub struct Need {
    /// A program on the PATH; or a file that may be at several places, `{tools}` being one.
    pub any: Vec<String>,
    #[serde(flatten)]
    pub from: Source,
}

#[derive(Clone, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A package of the installed release of Debian.
    Debian(String),
    /// A package of Debian's newest release, unpacked below build/ and not installed.
    Unpacked(String),
    /// A package of the Python registry, in an environment of its own below build/.
    Python(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Source::Debian(package) => write!(f, "apt-get install {package}"),
            Source::Unpacked(package) => write!(f, "--install, for Debian's newest {package}"),
            Source::Python(package) => write!(f, "--install, for Python's {package}"),
        }
    }
}

#[derive(Deserialize)]
struct Table {
    platform: Vec<Platform>,
}

pub fn all() -> Vec<Platform> {
    let table: Table = toml::from_str(include_str!("../../../platforms.toml"))
        .expect("platforms.toml is as it was when this was compiled and tested");
    table.platform
}

/// The platforms that are asked for.
pub fn select(scope: &Scope) -> Result<Vec<Platform>> {
    let all = all();
    let names = |sets: &[Set]| {
        let in_sets = all.iter().filter(|platform| sets.contains(&platform.set));
        in_sets.map(|platform| platform.target.as_str()).collect::<Vec<_>>()
    };
    let known = names(&[Set::Quick, Set::Default, Set::Further]);
    let [default, quick] = [names(&[Set::Quick, Set::Default]), names(&[Set::Quick])];
    let selected = scope.select(&known, &default, &quick, |name| {
        let known = known.join("\n  ");
        anyhow!("nothing is known of how to run {name} here. Known are\n  {known}")
    })?;
    Ok(all.into_iter().filter(|platform| selected.contains(&platform.target)).collect())
}

/// Debian's packages that it takes to run the tests on the quick set of platforms, with all checks.
pub fn debian_packages_of_quick_set() -> Vec<String> {
    let quick: Vec<_> = all().into_iter().filter(|platform| platform.set == Set::Quick).collect();
    let needs = quick.iter().flat_map(|platform| &platform.needs);
    let packages = needs.filter_map(|need| match &need.from {
        Source::Debian(package) => Some(package.clone()),
        _ => None,
    });
    let mut packages: Vec<_> = packages.chain([TRACER.into()]).collect();
    packages.sort();
    packages.dedup();
    packages
}

impl Platform {
    /// The file that Debian's `package` has, wherever it is.
    pub fn file_of(&self, package: &str) -> Option<&str> {
        let of_package = Source::Debian(package.into());
        let need = self.needs.iter().find(|need| need.from == of_package)?;
        need.any.iter().map(String::as_str).find(|path| Path::new(path).exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_set_has_a_big_endian_target_windows_and_a_native_one() {
        let platforms = all();
        let quick: Vec<_> = platforms.iter().filter(|p| p.set == Set::Quick).collect();
        assert!(quick.iter().any(|p| p.target.starts_with("s390x")));
        assert!(quick.iter().any(|p| matches!(p.runner, Runner::Wine)));
        assert!(quick.iter().any(|p| matches!(p.runner, Runner::Native(_))));
        let packages = debian_packages_of_quick_set();
        for package in ["gcc-s390x-linux-gnu", "musl-tools", "qemu-user", "strace", "wine64"] {
            assert_eq!(packages.iter().filter(|found| *found == package).count(), 1, "{package}");
        }
    }
}
