//! Fills a directory with a base's sources, from an archive or from a clone of rust-lang/rust.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use fs_err as fs;

use crate::base::{Archive, Base, Revert, Sources};
use crate::compiler::Compiler;
use crate::error::NotRun;
use crate::fetch;
use crate::git::{Git, UPLOAD_PACK};
use crate::out::{Step, shown};
use crate::owned::Owned;
use crate::run::{CommandExt, announce, words};

/// Fills the empty directory `destination` with the base's sources.
pub fn sources_into(
    destination: &Path,
    base: &Base,
    compiler: &Compiler,
    source: Option<&Path>,
) -> Result<()> {
    let owned = Owned { root: destination.to_owned() };
    match source {
        Some(clone) if clone.is_dir() => from_clone(&owned, clone, base)?,
        Some(file) => unpack(&owned, file, fetch::identify(file, base)?, &base.sources)?,
        None => {
            let (archive, file) = fetch::archive_of(base)?;
            unpack(&owned, &file, archive, &base.sources)?;
        }
    }
    write_stubs(destination, &base.sources, compiler)
}

/// Unpacks an archive whose hash was checked.
fn unpack(destination: &Owned, file: &Path, archive: &Archive, sources: &Sources) -> Result<()> {
    let (name, root) = (&archive.file, &archive.root);
    let (program, package, args): (_, _, &[&str]) = match Path::new(name).extension() {
        // dpkg-deb prints the tar archive in the .deb that has the files.
        Some(deb) if deb == "deb" => ("dpkg-deb", "dpkg", &["--fsys-tarfile"]),
        Some(gz) if gz == "gz" => ("gzip", "gzip", &["--decompress", "--stdout"]),
        _ => ("xz", "xz-utils", &["--decompress", "--stdout", "--threads=0"]),
    };
    for (program, package) in [(program, package), ("tar", "tar")] {
        if which::which(program).is_err() {
            Err(NotRun(format!(
                "{program}, which unpacks {name}, is missing. Install the package {package}"
            )))?;
        }
    }
    let step = Step::start(format!("unpacking {name}"));
    let mut printer = Command::new(program);
    printer.args(args).arg(file).stdout(Stdio::piped());
    announce(&printer);
    #[expect(clippy::disallowed_methods, reason = "a pipe connects two programs")]
    let mut running = printer.spawn().with_context(|| format!("cannot run `{program}`"))?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--file=-", "--no-same-owner", "--no-same-permissions"])
        .arg(format!("--strip-components={}", root.split('/').count()))
        .args(sources.exclude.iter().map(|path| format!("--exclude={root}/{}", path.display())))
        .arg("--directory")
        .args([&destination.root, Path::new(root)])
        .stdin(running.stdout.take().context("its output is a pipe")?);
    let unpacked = tar.run_quiet();
    let status = running.wait()?;
    unpacked?;
    if !status.success() {
        bail!("`{}` failed ({status})", words(&printer));
    }
    drop(step);
    match &archive.revert {
        Some(revert) => revert_patches(destination, &sources.exclude, revert),
        None => Ok(()),
    }
}

/// Copies the files of the base's commit from a clone of rust-lang/rust, with the submodules below library/. Reads only
/// the clone's objects: its branches, index and files do not matter.
fn from_clone(destination: &Owned, clone: &Path, base: &Base) -> Result<()> {
    let _step = Step::start(format!("copying Rust {} from {}", base.release, shown(clone)));
    let scratch = destination.root.join(".scratch.git");
    fs::create_dir(&scratch)?;
    let git = Git::init(&scratch, &["--bare"])?;
    let checkout = |clone: &Path, commit: &str, into: &Path| -> Result<()> {
        let clone = fs::canonicalize(clone)?;
        let mut fetch = git.command(&["fetch", "--quiet", "--depth=1", "--no-tags", UPLOAD_PACK]);
        fetch.arg(&clone).arg(commit).run_quiet()?;
        let mut checkout = git.command(&["read-tree", "--reset", "-u", commit]);
        checkout.env("GIT_WORK_TREE", into).env("GIT_INDEX_FILE", scratch.join("index"));
        checkout.run_quiet()?;
        destination.remove(&scratch.join("index"))
    };
    checkout(clone, &base.commit, &destination.root).map_err(|error| {
        anyhow!(
            "commit {0} cannot be copied from {1}:\n{error:#}\nIf the clone lacks the commit:\n  git -C {1} fetch \
             origin tag {2}\nA blobless clone must also have the commit's files",
            base.commit,
            shown(clone),
            base.release
        )
    })?;
    let entries = git.stdout_of(&["ls-tree", "-r", &base.commit, "library/"])?;
    let submodules =
        entries.lines().filter_map(|line| line.strip_prefix("160000 commit ")?.split_once('\t'));
    for (commit, path) in submodules {
        checkout(&clone.join(path), commit, &destination.root.join(path)).map_err(|error| {
            let clone = shown(clone);
            anyhow!(
                "{path} cannot be copied from {clone}:\n{error:#}\nIf the submodule is missing:\n  git -C {clone} \
                 submodule update --init {path}"
            )
        })?;
    }
    destination.remove(&scratch)?;
    base.sources
        .exclude
        .iter()
        .try_for_each(|path| destination.remove(&destination.root.join(path)))
}

