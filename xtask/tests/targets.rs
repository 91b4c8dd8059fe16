//! `cargo xtask targets`, with stand-ins for cargo and rustc: what is checked, compared, reported
//! and remembered.

// What these tests delete and overwrite is their own.
#![allow(clippy::disallowed_methods)]

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

/// A cargo that finds an error in std wherever its source says `error`, or what the file `broken-line`
/// beside it does, and on target `c-two` one more. It keeps a list of what it checked, and waits at
/// the target that `hold` names.
const CARGO: &str = r#"
[ "$1" = check ] || exit 0
here=$(dirname "$0")
while [ $# -gt 1 ]; do
    case "$1" in --target) target=$2;; --target-dir) dir=$2;; esac
    shift
done
if [ "$(cat "$here/hold" 2>&1)" = "$target" ]; then
    touch "$here/held"
    while [ -e "$here/hold" ]; do sleep 0.01; done
    rm "$here/held"
fi
echo "$target $(cat std/src/lib.rs)" >> "$here/checked"
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
grep -q "$(cat "$here/broken-line" || echo error)" std/src/lib.rs && complain SO_KEEPALIVE
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
        let bin = fixture.toolchain().join("bin");
        write_script(&bin.join("rustc"), &RUSTC.replace("COMMIT", COMMIT));
        write_script(&bin.join("cargo"), CARGO);
        fixture.run(&["prepare"]).success();
        Project(fixture)
    }

    /// A file by which the stand-in for cargo is told something, or tells something.
    fn beside_cargo(&self, name: &str) -> PathBuf {
        self.0.toolchain().join("bin").join(name)
    }

    /// What was checked so far: targets, and what the source said.
    fn checked(&self) -> Vec<String> {
        let list = fs::read_to_string(self.beside_cargo("checked")).unwrap_or_default();
        list.lines().map(str::to_owned).collect()
    }

    fn targets(&self, args: &[&str]) -> Assert {
        self.0.run(&[&["targets"], args].concat())
    }
}

#[test]
fn one_of_each_system_is_checked_at_the_base_and_with_the_series() {
    let project = Project::new("methods");
    project
        .targets(&["--jobs=1"])
        .success()
        .stdout(contains("1 compiled, 1 no worse"))
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
        .stdout(contains("a-one, b-one, c-two: new\nerror[E0425]: cannot find"))
        .stdout(contains("3 NEW DIAGNOSTICS"))
        // What the base has, too, is nobody's news.
        .stdout(contains("_SC_HOST_NAME_MAX").not());
    let json = project.targets(&["--all", "--format=json"]).code(1);
    let json: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    let row = &json["rows"][2];
    assert_eq!([&row["name"], &row["class"]], ["c-two", "failed"]);
    assert_eq!(row["cells"], serde_json::json!(["socket/unix.rs", "1 error", "2 errors"]));
    assert_eq!(row["data"]["new"][0]["message"], "cannot find `SO_KEEPALIVE`");
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
    let unreached = project.targets(&["--all"]).code(3);
    unreached.stdout(contains("1 METHODS NOT REACHED, 2 compiled"));
    project.targets(&["a-one"]).success();
}

/// The sources have the probes while they are checked, and no longer.
#[test]
fn probes_do_not_stay_in_the_sources() {
    let project = Project::new("methods");
    project.targets(&["c-two", "--jobs=1"]).success();
    let backend = "library/std/src/sys/net/connection/socket/unix.rs";
    let [tree, checked] = ["rust", "targets/worker-0"]
        .map(|dir| fs::read_to_string(project.0.root().join("build").join(dir).join(backend)));
    assert_eq!(tree.unwrap(), checked.unwrap());
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
    let whole = project.targets(&["a-one"]).code(1);
    whole.stdout(contains("of the series, ").and(contains("1 NEW DIAGNOSTICS")));
    let first = project.targets(&["a-one", "--first=1"]).success();
    first.stdout(contains("of the first 1 of 2 patches, ").and(contains("1 compiled")));
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
    fs::write(project.beside_cargo("broken-line"), "hello").unwrap();
    let row = "a-one +socket/unix.rs +1 error +ok +mended";
    project.targets(&["a-*"]).success().stdout(predicate::str::is_match(row).unwrap());
}

#[test]
fn killed_run_keeps_what_is_done() {
    let project = Project::new("methods");
    let [hold, held] = ["hold", "held"].map(|name| project.beside_cargo(name));
    fs::write(&hold, "b-one").unwrap();
    let mut child = project.0.start(&["targets", "--all", "--jobs=1"]);
    // By the time that the next target's check is held, the results of the one before are on disk.
    let started = Instant::now();
    while !held.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", project.checked());
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The stand-in for cargo outlives its parent: it goes on, and says when it has ended.
    fs::remove_file(hold).unwrap();
    while held.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "the stand-in for cargo is held");
        std::thread::sleep(Duration::from_millis(10));
    }

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
    let mut command = project.0.xtask(&["targets", "a-one"]);
    command.env("RUSTC_WRAPPER", "true").env("CARGO_PROFILE_DEV_PANIC", "abort");
    let assert = assert_cmd::Command::from_std(command).assert();
    assert.success().stdout(contains("1 compiled"));
}

