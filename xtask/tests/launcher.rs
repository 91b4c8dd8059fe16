//! The launcher that replaces the compilers of the toolchain: it opens the gate for crates that name the feature, and
//! changes nothing otherwise.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, ends_with};
use support::{finish, write_script};
use tempfile::TempDir;

/// A toolchain whose compilers print how they were called: the variable, then the arguments.
struct Launched(TempDir);

static COMPILED: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let launcher = dir.path().join("launcher");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/toolchain/launcher.rs");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-Dwarnings", source, "-o"]).arg(&launcher);
    rustc.env("STD_DIGEST", "0123456789ab").env("ASSEMBLE_TOOLCHAIN", "assemble --base b");
    finish(rustc).success();
    (dir, launcher)
});

impl Launched {
    fn new() -> Launched {
        let dir = tempfile::Builder::new().prefix("in Köln ").tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        for program in ["rustc", "rustdoc", "clippy-driver"] {
            fs::hard_link(&COMPILED.1, dir.path().join("bin").join(program)).unwrap();
            let script = r#"printf '%s\n' "$RUSTC_BOOTSTRAP" "$@"; exit ${CODE:-0}"#;
            write_script(&dir.path().join("libexec").join(program), script);
        }
        for (name, text) in [
            ("with.rs", "#![feature(tcp_keepalive)]\nfn main() {}\n"),
            ("with.md", "```\n#![feature(tcp_keepalive)]\n```\n"),
            ("without.rs", "#![feature(test)]\nfn main() {}\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        Launched(dir)
    }

    /// Runs a script in the toolchain's directory. Its launchers are on the PATH.
    fn run(&self, script: &str) -> Assert {
        let mut shell = Command::new("sh");
        shell.args(["-ec", &format!("PATH=\"$PWD/bin:$PATH\"; {script}")]);
        shell.current_dir(self.0.path()).env_remove("RUSTC_BOOTSTRAP");
        finish(shell)
    }

    /// Calls a launcher, and compares how it calls the compiler.
    #[track_caller]
    fn expect(&self, call: &str, variable: &str, arguments: &str) {
        let arguments = shlex::split(arguments).unwrap().join("\n");
        let printed = self.run(&format!("CODE=3 {call}")).code(3);
        printed.stdout(format!("{variable}\n{arguments}\n"));
    }
}

#[test]
fn opens_the_gate_for_crates_that_may_name_the_feature() {
    let launched = Launched::new();
    // `OPEN` is where the launcher adds an option.
    for call in [
        "rustc OPEN --edition 2024 with.rs -o 'a file'",
        "rustdoc OPEN --test with.md",
        "clippy-driver /toolchain/bin/rustc OPEN --crate-name a with.rs",
        "clippy-driver OPEN with.rs",
        // The launcher does not read standard input and files of arguments. Doctests come this way.
        "rustc OPEN -",
        "rustc OPEN @arguments",
        // This is printed while a crate is compiled.
        "rustc OPEN with.rs --print=native-static-libs",
    ] {
        let (_, arguments) = call.split_once(' ').unwrap();
        let arguments = arguments.replace("OPEN", "-Zallow-features=tcp_keepalive");
        launched.expect(&call.replace("OPEN ", ""), "1", &arguments);
    }
}

#[test]
fn changes_nothing_for_other_crates_and_callers_that_choose() {
    let launched = Launched::new();
    for call in [
        "rustc without.rs",
        "rustc not-there.rs",
        "rustc -V",
        "rustc 'an argument' 'with * and \"quotes\"' '$HOME'",
        "clippy-driver /toolchain/bin/rustc without.rs",
        // With the variable set, the compiler would print unstable cfgs, and cargo would pass them to build scripts. Cargo
        // asks with the first arguments.
        "rustc - --crate-name ___ --print=file-names --print=cfg",
        "rustc - --print cfg",
        "rustc with.rs --print=check-cfg",
        // The release refuses these options.
        "rustc -Zthreads=2 with.rs",
        "rustc with.rs -Zthreads=2",
    ] {
        launched.expect(call, "", call.split_once(' ').unwrap().1);
    }
    for value in ["1", "-1", "some_crate", ""] {
        launched.expect(&format!("RUSTC_BOOTSTRAP={value} rustc with.rs"), value, "with.rs");
    }
}

/// Cargo would otherwise take it for the release, and link crates that were compiled for another std.
#[test]
fn verbose_version_names_the_std() {
    let launched = Launched::new();
    for call in ["CODE=3 rustc -vV", "CODE=3 rustc --version --verbose"] {
        let said = launched.run(call).code(3);
        said.stdout(ends_with("\nstd: with tcp_keepalive, 0123456789ab\n"));
    }
}

/// The compiler would otherwise be loaded from the release, and would take its std from there.
#[test]
fn libraries_of_the_toolchain_come_first() {
    let launched = Launched::new();
    write_script(&launched.0.path().join("libexec/rustc"), "printf '%s' \"$LD_LIBRARY_PATH\"");
    let own = launched.0.path().join("lib");
    let said = launched.run("LD_LIBRARY_PATH=/release:/more rustc").success();
    said.stdout(format!("{}:/release:/more", own.display()));
    launched.run("LD_LIBRARY_PATH= rustc").success().stdout("");
}

#[test]
fn missing_program_is_named() {
    let said = Launched::new().run("rm libexec/rustc; rustc").code(1);
    let advice = contains("in the repository that built it: `assemble --base b`");
    said.stderr(contains("cannot start its compiler").and(advice));
}

/// A shell script would drop this variable.
#[test]
fn variables_of_cargo_reach_the_compiler() {
    let print = "ln -sf /usr/bin/env libexec/rustc; env CARGO_BIN_EXE_echo-server=here rustc";
    Launched::new().run(print).success().stdout(contains("CARGO_BIN_EXE_echo-server=here\n"));
}

#[test]
fn missing_std_is_said_with_the_command_that_adds_it() {
    let launched = Launched::new();
    let note = "note: `assemble --base b --target a-target`, in the repository that built this toolchain, adds std for \
                this target\n";
    launched.run("rustc without.rs --target a-target").success().stderr(note);
    let add = "mkdir -p lib/rustlib/a-target; rustc without.rs --target a-target";
    launched.run(add).success().stderr("");
    launched.run("rustc without.rs --target a-target.json").success().stderr("");
}
