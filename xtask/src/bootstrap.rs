//! Upstream's build system: its configuration, the compiler it uses, and running it.
//!
//! The prebuilt lane is bootstrap's own `rust.download-rustc`, with the directory that it would
//! download to filled from the installed toolchain. That toolchain is the base's compiler, so
//! nothing but std is compiled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Serialize;

use crate::base::Base;
use crate::process::CommandExt;
use crate::progress::Step;
use crate::project::{Project, display};
use crate::toolchain::Toolchain;
use crate::tree::Tree;

/// Where the compiler comes from.
#[derive(Clone, Copy, PartialEq)]
pub enum Lane {
    /// The installed one, of the base's commit.
    Prebuilt,
    /// Compiled from the base's sources against the installed LLVM.
    Full,
}

impl From<bool> for Lane {
    fn from(full: bool) -> Lane {
        if full { Lane::Full } else { Lane::Prebuilt }
    }
}

const HEADER: &str = "\
# Written by `cargo xtask prepare` and `./x.py`, and again whenever it should say something else.
# Lasting settings belong in the file that it includes.
";

/// The part of bootstrap's configuration that depends on this machine.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    include: Vec<PathBuf>,
    build: Build,
    rust: Rust,
    llvm: Llvm,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<toml::Table>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Build {
    rustc: PathBuf,
    cargo: PathBuf,
    rustfmt: PathBuf,
    build_dir: PathBuf,
    /// The toolchain is the release itself, not the beta that bootstrap expects at this place.
    local_rebuild: bool,
    vendor: bool,
    submodules: bool,
    #[serde(flatten)]
    stages: toml::Table,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Rust {
    download_rustc: bool,
}

#[derive(Serialize)]
struct Llvm {
    /// Bootstrap asks for ninja even where no LLVM is built.
    ninja: bool,
}

/// The directory that bootstrap builds in.
pub fn out_dir(project: &Project, base: &Base, lane: Lane) -> PathBuf {
    let name = match lane {
        Lane::Prebuilt => "prebuilt",
        Lane::Full => "full",
    };
    let suffix = if base.default { String::new() } else { format!("-{}", base.name) };
    project.build().join(format!("{name}{suffix}"))
}

/// Writes bootstrap.toml, and provides the compiler that it names.
pub fn configure(
    project: &Project,
    base: &Base,
    tree: &Tree,
    toolchain: &Toolchain,
    lane: Lane,
) -> Result<()> {
    let out = out_dir(project, base, lane);
    write_config(project, tree, toolchain, lane, &out)?;
    if lane == Lane::Prebuilt {
        provide_compiler(tree, toolchain, &out.join(&toolchain.host))?;
    }
    Ok(())
}

fn write_config(
    project: &Project,
    tree: &Tree,
    toolchain: &Toolchain,
    lane: Lane,
    out: &Path,
) -> Result<()> {
    let full = lane == Lane::Full;
    let mut stages = toml::Table::new();
    let mut target = None;
    if full {
        // The included file speaks of the prebuilt compiler.
        for name in ["build-stage", "check-stage", "test-stage", "doc-stage"] {
            stages.insert(name.into(), 1.into());
        }
        let llvm_config = find_llvm_config()?.display().to_string();
        let settings = toml::Table::from_iter([("llvm-config".to_owned(), llvm_config.into())]);
        target = Some(toml::Table::from_iter([(toolchain.host.clone(), settings.into())]));
    }
    let config = Config {
        include: vec![project.x_py_config()],
        build: Build {
            rustc: toolchain.bin("rustc"),
            cargo: toolchain.bin("cargo"),
            rustfmt: toolchain.bin("rustfmt"),
            build_dir: out.to_owned(),
            local_rebuild: true,
            vendor: false,
            submodules: false,
            stages,
        },
        rust: Rust { download_rustc: !full },
        llvm: Llvm { ninja: full },
        target,
    };
    let text = format!("{HEADER}\n{}", toml::to_string(&config)?);
    let path = tree.src.join("bootstrap.toml");
    match fs::read_to_string(&path) {
        Ok(found) if found == text => return Ok(()),
        Ok(found) if !found.starts_with(HEADER) => bail!(
            "{} is not one that this tool wrote. Move it away, and put what it should keep into {}",
            display(&path),
            display(&project.x_py_config())
        ),
        _ => {}
    }
    Ok(fs::write(path, text)?)
}

/// The newest LLVM that Rust's own sources can be built against. The release's own is version 22.
fn find_llvm_config() -> Result<PathBuf> {
    let names = ["llvm-config-22", "llvm-config-21", "llvm-config"];
    let found = names.iter().find_map(|name| which::which(name).ok());
    let missing: Vec<_> =
        ["cmake", "ninja"].into_iter().filter(|name| which::which(name).is_err()).collect();
    match found {
        Some(path) if missing.is_empty() => Ok(path),
        _ => bail!(
            "--full builds the compiler and needs LLVM 21 or 22 with its development files, cmake \
             and ninja (Debian: llvm-22-dev, cmake, ninja-build)"
        ),
    }
}

/// Fills the directories that bootstrap would download a compiler and its LLVM to.
fn provide_compiler(tree: &Tree, toolchain: &Toolchain, out: &Path) -> Result<()> {
    let base = tree.state()?.base;
    let (rustc, llvm) = (out.join("ci-rustc"), out.join("ci-llvm"));
    let rustc_stamp = format!("{base}-false");
    let llvm_stamp = format!("{base}false");
    let holds = |path: PathBuf, text: &str| fs::read_to_string(path).is_ok_and(|t| t == text);
    if holds(rustc.join(".rustc-stamp"), &rustc_stamp)
        && holds(llvm.join(".llvm-stamp"), &llvm_stamp)
    {
        return Ok(());
    }
    let step = Step::start("handing the installed compiler to bootstrap");
    for directory in [&rustc, &llvm] {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
    }
    // Copies: bootstrap may write to what it takes for its own download, but never to the user's
    // toolchain. The stamps come last, so that an interrupted copy is not taken for a whole one.
    for part in ["bin", "lib", "libexec"] {
        copy_directory(&toolchain.sysroot.join(part), &rustc.join(part))?;
    }
    let mut contents = String::new();
    for entry in fs::read_dir(toolchain.libdir())? {
        let name = entry?.file_name();
        contents += &format!("{}\n", libdir_entry(toolchain, Path::new(&name)));
    }
    fs::write(rustc.join(".rust-std-contents"), contents)?;
    fs::write(rustc.join(".rustc-dev-contents"), "")?;
    fs::write(rustc.join("builder-config"), "")?;
    fs::write(rustc.join(".rustc-stamp"), rustc_stamp)?;

    // No LLVM is needed where no compiler is built, but bootstrap asks for its version.
    let llvm_config = llvm.join("bin/llvm-config");
    fs::create_dir_all(llvm.join("bin"))?;
    let version = Command::new(toolchain.bin("rustc")).arg("-vV").read()?;
    let version = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .context("the compiler does not say its version of LLVM")?;
    fs::write(&llvm_config, format!("#!/bin/sh\necho {version}\n"))?;
    make_executable(&llvm_config)?;
    fs::write(llvm.join("link-type.txt"), "static")?;
    fs::write(llvm.join("builder-config"), "")?;
    fs::write(llvm.join(".llvm-stamp"), llvm_stamp)?;
    step.done();
    Ok(())
}

/// The name by which bootstrap's lists call a file of the host's std.
fn libdir_entry(toolchain: &Toolchain, name: &Path) -> String {
    Path::new("lib/rustlib").join(&toolchain.host).join("lib").join(name).display().to_string()
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Builds the patched std and puts it into the compiler's sysroot in place of the released one:
/// test suites other than std's own use what they find there.
pub fn provide_patched_std(
    project: &Project,
    base: &Base,
    tree: &Tree,
    toolchain: &Toolchain,
) -> Result<()> {
    eprintln!("building the patched std for the compiler that the tests use");
    let status = x_py(tree, toolchain).args(["build", "library"]).stdin(Stdio::null()).status()?;
    if !status.success() {
        bail!("the patched std does not build ({status})");
    }
    let out = out_dir(project, base, Lane::Prebuilt).join(&toolchain.host);
    let stamp = out.join("stage1-std").join(&toolchain.host).join("dist/.libstd-stamp");
    // NUL-separated paths, each with a letter before it that says for which machine it is.
    let list = fs::read_to_string(stamp)?;
    let built: BTreeSet<PathBuf> =
        list.split_terminator('\0').filter_map(|entry| entry.get(1..)).map(PathBuf::from).collect();
    if built.is_empty() {
        bail!("bootstrap built std, but its stamp names no file");
    }
    let rustc = out.join("ci-rustc");
    let libdir = rustc.join("lib/rustlib").join(&toolchain.host).join("lib");
    let current = built.iter().map(|file| is_same(file, &libdir)).collect::<Result<Vec<_>>>()?;
    if !current.contains(&false) && count_libraries(&libdir)? == built.len() {
        return Ok(());
    }
    for entry in fs::read_dir(&libdir)? {
        let path = entry?.path();
        if is_library(&path) {
            fs::remove_file(path)?;
        }
    }
    let mut contents = String::new();
    for file in &built {
        let name = file.file_name().context("the stamp names a directory")?;
        fs::copy(file, libdir.join(name))?;
        contents += &format!("{}\n", libdir_entry(toolchain, Path::new(name)));
    }
    fs::write(rustc.join(".rust-std-contents"), contents)?;
    Ok(())
}

fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["rlib", "rmeta", "so", "dylib"].iter().any(|l| e == *l))
}

