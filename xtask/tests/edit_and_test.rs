//! `cargo xtask test`, with a made-up std whose tests are compiled by this machine's compiler, so that what
//! selects them, runs them and fails is libtest itself.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rustix::process::{Pid, Signal, kill_process_group};
use support::{Fixture, start, start_waiting, write_script};

/// Cargo, as far as std's tests are compiled with it. It says that it has begun, and waits while the file
/// `hold` is there, before it looks at the sources.
const CARGO: &str = r#"
if [ "$1" = fetch ]; then exit; fi
for word; do
    case "$previous" in
        --target) target=$word;;
        --target-dir) out=$word;;
    esac
    case "$word" in
        --lib) programs="$programs std=src/lib.rs";;
        --test=*) programs="$programs ${word#--test=}=tests/${word#--test=}.rs";;
    esac
    previous=$word
done
touch '{begun}'
while [ -e '{hold}' ]; do sleep 0.01; done
deps="$out/$target/debug/deps"
mkdir -p "$deps"
touch "$deps/libstd-0.rlib"
printf '{"filenames": ["%s"]}\n' "$deps/libstd-0.rlib"
for program in $programs; do
    name=${program%%=*}
    '{rustc}' --test --crate-name "$name" "std/${program#*=}" -o "$deps/$name" || exit 101
    printf '{"target": {"name": "%s"}, "executable": "%s"}\n' "$name" "$deps/$name"
done
"#;

const STD: &str = "
mod net {
    mod tcp {
        #[test] fn keepalive() { assert_eq!(2, 1 + 1) }
        #[test] fn nodelay() {}
    }
    #[test] fn udp() { println!(\"printed\") }
}";

/// A project with unit tests in std, and an integration test that is not committed yet. The base has
/// another, which does not compile.
fn fixture() -> Fixture {
    let fixture = Fixture::prepared();
    write(&fixture, "src/lib.rs", STD);
    write(&fixture, "tests/fresh.rs", "#[test] fn both_ends() {}");
    let sysroot = Command::new("rustc").arg("--print=sysroot").output().unwrap().stdout;
    let rustc = format!("{}/bin/rustc", String::from_utf8(sysroot).unwrap().trim_end());
    let cargo = CARGO
        .replace("{rustc}", &rustc)
        .replace("{begun}", fixture.dir().join("begun").to_str().unwrap())
        .replace("{hold}", fixture.dir().join("hold").to_str().unwrap());
    write_script(&fixture.toolchain().join("bin/cargo"), &cargo);
    fixture
}

fn write(fixture: &Fixture, file: &str, text: &str) {
    fs::write(fixture.tree().join("library/std").join(file), text).unwrap();
}

/// Starts it, and returns once it compiles, which it does until `hold` is removed.
fn compiling(fixture: &Fixture) -> (Child, PathBuf) {
    let (begun, hold) = (fixture.dir().join("begun"), fixture.dir().join("hold"));
    fs::write(&hold, "").unwrap();
    let mut command = fixture.xtask(&["test"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = start(command);
    while !begun.exists() {
        thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(begun).unwrap();
    (child, hold)
}

/// Checks which tests libtest says that it ran.
fn ran(said: Assert, tests: &[&str]) {
    let said = String::from_utf8(said.get_output().stdout.clone()).unwrap();
    let name = |line: &str| Some(line.strip_prefix("test ")?.split_once(" ... ")?.0.to_owned());
    let mut names: Vec<_> = said.lines().filter_map(name).collect();
    names.sort();
    assert_eq!(names, tests, "{said}");
}

const BY_DEFAULT: [&str; 3] = ["both_ends", "net::tcp::keepalive", "net::tcp::nodelay"];

#[test]
fn tests_of_tcp_and_of_the_series_run_by_default() {
    let fixture = fixture();
    let said = fixture.run(&["test"]).success();
    ran(said.stderr(contains("`./x.py test library/std`")), &BY_DEFAULT);

    fixture.add_base();
    fixture.shell("mkdir patches/1.96 && cp patches/1.95/*.patch patches/1.96").success();
    fixture.run(&["--base=1.96", "prepare"]).success();
    let std = fixture.root().join("build/rust-1.96/library/std/src/lib.rs");
    fs::write(std, "#[test] fn other() {}").unwrap();
    let said = fixture.run(&["--base=1.96", "test", "other"]).success();
    ran(said.stderr(contains("`./x.py --base 1.96 test library/std`")), &["other"]);
}

#[test]
fn filters_and_arguments_are_libtests() {
    let fixture = fixture();
    ran(fixture.run(&["test", "udp", "both"]).success(), &["both_ends", "net::udp"]);
    let exact = ["test", "--", "--exact", "net::tcp::nodelay"];
    ran(fixture.run(&exact).success(), &["net::tcp::nodelay"]);
    ran(fixture.run(&["test", "--test=fresh"]).success(), &["both_ends"]);
    let list = fixture.run(&["test", "--", "--list"]).success();
    list.stdout(contains("net::tcp::nodelay: test\n").and(contains("both_ends: test\n")));
    let loud = fixture.run(&["test", "udp", "--", "--nocapture"]).success();
    loud.stdout(contains("printed"));
    let unknown = fixture.run(&["test", "--", "--odd"]).code(101);
    unknown.stderr(contains("Unrecognized option: 'odd'"));
}

#[test]
fn selecting_nothing_is_an_error() {
    let fixture = fixture();
    for arguments in [&["test", "tpc"][..], &["test", "net", "--", "--exact"]] {
        let none = fixture.run(arguments).code(1).stdout("");
        none.stderr(
            contains("no test of fresh or std is selected by").and(contains("not optimized").not()),
        );
    }
}

#[test]
fn failure_has_the_exit_code_of_libtest() {
    let fixture = fixture();
    write(&fixture, "src/lib.rs", &STD.replace("1 + 1", "1 + 2"));
    // Whatever else passes, before and after.
    ran(fixture.run(&["test"]).code(101), &BY_DEFAULT);
    write(&fixture, "src/lib.rs", &STD.replace("1 + 1", "1 +"));
    let said = fixture.run(&["test"]).code(1).stdout("");
    said.stderr(contains("error: expected expression").and(contains("do not compile")));
}

#[test]
fn what_is_saved_while_cargo_compiles_counts_the_next_time() {
    let fixture = fixture();
    let (mut first, hold) = compiling(&fixture);
    write(&fixture, "src/lib.rs", &STD.replace("1 + 1", "1 + 2"));
    write(&fixture, "tests/fresh.rs", "#[test] fn both_ends() { panic!() }");
    fs::remove_file(hold).unwrap();
    assert!(first.wait().unwrap().success());
    fixture.run(&["test"]).code(101);
}

#[test]
fn second_one_waits_and_goes_on_after_an_interruption() {
    let fixture = fixture();
    let (mut first, hold) = compiling(&fixture);
    let (mut second, _said) = start_waiting(fixture.xtask(&["test"]), "compiling std");

    // Ctrl-C.
    kill_process_group(Pid::from_child(&first), Signal::INT).unwrap();
    assert_eq!(first.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
    fs::remove_file(hold).unwrap();
    assert!(second.wait().unwrap().success());
}
