//! Makes a tree that bootstrap accepts from an archive or a checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::{Archive, Base, Mend, TakeBack, archive};
use crate::compiler::Compiler;
use crate::run::command::{CommandExt, words};
use crate::run::git::Git;
use crate::run::ownership;
use crate::say::failure::NotRun;
use crate::say::progress::Step;

/// Fills the empty directory `destination` with the base's sources.
pub fn base_into(
    destination: &Path,
    base: &Base,
    compiler: &Compiler,
    source: Option<&Path>,
) -> Result<()> {
    match source {
        Some(directory) if directory.is_dir() => take_from_clone(directory, base, destination)?,
        Some(file) => unpack(file, archive::identify(file, base)?, &base.mend, destination)?,
        None => {
            let archive = archive::obtain(base)?;
            unpack(&archive.path()?, archive, &base.mend, destination)?;
        }
    }
    mend(destination, &base.mend, compiler)
}

/// Unpacks an archive whose hash was checked, so it holds what it held when its hash was put down.
fn unpack(file: &Path, archive: &Archive, mend: &Mend, destination: &Path) -> Result<()> {
    let Archive { file: name, root, .. } = archive;
    let (program, package, args): (_, _, &[&str]) = match Path::new(name).extension() {
        // A .deb is an archive of archives; this prints the one with the files.
        Some(deb) if deb == "deb" => ("dpkg-deb", "dpkg", &["--fsys-tarfile"]),
        Some(gz) if gz == "gz" => ("gzip", "gzip", &["--decompress", "--stdout"]),
        _ => ("xz", "xz-utils", &["--decompress", "--stdout", "--threads=0"]),
    };
    for (program, package) in [(program, package), ("tar", "tar")] {
        if which::which(program).is_err() {
            Err(NotRun(format!("{name} is unpacked by {program}; install the package {package}")))?;
        }
    }
    let step = Step::start(format!("unpacking {name}"));
    extract(Command::new(program).args(args).arg(file), root, mend, destination)?;
    step.done();
    match &archive.take_back {
        Some(how) => take_back(destination, &mend.leave_out, how),
        None => Ok(()),
    }
}

/// Has tar unpack the archive that a program prints, from its directory `root` on.
fn extract(printer: &mut Command, root: &str, mend: &Mend, destination: &Path) -> Result<()> {
    let mut running = printer.stdout(Stdio::piped()).start()?;
    let mut tar = Command::new("tar");
    // Cargo tells by its time whether a file changed, so each file is as new as this tree.
    tar.args(["--extract", "--file=-", "-m", "--no-same-owner", "--no-same-permissions"])
        .arg(format!("--strip-components={}", root.split('/').count()))
        .args(mend.leave_out.iter().map(|path| format!("--exclude={root}/{}", path.display())))
        .arg("--directory")
        .args([destination, Path::new(root)])
        .stdin(running.stdout.take().expect("its output is a pipe"));
    let unpacked = tar.run();
    let status = running.wait()?;
    unpacked.and_then(|_| match status.success() {
        true => Ok(()),
        false => bail!("`{}` failed ({status})", words(printer)),
    })
}

/// Takes the base's commit out of a clone of rust-lang/rust, whatever is checked out there.
fn take_from_clone(clone: &Path, base: &Base, destination: &Path) -> Result<()> {
    let step = Step::start(format!("copying Rust {} from {}", base.release, clone.display()));
    // std is built with the submodules under library/; those elsewhere stay behind.
    let list = ["ls-tree", "-r", &base.commit, "library/"];
    let entries = Git::at(clone).read(&list).with_context(|| {
        format!(
            "{} has no commit {}. There:\n  git fetch origin tag {}\n",
            clone.display(),
            base.commit,
            base.release
        )
    })?;
    let submodules = entries.lines().filter_map(|line| {
        let (commit, path) = line.strip_prefix("160000 commit ")?.split_once('\t')?;
        Some((commit, path, format!("tree/{path}/")))
    });
    for (commit, path, prefix) in
        [(&*base.commit, "", "tree/".to_owned())].into_iter().chain(submodules)
    {
        let git = Git::at(&clone.join(path));
        let archive = ["archive", "--format=tar", &format!("--prefix={prefix}"), commit];
        extract(&mut git.command(&archive), "tree", &base.mend, destination).with_context(|| {
            format!(
                "{} lacks what Rust {} has there. With that checked out:\n  git submodule update --init\n",
                clone.join(path).display(),
                base.release
            )
        })?;
    }
    step.done();
    Ok(())
}

