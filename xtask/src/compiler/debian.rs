//! Assembles a compiler from Debian's packages, without installing them.
//!
//! They were linked against a newer C library than older systems have. So everything that they need
//! comes along, down to the dynamic linker, and the programs are made to look there. What the
//! compiler starts and makes does not inherit that: linkers and tests run with the system's own
//! libraries.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::debian::{self, PrivateApt};
use crate::base::{Base, DebianCompiler, DebianKind};
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name};
use crate::run::ownership;
use crate::say::progress::Step;

/// For apt, in place of what is installed: what the packages ask for and is the machine's own. All else
/// that they need is not there, and gets fetched.
const INSTALLED: &str = "\
Package: gcc
Status: install ok installed
Architecture: amd64
Version: 99
Maintainer: this machine
Provides: c-compiler, libc-dev, binutils (= 99)
Description: the C compiler
";

/// Where the packages have libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// Makes a sysroot of the packages in the empty directory `new`, which is called `name` when it is whole.
pub fn assemble(packages: &DebianCompiler, base: &Base, new: &Path, name: &Path) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" || which::which("dpkg-deb").is_err() {
        bail!("Debian's packages of it are for x86_64 machines with dpkg");
    }
    let apt = PrivateApt::new(&new.join("apt"), &packages.suites, DebianKind::Binary)?;
    download(&apt, packages, base, name)?;
    let step = Step::start(format!("assembling Rust {}", base.release));
    for package in entries(&apt.archives())? {
        if package.extension() == Some("deb".as_ref()) {
            Command::new("dpkg-deb").arg("--extract").args([&package, new]).run()?;
        }
    }
    arrange(new, name)?;
    compile_something(new).with_context(|| {
        format!("Debian's compiler of Rust {} does not work here", base.release)
    })?;
    step.done();
    Ok(())
}

/// Downloads the packages and everything that they need and the machine lacks; apt checks them.
fn download(apt: &PrivateApt, packages: &DebianCompiler, base: &Base, name: &Path) -> Result<()> {
    let installed = apt.files().join("installed");
    fs::write(&installed, INSTALLED)?;
    let install = |how: &str| {
        let mut command =
            apt.command(&["install", "--download-only", "--no-install-recommends", how]);
        command.args(["-qq", "-o", "Debug::NoLocking=true", "-o"]);
        command.arg(format!("Dir::State::status={}", installed.display()));
        command.args(packages.packages.iter().map(|name| format!("{name}={}", packages.version)));
        command.arg("patchelf");
        command
    };
    // A line for each: its address, name, size and hash.
    let uris = debian::ask(&mut install("--print-uris"))?;
    let sizes = uris.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok());
    let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
    let step = Step::start(format!(
        "downloading {count} packages of Debian, {} MB, because Rust {} is not installed. They become \
         {}, which you can delete",
        bytes / 1_000_000,
        base.release,
        name.display()
    ));
    debian::ask(&mut install("--yes"))?;
    step.done();
    Ok(())
}

/// Turns the unpacked packages into a sysroot, whose name is to be `name`.
fn arrange(new: &Path, name: &Path) -> Result<()> {
    let private = new.join("lib/private");
    fs::create_dir(new.join("lib"))?;
    ownership::settle(&new.join("usr/bin"), &new.join("bin"))?;
    ownership::settle(&new.join("usr/lib/rustlib"), &new.join("lib/rustlib"))?;
    ownership::settle(&new.join(LIBRARIES), &private)?;
    let mut libraries = Vec::new();
    for file in entries(&private)? {
        if file_name(&file).starts_with("librustc_driver-") {
            // The compiler tells by its place where the sysroot is.
            ownership::settle(&file, &new.join("lib").join(&*file_name(&file)))?;
        } else if file_name(&file).contains(".so") && fs::symlink_metadata(&file)?.is_file() {
            libraries.push(file);
        }
    }
    let patchelf = new.join("patchelf");
    ownership::settle(&new.join("bin/patchelf"), &patchelf)?;
    let patch = |args: &[&str]| {
        // It was linked against the newer C library, too.
        let mut command = Command::new(private.join(LOADER));
        command.arg("--library-path").arg(&private).arg(&patchelf).args(args);
        command
    };
    // A library with a search path of its own would not look where the program does.
    patch(&["--remove-rpath"]).args(&libraries).run()?;
    let loader = name.join("lib/private").join(LOADER);
    patch(&["--force-rpath", "--set-rpath", "$ORIGIN/../lib:$ORIGIN/../lib/private"])
        .arg("--set-interpreter")
        .arg(loader)
        .args(entries(&new.join("bin"))?)
        .run()?;
    ownership::discard(&patchelf)?;
    // What the packages have beside: documentation, settings, other programs.
    for path in entries(new)? {
        if !["bin", "lib"].contains(&&*file_name(&path)) {
            ownership::discard(&path)?;
        }
    }
    Ok(())
}

/// Compiles and runs a program. The compiler is started through its own dynamic linker, which does not
/// have its final name yet.
fn compile_something(new: &Path) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let program = scratch.path().join("program");
    let source = scratch.path().join("program.rs");
    fs::write(&source, "fn main() { println!(\"{}\", 6 * 7); }\n")?;
    Command::new(new.join("lib/private").join(LOADER))
        .arg(new.join("bin/rustc"))
        .arg(source)
        .arg("-o")
        .arg(&program)
        .run()?;
    let printed = Command::new(program).read()?;
    if printed != "42" {
        bail!("a program that it compiled printed {printed:?} instead of 42");
    }
    Ok(())
}
