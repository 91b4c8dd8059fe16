//! From an archive or a checkout to a tree that bootstrap accepts.

use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::archive;
use crate::base::project::Project;
use crate::base::{Base, Mend};
use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::git::Git;
use crate::say::progress::Step;

/// Fills the empty directory `destination` with the base's sources.
pub fn base_into(
    destination: &Path,
    project: &Project,
    base: &Base,
    toolchain: &Compiler,
    source: Option<&Path>,
) -> Result<()> {
    match source {
        Some(directory) if directory.is_dir() => copy_checkout(directory, base, destination)?,
        Some(file) => {
            archive::check_users(file, base)?;
            unpack(file, &base.mend, destination)?;
        }
        None => unpack(&archive::obtain(project, base)?, &base.mend, destination)?,
    }
    mend(destination, &base.mend, toolchain)
}

fn unpack(archive: &Path, mend: &Mend, destination: &Path) -> Result<()> {
    let file = fs::File::open(archive)?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let step = Step::start_bytes(format!("unpacking {name}"), file.metadata()?.len());
    let reader = BufReader::new(step.wrap_read(file));
    if archive.extension().is_some_and(|extension| extension == "deb") {
        // A .deb is an archive of archives; dpkg-deb prints the one with the files.
        let mut dpkg = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(archive)
            .stdout(Stdio::piped())
            .start()
            .context("a .deb needs dpkg-deb, which this machine does not have")?;
        let files = dpkg.stdout.take().expect("its output is a pipe");
        extract(files, mend, destination)?;
        let status = dpkg.wait()?;
        if !status.success() {
            bail!("`dpkg-deb --fsys-tarfile {}` failed ({status})", archive.display());
        }
    } else {
        extract(liblzma::read::XzDecoder::new(reader), mend, destination)?;
    }
    step.done();
    Ok(())
}

fn extract(tar: impl Read, mend: &Mend, destination: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(tar);
    // Cargo tells by its time whether a file changed, so each file is as new as this tree.
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?;
        let path = path.strip_prefix(".").unwrap_or(&path);
        let Ok(path) = path.strip_prefix(&mend.root).map(Path::to_owned) else { continue };
        let is_plain = path.components().all(|c| matches!(c, Component::Normal(_)));
        if !is_plain || path.as_os_str().is_empty() || is_left_out(&path, mend) {
            continue;
        }
        let target = destination.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        entry.unpack(&target).with_context(|| format!("cannot unpack {}", path.display()))?;
    }
    // To the very end, where the checksums are and where dpkg-deb is done.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    if fs::read_dir(destination)?.next().is_none() {
        bail!("the archive has no directory {}", mend.root.display());
    }
    Ok(())
}

fn is_left_out(path: &Path, mend: &Mend) -> bool {
    mend.leave_out.iter().any(|left_out| path.starts_with(left_out))
}

/// Copies the files of a checkout of rust-lang/rust that stands at the base's commit.
fn copy_checkout(checkout: &Path, base: &Base, destination: &Path) -> Result<()> {
    let git = Git::at(checkout);
    let head =
        git.rev("HEAD").with_context(|| format!("{} is not a git checkout", checkout.display()))?;
    if head != base.commit {
        bail!(
            "{} stands at commit {head}; Rust {} is commit {}. Check that out first",
            checkout.display(),
            base.release,
            base.commit
        );
    }
    let changes = git.read(&["status", "--porcelain", "--untracked-files=no"])?;
    if !changes.is_empty() {
        bail!("{} has uncommitted changes:\n{changes}", checkout.display());
    }
    let mut files = tracked_files(&git, Path::new(""))?;
    // std is built with the submodules under library/; those elsewhere stay behind.
    for submodule in git.read(&["ls-files", "--stage", "library"])?.lines().filter_map(gitlink) {
        let directory = checkout.join(submodule);
        if !directory.join(".git").exists() {
            bail!(
                "{0} lacks a submodule that std is built with. Get it with\n  git -C {0} \
                 submodule update --init {submodule}",
                checkout.display()
            );
        }
        files.extend(tracked_files(&Git::at(&directory), Path::new(submodule))?);
    }
    let step = Step::start(format!("copying {}", checkout.display()));
    for file in files {
        let from = checkout.join(&file);
        // A submodule is listed as if it were a file.
        if is_left_out(&file, &base.mend) || from.is_dir() {
            continue;
        }
        let to = destination.join(&file);
        fs::create_dir_all(to.parent().expect("a file has a parent"))?;
        if from.is_symlink() {
            fs_err::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    step.done();
    Ok(())
}

fn tracked_files(git: &Git, prefix: &Path) -> Result<Vec<PathBuf>> {
    let list = git.read(&["ls-files", "-z"])?;
    Ok(list.split_terminator('\0').map(|file| prefix.join(file)).collect())
}

/// The path of a submodule, if this line of `git ls-files --stage` is of one.
fn gitlink(line: &str) -> Option<&str> {
    line.strip_prefix("160000 ").and_then(|rest| rest.split_once('\t')).map(|(_, path)| path)
}

/// Puts in what the archive lacks and bootstrap insists on.
fn mend(tree: &Path, mend: &Mend, toolchain: &Compiler) -> Result<()> {
    for directory in &mend.directories {
        let directory = tree.join(directory);
        if !directory.exists() {
            fs::create_dir_all(&directory)?;
            // Git keeps no empty directory.
            fs::write(directory.join(".gitkeep"), "")?;
        }
    }
    for (name, text) in &mend.files {
        if !tree.join(name).exists() {
            fs::write(tree.join(name), text)?;
        }
    }
    let stand_ins: Vec<_> =
        mend.crates.iter().filter(|c| !tree.join(c).join("Cargo.toml").exists()).collect();
    for stand_in in &stand_ins {
        write_empty_crate(&tree.join(stand_in))?;
    }
    if !stand_ins.is_empty() {
        prune_lock_file(tree, toolchain)?;
    }
    Ok(())
}

fn write_empty_crate(directory: &Path) -> Result<()> {
    let name = directory.file_name().expect("base.toml names a directory").to_string_lossy();
    fs::create_dir_all(directory.join("src"))?;
    fs::write(
        directory.join("Cargo.toml"),
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    )?;
    fs::write(directory.join("src/main.rs"), "fn main() {}\n")?;
    Ok(())
}

/// Drops from Cargo.lock what only the crates needed for which empty ones stand in. Cargo would
/// do so on first use; done here, the tree is clean afterwards.
fn prune_lock_file(tree: &Path, toolchain: &Compiler) -> Result<()> {
    let step = Step::start("pruning Cargo.lock");
    let update = |offline: &[&str]| {
        Command::new(toolchain.bin("cargo"))
            .args(["update", "--workspace"])
            .args(offline)
            .current_dir(tree)
            .env("RUSTC", toolchain.bin("rustc"))
            .run()
    };
    update(&[]).or_else(|online| update(&["--offline"]).map_err(|_| online))?;
    step.done();
    Ok(())
}
