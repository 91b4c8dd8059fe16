//! What the command says when it does not run anything.

use std::process::{Command, Output};

fn lab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_unknown_scenario_is_wrong_usage_and_the_known_ones_are_named() {
    let output = lab(&["no-such-scenario"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("power-loss"), "{}", stderr(&output));
}

#[test]
fn the_patched_std_needs_a_sysroot() {
    let output = lab(&["power-loss"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--sysroot"), "{}", stderr(&output));
}

#[test]
fn the_list_names_each_scenario_once_a_line() {
    let output = lab(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let list = String::from_utf8(output.stdout).unwrap();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/scenarios")).unwrap();
    // All but mod.rs.
    assert_eq!(list.lines().count(), files.count() - 1, "{list}");
}

#[test]
fn a_machine_without_the_tools_is_not_run_and_the_packages_are_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["--std", "noop"])
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let message = stderr(&output);
    assert!(message.contains("not run") && message.contains("util-linux"), "{message}");
}
