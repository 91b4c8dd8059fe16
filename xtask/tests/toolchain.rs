//! build/toolchain: what is in it, what happens to the user's own toolchain (nothing), and rustup.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{FOREIGN, Fixture, HOST};

fn assembled(fixture: &Fixture) -> PathBuf {
    fixture.root().join("build/toolchain")
}

/// The std of a target in the assembled toolchain: what its one library holds.
fn std_of(fixture: &Fixture, target: &str) -> String {
    let libdir = assembled(fixture).join("lib/rustlib").join(target).join("lib");
    let mut libraries: Vec<_> = fs::read_dir(libdir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rlib"))
        .collect();
    assert_eq!(libraries.len(), 1, "{libraries:?}");
    fs::read_to_string(libraries.pop().unwrap()).unwrap()
}

/// Every file below a directory: which one it is, its contents, and when it was last written.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (u64, Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            let metadata = fs::metadata(&path).unwrap();
            let modified = metadata.modified().unwrap();
            files.insert(path.clone(), (metadata.ino(), fs::read(&path).unwrap(), modified));
        }
    }
    files
}

#[test]
fn holds_the_release_with_the_patched_std() {
    let fixture = Fixture::new();
    fixture.run(&["toolchain"]).success().stdout(contains("build/toolchain is ready"));
    let (ours, theirs) = (assembled(&fixture), fixture.toolchain());

    assert_eq!(std_of(&fixture, HOST), format!("{HOST}: hello, patched\n"));
    let source = ours.join("lib/rustlib/src/rust/library/std/src/lib.rs");
    assert_eq!(fs::read_to_string(source).unwrap(), "hello, patched\n");
    assert!(fs::read_to_string(ours.join("README.txt")).unwrap().contains("Rust 1.95.0"));

    let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
    for (here, there) in [
        ("bin/cargo", "bin/cargo"),
        ("lib/librustc_driver.so", "lib/librustc_driver.so"),
        ("libexec/rustc", "bin/rustc"),
        ("libexec/rustdoc", "bin/rustdoc"),
        ("libexec/clippy-driver", "bin/clippy-driver"),
    ] {
        assert_eq!(inode(ours.join(here)), inode(theirs.join(there)), "{here}");
    }
    for launched in ["bin/rustc", "bin/rustdoc", "bin/clippy-driver"] {
        assert_eq!(fs::read_to_string(ours.join(launched)).unwrap(), "compiled\n");
    }
    let rustlib = ours.join("lib/rustlib");
    assert!(rustlib.join(HOST).join("lib/librt.asan.a").exists());
    assert!(rustlib.join(HOST).join("lib/crt1.o").exists());
    for left_out in ["lib/rustlib/components", "share/doc", &format!("lib/rustlib/{FOREIGN}")] {
        assert!(!ours.join(left_out).exists(), "{left_out}");
    }
}

#[test]
fn does_nothing_when_nothing_changed() {
    let fixture = Fixture::new();
    fixture.run(&["toolchain"]).success();
    let before = snapshot(&assembled(&fixture));
    fixture.run(&["toolchain"]).success().stdout(contains("up to date")).stderr("");
    assert!(snapshot(&assembled(&fixture)) == before);
}

#[test]
fn follows_the_sources_and_leaves_the_users_toolchain_alone() {
    let fixture = Fixture::new();
    let before = snapshot(&fixture.toolchain());
    fixture.run(&["toolchain"]).success();
    for text in ["hello, twice", "hello, thrice"] {
        fixture.write_patch("0001-first.patch", "hello", text);
        fixture.run(&["toolchain"]).success();
        assert_eq!(std_of(&fixture, HOST), format!("{HOST}: {text}\n"));
    }
    // Also with changes that are in no patch yet.
    fs::write(fixture.tree().join("library/std/src/lib.rs"), "my work\n").unwrap();
    fixture.run(&["toolchain"]).success();
    assert_eq!(std_of(&fixture, HOST), format!("{HOST}: my work\n"));

    fixture.git(&["checkout", "--quiet", "."]);
    fixture.run(&["clean"]).success();
    assert!(!assembled(&fixture).exists());
    assert!(snapshot(&fixture.toolchain()) == before);
}