/// Puts in what the archive lacks and bootstrap insists on.
fn mend(tree: &Path, mend: &Mend, compiler: &Compiler) -> Result<()> {
    let mut missing: Vec<_> = mend.files.iter().collect();
    missing.retain(|(name, _)| !tree.join(name).exists());
    for (name, text) in &missing {
        let file = tree.join(name);
        fs::create_dir_all(file.parent().expect("a file has a parent"))?;
        fs::write(file, text)?;
    }
    if missing.iter().any(|(name, _)| name.ends_with("Cargo.toml")) {
        update_lock_file(tree, compiler)?;
    }
    Ok(())
}

/// Applies the patches in reverse, but for what was left out of the tree, and removes them.
fn take_back(tree: &Path, leave_out: &[PathBuf], take_back: &TakeBack) -> Result<()> {
    let patches = tree.join(&take_back.patches);
    let step = Step::start(format!("taking back {}", take_back.patches.display()));
    let series = fs::read_to_string(patches.join("series"))?;
    let series = series.lines().filter(|line| !line.starts_with('#'));
    let series = series.filter_map(|line| line.split_whitespace().next());
    Git::at(tree)
        .command(&["apply", "--reverse"])
        .args(take_back.except.iter().map(|pattern| format!("--exclude={pattern}")))
        .args(leave_out.iter().map(|directory| format!("--exclude={}/*", directory.display())))
        .args(series.rev().map(|patch| patches.join(patch)))
        // In the repository that build/ is in, git would take the paths from that one's top.
        .env("GIT_CEILING_DIRECTORIES", tree.parent().expect("a tree is in a directory"))
        .run()?;
    ownership::discard(&patches)?;
    for file in &take_back.originals {
        let file = tree.join(file);
        ownership::discard(&file)?;
        ownership::settle(&file.with_added_extension("orig"), &file)
            .context("`originals` in base.toml names a file that the archive lacks")?;
    }
    step.done();
    Ok(())
}

/// Brings Cargo.lock up to date with the crates in whose place others stand. Cargo would do so on
/// first use; done here, the tree is clean afterwards.
fn update_lock_file(tree: &Path, compiler: &Compiler) -> Result<()> {
    let step = Step::start("bringing Cargo.lock up to date");
    let update = |offline: &[&str]| {
        compiler.cargo().args(["update", "--workspace"]).args(offline).current_dir(tree).run()
    };
    update(&[]).or_else(|online| update(&["--offline"]).map_err(|_| online))?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::lock;

    #[test]
    fn takes_patches_back_in_reverse_order() {
        // In a repository, as build/ is.
        let outer = tempfile::tempdir().unwrap();
        let _lock = lock::acquire(&outer.path().join("lock"), "a test").unwrap();
        Git::at(outer.path()).run(&["init", "--quiet"]).unwrap();
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
        let how = TakeBack {
            patches: "debian/patches".into(),
            except: vec!["pruned/*".into()],
            originals: vec!["Cargo.lock".into()],
        };
        take_back(&tree, &["left-out".into()], &how).unwrap();
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "first\n");
        assert_eq!(fs::read_to_string(tree.join("Cargo.lock")).unwrap(), "original");
        assert!(!tree.join("Cargo.lock.orig").exists() && !tree.join("debian/patches").exists());

        // A patch that does not come off means another archive than base.toml describes.
        write("debian/patches/series", "one\n");
        write("debian/patches/one", &patch("file", "something", "else"));
        assert!(take_back(&tree, &["left-out".into()], &how).is_err());
    }
}