fn count_libraries(libdir: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(libdir)? {
        count += usize::from(is_library(&entry?.path()));
    }
    Ok(count)
}

/// Whether the directory has this very file.
fn is_same(file: &Path, directory: &Path) -> Result<bool> {
    let copy = directory.join(file.file_name().context("the stamp names a directory")?);
    Ok(copy.exists()
        && fs::metadata(&copy)?.len() == fs::metadata(file)?.len()
        && fs::read(&copy)? == fs::read(file)?)
}

/// Upstream's x.py in the tree, with an environment that does not depend on who calls.
pub fn x_py(tree: &Tree, toolchain: &Toolchain) -> Command {
    let mut command = Command::new("python3");
    command.arg(tree.src.join("x.py")).current_dir(&tree.src);
    // On CI, bootstrap looks for artifacts of upstream's CI instead of what is here.
    for name in ["CI", "GITHUB_ACTIONS"] {
        command.env_remove(name);
    }
    // What `cargo run` and rustup set for this tool would reach the builds in the tree.
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let of_this_crate = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_CRATE_"];
        if of_this_crate.iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT", "XTASK_ROOT"].contains(&name)
        {
            command.env_remove(name);
        }
    }
    if let Some(paths) = std::env::var_os("LD_LIBRARY_PATH") {
        let foreign = |path: &PathBuf| {
            !path.starts_with(&toolchain.sysroot)
                && !path.components().any(|c| c.as_os_str() == "target")
        };
        let kept: Vec<_> = std::env::split_paths(&paths).filter(foreign).collect();
        match std::env::join_paths(kept) {
            Ok(kept) if !kept.is_empty() => command.env("LD_LIBRARY_PATH", kept),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}
