//! Checks the exit codes and messages of the command, without namespaces.

use assert_cmd::Command;
use predicates::str::contains;

fn lab(args: &[&str]) -> Command {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    lab.args(args);
    lab
}

#[test]
fn wrong_usage_names_the_scenarios_or_the_missing_option() {
    lab(&["no-such-scenario"]).assert().code(2).stderr(contains("power-loss"));
    lab(&["power-loss"]).assert().code(2).stderr(contains("--sysroot"));
}

#[test]
fn list_has_a_line_for_each_scenario() {
    let list = lab(&["--list"]).assert().code(0).get_output().stdout.clone();
    let list = String::from_utf8(list).unwrap();
    let names = list.lines().map(|line| line.split(' ').next().unwrap().to_string());
    assert!(names.eq(lab::scenarios()), "{list}");
    assert!(list.starts_with("idle-behind-nat  the client pauses"), "{list}");
}

#[cfg(not(target_os = "linux"))]
#[test]
fn other_systems_are_not_run() {
    lab(&["--check", "power-loss"]).assert().code(3).stderr(contains("the lab needs Linux"));
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::unix::fs::PermissionsExt;
    use std::{env, fs};

    use assert_cmd::assert::Assert;

    use super::*;

    /// Runs the lab with `script` in place of `unshare` and of the other programs.
    fn lab_with(script: &str, args: &[&str]) -> Assert {
        let directory = tempfile::tempdir().unwrap();
        for program in ["unshare", "nsenter", "nft", "ip", "ss", "python3", "runsc"] {
            let (path, script) = (directory.path().join(program), format!("#!/bin/sh\n{script}\n"));
            fs::write(&path, script).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", directory.path().display(), env::var("PATH").unwrap());
        lab(args).arg("--out").arg(directory.path()).env("PATH", path).assert()
    }

    #[test]
    fn check_passes_if_nothing_is_missing() {
        lab_with("exit 0", &["--check"]).code(0).stderr("");
    }

    #[test]
    fn refused_namespaces_are_not_run() {
        let refuses = "echo 'unshare: Operation not permitted' >&2; exit 1";
        for args in [&["--check", "power-loss"][..], &["--methods", "noop", "power-loss"]] {
            lab_with(refuses, args)
                .code(3)
                .stderr(contains("not run: cannot make namespaces"))
                .stderr(contains("Operation not permitted"));
        }
    }

    #[test]
    fn missing_part_of_the_kernel_is_not_run() {
        let refuses = r#"case "$*" in *" nft "*) echo "nft: not supported" >&2; exit 1; esac"#;
        lab_with(refuses, &["--check", "power-loss"])
            .code(3)
            .stderr(contains("not run: cannot use nftables"))
            .stderr(contains("nft: not supported"))
            .stderr(contains("modprobe --all nft_masq nft_ct"));
    }

    #[test]
    fn error_after_the_check_is_a_failure() {
        let fails = r#"case "$*" in *--inside*) echo "no network" >&2; exit 3; esac"#;
        lab_with(fails, &["--methods", "noop", "power-loss"])
            .code(1)
            .stderr(contains("no network"))
            .stderr(contains("lab inside the namespaces failed (exit status: 3)"));
    }
}
