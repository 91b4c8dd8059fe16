//! Builds std with the series for other platforms, and runs its tests there.

mod runner;
mod support;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use serde::Deserialize;
use xtask::base::Base;
use xtask::docs::Record;
use xtask::library::sources::library_right_now;
use xtask::library::sysroot::{Profile, Workshop};
use xtask::run::command::CommandExt;
use xtask::run::lock;
use xtask::say::failure::NotRun;
use xtask::session::Session;

use self::runner::Runner;
use crate::libtest;
use crate::record::{self, cells};
use crate::specs::Specs;
use crate::suite;

/// What is found out of each.
const HEADER: [&str; 7] =
    ["target", "endian, width", "runner", "tests", "std's own", "system calls", "verdict"];

/// A row of platforms.toml: a target and all that it takes to build and run tests for it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Platform {
    target: String,
    /// What tells it from another platform for the same target.
    beside: Option<String>,
    /// The one base with which its tests can be built, where others lack something.
    base: Option<String>,
    #[serde(default)]
    pub quick: bool,
    /// The processor that this machine must have.
    processor: Option<String>,
    linker: String,
    /// Options of the compiler, with `{made}` in them.
    #[serde(default)]
    rustflags: Vec<String>,
    runner: Runner,
    /// Whether std's own unit tests do not compile for it upstream.
    #[serde(default)]
    no_unit_tests: bool,
    /// Those of std's own tests of net::tcp that its runner fails now and then.
    #[serde(default)]
    skip: Vec<String>,
    /// The programs and files that must be there, and what installs each.
    needs: BTreeMap<String, String>,
}

pub fn table() -> Result<Vec<Platform>> {
    #[derive(Deserialize)]
    struct Table {
        platform: Vec<Platform>,
    }
    let Table { platform } = toml::from_str(include_str!("../../platforms.toml"))?;
    Ok(platform)
}

impl Platform {
    pub fn is_of(&self, base: &Base) -> bool {
        self.base.as_ref().is_none_or(|name| *name == base.name)
    }

    pub fn name(&self) -> String {
        let beside = self.beside.as_ref().map(|what| format!("+{what}"));
        self.target.clone() + &beside.unwrap_or_default()
    }

    /// Stops if this machine lacks something, and says what would help.
    fn demand(&self) -> Result<()> {
        if let Some(processor) = self.processor.as_deref().filter(|processor| *processor != ARCH) {
            Err(NotRun(format!("lacks a processor of {processor}: another machine")))?;
        }
        let needs = self.needs.iter().map(|(name, install)| (name.as_str(), install.as_str()));
        let tracer = ("strace", "apt-get install strace");
        let traces_itself = matches!(self.runner, Runner::Wine | Runner::Gvisor);
        let needs = needs.chain((!traces_itself).then_some(tracer));
        let (names, install): (Vec<_>, BTreeSet<_>) =
            needs.filter(|(name, _)| !is_there(name)).unzip();
        if !names.is_empty() {
            let install = Vec::from_iter(install).join(" && ");
            Err(NotRun(format!("lacks {}: {install}", names.join(", "))))?;
        }
        Ok(())
    }
}

/// Whether there is a program with the name, or such a file.
fn is_there(name: &str) -> bool {
    if name.contains('/') { Path::new(name).exists() } else { runner::find(name).is_ok() }
}

/// Builds and runs the series' test for the platform, a program whose system calls are looked at, and
/// std's own unit tests.
pub fn test(base: &Base, platform: &Platform) -> Result<String> {
    platform.demand()?;
    let session = suite::open(base)?;
    let Session { project, compiler, tree, .. } = &session;
    let Platform { target, linker, runner, .. } = platform;
    let library = library_right_now(tree)?;
    let shared = project.build().join("evidence/platforms");
    let made = support::make(platform, &shared)?;
    let name = platform.name();
    let dir = shared.join(format!("{}-{name}", base.name));
    let _lock = lock::acquire(&dir.join("lock"), "testing on another platform")?;

    let mut workshop = Workshop::open(&session, target, &library)?;
    workshop.linker = Some(linker.into());
    let expand = |flag: &String| flag.replace("{made}", &made.display().to_string());
    workshop.rustflags = platform.rustflags.iter().map(expand).collect();
    let sysroot = dir.join("sysroot");
    workshop.sysroot(Profile::Dev, &sysroot)?;
    let compile = |source: &Path, options: &[&str]| -> Result<PathBuf> {
        let program = dir.join(source.with_extension("exe").file_name().expect("it is a file"));
        let mut rustc = compiler.rustc();
        rustc.args(["--edition", "2024", "--target", target]).args(options);
        rustc.arg(format!("-Clinker={linker}")).args(&workshop.rustflags);
        rustc.arg("--sysroot").arg(&sysroot).arg(source).arg("-o").arg(&program);
        rustc.env("RUSTC_BOOTSTRAP", "1").run()?;
        Ok(program)
    };
    let tests = compile(&workshop.sources.library.join(libtest::KEEPALIVE), &["--test"])?;
    let source = dir.join("calls.rs");
    fs::write(&source, include_str!("calls.rs"))?;
    let calls = compile(&source, &[])?;
    let unit_tests = (!platform.no_unit_tests).then(|| workshop.unit_tests()).transpose()?;
    drop(workshop);

    let tests = libtest::pass(&mut runner.command(&made, &tests)?)?.to_string();
    let unit_tests = match unit_tests {
        None => "-".into(),
        Some(program) => {
            // They bind the same ports each time.
            let _turn = lock::acquire(&shared.join("ports/lock"), "running std's unit tests")?;
            let mut unit_tests = runner.command(&made, &program)?;
            unit_tests.arg("net::tcp").args(platform.skip.iter().flat_map(|name| ["--skip", name]));
            let skipped = platform.skip.iter().map(|name| format!(", without {name}"));
            libtest::pass(&mut unit_tests)?.to_string() + &skipped.collect::<String>()
        }
    };
    let not_traced = runner.check_calls(&made, &calls)?;
    let in_short = if not_traced.is_some() { "not traced" } else { "as expected" };
    let kind = Specs::of(compiler)?.kind(target)?;
    let header = cells(&HEADER);
    let row = cells(&[&name, &kind, &runner.version()?, &tests, &unit_tests, in_short, "passed"]);
    let notes = Vec::from_iter(not_traced.clone());
    let record = Record { header, row, notes, ..record::begin(&session, &library)? };
    record.write(project, "platforms", &format!("{}::{name}", base.name))?;
    Ok(not_traced.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_installs_it() {
        let mut platform = table().unwrap().remove(0);
        // Everywhere, and without strace.
        (platform.processor, platform.runner) = (None, Runner::Wine);
        platform.needs = [("/is/there/not", "install A"), ("nor-this", "install B"), ("sh", "C")]
            .map(|(name, install)| (name.into(), install.into()))
            .into();
        let error = platform.demand().unwrap_err();
        assert!(error.is::<NotRun>());
        assert_eq!(error.to_string(), "lacks /is/there/not, nor-this: install A && install B");
    }
}
