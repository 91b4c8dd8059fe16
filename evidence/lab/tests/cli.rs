//! What the command says when it does not run anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

fn lab(args: &[&str]) -> Command {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    lab.args(args).timeout(Duration::from_secs(60));
    lab
}

/// The lab on a machine where `tool` is another program, which fails.
fn lab_without(tool: &str, args: &[&str]) -> Command {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("without-{tool}"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(tool), "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(directory.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    let mut lab = lab(args);
    lab.env("PATH", format!("{}:{}", directory.display(), std::env::var("PATH").unwrap()));
    lab
}

#[test]
fn an_unknown_scenario_is_wrong_usage_and_the_known_ones_are_named() {
    lab(&["no-such-scenario"]).assert().code(2).stderr(contains("power-loss"));
}

#[test]
fn the_patched_std_needs_a_sysroot() {
    lab(&["power-loss"]).assert().code(2).stderr(contains("--sysroot"));
}

#[test]
fn the_list_names_each_scenario_once_a_line() {
    let list = lab(&["--list"]).assert().code(0).get_output().stdout.clone();
    let list = String::from_utf8(list).unwrap();
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/scenarios")).unwrap();
    // All but mod.rs and case.rs.
    assert_eq!(list.lines().count(), files.count() - 2, "{list}");
}

#[test]
fn a_machine_without_the_tools_is_not_run_and_the_packages_are_named() {
    for args in [&["--std", "noop"][..], &["--check", "power-loss"]] {
        let assert = lab_without("nft", args).assert().code(3);
        assert.stderr(contains("not run").and(contains("nft (package nftables)")));
    }
}
