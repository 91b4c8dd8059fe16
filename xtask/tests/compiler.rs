//! Getting the compiler of a base where rustup does not have it: from Debian's packages.

// What these tests delete and overwrite is their own.
#![allow(clippy::disallowed_methods)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{COMMIT, Fixture, HOST, compiler_script, start_waiting, write_script};
use xtask::run::files::{entries, file_name};

/// apt-get, as far as the tool uses it: an "archive" is a directory, which it copies.
const APT_GET: &str = r#"
for word; do
    case "$word" in
        Dir::Cache=*) cache=${word#*=};;
        --print-uris) print=yes;;
    esac
done
case " $* " in
    *' update '*) echo "'http://mirror.example/debian/dists/bookworm/InRelease' x 0";;
    *' install '*)
        if [ "$print" ]; then
            echo "'http://mirror.example/debian/pool/rustc.deb' rustc.deb 61000000 SHA256:0"
            echo "'http://mirror.example/debian/pool/libc6.deb' libc6.deb 2000000 SHA256:0"
            exit
        fi
        while [ -e '{dir}/hold' ]; do sleep 0.01; done
        [ -e '{dir}/missing' ] && { echo 'E: Failed to fetch rustc.deb  404  Not Found' >&2; exit 100; }
        cp -R '{dir}'/debs/*.deb "$cache/archives";;
esac
"#;

/// dpkg-deb, which copies the directory that stands for a package.
const DPKG_DEB: &str = r#"
[ -e '{dir}/full' ] && { echo 'dpkg-deb: error: write failed: No space left on device' >&2; exit 2; }
[ -e "$2/truncated" ] && { echo "dpkg-deb: error: unexpected end of file" >&2; exit 2; }
if [ -e '{dir}/kill-unpacking' ]; then rm '{dir}/kill-unpacking'; kill -9 $PPID; exit; fi
cp -R "$2/." "$3"
"#;

/// The dynamic linker: starts the program, which may be patchelf.
const LOADER: &str = r#"
[ "$1" = --library-path ] && shift 2
exec "$@"
"#;

const PATCHELF: &str = r#"
if [ -e '{dir}/kill-patching' ]; then rm '{dir}/kill-patching'; kill -9 $PPID; exit; fi
echo "$*" >> '{dir}/patched'
"#;

struct Machine {
    fixture: Fixture,
}

impl Machine {
    /// A machine on which rustup does not have the compiler, and Debian has.
    fn new() -> Machine {
        let machine = Machine { fixture: Fixture::new() };
        for (name, script) in [("rustup", "exit 1"), ("apt-get", APT_GET), ("dpkg-deb", DPKG_DEB)] {
            machine.write_program(machine.fixture.bin().join(name), script);
        }
        let base_toml = machine.fixture.root().join("base.toml");
        let text = fs::read_to_string(&base_toml).unwrap().replace(
            r#"{ rustup = "1.95.0" }"#,
            r#"{ rustup = "1.95.0" }, { debian = { packages = ["rustc"], version = "1.95.0-1", suites = ["sid"] } }"#,
        );
        fs::write(base_toml, text).unwrap();
        machine.write_packages();
        machine
    }

    fn dir(&self) -> &Path {
        self.fixture.dir()
    }

    fn write_program(&self, path: PathBuf, script: &str) {
        write_script(&path, &script.replace("{dir}", &self.dir().display().to_string()));
    }

    /// What stands for the packages: their files.
    fn write_packages(&self) {
        let rustc = self.dir().join("debs/rustc.deb/usr");
        write_script(&rustc.join("bin/rustc"), &compiler_script(COMMIT, COMPILE));
        for program in ["cargo", "rustdoc", "rustfmt"] {
            write_script(&rustc.join("bin").join(program), "");
        }
        self.write_program(rustc.join("bin/patchelf"), PATCHELF);
        let std = rustc.join("lib/rustlib").join(HOST).join("lib");
        fs::create_dir_all(&std).unwrap();
        fs::write(std.join("libstd-0.rlib"), "released std").unwrap();
        fs::create_dir_all(rustc.join("share/doc")).unwrap();
        let libraries = rustc.join("lib/x86_64-linux-gnu");
        fs::create_dir_all(&libraries).unwrap();
        fs::write(libraries.join("librustc_driver-1.so"), "the compiler itself").unwrap();
        let libc = self.dir().join("debs/libc6.deb/usr/lib/x86_64-linux-gnu");
        fs::create_dir_all(&libc).unwrap();
        fs::write(libc.join("libc.so.6"), "the C library").unwrap();
        write_script(&libc.join("ld-linux-x86-64.so.2"), LOADER);
    }

    /// Makes one of the stand-ins behave as its name says.
    fn let_happen(&self, what: &str) {
        fs::write(self.dir().join(what), "").unwrap();
    }

    fn assembled(&self) -> PathBuf {
        self.fixture.cache().join("rustc-debian-1.95.0-1")
    }

    /// What is in the cache beside the archive of the sources and the lock.
    fn left_over(&self) -> Vec<String> {
        let paths = entries(&self.fixture.cache()).unwrap();
        let names = paths.iter().map(|path| file_name(path).into_owned());
        names.filter(|name| *name != "lock" && *name != support::ARCHIVE).collect()
    }

    /// Asserts that the compiler is there and works.
    fn assert_ready(&self) {
        self.fixture.run(&["prepare"]).success();
        assert_eq!(self.left_over(), ["rustc-debian-1.95.0-1"]);
        assert!(self.assembled().join("lib/private/libc.so.6").is_file());
    }
}

/// What the made-up compiler does: it makes a program that prints what the tool expects.
const COMPILE: &str = r#"printf '#!/bin/sh\necho 42\n' > "$2"; chmod +x "$2""#;

#[test]
fn debian_is_asked_where_rustup_has_none() {
    let machine = Machine::new();
    machine
        .fixture
        .run(&["prepare"])
        .success()
        .stderr(contains("downloading 2 packages of Debian, 63 MB"));
    let sysroot = machine.assembled();
    for file in [
        "bin/rustc",
        "bin/cargo",
        "lib/librustc_driver-1.so",
        "lib/rustlib/x86_64-unknown-linux-gnu/lib/libstd-0.rlib",
        "lib/private/libc.so.6",
    ] {
        assert!(sysroot.join(file).is_file(), "no {file}");
    }
    assert_eq!(entries(&sysroot).unwrap(), ["bin", "lib"].map(|name| sysroot.join(name)));
    let patched = fs::read_to_string(machine.dir().join("patched")).unwrap();
    let loader = sysroot.join("lib/private/ld-linux-x86-64.so.2");
    assert!(patched.contains(&format!("--set-interpreter {}", loader.display())), "{patched}");
    machine.fixture.run(&["prepare"]).success().stderr("");
}

#[test]
fn nothing_half_made_is_left_of_a_failure() {
    let machine = Machine::new();
    for (what, said) in [
        ("missing", "404  Not Found"),
        ("full", "help: the disk is full"),
        ("debs/rustc.deb/truncated", "unexpected end of file"),
    ] {
        machine.let_happen(what);
        let stop = machine.fixture.run(&["prepare"]).code(3);
        stop.stderr(contains(said).and(contains("rustup toolchain install")));
        assert_eq!(machine.left_over(), [""; 0]);
        fs::remove_file(machine.dir().join(what)).unwrap();
    }
    machine.assert_ready();
}

#[test]
fn killed_while_it_assembles_it_starts_over() {
    let machine = Machine::new();
    for moment in ["kill-unpacking", "kill-patching"] {
        machine.let_happen(moment);
        machine.fixture.run(&["prepare"]).interrupted();
        assert!(!machine.assembled().exists(), "{moment}");
    }
    machine.assert_ready();
}

#[test]
fn two_clones_get_it_once() {
    let (first, second) = (Machine::new(), Machine::new());
    first.let_happen("hold");
    let mut getting = first.fixture.xtask(&["prepare"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(getting.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("downloading 2 packages")));

    // The other one would fail if it tried by itself.
    second.let_happen("missing");
    let mut command = second.fixture.xtask(&["prepare"]);
    command.env("XDG_CACHE_HOME", first.fixture.cache().parent().unwrap());
    let (mut waiting, _said) = start_waiting(command, "getting a compiler");
    fs::remove_file(first.dir().join("hold")).unwrap();
    assert!(getting.wait().unwrap().success());
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn compiler_that_does_not_work_is_not_taken() {
    let machine = Machine::new();
    let rustc = machine.dir().join("debs/rustc.deb/usr/bin/rustc");
    let works = fs::read_to_string(&rustc).unwrap();
    write_script(&rustc, &works.replace("echo 42", "echo 41"));
    machine.fixture.run(&["prepare"]).code(3).stderr(contains("instead of 42"));
    assert_eq!(machine.left_over(), [""; 0]);

    let other = "0123456789012345678901234567890123456789";
    write_script(&rustc, &works.replace(COMMIT, other));
    machine.fixture.run(&["prepare"]).code(3).stderr(contains(other));
    write_script(&rustc, &works);
    machine.assert_ready();
}
