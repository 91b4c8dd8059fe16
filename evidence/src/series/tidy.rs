//! Runs upstream's tidy on the series, and tells what it says of it.
//!
//! tidy complains about the bare bases already, which lack files, so what counts is what names a file
//! that the series changes, or the feature. The tidy is the newest base's, whose rules a series meets.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;
use xtask::base::Base;
use xtask::compiler::Compiler;
use xtask::library::sources;
use xtask::run::command::CommandExt;
use xtask::run::lock::{self, Lock};
use xtask::run::ownership;

use super::Applied;
use crate::suite;

pub fn check(base: &Base) -> Result<String> {
    let project = suite::project()?;
    let newest = project.bases().pop().expect("there is a base");
    let (applied, newest) = (Applied::of(base)?, Applied::of(&newest)?);
    let dir = project.build().join("evidence/series");
    let tool = compile(&dir, &newest, &Compiler::find(&project.base(None)?)?)?;

    let (_lock, tree) = shown(&dir, &applied)?;
    // Tests of the compiler, whose form changes from release to release: a newer tidy breaks off.
    let mir_opt = tree.join("tests/mir-opt");
    ownership::discard(&mir_opt)?;
    fs::create_dir_all(mir_opt)?;
    let mut tidy = Command::new(tool);
    let output = tidy
        .clean_env()
        .args(["--npm-path=yarn", "--verbose"])
        // One check at a time: side by side, they write into each other's lines.
        .arg("--concurrency=1")
        .arg(format!("--root-path={}", tree.display()))
        .arg(format!("--cargo-path={}", newest.compiler.bin("cargo").display()))
        .arg(format!("--output-dir={}", dir.join(&applied.name).display()))
        .current_dir(&tree)
        .env("CARGO_NET_RETRY", "0")
        .env("NO_COLOR", "1")
        .env("RUSTC", newest.compiler.bin("rustc"))
        // tidy asks git for the names of files.
        .env("GIT_DIR", applied.git.path("")?)
        .env("GIT_WORK_TREE", &tree)
        .env("GIT_INDEX_FILE", tree.with_extension("index"))
        .answer()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    println!("{said}");
    let complaints = complaints(&said, &tree, &applied.changed(&applied.from, &applied.tip)?)?;
    if !complaints.is_empty() {
        bail!("tidy says of the series:\n{}", complaints.join("\n"));
    }
    Ok(String::new())
}

/// The series' tree, which others leave alone while the lock is held.
fn shown(dir: &Path, series: &Applied) -> Result<(Lock, PathBuf)> {
    let dir = dir.join(&series.name);
    let lock = lock::acquire(&dir.join("lock"), "running tidy")?;
    sources::show(&series.git, &dir.join("tree"), &series.tip)?;
    Ok((lock, dir.join("tree")))
}

/// Compiles the tidy that is part of a series' tree, and returns the program. With a compiler and options
/// for which this takes a quarter of the time that upstream's would.
fn compile(dir: &Path, newest: &Applied, compiler: &Compiler) -> Result<PathBuf> {
    let (_lock, tree) = shown(dir, newest)?;
    let target = dir.join("tidy");
    let mut cargo = compiler.cargo();
    cargo.args(["build", "--package=tidy", "--bin=rust-tidy", "--target-dir"]).arg(&target);
    cargo.current_dir(tree).run()?;
    Ok(target.join("debug/rust-tidy"))
}

/// What tidy says in a release of the placeholder that a stabilization has for the version. The series is
/// for upstream's main branch, where the placeholder is right.
const PLACEHOLDER: &str = "The placeholder use of lib feature `tcp_keepalive` is not allowed";

/// What tidy says of the changed files and of the feature.
fn complaints(said: &str, root: &Path, changed: &[PathBuf]) -> Result<Vec<String>> {
    let messages = || said.lines().filter(|line| line.starts_with("tidy ["));
    if said.contains("panicked at") || !messages().any(|line| line.ends_with("]: OK")) {
        bail!("tidy broke off");
    }
    let is_changed = |line: &str| {
        let names = |path: &PathBuf| {
            let (path, end) = (path.display().to_string(), |c: char| c.is_alphanumeric());
            let mut rest = line.split(&path).skip(1);
            rest.any(|rest| !rest.starts_with(end))
        };
        changed.iter().any(names)
    };
    let root = format!("{}/", root.display());
    Ok(messages()
        .map(|line| line.replace(&root, ""))
        .filter(|line| line.contains("keepalive") || is_changed(line))
        .filter(|line| !line.contains(PLACEHOLDER))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(said: &str) -> Result<Vec<String>> {
        let changed = ["library/std/src/net/tcp.rs".into(), "tests/ui/std/new.rs".into()];
        super::complaints(said, Path::new("/keepalive/tree"), &changed)
    }

    #[test]
    fn what_names_a_changed_file_or_the_feature_counts() {
        let said = "tidy [style]: /keepalive/tree/library/std/src/net/tcp.rs:7: trailing whitespace\n\
            tidy [features]: the feature `tcp_keepalive` has no tracking issue\n\
            tidy [style]: FAIL\ntidy [bins]: OK\n";
        let expected = [
            "tidy [style]: library/std/src/net/tcp.rs:7: trailing whitespace",
            "tidy [features]: the feature `tcp_keepalive` has no tracking issue",
        ];
        assert_eq!(complaints(said).unwrap(), expected);
    }

    #[test]
    fn what_is_said_of_the_base_and_the_placeholder_do_not() {
        let said = format!(
            "tidy [deps]: /keepalive/tree/Cargo.toml: no network\ntidy [bins]: OK\nnot tidy: tests/ui/std/new.rs\n\
             tidy [features]: /keepalive/tree/library/std/src/net/tcp.rs:1: {PLACEHOLDER} on stable\n"
        );
        assert_eq!(complaints(&said).unwrap(), [""; 0]);
    }

    #[test]
    fn tidy_that_did_not_run_to_its_end_is_an_error() {
        assert!(complaints("").is_err());
        assert!(complaints("tidy [bins]: OK\nthread 'main' panicked at main.rs").is_err());
    }
}
