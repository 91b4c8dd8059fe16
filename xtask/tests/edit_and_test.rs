//! `cargo xtask test`, with a made-up std whose tests are compiled by this machine's compiler and run by libtest.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::process::Command;

use assert_cmd::assert::Assert;
use predicates::str::contains;
use support::{Fixture, LIB, finish, stderr_of, stdout_of, write_script};

/// A stand-in for cargo. The real one would compile a std.
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
deps="$out/$target/debug/deps"
mkdir -p "$deps"
touch "$deps/libstd-0.rlib"
printf '{"filenames": ["%s"]}\n' "$deps/libstd-0.rlib"
for program in $programs; do
    name=${program%%=*} source=std/${program#*=}
    [ "$deps/$name" -nt "$source" ] ||
        '{sysroot}/bin/rustc' --test --crate-name "$name" "$source" -o "$deps/$name" || exit 101
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

const FRESH: &str = "rust/library/std/tests/fresh.rs";
const BY_DEFAULT: &str = "keepalive_at_both_ends net::tcp::keepalive net::tcp::nodelay";

/// Returns a project with unit tests in std, and an integration test that is not committed. The base has another
/// integration test, which does not compile.
fn fixture() -> Fixture {
    let fixture = Fixture::prepared();
    fixture.write(LIB, STD);
    fixture.write(FRESH, "#[test] fn keepalive_at_both_ends() {}");
    let cargo = CARGO.replace("{sysroot}", &sysroot());
    write_script(&fixture.toolchain.join("bin/cargo"), &cargo);
    fixture
}

/// Returns the sysroot of this machine's compiler.
fn sysroot() -> String {
    let mut rustc = Command::new("rustc");
    rustc.arg("--print=sysroot");
    stdout_of(&finish(rustc).success())
}

/// Runs `cargo xtask COMMAND`, and compares its exit code and the tests that libtest runs.
#[track_caller]
fn expect(fixture: &Fixture, command: &str, code: i32, tests: &str) -> Assert {
    let said = fixture.run(command).code(code);
    let stdout = stdout_of(&said);
    let name = |line: &'_ str| Some(line.strip_prefix("test ")?.split_once(" ... ")?.0.to_owned());
    let mut names: Vec<_> = stdout.lines().filter_map(name).collect();
    names.sort();
    assert_eq!(names.join(" "), tests, "{command}");
    said
}

#[test]
fn arguments_select_tests_and_reach_libtest() {
    let fixture = fixture();
    for (arguments, code, tests, said) in [
        ("", 0, BY_DEFAULT, "`./x.py test library/std`"),
        ("keepalive", 0, "keepalive_at_both_ends net::tcp::keepalive", ""),
        ("-- keepalive", 0, "keepalive_at_both_ends net::tcp::keepalive", ""),
        ("udp ends", 0, "keepalive_at_both_ends net::udp", ""),
        ("-- --exact net::tcp::nodelay", 0, "net::tcp::nodelay", ""),
        // The value of an option is no filter.
        ("-- --skip keepalive --test-threads=1", 0, "net::tcp::nodelay", ""),
        ("--test=fresh", 0, "keepalive_at_both_ends", ""),
        ("-- --list", 0, "", "net::tcp::nodelay: test\n"),
        ("-- --list", 0, "", "both_ends: test\n"),
        ("udp -- --nocapture", 0, "net::udp", "printed"),
        ("-- --odd", 101, "", "Unrecognized option: 'odd'"),
        ("tpc", 1, "", "error: no test was selected in fresh and std"),
        ("net -- --exact", 1, "", "error: no test was selected in fresh and std"),
    ] {
        let output = expect(&fixture, &format!("test {arguments}"), code, tests);
        let printed = stdout_of(&output) + "\n" + &stderr_of(&output);
        assert!(printed.contains(said), "{arguments}");
        assert!(code != 1 || stdout_of(&output).is_empty() && !printed.contains("note:"));
    }
}

#[test]
fn tests_that_the_series_changes_run_by_default_for_each_base() {
    let fixture = fixture();
    // git does not look at the file.
    fixture.git("update-index --assume-unchanged library/std/tests/old.rs");
    fixture.write("rust/library/std/tests/old.rs", "#[test] fn edited() {}");
    expect(&fixture, "test", 0, &format!("edited {BY_DEFAULT}"));

    fixture.shell("cp -r patches/1.95 patches/1.96; cargo xtask --base=1.96 prepare").success();
    fixture.write("rust-1.96/library/std/src/lib.rs", "#[test] fn other() {}");
    let said = expect(&fixture, "--base=1.96 test other", 0, "other");
    said.stderr(contains("`./x.py --base 1.96 test library/std`"));
}

#[test]
fn program_without_tests_is_an_error_if_it_was_asked_for() {
    let fixture = fixture();
    fixture.write(FRESH, "#![cfg(any())] #[test] fn keepalive_at_both_ends() {}");
    for command in ["test", "test --test=fresh"] {
        fixture.run(command).code(1).stderr(contains("no test was selected in fresh"));
    }
    // With a filter, the tests may be in one program alone.
    expect(&fixture, "test udp", 0, "net::udp");
}

#[test]
fn failure_has_the_exit_code_of_libtest() {
    let fixture = fixture();
    fixture.write(LIB, &STD.replace("1 + 1", "1 + 2"));
    // The other program runs, too.
    expect(&fixture, "test", 101, BY_DEFAULT);
    fixture.write(LIB, &STD.replace("1 + 1", "1 +"));
    let said = fixture.run("test").code(1).stdout("").stderr(contains("do not compile"));
    said.stderr(contains("error: expected expression"));
}

/// Writes a made-up workspace in the place of library/, for the real cargo. Its crates are called as std's are.
const WORKSPACE: &str = r#"
cd rust/library; rm -r std; mkdir -p std/src test/src
echo 'workspace = { members = ["std", "test"], resolver = "3" }' >Cargo.toml
echo 'package = { name = "std", version = "0.0.0", edition = "2024" }
features.panic-unwind = []' >std/Cargo.toml
echo 'package = { name = "test", version = "0.0.0", edition = "2024" }
dependencies.std.path = "../std"' >test/Cargo.toml
echo '#![cfg_attr(not(test), no_std)] pub fn is_on(raw: i32) -> bool { raw != 0 } mod net;' >std/src/lib.rs
echo 'mod tcp { #[test] fn keepalive() { assert!(crate::is_on(1)) } }' >std/src/net.rs
echo '#![no_std]' >test/src/lib.rs
export RUSTC=$PWD/../../../toolchain/bin/rustc
../../../toolchain/bin/cargo generate-lockfile --offline; git add .; git commit -qm Workspace
"#;

/// git's check for racy files misses such an edit in a copied index. git may also be told to hide it.
#[test]
fn edit_of_the_same_length_in_the_same_second_is_compiled() {
    let fixture = Fixture::prepared();
    // The made-up crates use the real std.
    let real = sysroot();
    let rustc = fixture.toolchain.join("bin/rustc");
    // Cargo sets the variable RUSTC.
    let real_rustc = format!(
        "[ -z \"$RUSTC\" ] || {{ for word; do shift; case \"$word\" in --sysroot=*|-Zforce-*) ;; *) set -- \"$@\" \
         \"$word\";; esac; done; exec '{real}/bin/rustc' \"$@\"; }}\n{}",
        fixture.read(&rustc)
    );
    write_script(&rustc, &real_rustc);
    let cargo = fixture.toolchain.join("bin/cargo");
    write_script(&cargo, &format!("exec '{real}/bin/cargo' \"$@\""));
    fixture.shell(WORKSPACE).success();
    expect(&fixture, "test", 0, "net::tcp::keepalive");
    for (hide, from, to, code) in [
        ("checkout", "raw != 0", "raw == 0", 101),
        ("update-index --assume-unchanged", "raw == 0", "raw != 0", 0),
        ("update-index --skip-worktree", "raw != 0", "raw == 0", 101),
    ] {
        fixture.git(&format!("{hide} library/std/src/lib.rs"));
        fixture.write(LIB, &fixture.read(LIB).replace(from, to));
        expect(&fixture, "test", code, "net::tcp::keepalive");
    }
}
