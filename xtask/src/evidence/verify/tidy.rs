//! Runs upstream's tidy at the base and with the series, and tells what it says of the series
//! alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::base::Base;
use crate::base::project::Project;
use crate::compiler::Compiler;
use crate::evidence::cache::Cache;
use crate::run::command::CommandExt;
use crate::say::progress::Step;
use crate::series::tree::Tree;

/// What tidy says at the commit `tip` of the tree and not at `base_commit`.
pub fn new_messages(
    project: &Project,
    base: &Base,
    compiler: &Compiler,
    tree: &Tree,
    base_commit: &str,
    tip: &str,
) -> Result<Vec<String>> {
    let target = project.build_of(base, "tidy");
    let step = Step::start("running tidy at the base and with the series");
    let at = |commit: &str| -> Result<BTreeSet<String>> {
        tree.git.run(&["checkout", "--quiet", "--force", commit])?;
        build(tree, compiler, &target)?;
        messages(tree, compiler, &target)
    };
    // The base and the compiler that tidy asks never change, and neither does what it says of them.
    let built_from = compiler.version_field("commit-hash")?;
    let before = Cache::of(&target.join("messages"), &[base_commit, built_from, PLACEHOLDER])
        .get_or("base", || at(base_commit))?;
    let after = at(tip)?;
    step.done();
    new(&before, &after)
}

fn build(tree: &Tree, compiler: &Compiler, target: &Path) -> Result<()> {
    compiler
        .cargo()
        .args(["build", "--quiet", "--package", "tidy", "--target-dir"])
        .arg(target)
        .current_dir(&tree.src)
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .run()
        .map(drop)
}

fn messages(tree: &Tree, compiler: &Compiler, target: &Path) -> Result<BTreeSet<String>> {
    let output = Command::new(target.join("debug/rust-tidy"))
        .arg(format!("--root-path={}", tree.src.display()))
        .arg(format!("--cargo-path={}", compiler.bin("cargo").display()))
        .arg(format!("--output-dir={}", target.display()))
        // One check at a time: side by side, they write into each other's lines.
        .args(["--concurrency=1", "--npm-path=yarn", "--verbose"])
        .current_dir(&tree.src)
        .clean_env()
        .env("RUSTC", compiler.bin("rustc"))
        .env("CARGO_NET_RETRY", "0")
        .env("NO_COLOR", "1")
        .answer()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if let Some(at) = said.find("panicked at") {
        bail!("tidy broke off: {}", said[at..].lines().take(6).collect::<Vec<_>>().join("\n"));
    }
    Ok(messages_in(&said, &tree.src))
}

/// What tidy says in a release of the placeholder that a stabilization has for the version. The series is
/// for upstream's main branch, where the placeholder is right.
const PLACEHOLDER: &str = "The placeholder use of lib feature `tcp_keepalive` is not allowed";

/// tidy's messages without line numbers, which differ between the base and the series.
fn messages_in(output: &str, root: &Path) -> BTreeSet<String> {
    let root = format!("{}/", root.display());
    let is_placeholder = output.contains(PLACEHOLDER);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    output
        .lines()
        .filter(|line| line.starts_with("tidy ["))
        .filter(|line| !line.contains(PLACEHOLDER))
        // Whatever else that check complains of has a message of its own.
        .map(|line| {
            if is_placeholder {
                line.replace("features]: FAIL", "features]: OK")
            } else {
                line.into()
            }
        })
        .map(|line| {
            let line = line.replace(&root, "");
            line.split(':').filter(|part| !is_number(part)).collect::<Vec<_>>().join(":")
        })
        .collect()
}

/// The messages that are in `after` alone, and the checks that no longer end well. The latter so
/// that a tidy that breaks off does not pass for one that has nothing to say.
fn new(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<Vec<String>> {
    let passed = |message: &&String| message.ends_with("]: OK");
    if !before.iter().any(|message| passed(&message)) {
        bail!("tidy reports no check that passes at the base; did it run?");
    }
    // That a check ends well is no complaint.
    let new = after.difference(before).filter(|message| !passed(message)).cloned();
    let lost = before.difference(after).filter(passed).map(|m| format!("no longer: {m}"));
    Ok(new.chain(lost).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(output: &str) -> BTreeSet<String> {
        messages_in(output, Path::new("/tree"))
    }

    #[test]
    fn message_on_another_line_is_not_new() {
        let before = messages("tidy [a]: OK\ntidy [b]: /tree/lib.rs:12: TODO\n");
        let after = messages("tidy [a]: OK\ntidy [b]: /tree/lib.rs:15: TODO\nunrelated\n");
        assert_eq!(new(&before, &after).unwrap(), [""; 0]);
    }

    #[test]
    fn new_message_is_reported() {
        let before = messages("tidy [a]: OK\n");
        let after = messages("tidy [a]: OK\ntidy [b]: /tree/lib.rs:15: trailing whitespace\n");
        let new = new(&before, &after).unwrap();
        assert_eq!(new, ["tidy [b]: lib.rs: trailing whitespace"]);
    }

    #[test]
    fn check_that_passes_now_is_no_complaint() {
        let before = messages("tidy [a]: OK\n");
        let after = messages("tidy [a]: OK\ntidy [b]: OK\n");
        assert_eq!(new(&before, &after).unwrap(), [""; 0]);
    }

    #[test]
    fn check_that_no_longer_passes_is_reported() {
        let before = messages("tidy [a]: OK\ntidy [b]: OK\n");
        let after = messages("tidy [a]: OK\n");
        assert_eq!(new(&before, &after).unwrap(), ["no longer: tidy [b]: OK"]);
    }

    #[test]
    fn tidy_that_did_not_run_is_an_error() {
        assert!(new(&messages(""), &messages("")).is_err());
    }

    #[test]
    fn placeholder_is_passed_over_and_nothing_else_of_its_check() {
        let before = messages("tidy [features]: OK\n");
        let placeholder =
            format!("tidy [features]: lib.rs:1: {PLACEHOLDER} on the stable channel\n");
        let failed = format!("{placeholder}tidy [features]: FAIL\n");
        assert_eq!(new(&before, &messages(&failed)).unwrap(), [""; 0]);
        let more = format!("tidy [features]: lib.rs:2: another\n{failed}");
        assert_eq!(new(&before, &messages(&more)).unwrap(), ["tidy [features]: lib.rs: another"]);
        let alone = new(&before, &messages("tidy [features]: FAIL\n")).unwrap();
        assert_eq!(alone, ["tidy [features]: FAIL", "no longer: tidy [features]: OK"]);
    }
}
