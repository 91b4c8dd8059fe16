//! The patched std compiled as the ones in releases are, for any target.
//!
//! Bootstrap's prebuilt lane compiles std for its own tests: for the host alone, and without the
//! debug information, the single codegen unit and the frame pointers of a release. What users are
//! to work with is compiled here, from the same sources and with the settings that upstream keeps
//! for this purpose: the profile `dist` of library/Cargo.toml.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::compiler::Compiler;
use crate::library::sources::Sources;
use crate::run::command::CommandExt;
use crate::say::progress::Step;

/// What bootstrap passes to the compiler for std, as far as it shows in the result.
const FLAGS: [&str; 7] = [
    "-Zunstable-options",
    // What std is made of is no public API.
    "-Zforce-unstable-if-unmarked",
    "-Cprefer-dynamic",
    "-Csplit-debuginfo=off",
    "-Zinline-mir",
    "-Zinline-mir-preserve-debug",
    "-Zmir_strip_debuginfo=locals-in-tiny-functions",
];

/// Compiles std for `target`, as much of it as changed, and returns the files that a toolchain needs
/// of it. Cargo keeps its work in `out`.
pub fn compile(
    toolchain: &Compiler,
    sources: &Sources,
    target: &str,
    out: &Path,
) -> Result<Vec<PathBuf>> {
    let step = Step::start(format!("compiling std for {target}"));
    let profiler = profiler_runtime(toolchain, target, out)?;
    let build = || {
        let mut cargo = cargo(toolchain, sources, target, out)?;
        let mut features = "backtrace".to_owned();
        if let Some(library) = &profiler {
            features += " profiler";
            cargo.env("LLVM_PROFILER_RT_LIB", library);
        }
        cargo.args(["--features", &features]).run().with_context(|| {
            format!(
                "std does not compile for {target}. A target of another machine needs a linker, \
                 which {} names",
                linker_variable(target)
            )
        })
    };
    build()?;
    let artifacts = out.join(target).join("dist/deps");
    if has_a_crate_twice(&artifacts)? {
        // Something changed that makes other file names: start over, for what is left from before
        // must not get in.
        fs::remove_dir_all(out.join(target))?;
        build()?;
    }
    step.done();
    let files = libraries(&artifacts)?;
    if files.is_empty() {
        bail!("Cargo compiled std, but {} holds no library", artifacts.display());
    }
    Ok(files)
}

fn cargo(toolchain: &Compiler, sources: &Sources, target: &str, out: &Path) -> Result<Command> {
    let mut flags: Vec<String> = FLAGS.map(Into::into).into();
    // A path of a release, for the compiler to find under lib/rustlib/src, and none of this machine.
    let commit = toolchain.version_field("commit-hash")?;
    let tree = sources.library.parent().context("library/ is in a directory")?;
    flags.push(format!("--remap-path-prefix={}=/rustc/{commit}", tree.display()));
    if let Some(cargo_home) = cargo_home() {
        let crates = cargo_home.join("registry/src");
        flags.push(format!("--remap-path-prefix={}=/rust/deps", crates.display()));
    }
    if target.starts_with("riscv") {
        flags.push("-Cforce-unwind-tables=yes".into());
    }

    let mut cargo = sources.cargo(toolchain, "build");
    cargo
        .args(["--locked", "--profile", "dist", "--target", target])
        // Each library comes with its metadata in a file of its own, as in releases.
        .arg("-Zno-embed-metadata")
        .arg("--manifest-path")
        .arg(sources.library.join("sysroot/Cargo.toml"))
        .arg("--target-dir")
        .arg(out)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // Without it, Cargo gives libstd.so a name with no hash.
        .env("__CARGO_DEFAULT_LIB_METADATA", "tcp-keepalive")
        // The libc crate declares the cfgs that it knows.
        .env("LIBC_CHECK_CFG", "1");
    let linker = linker_variable(target);
    if let Some(value) = std::env::var_os(&linker) {
        cargo.env(linker, value);
    }
    Ok(cargo)
}

/// The variable by which Cargo is told the linker for a target.
fn linker_variable(target: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"))
}

/// Where Cargo keeps the crates that it downloaded.
pub fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").filter(|path| !path.is_empty());
    set.map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

/// The compiled crates in a directory, in the order of their names.
pub fn libraries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if is_library(&path) {
            libraries.push(path);
        }
    }
    libraries.sort();
    Ok(libraries)
}

/// Whether the file is a compiled crate.
pub fn is_library(path: &Path) -> bool {
    let kinds = ["rlib", "rmeta", "so", "dylib", "dll"];
    path.extension().is_some_and(|extension| kinds.iter().any(|kind| extension == *kind))
}

fn has_a_crate_twice(directory: &Path) -> Result<bool> {
    let mut seen = BTreeSet::new();
    for path in libraries(directory)? {
        // libcore-0123456789abcdef.rlib
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (stem, extension) = name.rsplit_once('.').context("a library has an extension")?;
        let krate = stem.rsplit_once('-').map_or(stem, |(krate, _)| krate);
        if !seen.insert(format!("{krate}.{extension}")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// LLVM's run-time library for code coverage, which rust-lang/rust compiles from C sources that not
/// every archive has. It is taken from the std of the release, if there is one for the target.
fn profiler_runtime(toolchain: &Compiler, target: &str, out: &Path) -> Result<Option<PathBuf>> {
    let libdir = toolchain.libdir(target);
    if !libdir.exists() || which::which("ar").is_err() {
        return Ok(None);
    }
    let is_profiler = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libprofiler_builtins-") && name.ends_with(".rlib")
    };
    let Some(released) = libraries(&libdir)?.into_iter().find(is_profiler) else {
        return Ok(None);
    };
    let directory = out.join("profiler").join(target);
    let library = directory.join("libclang_rt.profile.a");
    if library.exists() {
        return Ok(Some(library));
    }

    let scratch = tempfile::tempdir()?;
    Command::new("ar").arg("x").arg(released).current_dir(&scratch).run()?;
    let mut objects = Vec::new();
    for entry in fs::read_dir(scratch.path())? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        // The others are what rustc made: the crate's metadata and its own, empty, code.
        if text.ends_with(".o") && !text.ends_with(".rcgu.o") {
            objects.push(name);
        }
    }
    objects.sort();
    Command::new("ar").args(["rcsD", "packed.a"]).args(objects).current_dir(&scratch).run()?;
    fs::create_dir_all(&directory)?;
    let partial = library.with_extension("new");
    fs::copy(scratch.path().join("packed.a"), &partial)?;
    fs::rename(partial, &library)?;
    Ok(Some(library))
}
