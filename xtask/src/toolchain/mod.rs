//! The command `toolchain`: `build/<base>/toolchain/`, the release's programs with the patched std, for rustup.
//!
//! The toolchain has hard links to the files of bootstrap's sysroot, with launchers in the place of the compilers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::Base;
use crate::bootstrap::{Bootstrap, Config};
use crate::compiler::Compiler;
use crate::error::NotRun;
use crate::out::{Step, shown};
use crate::owned::{entries, file_name};
use crate::project::Project;
use crate::run::{CommandExt, successful};
use crate::std::{Profile, Std, libraries};
use crate::tree::Prepared;

const LAUNCHER: &str = include_str!("launcher.rs");
const README: &str = include_str!("README.txt");

/// The file that holds the digest of the toolchain's parts.
const STAMP: &str = "lib/rustlib/tcp-keepalive";

/// The compilers that the launcher replaces.
const LAUNCHED: [&str; 3] = ["rustc", "rustdoc", "clippy-driver"];

/// Assemble a toolchain for users: the release's programs with the patched std of rust/
///
/// bootstrap compiles the patched std for this machine, which takes 2 to 3 minutes on two cores. Use the toolchain in
/// any project whose crates have the line #![feature(tcp_keepalive)]:
///
///     cargo xtask toolchain --link
///     cargo +tcp-keepalive run
///
/// For other targets, install the linker and the C library first:
///
///     cargo xtask toolchain --target x86_64-unknown-linux-musl
///     cargo +tcp-keepalive build --target x86_64-unknown-linux-musl
///
/// Later runs keep the targets, and bring all of them up to date with rust/.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct BuildToolchain {
    /// Link the toolchain with rustup, under the name tcp-keepalive, or tcp-keepalive-BASE.
    #[arg(long)]
    link: bool,
    /// Add std for this target, optimized as in a release. May be given several times.
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
}

