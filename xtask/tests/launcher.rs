//! The launcher that replaces the compilers of the toolchain: it opens the gate for crates that name the feature, and
//! changes nothing otherwise.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use fs_err as fs;
use support::write_script;
use tempfile::TempDir;

/// A toolchain whose compilers print how they were called.
struct Launched {
    dir: TempDir,
}

static COMPILED: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let launcher = dir.path().join("launcher");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/toolchain/launcher.rs");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-Dwarnings", source, "-o"]).arg(&launcher);
    rustc.env("ASSEMBLE_TOOLCHAIN", "cargo xtask toolchain --base b");
    assert!(rustc.env("STD_DIGEST", "0123456789ab").status().unwrap().success());
    (dir, launcher)
});

impl Launched {
    fn new() -> Launched {
        let dir = tempfile::Builder::new().prefix("in Köln ").tempdir().unwrap();
        fs::create_dir_all(dir.path().join("bin")).unwrap();
        for program in ["rustc", "rustdoc", "clippy-driver"] {
            fs::hard_link(&COMPILED.1, dir.path().join("bin").join(program)).unwrap();
            let script =
                r#"echo "RUSTC_BOOTSTRAP=$RUSTC_BOOTSTRAP"; printf '%s\n' "$@"; exit $CODE"#;
            write_script(&dir.path().join("libexec").join(program), script);
        }
        for (name, text) in [
            ("with.rs", "#![feature(tcp_keepalive)]\nfn main() {}\n"),
            ("with.md", "```\n#![feature(tcp_keepalive)]\n```\n"),
            ("without.rs", "#![feature(test)]\nfn main() {}\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        Launched { dir }
    }

    fn call(&self, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(self.dir.path().join("bin").join(program));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_remove("RUSTC_BOOTSTRAP").env("CODE", "0").envs(variables.iter().copied());
        command.output().unwrap()
    }

    /// Returns what the real compiler was called with: the variable, then the arguments.
    fn run(&self, program: &str, args: &[&str], bootstrap: Option<&str>) -> Vec<String> {
        let mut variables = vec![("CODE", "3")];
        variables.extend(bootstrap.map(|value| ("RUSTC_BOOTSTRAP", value)));
        let output = self.call(program, args, &variables);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect()
    }

    fn opens(&self, program: &str, args: &[&str]) {
        let mut expected = args.to_vec();
        let after_compiler = usize::from(args[0].ends_with("/rustc"));
        expected.insert(after_compiler, "-Zallow-features=tcp_keepalive");
        expected.insert(0, "RUSTC_BOOTSTRAP=1");
        assert_eq!(self.run(program, args, None), expected);
    }

    fn changes_nothing(&self, program: &str, args: &[&str], bootstrap: Option<&str>) {
        let variable = format!("RUSTC_BOOTSTRAP={}", bootstrap.unwrap_or(""));
        let mut expected = vec![variable.as_str()];
        expected.extend(args);
        assert_eq!(self.run(program, args, bootstrap), expected);
    }
}

#[test]
fn opens_the_gate_for_crates_that_name_the_feature() {
    let launched = Launched::new();
    launched.opens("rustc", &["--edition", "2024", "with.rs", "-o", "a file"]);
    launched.opens("rustdoc", &["--test", "with.md"]);
    launched.opens("clippy-driver", &["/toolchain/bin/rustc", "--crate-name", "a", "with.rs"]);
    launched.opens("clippy-driver", &["with.rs"]);
    // The launcher does not read standard input and files of arguments. Doctests come this way.
    launched.opens("rustc", &["-"]);
    launched.opens("rustc", &["@arguments"]);
}

#[test]
fn changes_nothing_for_other_crates() {
    let launched = Launched::new();
    for args in [
        &["without.rs"][..],
        &["not-there.rs"],
        &["-V"],
        &["an argument", "with * and \"quotes\"", "$HOME"],
    ] {
        launched.changes_nothing("rustc", args, None);
    }
    launched.changes_nothing("clippy-driver", &["/toolchain/bin/rustc", "without.rs"], None);
}

/// With the variable set, the compiler would print unstable cfgs, and cargo would pass them to build scripts. Cargo asks
/// with these arguments.
#[test]
fn prints_the_same_cfgs_as_the_release() {
    let launched = Launched::new();
    let cargo = ["-", "--crate-name", "___", "--print=file-names", "--print=cfg"];
    launched.changes_nothing("rustc", &cargo, None);
    launched.changes_nothing("rustc", &["-", "--print", "cfg"], None);
    launched.changes_nothing("rustc", &["with.rs", "--print=check-cfg"], None);
    // This one is printed while a crate is compiled.
    launched.opens("rustc", &["with.rs", "--print=native-static-libs"]);
}

#[test]
fn respects_variables_and_options_of_the_caller() {
    let launched = Launched::new();
    for value in ["1", "-1", "some_crate", ""] {
        launched.changes_nothing("rustc", &["with.rs"], Some(value));
    }
    // The release refuses these options.
    launched.changes_nothing("rustc", &["-Zthreads=2", "with.rs"], None);
    launched.changes_nothing("rustc", &["with.rs", "-Zthreads=2"], None);
}

/// Cargo would otherwise take it for the release, and link crates that were compiled for another std.
#[test]
fn verbose_version_names_the_std() {
    let launched = Launched::new();
    for question in [&["-vV"][..], &["--version", "--verbose"]] {
        let said = launched.call("rustc", question, &[]).stdout;
        let said = String::from_utf8(said).unwrap();
        assert!(said.ends_with("\nstd: with tcp_keepalive, 0123456789ab\n"), "{said}");
        assert_eq!(launched.call("rustc", question, &[("CODE", "3")]).status.code(), Some(3));
    }
}

/// The compiler would otherwise be loaded from the release, and would take its std from there.
#[test]
fn libraries_of_the_toolchain_come_first() {
    let launched = Launched::new();
    let script = "printf '%s' \"$LD_LIBRARY_PATH\"";
    write_script(&launched.dir.path().join("libexec/rustc"), script);
    let run = |value: &str| launched.call("rustc", &[], &[("LD_LIBRARY_PATH", value)]).stdout;
    let own = launched.dir.path().join("lib");
    assert_eq!(run("/release:/more"), format!("{}:/release:/more", own.display()).as_bytes());
    assert_eq!(run(""), b"");
}

#[test]
fn missing_program_is_named() {
    let launched = Launched::new();
    fs::remove_file(launched.dir.path().join("libexec/rustc")).unwrap();
    let output = launched.call("rustc", &[], &[]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("cannot start its compiler"), "{message}");
    assert!(
        message.contains("in the repository that built it: `cargo xtask toolchain --base b`"),
        "{message}"
    );
}

/// A shell script would drop this variable.
#[test]
fn variables_of_cargo_reach_the_compiler() {
    let launched = Launched::new();
    let real = launched.dir.path().join("libexec/rustc");
    fs::remove_file(&real).unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", &real).unwrap();
    let output = launched.call("rustc", &[], &[("CARGO_BIN_EXE_echo-server", "here")]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("CARGO_BIN_EXE_echo-server=here\n"), "{printed}");
}

#[test]
fn missing_std_is_said_with_the_command_that_adds_it() {
    let launched = Launched::new();
    let note = |target: &str| {
        let output = launched.call("rustc", &["without.rs", "--target", target], &[]);
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        note("a-target"),
        "note: `cargo xtask toolchain --base b --target a-target`, in the repository that built this toolchain, adds std \
         for this target\n"
    );
    fs::create_dir_all(launched.dir.path().join("lib/rustlib/a-target")).unwrap();
    assert_eq!(note("a-target"), "");
    assert_eq!(note("a-target.json"), "");
}
