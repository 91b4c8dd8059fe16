//! Runs upstream's tidy on the series.
//!
//! tidy also reports errors about the base, which lacks files. An error counts if it names the feature or a file that
//! the series changes. The program is the tidy of the newest base, because the series must follow the newest rules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use xtask::base::Base;
use xtask::compiler::Compiler;
use xtask::run::CommandExt;
use xtask::tree::Prepared;

use super::{PASSED, changed_files};
use crate::suite::{Outcome, Place};

pub fn check(place: &Place) -> Result<Outcome> {
    let project = place.project();
    let release = |base: &Base| -> Vec<u32> {
        base.release.split('.').filter_map(|number| number.parse().ok()).collect()
    };
    let newest =
        project.bases().into_iter().max_by_key(release).context("base.toml has no base")?;
    let is_newest = newest.name == place.base().name;
    let newest = Prepared::apart(project.clone(), newest)?;
    let own = Prepared::apart(project.clone(), place.base().clone())?;
    let tree = &own.tree.src;
    if !is_newest {
        // A newer tidy panics on these tests of the compiler, because their format changes between releases.
        let mir_opt = tree.join("tests/mir-opt");
        project.build.remove(&mir_opt)?;
        fs::create_dir_all(mir_opt)?;
    }
    let mut tidy = Command::new(compile(place, &newest)?);
    tidy.args(["--npm-path=yarn", "--verbose"])
        // The output of parallel checks would mix within lines.
        .arg("--concurrency=1")
        .arg(format!("--root-path={}", tree.display()))
        .arg(format!("--cargo-path={}", newest.compiler.bin("cargo").display()))
        .arg(format!("--output-dir={}", place.dir().display()))
        .current_dir(tree)
        .env("CARGO_NET_RETRY", "0")
        .env("NO_COLOR", "1")
        .env("RUSTC", newest.compiler.bin("rustc"));
    let output = place.run(&mut tidy, 45 * 60)?;
    let printed = String::from_utf8_lossy(&output.stderr);
    require_end(&printed, output.status.code())?;
    let errors = errors(&printed, tree, &changed_files(&own.store, "base", "series")?);
    if !errors.is_empty() {
        bail!("tidy reports errors about the series:\n{}", errors.join("\n"));
    }
    Ok(PASSED)
}

/// Compiles the tidy in the clone of the newest base, and returns the program. The default base's compiler and these
/// options take a quarter of the time that upstream's x.py takes.
fn compile(place: &Place, newest: &Prepared) -> Result<PathBuf> {
    let project = place.project();
    let target = project.build.root.join("evidence/tidy");
    let mut cargo = Compiler::find(&project.base(None)?)?.cargo();
    cargo.args(["build", "--package=tidy", "--bin=rust-tidy", "--target-dir"]).arg(&target);
    cargo.current_dir(&newest.tree.src).run_quiet()?;
    Ok(target.join("debug/rust-tidy"))
}

/// Checks that tidy came to its end: its last line must fit its exit code.
fn require_end(printed: &str, code: Option<i32>) -> Result<()> {
    let last_line = printed.trim_end().lines().next_back().unwrap_or_default();
    let succeeded = last_line == "tidy: All tidy checks succeeded";
    let failed =
        last_line.starts_with("tidy: The following check") && last_line.contains(" failed: ");
    match code {
        Some(0) if succeeded => Ok(()),
        Some(1) if failed => Ok(()),
        _ => bail!("tidy did not finish: exit code {code:?}, last line {last_line:?}; see the log"),
    }
}

/// The error about the placeholder for upstream's next release, as the version of a stabilized feature. On upstream's
/// main branch, which the series is for, the placeholder is right.
const PLACEHOLDER: &str = "The placeholder use of lib feature `tcp_keepalive` is not allowed";

/// Returns tidy's errors about the changed files and the feature.
fn errors(printed: &str, root: &Path, changed: &[PathBuf]) -> Vec<String> {
    let messages = printed.lines().filter(|line| line.starts_with("tidy ["));
    let is_changed = |line: &str| {
        let names = |path: &PathBuf| {
            let (path, end) = (path.display().to_string(), |c: char| c.is_alphanumeric());
            let mut rest = line.split(&path).skip(1);
            rest.any(|rest| !rest.starts_with(end))
        };
        changed.iter().any(names)
    };
    let root = format!("{}/", root.display());
    messages
        .map(|line| line.replace(&root, ""))
        .filter(|line| line.contains("keepalive") || is_changed(line))
        .filter(|line| !line.contains(PLACEHOLDER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_a_changed_file_or_the_feature() {
        let changed = ["library/std/src/net/tcp.rs".into(), "tests/ui/std/new.rs".into()];
        let printed = format!(
            "tidy [style]: /keepalive/tree/library/std/src/net/tcp.rs:7: trailing whitespace\n\
             tidy [features]: the feature `tcp_keepalive` has no tracking issue\n\
             tidy [style]: FAIL\ntidy [bins]: OK\n\
             tidy [deps]: /keepalive/tree/Cargo.toml: no network\nnot tidy: tests/ui/std/new.rs\n\
             tidy [features]: /keepalive/tree/library/std/src/net/tcp.rs:1: {PLACEHOLDER} on stable\n"
        );
        let expected = [
            "tidy [style]: library/std/src/net/tcp.rs:7: trailing whitespace",
            "tidy [features]: the feature `tcp_keepalive` has no tracking issue",
        ];
        assert_eq!(errors(&printed, Path::new("/keepalive/tree"), &changed), expected);
    }

    #[test]
    fn tidy_must_come_to_its_end() {
        let failed = "tidy [bins]: OK\ntidy: The following checks failed: deps, style\n";
        assert!(require_end("tidy: All tidy checks succeeded\n", Some(0)).is_ok());
        assert!(require_end(failed, Some(1)).is_ok());
        for (printed, code) in [
            ("tidy [bins]: OK\n", None),
            ("tidy [bins]: OK\n", Some(1)),
            ("thread 'main' panicked at main.rs\n", Some(101)),
            (failed, Some(0)),
            ("", Some(0)),
        ] {
            assert!(require_end(printed, code).is_err(), "{printed} {code:?}");
        }
    }
}
