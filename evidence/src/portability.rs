//! Type-checks the tools for hosts other than Linux: many who work on std use a Mac.

use anyhow::Result;
use xtask::project::Project;
use xtask::run::CommandExt;
use xtask::std::{Profile, Std};

use crate::suite::{Outcome, Place, Trial};

/// The hosts. The first one is in the quick set.
const HOSTS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let base = project.base(None)?;
    let trial = |host| {
        let work = move |place: &Place| check(place, host);
        Trial::new("portability", &base, host, work).quick(host == HOSTS[0])
    };
    Ok(HOSTS.map(trial).into())
}

/// Type-checks the packages for the host. First type-checks the series' std for the host, so rustup need not have
/// a std for it.
fn check(place: &Place, host: &str) -> Result<Outcome> {
    let (opened, dir) = (place.opened(), place.dir());
    let sysroot = dir.join("sysroot").join(host);
    let std = Std::new(&opened.compiler, &opened.library()?, host, &dir.join("std").join(host));
    std.sysroot(Profile::Metadata, &sysroot)?;
    opened
        .compiler
        .cargo()
        .args(["check", "--locked", "-pxtask", "-pevidence", "-plab", "--target", host])
        .arg("--target-dir")
        .arg(dir.join("target"))
        .env("CARGO_ENCODED_RUSTFLAGS", format!("--sysroot\x1f{}", sysroot.display()))
        .current_dir(&place.project().root)
        .run_quiet()?;
    Ok(Outcome::Passed(String::new()))
}
