//! Tells rustup of build/toolchain, and takes that back. Toolchains of that name which are not
//! ours are never touched.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::base::Base;
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name};

/// The name of a base's toolchain, unless the user gives another.
pub fn default_name(base: &Base) -> String {
    base.name_of("tcp-keepalive")
}

/// What rustup knows under a name.
enum Known {
    Nothing,
    /// A link to our toolchain.
    Ours,
    /// Something else; what it is.
    Other(String),
}

/// Registers the toolchain in `directory` under `name`.
pub fn link(name: &str, directory: &Path) -> Result<()> {
    match look_up(name, directory)? {
        Known::Ours => {}
        Known::Nothing => {
            Command::new("rustup").args(["toolchain", "link", name]).arg(directory).run()?;
        }
        Known::Other(what) => bail!(
            "rustup already has a toolchain called {name}: {what}. It was left alone. Choose \
             another name with `--link NAME`, or remove that one first with\n  rustup toolchain \
             uninstall {name}"
        ),
    }
    println!(
        "rustup knows it as {name}: in any project, `cargo +{name} run`. \
         `cargo xtask toolchain --unlink{}` undoes that",
        if name == "tcp-keepalive" { String::new() } else { format!(" {name}") }
    );
    Ok(())
}

/// Undoes [`link`]. The toolchain itself stays.
pub fn unlink(name: &str, directory: &Path) -> Result<()> {
    match look_up(name, directory)? {
        Known::Nothing => println!("rustup has no toolchain called {name}; nothing to do"),
        Known::Ours => {
            Command::new("rustup").args(["toolchain", "uninstall", name]).run()?;
            println!("rustup no longer knows {name}");
        }
        Known::Other(what) => bail!(
            "rustup's toolchain called {name} is not the one that `cargo xtask toolchain --link` \
             makes here, but {what}. It was left alone"
        ),
    }
    Ok(())
}

/// The names under which rustup knows the toolchain in `directory`.
pub fn names_of(directory: &Path) -> Result<Vec<String>> {
    let toolchains = toolchains()?;
    let mut links = if toolchains.exists() { entries(&toolchains)? } else { Vec::new() };
    links.retain(|link| fs::read_link(link).is_ok_and(|destination| destination == directory));
    Ok(links.iter().map(|link| file_name(link).into_owned()).collect())
}

/// Where rustup keeps toolchains, and links to them.
fn toolchains() -> Result<PathBuf> {
    let home = Command::new("rustup").args(["show", "home"]).read()?;
    Ok(PathBuf::from(home).join("toolchains"))
}

/// Stops if the name cannot be that of a toolchain.
pub fn require_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with(['.', '+', '-']) {
        bail!("{name:?} can't be the name of a toolchain");
    }
    Ok(())
}

fn look_up(name: &str, directory: &Path) -> Result<Known> {
    require_name(name)?;
    let entry = toolchains()?.join(name);
    let Ok(metadata) = fs::symlink_metadata(&entry) else { return Ok(Known::Nothing) };
    if !metadata.is_symlink() {
        return Ok(Known::Other(format!("an installed one, {}", entry.display())));
    }
    // Compared as it is written, because it may lead to nothing: `cargo xtask clean` removes it.
    let destination = fs::read_link(&entry)?;
    if destination == directory {
        return Ok(Known::Ours);
    }
    Ok(Known::Other(format!("a link to {}", destination.display())))
}
