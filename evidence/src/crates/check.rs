//! Type-checks one crate of the table, with all that it depends on, against one std.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use xtask::compiler::Compiler;
use xtask::run::command::CommandExt;

use super::table::{Crate, Table};
use crate::diagnostic::{self, Diagnostic, ending};

/// A place to check the crates of one workspace in, one after the other.
pub struct Checker<'a> {
    compiler: &'a Compiler,
    /// Where the workspace is.
    dir: PathBuf,
    target_dir: PathBuf,
    metadata: Metadata,
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
        let target_dir = dir.join("target");
        let dir = dir.join(workspace);
        table.lay_out(workspace, compiler, &dir)?;
        let mut cargo = compiler.cargo();
        cargo.args(["metadata", "--format-version=1", "--offline", "--locked"]);
        cargo.args(["--filter-platform", &compiler.host]).current_dir(&dir);
        let metadata = MetadataCommand::parse(cargo.read()?)?;
        Ok(Checker { compiler, dir, target_dir, metadata })
    }

    /// The crate's name and version.
    pub fn package(&self, krate: &Crate) -> Result<String> {
        let member = krate.member();
        let mut members = self.metadata.packages.iter().filter(|p| *p.name == member);
        let member = members.next().context("cargo does not know the crate's user")?;
        let resolve = self.metadata.resolve.as_ref().context("cargo resolved nothing")?;
        Ok(title(&self.metadata[&resolve[&member.id].dependencies[0]]))
    }

    /// Checks it against the std in `sysroot`.
    pub fn check(&self, krate: &Crate, sysroot: &Path) -> Result<Outcome> {
        let Checker { compiler, dir, target_dir, metadata } = self;
        let output = compiler
            .cargo()
            .args(["check", "--offline", "--locked", "--keep-going", "--message-format=json"])
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
            let package = &metadata[package];
            let directory =
                package.manifest_path.parent().context("a manifest is in a directory")?;
            let text = text(&diagnostic.rendered, directory.as_std_path());
            let found = Found { package: title(package), text };
            if diagnostic.is_error() {
                outcome.errors.insert(found);
            } else if collides(&diagnostic) {
                outcome.collisions.insert(found);
            }
        }
        if !outcome.built && outcome.errors.is_empty() {
            bail!("cargo failed without an error of the compiler:\n{}", ending(&output.stderr));
        }
        Ok(outcome)
    }
}

fn title(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}

/// The message's first line and its place, with paths from the package's directory on.
fn text(rendered: &str, package: &Path) -> String {
    let arrow = rendered.lines().find(|line| line.trim_start().starts_with("--> "));
    let text = rendered.lines().take(1).chain(arrow).collect::<Vec<_>>().join("\n");
    // All packages of a registry are in the same directory.
    let above = package.parent().unwrap_or(package).display();
    text.replace(&format!("{above}/"), "")
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
        let rendered = "error[E0599]: no method for `{async block@/h/src/i-0/a-1/src/b.rs:9}`\n   \
                        --> /h/src/i-0/a-1/src/c.rs:10:5\n    |\n 10 |     boxed()\n";
        assert_eq!(
            text(rendered, Path::new("/h/src/i-0/a-1")),
            "error[E0599]: no method for `{async block@a-1/src/b.rs:9}`\n   --> a-1/src/c.rs:10:5"
        );
        assert_eq!(
            text("error: linking failed", Path::new("/h/src/i-0/a-1")),
            "error: linking failed"
        );
    }
}
