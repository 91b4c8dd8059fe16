//! `cargo xtask test`, with a made-up std whose tests are compiled by this machine's compiler and run by libtest.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{Fixture, finish, stdout_of, write_script};

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

/// Returns a project with unit tests in std, and an integration test that is not committed. The base has another
/// integration test, which does not compile.
fn fixture() -> Fixture {
    let fixture = Fixture::prepared();
    write(&fixture, "src/lib.rs", STD);
    write(&fixture, "tests/fresh.rs", "#[test] fn keepalive_at_both_ends() {}");
    let cargo = CARGO.replace("{rustc}", &format!("{}/bin/rustc", sysroot()));
    write_script(&fixture.toolchain.join("bin/cargo"), &cargo);
    fixture
}

fn sysroot() -> String {
    let mut rustc = Command::new("rustc");
    rustc.arg("--print=sysroot");
    stdout_of(&finish(rustc).success())
}

fn write(fixture: &Fixture, file: &str, text: &str) {
    fs::write(fixture.tree.join("library/std").join(file), text).unwrap();
}

/// Checks which tests libtest ran.
fn ran(said: Assert, tests: &[&str]) {
    let said = stdout_of(&said);
    let name = |line: &str| Some(line.strip_prefix("test ")?.split_once(" ... ")?.0.to_owned());
    let mut names: Vec<_> = said.lines().filter_map(name).collect();
    names.sort();
    assert_eq!(names, tests, "{said}");
}

const BY_DEFAULT: [&str; 3] =
    ["keepalive_at_both_ends", "net::tcp::keepalive", "net::tcp::nodelay"];

#[test]
fn tests_of_tcp_and_of_the_series_run_by_default() {
    let fixture = fixture();
    let said = fixture.run("test").success();
    ran(said.stderr(contains("`./x.py test library/std`")), &BY_DEFAULT);
    // git does not look at the file.
    fixture.git("update-index --assume-unchanged library/std/tests/old.rs");
    write(&fixture, "tests/old.rs", "#[test] fn edited() {}");
    let all = [&["edited"], &BY_DEFAULT[..]].concat();
    ran(fixture.run("test").success(), &all);

    fixture.shell("mkdir patches/1.96; cp patches/1.95/*.patch patches/1.96").success();
    fixture.run("--base=1.96 prepare").success();
    let std = fixture.root.join("rust-1.96/library/std/src/lib.rs");
    fs::write(std, "#[test] fn other() {}").unwrap();
    let said = fixture.run("--base=1.96 test other").success();
    ran(said.stderr(contains("`./x.py --base 1.96 test library/std`")), &["other"]);
}

#[test]
fn words_are_filters_also_after_two_dashes() {
    let fixture = fixture();
    let both = ["keepalive_at_both_ends", "net::tcp::keepalive"];
    ran(fixture.run("test -- keepalive").success(), &both);
    ran(fixture.run("test keepalive").success(), &both);
    ran(fixture.run("test udp ends").success(), &["keepalive_at_both_ends", "net::udp"]);
    let exact = "test -- --exact net::tcp::nodelay";
    ran(fixture.run(exact).success(), &["net::tcp::nodelay"]);
    // The value of an option is no filter.
    let skip = "test -- --skip keepalive --test-threads=1";
    ran(fixture.run(skip).code(0), &["net::tcp::nodelay"]);
}

#[test]
fn arguments_after_two_dashes_reach_libtest() {
    let fixture = fixture();
    ran(fixture.run("test --test=fresh").success(), &["keepalive_at_both_ends"]);
    let list = fixture.run("test -- --list").success();
    list.stdout(contains("net::tcp::nodelay: test\n").and(contains("both_ends: test\n")));
    let loud = fixture.run("test udp -- --nocapture").success();
    loud.stdout(contains("printed"));
    let unknown = fixture.run("test -- --odd").code(101);
    unknown.stderr(contains("Unrecognized option: 'odd'"));
}

#[test]
fn selecting_no_test_is_an_error() {
    let fixture = fixture();
    for arguments in ["test tpc", "test net -- --exact"] {
        let none = fixture.run(arguments).code(1).stdout("");
        none.stderr(contains("no test was selected in fresh and std").and(contains("note:").not()));
    }
}

