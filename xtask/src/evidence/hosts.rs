//! Type-checks this tool for hosts that are no Linux: many who work on std use a Mac.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::library::sources::{LibraryId, Patched};
use crate::library::sysroot::{Profile, Workshop};
use crate::run::command::CommandExt;
use crate::say::checks::Checks;
use crate::say::progress::Step;
use crate::session::{Invocation, Session};

const HOSTS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

/// Type-check this tool for macOS and FreeBSD.
///
/// The std that it takes is type-checked from the base's sources, so rustup needs to have none for
/// them. Exit code 1 if the tool does not compile for one of them.
#[derive(Args)]
pub struct Hosts {}

impl Hosts {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let (session, _lock) = on.open_beside("hosts")?;
        let library = Patched::of(&session.tree, None)?.library;
        let mut checks = Checks::new("hosts", "the tool does not compile for every host");
        for host in HOSTS {
            checks.add(&format!("compiles for {host}"), check(&session, &library, host));
        }
        checks.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn check(session: &Session, library: &LibraryId, host: &str) -> Result<()> {
    let Session { project, compiler, dir, .. } = session;
    let workshop = Workshop::open(session, host)?;
    workshop.sources.show(library)?;
    let step = Step::start(format!("type-checking std and the tool for {host}"));
    let sysroot = dir.join(host);
    workshop.sysroot(Profile::Metadata, &sysroot)?;
    compiler
        .cargo()
        .args(["check", "--locked", "--package", "xtask", "--target", host])
        .env("CARGO_ENCODED_RUSTFLAGS", format!("--sysroot\x1f{}", sysroot.display()))
        .current_dir(&project.root)
        .run()?;
    step.done();
    Ok(())
}