#[test]
fn keeps_the_targets_that_were_added() {
    let fixture = Fixture::new();
    fixture.run(&["toolchain"]).success();
    fixture.run(&["toolchain", "--target", FOREIGN]).success();
    assert_eq!(std_of(&fixture, FOREIGN), format!("{FOREIGN}: hello, patched\n"));
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    fixture.run(&["toolchain"]).success();
    assert_eq!(std_of(&fixture, FOREIGN), format!("{FOREIGN}: hello, again\n"));
    assert_eq!(std_of(&fixture, HOST), format!("{HOST}: hello, again\n"));
    let start_file = format!("lib/rustlib/{FOREIGN}/lib/crt1.o");
    assert!(assembled(&fixture).join(start_file).exists());
}

#[test]
fn what_does_not_compile_leaves_the_old_one_in_use() {
    let fixture = Fixture::new();
    fixture.run(&["toolchain"]).success();
    fixture.write_patch("0001-first.patch", "hello", "does not compile");
    fixture.run(&["toolchain"]).code(1).stderr(
        contains("std does not compile for x86_64-unknown-linux-gnu")
            .and(contains("error: expected item"))
            .and(contains("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER")),
    );
    assert_eq!(std_of(&fixture, HOST), format!("{HOST}: hello, patched\n"));
    assert!(!fixture.root().join("build/.toolchain.unfinished").exists());
}

#[test]
fn killed_anywhere_it_goes_on() {
    let fixture = Fixture::new();
    let before = snapshot(&fixture.toolchain());
    fixture.run(&["toolchain"]).success();
    for point in ["while the toolchain is assembled", "before it has its name"] {
        fixture.write_patch("0001-first.patch", "hello", &format!("hello, {point}"));
        fixture.kill_at(point, &["toolchain"]);
        // Whole, or not there; never in between.
        if assembled(&fixture).exists() {
            std_of(&fixture, HOST);
            assert!(assembled(&fixture).join("README.txt").exists());
            assert!(assembled(&fixture).join("bin/rustc").exists());
        }
    }
    fixture.run(&["toolchain"]).success();
    assert_eq!(std_of(&fixture, HOST), format!("{HOST}: hello, before it has its name\n"));
    for leftover in [".toolchain.unfinished", ".toolchain.replaced"] {
        assert!(!fixture.root().join("build").join(leftover).exists(), "{leftover}");
    }
    assert!(snapshot(&fixture.toolchain()) == before);
}

#[test]
fn link_and_unlink_leave_rustup_as_it_was() {
    let fixture = Fixture::new();
    let toolchains = fixture.rustup_toolchains();
    fixture.run(&["toolchain", "--link"]).success().stdout(contains("cargo +tcp-keepalive run"));
    assert_eq!(fs::read_link(toolchains.join("tcp-keepalive")).unwrap(), assembled(&fixture));
    // Twice is as good as once.
    fixture.run(&["toolchain", "--link"]).success();
    fixture.run(&["toolchain", "--unlink"]).success().stdout(contains("no longer knows"));
    assert_eq!(fs::read_dir(&toolchains).unwrap().count(), 0);
    fixture.run(&["toolchain", "--unlink"]).success().stdout(contains("nothing to do"));

    fixture.run(&["toolchain", "--link", "mine"]).success();
    // Also when the toolchain is gone.
    fixture.run(&["clean"]).success().stderr(contains("toolchain --unlink mine"));
    fixture.run(&["toolchain", "--unlink", "mine"]).success();
    assert_eq!(fs::read_dir(&toolchains).unwrap().count(), 0);
}

#[test]
fn toolchains_that_are_not_ours_stay() {
    let fixture = Fixture::new();
    let toolchains = fixture.rustup_toolchains();
    fs::create_dir_all(toolchains.join("installed/bin")).unwrap();
    symlink("/somewhere/else", toolchains.join("tcp-keepalive")).unwrap();

    fixture.run(&["toolchain", "--link"]).code(1).stderr(
        contains("/somewhere/else").and(contains("left alone")).and(contains("--link NAME")),
    );
    fixture.run(&["toolchain", "--unlink"]).code(1).stderr(contains("/somewhere/else"));
    for option in ["--link", "--unlink"] {
        fixture
            .run(&["toolchain", option, "installed"])
            .code(1)
            .stderr(contains("an installed one"));
        fixture
            .run(&["toolchain", option, "../escape"])
            .code(1)
            .stderr(contains("can't be the name"));
    }
    assert!(toolchains.join("installed/bin").exists());
    let link = fs::read_link(toolchains.join("tcp-keepalive")).unwrap();
    assert_eq!(link, Path::new("/somewhere/else"));
}