#[test]
fn program_without_tests_is_an_error_if_it_was_asked_for() {
    let fixture = fixture();
    write(&fixture, "tests/fresh.rs", "#![cfg(any())] #[test] fn keepalive_at_both_ends() {}");
    for arguments in ["test", "test --test=fresh"] {
        let said = fixture.run(arguments).code(1);
        said.stderr(contains("no test was selected in fresh"));
    }
    // With a filter, the tests may be in one program alone.
    ran(fixture.run("test udp").success(), &["net::udp"]);
}

#[test]
fn failure_has_the_exit_code_of_libtest() {
    let fixture = fixture();
    write(&fixture, "src/lib.rs", &STD.replace("1 + 1", "1 + 2"));
    // The other program runs, too.
    ran(fixture.run("test").code(101), &BY_DEFAULT);
    write(&fixture, "src/lib.rs", &STD.replace("1 + 1", "1 +"));
    let said = fixture.run("test").code(1).stdout("");
    said.stderr(contains("error: expected expression").and(contains("do not compile")));
}

#[test]
fn after_an_interruption_the_next_run_goes_on() {
    let fixture = fixture();
    let cargo = fixture.toolchain.join("bin/cargo");
    let whole = fs::read_to_string(&cargo).unwrap();
    let killing = "[ $1 != test ] || { kill -9 $PPID; exit 1; }";
    write_script(&cargo, &format!("{killing}\n{whole}"));
    assert_eq!(fixture.run("test").get_output().status.signal(), Some(9));
    write_script(&cargo, &whole);
    ran(fixture.run("test").success(), &BY_DEFAULT);
}

/// A made-up workspace in the place of library/, for the real cargo. Its crates are called as std's are.
const WORKSPACE: &[(&str, &str)] = &[
    ("Cargo.toml", "[workspace]\nmembers = [\"std\", \"test\"]\nresolver = \"3\"\n"),
    (
        "Cargo.lock",
        "version = 4\n[[package]]\nname = \"std\"\nversion = \"0.0.0\"\n[[package]]\nname = \"test\"\n\
         version = \"0.0.0\"\ndependencies = [\"std\"]\n",
    ),
    (
        "std/Cargo.toml",
        "[package]\nname = \"std\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[features]\npanic-unwind = []\n",
    ),
    (
        "std/src/lib.rs",
        "#![cfg_attr(not(test), no_std)]\npub fn is_on(raw: i32) -> bool { raw != 0 }\nmod net;\n",
    ),
    ("std/src/net.rs", "mod tcp { #[test] fn keepalive() { assert!(crate::is_on(1)) } }\n"),
    (
        "test/Cargo.toml",
        "[package]\nname = \"test\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\nstd = { path = \"../std\" }\n",
    ),
    ("test/src/lib.rs", "#![no_std]\n"),
];

/// git's check for racy files misses such an edit in a copied index. git may also be told to hide it.
#[test]
fn edit_of_the_same_length_in_the_same_second_is_compiled() {
    let fixture = Fixture::prepared();
    fixture.shell("rm -r rust/library/std/src rust/library/std/tests").success();
    for (file, text) in WORKSPACE {
        let file = fixture.tree.join("library").join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    fixture.shell("cd rust; git add .; git commit -qm Workspace").success();
    // The made-up crates use the real std.
    let real = sysroot();
    let rustc = fixture.toolchain.join("bin/rustc");
    let known = fs::read_to_string(&rustc).unwrap();
    // Cargo sets the variable RUSTC.
    let real_rustc = format!(
        "[ -z \"$RUSTC\" ] || {{ for word; do shift; case \"$word\" in --sysroot=*|-Zforce-*) ;; *) set -- \"$@\" \
         \"$word\";; esac; done; exec '{real}/bin/rustc' \"$@\"; }}\n{known}"
    );
    write_script(&rustc, &real_rustc);
    let cargo = fixture.toolchain.join("bin/cargo");
    write_script(&cargo, &format!("exec '{real}/bin/cargo' \"$@\""));
    ran(fixture.run("test").success(), &["net::tcp::keepalive"]);
    let lib = fixture.tree.join("library/std/src/lib.rs");
    let text = fs::read_to_string(&lib).unwrap();
    for before in ["checkout", "update-index --assume-unchanged", "update-index --skip-worktree"] {
        fixture.shell(&format!("git -C rust {before} library/std/src/lib.rs")).success();
        fs::write(&lib, text.replace("raw != 0", "raw == 0")).unwrap();
        fixture.run("test").code(101);
        fs::write(&lib, &text).unwrap();
        fixture.run("test").success();
    }
}