/// Writes the stubs for files that the sources lack. Updates Cargo.lock if there is a crate among them.
fn write_stubs(tree: &Path, sources: &Sources, compiler: &Compiler) -> Result<()> {
    let missing = sources.stubs.iter().filter(|(name, _)| !tree.join(name).exists());
    let missing: Vec<_> = missing.collect();
    for (name, text) in &missing {
        let file = tree.join(name);
        fs::create_dir_all(file.parent().context("a file is in a directory")?)?;
        fs::write(file, text)?;
    }
    if missing.iter().any(|(name, _)| name.ends_with("Cargo.toml")) {
        update_lock_file(tree, compiler)?;
    }
    Ok(())
}

/// Applies a distribution's patches in reverse, and removes them. `excluded` are the directories that were not
/// unpacked.
fn revert_patches(tree: &Owned, excluded: &[PathBuf], revert: &Revert) -> Result<()> {
    let patches = tree.root.join(&revert.patches);
    let _step = Step::start(format!("applying {} in reverse", revert.patches.display()));
    let series = fs::read_to_string(patches.join("series"))?;
    let series = series.lines().filter(|line| !line.starts_with('#'));
    let series = series.filter_map(|line| line.split_whitespace().next());
    Git::at(&tree.root)
        .command(&["apply", "--reverse"])
        .args(revert.exclude.iter().map(|pattern| format!("--exclude={pattern}")))
        .args(excluded.iter().map(|directory| format!("--exclude={}/*", directory.display())))
        .args(series.rev().map(|patch| patches.join(patch)))
        .run_quiet()?;
    tree.remove(&patches)?;
    for file in &revert.originals {
        let file = tree.root.join(file);
        tree.rename(&file.with_added_extension("orig"), &file)
            .context("`originals` in base.toml names a file without an `.orig` in the archive")?;
    }
    Ok(())
}

/// Updates Cargo.lock for the stub crates. Otherwise cargo would, and `git status` would list the file.
fn update_lock_file(tree: &Path, compiler: &Compiler) -> Result<()> {
    let _step = Step::start("updating Cargo.lock");
    let update = |offline: &[&str]| {
        let mut cargo = compiler.cargo();
        cargo.args(["update", "--workspace"]).args(offline).current_dir(tree).run_quiet()
    };
    update(&[]).or_else(|online| update(&["--offline"]).map_err(|_| online))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_reverted_in_reverse_order() {
        // The directory is in a repository, as build/ is.
        let outer = tempfile::tempdir().unwrap();
        Git::init(outer.path(), &[]).unwrap();
        let tree = outer.path().join("tree");
        let write = |name: &str, text: &str| {
            let file = tree.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let patch = |file: &str, from: &str, to: &str| {
            format!(
                "diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{from}\n+{to}\n"
            )
        };
        write("file", "third\n");
        write("Cargo.lock", "changed");
        write("Cargo.lock.orig", "original");
        write("debian/patches/series", "# in this order\nsub/one\ntwo # why\n");
        write("debian/patches/sub/one", &patch("file", "first", "second"));
        let gone = patch("pruned/file", "a", "b") + &patch("left-out/a/file", "a", "b");
        write("debian/patches/two", &(patch("file", "second", "third") + &gone));
        let revert = Revert {
            patches: "debian/patches".into(),
            exclude: vec!["pruned/*".into()],
            originals: vec!["Cargo.lock".into()],
        };
        let owned = Owned { root: tree.clone() };
        revert_patches(&owned, &["left-out".into()], &revert).unwrap();
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "first\n");
        assert_eq!(fs::read_to_string(tree.join("Cargo.lock")).unwrap(), "original");
        assert!(!tree.join("Cargo.lock.orig").exists() && !tree.join("debian/patches").exists());

        // A patch that cannot be reverted is an error.
        write("debian/patches/series", "one\n");
        write("debian/patches/one", &patch("file", "something", "else"));
        assert!(revert_patches(&owned, &["left-out".into()], &revert).is_err());
    }
}
