//! build/toolchain: the release's programs with the patched std, for use with rustup.
//!
//! It is bootstrap's own sysroot once more, as hard links, with launchers in the compilers' place.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::compiler::Compiler;
use crate::library::sources::{Sources, library_right_now};
use crate::library::sysroot::libraries;
use crate::run::command::CommandExt;
use crate::run::files::temporary;
use crate::run::kill_point::kill_point;
use crate::run::ownership::hex;
use crate::run::{ownership, whole};
use crate::say::progress::Step;
use crate::session::{Invocation, Session};
use crate::upstream::bootstrap::{Bootstrap, Lane};

const LAUNCHER: &str = include_str!("launcher.rs");
const README: &str = include_str!("README.txt");

/// Where it says what it was assembled from.
const STAMP: &str = "lib/rustlib/tcp-keepalive";

/// The compilers, which the launcher takes the place of.
const LAUNCHED: [&str; 3] = ["rustc", "rustdoc", "clippy-driver"];

/// Assemble build/toolchain: the release's programs with the patched std, for use with rustup.
///
/// Has bootstrap compile the patched std, which takes a minute or two. Then, in any project whose
/// crates say #![feature(tcp_keepalive)]:
///
///     cargo xtask toolchain --link
///     cargo +tcp-keepalive run
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct BuildToolchain {
    /// Register it with rustup, under the name tcp-keepalive, or tcp-keepalive-BASE.
    #[arg(long)]
    link: bool,
}

impl BuildToolchain {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let (session, _lock) = on.open("toolchain")?;
        let directory = directory(&session.project, &session.base);
        let news = if bring_up_to_date(&session, &directory)? { "ready" } else { "up to date" };
        println!("{} is {news}", display(&directory));
        if self.link {
            link(&session.base, &directory)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Where the toolchain of a base is.
pub fn directory(project: &Project, base: &Base) -> PathBuf {
    project.build_of(base, "toolchain")
}

/// Returns whether there was anything to do.
pub fn bring_up_to_date(session: &Session, directory: &Path) -> Result<bool> {
    let bootstrap = Bootstrap::of(session, Lane::Prebuilt)?;
    bootstrap.configure()?;
    bootstrap.provide_patched_std()?;
    let library = library_right_now(&session.tree)?;
    let mut digest = Sha256::new_with_prefix(library.clone() + LAUNCHER);
    for file in libraries(&bootstrap.libdir())? {
        digest.update(fs::read(file)?);
    }
    let digest = hex(&digest.finalize())[..12].to_owned();
    if fs::read_to_string(directory.join(STAMP)).is_ok_and(|found| found == digest) {
        return Ok(false);
    }

    let step = Step::start(format!("assembling {}", display(directory)));
    let replaced = temporary(directory, "replaced");
    ownership::discard(&replaced)?;
    whole::make(directory, |new| {
        let parts = ["bin", "lib", "libexec"].map(|part| bootstrap.sysroot().join(part));
        let parts = parts.iter().filter(|part| part.exists());
        Command::new("cp").arg("-RPl").args(parts).arg(new).run()?;
        kill_point("while the toolchain is assembled");
        let (bin, libexec) = (new.join("bin"), new.join("libexec"));
        fs::create_dir_all(&libexec)?;
        let launcher = new.join("launcher");
        compile_launcher(&session.compiler, &digest, &launcher)?;
        for program in LAUNCHED.iter().filter(|program| bin.join(program).exists()) {
            ownership::settle(&bin.join(program), &libexec.join(program))?;
            fs::copy(&launcher, bin.join(program))?;
        }
        ownership::discard(&launcher)?;
        // Where rust-analyzer and debuggers look for it; a release's own is of another std.
        let sources = new.join("lib/rustlib/src");
        ownership::discard(&sources)?;
        Sources::at(&session.tree, &sources.join("rust")).show(&library)?;
        ownership::discard(&sources.join("rust/library.index"))?;
        fs::write(new.join("README.txt"), README.replace("{release}", &session.base.release))?;
        fs::write(new.join(STAMP), &digest)?;
        if directory.exists() {
            ownership::settle(directory, &replaced)?;
        }
        Ok(())
    })?;
    ownership::discard(&replaced)?;
    step.done();
    Ok(true)
}

/// A script would not do: a shell drops variables such as `CARGO_BIN_EXE_echo-server`.
fn compile_launcher(compiler: &Compiler, digest: &str, launcher: &Path) -> Result<()> {
    let source = launcher.with_extension("rs");
    fs::write(&source, LAUNCHER)?;
    let compile = |linkage: &[&str]| {
        let mut rustc = compiler.rustc();
        rustc.args(["--edition", "2024", "-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols"]);
        rustc.args(linkage).env("STD_DIGEST", digest).arg(&source).arg("-o").arg(launcher).run()
    };
    // Without the dynamic linker it starts faster, but not every machine has a static C library.
    compile(&["-Ctarget-feature=+crt-static", "-Crelocation-model=static"])
        .or_else(|_| compile(&[]))
        .context("the launcher of the compiler does not compile")?;
    ownership::discard(&source)
}

/// How rustup calls the toolchain, and where it keeps the link to it.
fn link_of(base: &Base) -> Result<(String, PathBuf)> {
    let name = base.name_of("tcp-keepalive");
    let home = Command::new("rustup").args(["show", "home"]).read()?;
    let link = Path::new(&home).join("toolchains").join(&name);
    Ok((name, link))
}

/// Registers the toolchain, unless rustup has another of that name.
fn link(base: &Base, directory: &Path) -> Result<()> {
    let (name, link) = link_of(base)?;
    if fs::symlink_metadata(&link).is_err() {
        Command::new("rustup").args(["toolchain", "link", &name]).arg(directory).run()?;
    } else if !fs::read_link(&link).is_ok_and(|destination| destination == directory) {
        bail!(
            "rustup already has a toolchain called {name}, in {}. It was left alone. Without it, \
             this one can be linked:\n  rustup toolchain uninstall {name}",
            link.display()
        );
    }
    println!(
        "rustup knows it as {name}: in any project, `cargo +{name} run`. \
         `rustup toolchain uninstall {name}` undoes that"
    );
    Ok(())
}

/// The name under which rustup knows the toolchain, if it does.
pub fn linked_name(base: &Base, directory: &Path) -> Option<String> {
    let (name, link) = link_of(base).ok()?;
    fs::read_link(link).is_ok_and(|destination| destination == directory).then_some(name)
}
