//! Breaks the methods on purpose: a test that cannot fail would show here.
//!
//! A copy of std is compiled with all mistakes of mutants.toml, of which an environment variable chooses
//! one, and the series' test run with it natively: as this system is, and with a C library that answers
//! as the BSDs' kernels do, by 8 and not by 1.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;
use serde::Deserialize;
use xtask::base::Base;
use xtask::library::sources::library_right_now;
use xtask::library::sysroot::{Profile, Workshop};
use xtask::run::command::CommandExt;
use xtask::run::{lock, ownership};
use xtask::session::Session;

use crate::libtest;
use crate::record;
use crate::suite;

/// The variable that chooses a mistake when a test is run.
const CHOICE: &str = "TCP_KEEPALIVE_MUTANT";

const TABLE: &str = include_str!("../mutants.toml");
const BSD_ANSWER: &str = include_str!("bsd_answer.c");

#[derive(Deserialize)]
pub struct Table {
    place: BTreeMap<String, Place>,
    pub mutant: Vec<Mutant>,
}

/// An expression in a method.
#[derive(Deserialize)]
struct Place {
    file: String,
    before: String,
    right: String,
}

#[derive(Deserialize)]
pub struct Mutant {
    pub name: String,
    /// What some places say instead.
    #[serde(flatten)]
    edits: BTreeMap<String, String>,
}

pub fn table() -> Result<Table> {
    Ok(toml::from_str(TABLE)?)
}

/// With a mistake, one of the tests must fail; without any, none may.
pub fn test(base: &Base, mistake: Option<&str>) -> Result<String> {
    let session = suite::open(base)?;
    let dir = session.project.build().join("evidence/mutants").join(&base.name);
    let lock = lock::acquire(&dir.join("lock"), "compiling std with mistakes")?;
    build(&session, &dir)?;
    drop(lock);
    let program = |preload: &str| {
        let mut tests = Command::new(dir.join("tests"));
        tests.env(CHOICE, mistake.unwrap_or("none"));
        // By a relative path: the loader takes a space for the end of one.
        tests.env("LD_PRELOAD", preload).current_dir(&dir);
        tests
    };
    let mut failed = 0;
    for preload in ["", "./bsd_answer.so"] {
        let (counts, printed) = libtest::run(&mut program(preload))?;
        if mistake.is_none() && counts.failed > 0 {
            bail!("without any mistake, tests fail:\n{printed}");
        }
        failed += counts.failed;
    }
    if mistake.is_some() && failed == 0 {
        bail!("no test fails");
    }
    Ok(String::new())
}

/// Compiles the tests and what they need, unless this was done before from the same sources.
fn build(session: &Session, dir: &Path) -> Result<()> {
    let Session { compiler, tree, .. } = session;
    let library = library_right_now(tree)?;
    let commit = compiler.version_field("commit-hash")?;
    let made_of = [&*library, commit, TABLE, BSD_ANSWER, include_str!("mutants.rs")];
    let (key, done) = (record::key(&made_of), dir.join("made-of"));
    if fs::read_to_string(&done).is_ok_and(|found| found == key) {
        return Ok(());
    }
    ownership::discard(&done)?;
    let workshop = Workshop::open(session, &compiler.host, &library)?;
    mutate(&workshop.sources.library)?;
    let sysroot = dir.join("sysroot");
    workshop.sysroot(Profile::Dev, &sysroot)?;
    let mut rustc = compiler.rustc();
    rustc.args(["--edition=2024", "--test", "--sysroot"]).arg(&sysroot);
    rustc.arg(workshop.sources.library.join(libtest::KEEPALIVE));
    rustc.arg("-o").arg(dir.join("tests")).env("RUSTC_BOOTSTRAP", "1").run()?;
    let source = dir.join("bsd_answer.c");
    fs::write(&source, BSD_ANSWER)?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).args([&dir.join("bsd_answer.so"), &source]).run()?;
    ownership::write(&done, key.as_bytes())
}

/// Has each place say what the chosen mistake makes of it.
fn mutate(library: &Path) -> Result<()> {
    let Table { place, mutant } = table()?;
    for (name, Place { file, before, right }) in place {
        let file = library.join(file);
        let text = fs::read_to_string(&file)?;
        let found = format!("{before}{right}");
        if text.matches(&found).count() != 1 {
            bail!("{} does not say `{found}` exactly once", file.display());
        }
        let mut choice = format!("{before}match crate::env::var(\"{CHOICE}\").as_deref() {{\n");
        for mutant in &mutant {
            if let Some(wrong) = mutant.edits.get(&name) {
                choice += &format!("Ok({:?}) => {wrong},\n", mutant.name);
            }
        }
        choice += &format!("_ => {right},\n}}");
        fs::write(&file, text.replace(&found, &choice))?;
    }
    Ok(())
}
