//! Type-checks one crate and its dependencies with one std.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::{Message, Metadata, MetadataCommand, Package};
use fs_err as fs;
use xtask::compiler::Compiler;
use xtask::git::Git;
use xtask::owned::file_name;
use xtask::run::CommandExt;
use xtask::store::patches_in;

use super::manifest::Crate;
use crate::diagnostic::{last_lines, registry};
use crate::suite::Place;

/// Runs cargo for one crate.
pub struct Checker<'a> {
    place: &'a Place,
    compiler: &'a Compiler,
    krate: Crate,
    /// `--locked`, or the option that replaces `mio`.
    option: String,
    /// The crate and its dependencies.
    metadata: Metadata,
}

#[derive(Default)]
pub struct Checked {
    pub built: bool,
    pub errors: BTreeSet<Found>,
    /// The warnings `unstable_name_collisions` about the methods.
    pub collisions: BTreeSet<Found>,
}

/// A compiler's message about a package.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Found {
    /// The package's name and version.
    pub package: String,
    /// The first line of the message, and the place in the source.
    pub text: String,
}

impl<'a> Checker<'a> {
    /// Downloads the crate and its dependencies.
    pub fn new(place: &'a Place, compiler: &'a Compiler, krate: &Crate) -> Result<Checker<'a>> {
        Checker::resolve(place, compiler, krate.clone(), "--locked".into())
    }

    fn resolve(
        place: &'a Place,
        compiler: &'a Compiler,
        krate: Crate,
        option: String,
    ) -> Result<Checker<'a>> {
        let mut cargo = cargo(compiler, "metadata", &krate, &option);
        cargo.args(["--format-version=1", "--filter-platform", &compiler.host]);
        let metadata = MetadataCommand::parse(cargo.stdout_of()?)?;
        Ok(Checker { place, compiler, krate, option, metadata })
    }

    /// Replaces the published `mio` 0.6 by a copy to which `patches/mio-0.6/` is applied.
    pub fn patch_mio(self) -> Result<Checker<'a>> {
        let (project, dir) = (self.place.project(), self.place.dir().join("patched"));
        let is_mio = |p: &&Package| p.name == "mio" && p.version.to_string().starts_with("0.6.");
        let published = self.metadata.packages.iter().find(is_mio);
        let published = published.context("the crate does not depend on mio 0.6")?;
        let published = published.manifest_path.parent().context("a file is in a directory")?;
        project.build.remove(&dir)?;
        // cargo writes the new mio to the lock file, so the package is copied.
        let package = dir.join(file_name(&self.krate.package));
        fs::create_dir_all(&package)?;
        for file in ["Cargo.toml", "Cargo.lock", "../lib.rs"] {
            fs::copy(self.krate.package.join(file), package.join(file))?;
        }
        let mio = dir.join("mio");
        Command::new("cp").arg("-R").arg(published).arg(&mio).run_quiet()?;
        for patch in patches_in(&project.root.join("patches/mio-0.6"))? {
            Git::at(&mio).run(&["apply", patch.to_str().context("the path is not UTF-8")?])?;
        }
        let option = format!("--config=patch.crates-io.mio.path={:?}", mio.display().to_string());
        Checker::resolve(self.place, self.compiler, Crate { package, ..self.krate }, option)
    }

    /// Returns the crate's name and version.
    pub fn title(&self) -> Result<String> {
        let resolve = self.metadata.resolve.as_ref().context("cargo resolved nothing")?;
        let root = resolve.root.as_ref().context("cargo names no package")?;
        match &resolve[root].dependencies[..] {
            [krate] => Ok(title(&self.metadata[krate])),
            others => bail!("{} enables {} dependencies", self.krate.feature, others.len()),
        }
    }

    /// Type-checks the crate with the std in `sysroot`.
    pub fn check(&self, sysroot: &Path) -> Result<Checked> {
        // cargo caps the lints of published crates, but not those of the patched mio, whose source is a path.
        let sysroot = format!("--sysroot={}", sysroot.display());
        let flags = [&sysroot, "--force-warn=unstable_name_collisions", "--cap-lints=warn"];
        let mut cargo = cargo(self.compiler, "check", &self.krate, &self.option);
        cargo
            .args(["--keep-going", "--message-format=json", "--target-dir"])
            .arg(self.place.dir().join("target"))
            // Build scripts and macros run on this machine: they get the compiler's own std.
            .args(["--target", &self.compiler.host])
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        let output = self.place.run(&mut cargo, 60 * 60)?;
        let mut checked = Checked { built: output.status.success(), ..Checked::default() };
        for line in Message::parse_stream(&*output.stdout) {
            let Message::CompilerMessage(line) = line? else { continue };
            let (message, package) = (line.message, title(&self.metadata[&line.package_id]));
            let rendered = message.rendered.unwrap_or_default();
            let is_lint = message.code.is_some_and(|code| code.code == "unstable_name_collisions");
            let found = Found { package, text: text(&rendered) };
            match message.level {
                // This error only counts the errors of a crate.
                _ if message.message.starts_with("aborting due to") => false,
                DiagnosticLevel::Error | DiagnosticLevel::Ice => checked.errors.insert(found),
                _ if is_lint && rendered.contains("keepalive") => checked.collisions.insert(found),
                _ => false,
            };
        }
        if !checked.built && checked.errors.is_empty() {
            bail!("cargo failed without an error of the compiler:\n{}", last_lines(&output.stderr));
        }
        Ok(checked)
    }
}

/// Returns `cargo SUBCOMMAND` for a crate.
fn cargo(compiler: &Compiler, subcommand: &str, krate: &Crate, option: &str) -> Command {
    let mut cargo = compiler.cargo();
    cargo.args([subcommand, "--features", &krate.feature, option]).current_dir(&krate.package);
    cargo
}

fn title(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}

/// Returns the message's first line and the place in the source. Paths in the registry begin with the package.
fn text(rendered: &str) -> String {
    let arrow = rendered.lines().find(|line| line.trim_start().starts_with("--> "));
    let text = rendered.lines().take(1).chain(arrow).collect::<Vec<_>>().join("\n");
    let path = arrow.and_then(|line| line.split_once("--> ")).map_or("", |(_, path)| path);
    registry(path).map_or(text.clone(), |registry| text.replace(registry, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_do_not_depend_on_the_machine() {
        let rendered = "error[E0599]: no method for `{async block@/my h/registry/src/i-0/a-1/src/b.rs:9}`\n   \
                        --> /my h/registry/src/i-0/a-1/src/c.rs:10:5\n    |\n 10 |     boxed()\n";
        let expected =
            "error[E0599]: no method for `{async block@a-1/src/b.rs:9}`\n   --> a-1/src/c.rs:10:5";
        assert_eq!(text(rendered), expected);
        assert_eq!(
            text("error: no\n --> a/src/lib.rs:1:5\n |\n"),
            "error: no\n --> a/src/lib.rs:1:5"
        );
    }
}
