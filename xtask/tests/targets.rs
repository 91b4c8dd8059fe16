//! `cargo xtask targets`, with stand-ins for cargo and rustc: what is checked, compared, reported
//! and remembered.

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::*;
use predicates::str::contains;
use support::{COMMIT, Fixture, write_script};

/// A compiler that knows three targets with a std, and takes a crate that calls the methods if
/// std's source says `methods`.
const RUSTC: &str = r#"
case "$*" in
*all-target-specs-json*)
    echo '{"a-one": {"os": "one", "target-pointer-width": 64},
           "b-one": {"os": "one", "target-pointer-width": 64},
           "c-two": {"os": "two", "target-pointer-width": 32},
           "d-three": {"os": "three", "target-pointer-width": 32, "metadata": {"std": false}}}';;
*--extern*)
    for word; do case "$word" in std=*) std="${word#std=}";; esac; done
    echo "LLVM says something" >&2
    grep -q methods "$std" && exit
    echo '{"level": "error", "code": {"code": "E0599"}, "message": "no method", "spans": [],
           "rendered": "error[E0599]: no method"}' | tr -d '\n' >&2
    exit 1;;
*)
    echo "commit-hash: COMMIT"; echo "host: x86_64-unknown-linux-gnu"; echo "LLVM version: 22.1.2"
esac"#;

/// A cargo that finds an error in std wherever its source says `error`, or as it is told, and on target `c-two` one
/// more. It keeps a list of what it checked.
const CARGO: &str = r#"
[ "$1" = check ] || exit 0
while [ $# -gt 1 ]; do
    case "$1" in --target) target=$2;; --target-dir) dir=$2;; esac
    shift
done
while [ "$target" = "$HOLD_TARGET" ] && [ -e "$HOLD" ]; do sleep 0.01; done
echo "$target $(cat std/src/lib.rs)" >> "$CHECKED"
deps="$dir/$target/debug/deps"
mkdir -p "$deps"
echo "std-0.d: std/src/lib.rs std/src/sys/net/connection/socket/unix.rs" > "$deps/std-0.d"
complain() {
    echo '{"reason": "compiler-message", "message": {"level": "error", "code": {"code": "E0425"},
        "message": "cannot find `'$1'`", "rendered": "error[E0425]: cannot find `'$1'`",
        "spans": [{"file_name": "std/src/lib.rs", "is_primary": true}]}}' | tr -d '\n'
    echo
    failed=1
}
[ "$RUSTC_WRAPPER$CARGO_PROFILE_DEV_PANIC" ] && complain what_the_caller_wants
[ "$target" = c-two ] && complain _SC_HOST_NAME_MAX
grep -q "${BROKEN_LINE:-error}" std/src/lib.rs && complain SO_KEEPALIVE
for probe in $(grep -oh 'probe_[a-z_]*' std/src/sys/net/connection/socket/unix.rs); do
    complain $probe
done
[ "$failed" ] && exit 101
cp std/src/lib.rs "$deps/libstd-0.rmeta"
echo '{"reason": "compiler-artifact", "target": {"name": "std"},
    "filenames": ["'$deps'/libstd-0.rmeta"]}' | tr -d '\n'
"#;

struct Project(Fixture);

impl Project {
    /// A project whose series makes std's source say `line`.
    fn new(line: &str) -> Project {
        Project::with_series(&[line])
    }

    /// A project whose patches make std's source say one line after the other.
    fn with_series(lines: &[&str]) -> Project {
        let fixture = Fixture::new();
        let mut before = "hello";
        for (name, line) in ["0001-first.patch", "0002-second.patch"].iter().zip(lines) {
            fixture.write_patch(name, before, line);
            before = line;
        }
        Project::prepared(fixture)
    }

    fn prepared(fixture: Fixture) -> Project {
        let toolchain = fixture.bin().parent().unwrap().join("toolchain/bin");
        write_script(&toolchain.join("rustc"), &RUSTC.replace("COMMIT", COMMIT));
        write_script(&toolchain.join("cargo"), CARGO);
        fixture.run(&["prepare"]).success();
        Project(fixture)
    }

    fn list(&self) -> PathBuf {
        self.0.root().join("checked")
    }

    /// What was checked so far: targets, and what the source said.
    fn checked(&self) -> Vec<String> {
        let list = fs::read_to_string(self.list()).unwrap_or_default();
        list.lines().map(str::to_owned).collect()
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.0.xtask(&[&["targets"], args].concat());
        command.env("CHECKED", self.list());
        command
    }

    fn targets(&self, args: &[&str]) -> Assert {
        assert_cmd::Command::from_std(self.command(args)).assert()
    }
}

#[test]
fn one_of_each_system_is_checked_at_the_base_and_with_the_series() {
    let project = Project::new("methods");
    project
        .targets(&["--jobs=1"])
        .success()
        .stdout(contains("1 compiled; 1 broken at the base, no worse"))
        .stdout(predicate::str::is_match("a-one +socket/unix.rs +ok +ok +compiled").unwrap());
    let checked = project.checked();
    // The last one is the check with probes, for the target whose std does not compile.
    let expected =
        ["a-one hello", "a-one methods", "c-two hello", "c-two methods", "c-two methods"];
    assert_eq!(checked, expected);
}

