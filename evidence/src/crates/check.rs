//! Type-checks one crate of the table, with all that it depends on, against one std.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::PackageId;
use xtask::compiler::Compiler;
use xtask::run::command::CommandExt;

use super::table::{Crate, Table};
use crate::diagnostic::{self, Diagnostic, ending, registry};

/// A place to check the crates of one workspace in, one after the other.
pub struct Checker<'a> {
    compiler: &'a Compiler,
    /// Where the workspace is.
    dir: PathBuf,
    target_dir: PathBuf,
    /// Where the table is, and beside it the crates that were made up.
    beside: PathBuf,
}

#[derive(Default)]
pub struct Outcome {
    /// Whether the crate was checked to its end.
    pub built: bool,
    pub errors: BTreeSet<Found>,
    /// Calls that the lint `unstable_name_collisions` warns of, because of this feature.
    pub collisions: BTreeSet<Found>,
}

/// A compiler's message about a package.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Found {
    /// The package's name and version.
    pub package: String,
    /// What the message begins with, and where it points to.
    pub text: String,
}

impl<'a> Checker<'a> {
    pub fn new(
        compiler: &'a Compiler,
        table: &Table,
        workspace: &str,
        dir: &Path,
    ) -> Result<Checker<'a>> {
        let (target_dir, dir) = (dir.join("target"), dir.join(workspace));
        table.lay_out(workspace, compiler, &dir)?;
        Ok(Checker { compiler, dir, target_dir, beside: table.dir.clone() })
    }

    /// The crate's name and version.
    pub fn package(&self, krate: &Crate) -> Result<String> {
        let mut cargo = self.compiler.cargo();
        cargo.args(["tree", "--offline", "--locked", "--depth=1", "--prefix=none", "--package"]);
        let tree = cargo.arg(krate.member()).current_dir(&self.dir).read()?;
        // `mio v0.6.23`, below the package that depends on it
        let crate_in_tree = tree.lines().nth(1).and_then(|line| line.split_once(" v"));
        let (name, version) = crate_in_tree.context("cargo names no dependency")?;
        Ok(format!("{name} {}", version.split(' ').next().unwrap_or_default()))
    }

    /// Checks it against the std in `sysroot`.
    pub fn check(&self, krate: &Crate, sysroot: &Path) -> Result<Outcome> {
        let Checker { compiler, dir, target_dir, beside } = self;
        let output = compiler
            .cargo()
            // It downloads what this crate needs, and not all that the workspace's lock file names.
            .args(["check", "--locked", "--keep-going", "--message-format=json"])
            // So much that cargo does not silence the warnings of dependencies either.
            .arg("-vv")
            // Build scripts and macros run on this machine: they are compiled with the compiler's own std.
            .args(["--target", &compiler.host, "--package", &krate.member(), "--target-dir"])
            .arg(target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", format!("--sysroot\x1f{}", sysroot.display()))
            .current_dir(dir)
            .answer()?;
        let mut outcome = Outcome { built: output.status.success(), ..Outcome::default() };
        for diagnostic in diagnostic::read(&output.stdout, dir).diagnostics {
            let package = diagnostic.package.as_ref().context("cargo named no package")?;
            let text = text(&diagnostic.rendered, beside);
            let found = Found { package: title(package), text };
            if diagnostic.is_error() {
                outcome.errors.insert(found);
            } else if collides(&diagnostic) {
                outcome.collisions.insert(found);
            }
        }
        if !outcome.built && outcome.errors.is_empty() {
            bail!(
                "cargo failed without an error of the compiler. If crates.toml was changed, delete the lock \
                 file of this crate's workspace beside it:\n{}",
                ending(&output.stderr)
            );
        }
        Ok(outcome)
    }
}

/// The package's name and version. As cargo has it, `SOURCE#NAME@VERSION`, or without the name where the
/// source ends in it.
fn title(package: &PackageId) -> String {
    let (source, end) = package.repr.split_once('#').unwrap_or(("", &package.repr));
    let in_source = || (source.rsplit('/').next().unwrap_or_default(), end);
    let (name, version) = end.split_once('@').unwrap_or_else(in_source);
    format!("{name} {version}")
}

/// The message's first line and its place, with paths from the package's directory on: packages are in a
/// registry's directory, or beside the table.
fn text(rendered: &str, beside: &Path) -> String {
    let arrow = rendered.lines().find(|line| line.trim_start().starts_with("--> "));
    let text = rendered.lines().take(1).chain(arrow).collect::<Vec<_>>().join("\n");
    let path = arrow.and_then(|line| line.split_once("--> ")).map_or("", |(_, path)| path);
    text.replace(registry(path).unwrap_or(&format!("{}/", beside.display())), "")
}

/// Whether the warning is about a call that the methods will take over.
fn collides(diagnostic: &Diagnostic) -> bool {
    diagnostic.identity.code.as_deref() == Some("unstable_name_collisions")
        && diagnostic.rendered.contains("keepalive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_what_depends_on_the_machine() {
        let rendered = "error[E0599]: no method for `{async block@/my h/registry/src/i-0/a-1/src/b.rs:9}`\n   \
                        --> /my h/registry/src/i-0/a-1/src/c.rs:10:5\n    |\n 10 |     boxed()\n";
        let said = text(rendered, Path::new("/crates"));
        let expected =
            "error[E0599]: no method for `{async block@a-1/src/b.rs:9}`\n   --> a-1/src/c.rs:10:5";
        assert_eq!(said, expected);
        let said = text("error: no\n --> /crates/made-up/a/lib.rs:1:5\n", Path::new("/crates"));
        assert_eq!(said, "error: no\n --> made-up/a/lib.rs:1:5");
    }

    #[test]
    fn packages_have_names_and_versions() {
        for (id, expected) in [
            ("registry+https://registry.example/index#mio@0.6.23", "mio 0.6.23"),
            ("path+file:///crates/made-up/same-type#0.1.0", "same-type 0.1.0"),
        ] {
            assert_eq!(title(&PackageId { repr: id.into() }), expected);
        }
    }
}
