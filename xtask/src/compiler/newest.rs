//! Upstream's own compilers with the methods: 1.97 and later, where one is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use fs_err as fs;

use crate::compiler::Compiler;
use crate::run::command::CommandExt;

/// The first release whose std has the methods.
const SINCE: (u32, u32) = (1, 97);

/// What to install where there is none.
pub const INSTALL: &str = "rustup toolchain install nightly --profile minimal";

/// The newest compiler that rustup knows and that has the methods. Those that this tool made, in
/// `own`, are no upstream's.
pub fn newest(own: &Path) -> Result<Option<Compiler>> {
    let list = Command::new("rustup").args(["toolchain", "list"]).read()?;
    let mut found: Option<((u32, u32), Compiler)> = None;
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let which = Command::new("rustup").args(["which", "--toolchain", name, "rustc"]).read();
        // What is registered need not work: a link may lead to nothing.
        let Ok(rustc) = which else { continue };
        let Ok(rustc) = fs::canonicalize(PathBuf::from(rustc)) else { continue };
        let Some(sysroot) = rustc.parent().and_then(Path::parent) else { continue };
        if sysroot.starts_with(own) {
            continue;
        }
        let Ok(toolchain) = Compiler::at(sysroot.to_owned()) else { continue };
        let Some(version) = version(toolchain.version_field("release")?) else { continue };
        if version >= SINCE && found.as_ref().is_none_or(|(newest, _)| version > *newest) {
            found = Some((version, toolchain));
        }
    }
    Ok(found.map(|(_, toolchain)| toolchain))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(version("1.97.0-nightly"), Some((1, 97)));
        assert_eq!(version("1.102.3"), Some((1, 102)));
        assert_eq!(version("unknown"), None);
        assert!(version("1.96.0-nightly") < Some(SINCE));
    }
}