#[test]
fn finished_targets_are_remembered() {
    let project = Project::new("methods");
    project.targets(&["--all"]).success();
    let checked = project.checked().len();
    project.targets(&["--all"]).success().stdout(contains("b-one"));
    assert_eq!(project.checked().len(), checked);

    // Another series is another matter; the base is still the same.
    fs::write(project.0.tree().join("library/std/src/lib.rs"), "other methods\n").unwrap();
    project.targets(&["--all"]).success();
    let again = project.checked().split_off(checked);
    assert!(!again.is_empty());
    assert!(again.iter().all(|line| line.ends_with("other methods")), "{again:?}");
}

#[test]
fn new_diagnostic_is_shown_with_the_targets_that_have_it() {
    let project = Project::new("error");
    project
        .targets(&["--all"])
        .code(1)
        .stdout(contains("New on 3 targets (a-one, b-one, c-two):\nerror[E0425]: cannot find"))
        .stdout(contains("3 NEW DIAGNOSTICS"))
        // What the base has, too, is nobody's news.
        .stdout(contains("_SC_HOST_NAME_MAX").not());
    let json = project.targets(&["--all", "--format=json"]).code(1);
    let json: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(json["totals"]["worse"], 3);
    assert_eq!(json["targets"][2]["base"]["errors"], 1);
    assert_eq!(json["targets"][2]["series"]["errors"], 2);
    assert_eq!(json["targets"][2]["new"][0]["message"], "cannot find `SO_KEEPALIVE`");
}

#[test]
fn target_without_the_methods_fails() {
    let project = Project::new("something else");
    project.targets(&["a-one"]).code(1).stdout(contains("error[E0599]: no method"));
}

#[test]
fn unreached_methods_are_not_called_compiled() {
    let project = Project::new("methods");
    let backend = "library/std/src/sys/net/connection/socket/unix.rs";
    fs::write(project.0.tree().join(backend), "// no bodies, no probes\n").unwrap();
    project.targets(&["c-two"]).stdout(contains("1 broken at the base, methods not reached"));
}

#[test]
fn backend_that_no_target_compiles_is_told() {
    let project = Project::new("methods");
    let backend = "library/std/src/sys/net/connection/socket/forgotten.rs";
    fs::write(project.0.tree().join(backend), "").unwrap();
    project.targets(&["--all"]).code(1).stdout(contains("socket/forgotten.rs"));
    project.targets(&["a-one"]).success();
}

#[test]
fn part_of_the_series_is_checked_by_itself() {
    let project = Project::with_series(&["methods", "an error"]);
    project.targets(&["a-one"]).code(1).stdout(contains("of the series: 1 NEW DIAGNOSTICS"));
    let first = project.targets(&["a-one", "--first=1"]);
    first.success().stdout(contains("of the first 1 of 2 patches: 1 compiled"));
    // With tests, which are left out where they do not matter.
    let fixture = Fixture::new();
    fixture.write_patch("0001-first.patch", "hello", "methods");
    fixture.write_patch_of("library/std/tests/old.rs", "0002-tests.patch", "hello", "test");
    let with_tests = Project::prepared(fixture);
    with_tests.targets(&["a-one", "--first=1"]).success();

    for wrong in ["0", "3"] {
        let refused = project.targets(&["a-one", "--first", wrong]).code(1);
        refused.stderr(contains("the series has 2 patches; say 1 to 2"));
    }
}

#[test]
fn mended_target_is_told_from_one_that_was_never_broken() {
    let project = Project::new("methods");
    let mut command = project.command(&["a-*"]);
    command.env("BROKEN_LINE", "hello");
    let row = "a-one +socket/unix.rs +1 error +ok +mended, broken at the base";
    let assert = assert_cmd::Command::from_std(command).assert();
    assert.success().stdout(predicate::str::is_match(row).unwrap());
}

#[test]
fn killed_run_keeps_what_is_done() {
    let project = Project::new("methods");
    let hold = project.0.root().join("hold");
    fs::write(&hold, "").unwrap();
    let mut child = project
        .command(&["--all", "--jobs=1"])
        .env("HOLD", &hold)
        .env("HOLD_TARGET", "b-one")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while project.checked().len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", project.checked());
        std::thread::sleep(Duration::from_millis(10));
    }
    // The second result may still be on its way to the disk.
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(hold).unwrap();
    // The stand-in for cargo outlives its parent for a moment.
    std::thread::sleep(Duration::from_millis(100));

    project.targets(&["--all", "--jobs=1"]).success();
    let checked = project.checked();
    assert_eq!(checked.iter().filter(|line| line.starts_with("a-one")).count(), 2, "{checked:?}");
}

#[test]
fn unknown_target_is_an_error() {
    let project = Project::new("methods");
    project.targets(&["z-none"]).code(1).stderr(contains("knows no target z-none"));
    project.targets(&["d-three"]).code(1).stderr(contains("d-three has no std"));
}

#[test]
fn what_the_caller_tells_cargo_is_not_for_std() {
    let project = Project::new("methods");
    let mut command = project.command(&["a-one"]);
    command.env("RUSTC_WRAPPER", "true").env("CARGO_PROFILE_DEV_PANIC", "abort");
    let assert = assert_cmd::Command::from_std(command).assert();
    assert.success().stdout(contains("1 compiled"));
}