impl Project {
    /// The results of one shard, in a file.
    fn shard(&self, shard: &str, args: &[&str]) -> String {
        let args = [args, &["--shard", shard, "--format=json"]].concat();
        let output = self.targets(&args).get_output().stdout.clone();
        let file = format!("shard-{}.json", shard.replace('/', "-of-"));
        fs::write(self.0.root().join(&file), output).unwrap();
        file
    }

    fn merge(&self, args: &[&str]) -> Assert {
        self.0.run(&[&["merge"], args].concat())
    }
}

#[test]
fn merged_shards_are_the_whole_byte_for_byte() {
    // Errors that are new, and a backend that nothing covers, so that there is something to say.
    let project = Project::new("error");
    let backend = "library/std/src/sys/net/connection/socket/forgotten.rs";
    fs::write(project.0.tree().join(backend), "").unwrap();
    let shards = ["1/2", "0/2"].map(|shard| project.shard(shard, &["--all"]));
    for format in ["table", "markdown", "json"] {
        let format = format!("--format={format}");
        let whole = project.targets(&["--all", &format]).code(1).get_output().stdout.clone();
        let arguments = [&[format.as_str()], &shards.each_ref().map(String::as_str)[..]].concat();
        let merged = project.merge(&arguments).code(1).get_output().stdout.clone();
        assert_eq!(String::from_utf8(merged).unwrap(), String::from_utf8(whole).unwrap());
    }
    // More shards than targets.
    let shards = ["0/4", "1/4", "2/4", "3/4"].map(|shard| project.shard(shard, &["--all"]));
    project.merge(&shards.each_ref().map(String::as_str)).code(1).stdout(contains("of 3"));
}

#[test]
fn shard_does_not_miss_what_others_cover() {
    let project = Project::new("methods");
    let json = fs::read_to_string(project.0.root().join(project.shard("1/3", &["--all"]))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["shard"], "1/3");
    assert_eq!(json["rows"].as_array().unwrap().len(), 1);
    for name in ["base", "series", "compiler", "commit"] {
        assert!(json[name].is_string(), "{name}");
    }
    let backend = "library/std/src/sys/net/connection/socket/forgotten.rs";
    fs::write(project.0.tree().join(backend), "").unwrap();
    project.targets(&["--all", "--shard=1/3"]).success();
}

#[test]
fn shards_that_do_not_make_a_whole_are_refused() {
    let project = Project::new("methods");
    let [first, second] = ["0/2", "1/2"].map(|shard| project.shard(shard, &["--all"]));
    project.merge(&[&first, &second]).success();
    project.merge(&[&first]).code(1).stderr(contains("shard 1/2 is missing"));
    project.merge(&[&first, &second, &first]).code(1).stderr(contains("both hold shard 0/2"));
    let other = project.shard("0/3", &["--all"]);
    project.merge(&[&first, &other]).code(1).stderr(contains("holds shard 0/3"));
    // One whose selection was another one, and one that was not divided.
    let named = project.shard("1/2", &["a-one", "b-one"]);
    project.merge(&[&first, &named]).code(1).stderr(contains("another command"));
    let output = project.targets(&["--all", "--format=json"]).get_output().stdout.clone();
    fs::write(project.0.root().join("whole.json"), output).unwrap();
    project.merge(&["whole.json"]).code(1).stderr(contains("holds no shard"));
}

#[test]
fn shards_of_other_origins_are_refused() {
    let project = Project::new("methods");
    let [first, second] = ["0/2", "1/2"].map(|shard| project.shard(shard, &["--all"]));
    let text = fs::read_to_string(project.0.root().join(&second)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for name in ["base", "commit", "series", "compiler"] {
        let mut other = json.clone();
        other[name] = "another".into();
        fs::write(project.0.root().join("other.json"), other.to_string()).unwrap();
        let refused = project.merge(&[&first, "other.json"]).code(1);
        refused.stderr(contains(format!("was made with another {name} than")));
    }
    // Rows that are another shard's.
    let mut other = json.clone();
    other["rows"][0]["name"] = "a-one".into();
    fs::write(project.0.root().join("other.json"), other.to_string()).unwrap();
    let refused = project.merge(&[&first, "other.json"]).code(1);
    refused.stderr(contains("does not hold the rows of shard 1/2"));
}