impl BuildToolchain {
    pub fn run(self, project: Project, base: Base) -> Result<ExitCode> {
        let prepared = Prepared::open(project, base, None)?;
        let directory = directory(&prepared);
        let is_new = bring_up_to_date(&prepared, &self.targets)?;
        println!("{} is {}", shown(&directory), if is_new { "ready" } else { "up to date" });
        if self.link {
            link(&prepared.base, &directory)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the directory of the toolchain.
pub fn directory(prepared: &Prepared) -> PathBuf {
    prepared.out.join("toolchain")
}

/// Assembles the toolchain, with std for `targets` and for those that it already has. Returns whether anything
/// changed.
pub fn bring_up_to_date(prepared: &Prepared, targets: &[String]) -> Result<bool> {
    let Prepared { project, base, compiler, store, tree, out, .. } = prepared;
    let directory = directory(prepared);
    let mut all = installed_targets(&directory)?;
    all.extend(targets.iter().cloned());
    all.remove(&compiler.host);
    require_known(compiler, base, &all)?;
    let bootstrap = Bootstrap::configured(prepared, Config::Prebuilt)?;
    bootstrap.provide_patched_std()?;
    let _lock = project.build.lock(&out.join("std"))?;
    let library = tree.src.join("library");
    let mut files = libraries(&bootstrap.libdir())?;
    let mut stds = Vec::new();
    for target in &all {
        let dir = out.join("std").join(target);
        let libdir = dir.join("libraries");
        project.build.make(&libdir, |new| compile_std(compiler, &library, target, &dir, new))?;
        files.extend(libraries(&libdir)?);
        let own = libdir.join("self-contained");
        files.extend(if own.exists() { entries(&own)? } else { Vec::new() });
        stds.push((target, libdir));
    }
    let hashes = store.git.hash_files(&files)?;
    let parts = format!("{LAUNCHER}{README}{all:?}{hashes}");
    let digest = store.git.filter(&["hash-object", "--stdin"], parts.as_bytes())?[..12].to_owned();
    if fs::read_to_string(directory.join(STAMP)).is_ok_and(|found| found == digest) {
        return Ok(false);
    }

    let _step = Step::start(format!("assembling {}", shown(&directory)));
    project.build.make(&directory, |new| {
        let parts = ["bin", "lib", "libexec"].map(|part| bootstrap.sysroot().join(part));
        let parts = parts.iter().filter(|part| part.exists());
        Command::new("cp").arg("-RPl").args(parts).arg(new).run_quiet()?;
        let rustlib = new.join("lib/rustlib");
        for (target, libdir) in &stds {
            let to = rustlib.join(target);
            fs::create_dir_all(&to)?;
            Command::new("cp").arg("-RPl").arg(libdir).arg(to.join("lib")).run_quiet()?;
        }
        let (bin, libexec) = (new.join("bin"), new.join("libexec"));
        fs::create_dir_all(&libexec)?;
        let launcher = new.join("launcher");
        compile_launcher(prepared, &digest, &launcher)?;
        for program in LAUNCHED.iter().filter(|program| bin.join(program).exists()) {
            project.build.rename(&bin.join(program), &libexec.join(program))?;
            fs::copy(&launcher, bin.join(program))?;
        }
        project.build.remove(&launcher)?;
        project.build.remove(&launcher.with_extension("rs"))?;
        // rust-analyzer and debuggers look for std's sources here. Remove the release's sources.
        let sources = rustlib.join("src");
        project.build.remove(&sources)?;
        fs::create_dir_all(sources.join("rust"))?;
        Command::new("cp")
            .args(["-R", "--"])
            .arg(&library)
            .arg(sources.join("rust"))
            .run_quiet()?;
        fs::write(new.join("README.txt"), README.replace("{release}", &base.release))?;
        Ok(fs::write(new.join(STAMP), &digest)?)
    })?;
    Ok(true)
}

/// Returns the targets that the toolchain in a directory has a std for.
fn installed_targets(directory: &Path) -> Result<BTreeSet<String>> {
    let rustlib = directory.join("lib/rustlib");
    let entries = if rustlib.exists() { entries(&rustlib)? } else { Vec::new() };
    let has_std =
        |path: &&PathBuf| libraries(&path.join("lib")).is_ok_and(|found| !found.is_empty());
    Ok(entries.iter().filter(has_std).map(|path| file_name(path)).collect())
}

fn require_known(compiler: &Compiler, base: &Base, targets: &BTreeSet<String>) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let list = compiler.rustc().args(["--print", "target-list"]).stdout_of()?;
    let known: BTreeSet<_> = list.lines().collect();
    if let Some(unknown) = targets.iter().find(|target| !known.contains(&***target)) {
        bail!(
            "Rust {} has no target {unknown}. `rustc --print target-list` lists its targets",
            base.release
        );
    }
    Ok(())
}

/// Compiles std for the target, optimized as in a release, and fills `libdir`, which becomes the target's `lib/`.
fn compile_std(
    compiler: &Compiler,
    library: &Path,
    target: &str,
    dir: &Path,
    libdir: &Path,
) -> Result<()> {
    let _step = Step::start(format!("compiling std for {target}"));
    let mut std = Std::new(compiler, library, target, dir);
    // For link-time optimization. bootstrap sets this option, too.
    std.rustflags.push("-Cembed-bitcode=yes".into());
    std.libraries_into(Profile::Release, libdir)?;
    let own = compiler.libdir(target).join("self-contained");
    if own.exists() {
        // rustup installed the target, with the C library's files.
        Command::new("cp").args(["-R", "-L", "--"]).arg(own).arg(libdir).run_quiet()?;
    } else if target.ends_with("-musl") {
        musl_files(target, std.linker.as_deref(), &libdir.join("self-contained"))?;
    }
    Ok(())
}

const DL_FIND_OBJECT: &str = include_str!("dl_find_object.c");

/// Collects the files that rustc links for a musl target: the C library, the startup files, and gcc's unwinder under
/// the name of LLVM's.
pub fn musl_files(target: &str, linker: Option<&std::ffi::OsStr>, directory: &Path) -> Result<()> {
    let arch = target.split('-').next().unwrap_or_default();
    let names = [format!("{arch}-linux-musl-gcc"), "musl-gcc".into()];
    let found = names.iter().find(|name| {
        which::which(name).is_ok() && (arch == std::env::consts::ARCH || *name != "musl-gcc")
    });
    let Some(gcc) = linker.map(Path::new).or(found.map(Path::new)) else {
        Err(NotRun(format!(
            "std for {target} needs musl's own files, and {} is missing. On Debian:\n  apt-get install \
             musl-tools\nOr add the target to rustup's toolchain of this release:\n  rustup target add --toolchain \
             RELEASE {target}",
            names.join(" or ")
        )))?
    };
    // `gcc -print-file-name` finds gcc's own files, but not musl's. musl-gcc's link command has their path.
    let link =
        successful(Command::new(gcc).args(["-###", "-static", "-x", "c", "/dev/null"]))?.stderr;
    let link = String::from_utf8_lossy(&link).into_owned();
    let crt1 = link.split([' ', '"', '\n']).find(|word| word.ends_with("crt1.o"));
    let musl = crt1.and_then(|path| Path::new(path).parent());
    let musl = musl.with_context(|| format!("`{} -###` names no crt1.o", gcc.display()))?;
    let file_of = |name: &str| -> Result<PathBuf> {
        Ok(Command::new(gcc).arg(format!("-print-file-name={name}")).stdout_of()?.into())
    };
    fs::create_dir_all(directory)?;
    for name in ["crt1.o", "rcrt1.o", "Scrt1.o", "crti.o", "crtn.o", "libc.a"] {
        fs::copy(musl.join(name), directory.join(name))?;
    }
    for name in ["crtbegin.o", "crtbeginS.o", "crtend.o", "crtendS.o"] {
        fs::copy(file_of(name)?, directory.join(name))?;
    }
    fs::copy(file_of("libgcc_eh.a")?, directory.join("libunwind.a"))?;
    fs::write(directory.join("dl_find_object.c"), DL_FIND_OBJECT)?;
    Command::new(gcc).args(["-c", "dl_find_object.c"]).current_dir(directory).run_quiet()?;
    let add = ["rs", "libunwind.a", "dl_find_object.o"];
    Command::new("ar").args(add).current_dir(directory).run_quiet()
}

/// Compiles the launcher. It is no shell script, because a shell drops variables such as `CARGO_BIN_EXE_echo-server`.
fn compile_launcher(prepared: &Prepared, digest: &str, launcher: &Path) -> Result<()> {
    let source = launcher.with_extension("rs");
    fs::write(&source, LAUNCHER)?;
    let compile = |linkage: &[&str]| {
        let mut rustc = prepared.compiler.rustc();
        rustc.args(["--edition", "2024", "-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols"]);
        rustc.args(linkage).arg(&source).arg("-o").arg(launcher);
        rustc.env("ASSEMBLE_TOOLCHAIN", prepared.base.command("cargo xtask toolchain"));
        rustc.env("STD_DIGEST", digest).run_quiet()
    };
    // A static program starts faster, but not every machine has a static C library.
    compile(&["-Ctarget-feature=+crt-static", "-Crelocation-model=static"])
        .or_else(|_| compile(&[]))
        .context("the launcher of the compiler does not compile")
}

/// Registers the toolchain with rustup, unless rustup has another toolchain of that name.
fn link(base: &Base, directory: &Path) -> Result<()> {
    let name = base.suffixed("tcp-keepalive");
    let home =
        Command::new("rustup").args(["show", "home"]).stdout_of().context(NotRun(format!(
            "--link needs rustup. Without rustup, call the toolchain's cargo by its path: {}",
            shown(&directory.join("bin/cargo"))
        )))?;
    let link = Path::new(&home).join("toolchains").join(&name);
    if fs::symlink_metadata(&link).is_err() {
        Command::new("rustup").args(["toolchain", "link", &name]).arg(directory).run_quiet()?;
    } else if !fs::read_link(&link).is_ok_and(|destination| destination == directory) {
        bail!(
            "rustup already has another toolchain called {name}, in {}, which was left alone. To replace it, run \
             this, and the command again:\n  rustup toolchain uninstall {name}",
            shown(&link)
        );
    }
    println!(
        "rustup has the toolchain under the name {name}. In any project: `cargo +{name} run`. To unlink it: `rustup \
         toolchain uninstall {name}`"
    );
    Ok(())
}
