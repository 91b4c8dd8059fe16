//! Type-checks the tools for hosts that are no Linux: many who work on std use a Mac.

use anyhow::Result;
use xtask::base::Base;
use xtask::library::sources::library_right_now;
use xtask::library::sysroot::{Profile, Workshop};
use xtask::run::command::CommandExt;
use xtask::run::lock;

use crate::suite;

/// Type-checks the front door and this package for the host. The std that it takes is type-checked from
/// the base's sources, so rustup needs to have none for it.
pub fn check(base: &Base, host: &str) -> Result<String> {
    let session = suite::open(base)?;
    let dir = session.project.build().join("evidence/portability").join(host);
    let _lock = lock::acquire(&dir.join("lock"), "type-checking the tools")?;
    let sysroot = dir.join("sysroot");
    let library = library_right_now(&session.tree)?;
    Workshop::open(&session, host, &library)?.sysroot(Profile::Metadata, &sysroot)?;
    session
        .compiler
        .cargo()
        .args(["check", "--locked", "--package=xtask", "--package=evidence", "--target", host])
        .env("CARGO_ENCODED_RUSTFLAGS", format!("--sysroot\x1f{}", sysroot.display()))
        .current_dir(&session.project.root)
        .run()?;
    Ok(String::new())
}
