//! build/toolchain: what is in it, what happens to the user's own toolchain (nothing), and rustup.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use predicates::str::contains;
use support::{Fixture, HOST};
use walkdir::WalkDir;

fn assembled(fixture: &Fixture) -> PathBuf {
    fixture.root().join("build/toolchain")
}

/// The std in the assembled toolchain: what its one library holds.
fn std_of(fixture: &Fixture) -> String {
    let libdir = assembled(fixture).join("lib/rustlib").join(HOST).join("lib");
    let libraries = fs::read_dir(libdir).unwrap().map(|entry| entry.unwrap().path());
    let libraries: Vec<_> =
        libraries.filter(|path| path.extension().is_some_and(|e| e == "rlib")).collect();
    assert_eq!(libraries.len(), 1, "{libraries:?}");
    fs::read_to_string(&libraries[0]).unwrap()
}

/// Every file below a directory: which one it is, its contents, and when it was last written.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (u64, Vec<u8>, SystemTime)> {
    let entries = WalkDir::new(directory).follow_links(true).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| !entry.path().is_dir()).map(|entry| {
        let metadata = fs::metadata(entry.path()).unwrap();
        let text = fs::read(entry.path()).unwrap();
        (entry.into_path(), (metadata.ino(), text, metadata.modified().unwrap()))
    });
    files.collect()
}

#[test]
fn holds_the_release_with_the_patched_std() {
    let fixture = Fixture::new();
    let release_sources = fixture.toolchain().join("lib/rustlib/src/rust/library/std/src");
    fs::create_dir_all(&release_sources).unwrap();
    fs::write(release_sources.join("of_the_release.rs"), "").unwrap();
    fixture.run(&["toolchain"]).success().stdout(contains("build/toolchain is ready"));
    let (ours, theirs) = (assembled(&fixture), fixture.toolchain());

    assert_eq!(std_of(&fixture), "patched std: hello, patched\n");
    let sources = ours.join("lib/rustlib/src/rust/library/std/src");
    assert_eq!(fs::read_to_string(sources.join("lib.rs")).unwrap(), "hello, patched\n");
    assert!(!sources.join("of_the_release.rs").exists());
    assert!(fs::read_to_string(ours.join("README.txt")).unwrap().contains("Rust 1.95.0"));

    for program in ["rustc", "rustdoc", "clippy-driver"] {
        let [here, there] = [ours.join("libexec"), theirs.join("bin")].map(|dir| dir.join(program));
        assert_eq!(fs::read(here).unwrap(), fs::read(there).unwrap(), "{program}");
        let launcher = fs::read_to_string(ours.join("bin").join(program)).unwrap();
        assert!(launcher.starts_with("compiled "), "{launcher}");
    }
    for file in ["bin/cargo", "lib/librustc_driver.so"] {
        assert_eq!(fs::read(ours.join(file)).unwrap(), fs::read(theirs.join(file)).unwrap());
    }
    // The release's start files and run-time libraries are still there.
    assert!(ours.join("lib/rustlib").join(HOST).join("lib/librt.asan.a").exists());
}

#[test]
fn follows_the_sources_and_leaves_the_users_toolchain_alone() {
    let fixture = Fixture::new();
    let before = snapshot(&fixture.toolchain());
    fixture.run(&["toolchain"]).success();
    let launcher = || fs::read_to_string(assembled(&fixture).join("bin/rustc")).unwrap();
    let (first, all) = (launcher(), snapshot(&assembled(&fixture)));
    fixture.run(&["toolchain"]).success().stdout(contains("build/toolchain is up to date"));
    assert!(snapshot(&assembled(&fixture)) == all);
    fixture.write_patch("0001-first.patch", "hello", "hello, twice");
    fixture.run(&["toolchain"]).success();
    assert_eq!(std_of(&fixture), "patched std: hello, twice\n");
    assert_ne!(launcher(), first, "Cargo would take it for the one before");
    // Also with changes that are in no patch yet.
    fs::write(fixture.tree().join("library/std/src/lib.rs"), "my work\n").unwrap();
    fixture.run(&["toolchain"]).success();
    assert_eq!(std_of(&fixture), "patched std: my work\n");

    fixture.git(&["checkout", "--quiet", "."]);
    fixture.run(&["clean"]).success();
    assert!(!assembled(&fixture).exists());
    assert!(snapshot(&fixture.toolchain()) == before);
}

#[test]
fn what_does_not_compile_leaves_the_old_one_in_use() {
    let fixture = Fixture::new();
    fixture.run(&["toolchain"]).success();
    fixture.write_patch("0001-first.patch", "hello", "does not compile");
    fixture.run(&["toolchain"]).code(1).stderr(contains("the patched std does not build"));
    assert_eq!(std_of(&fixture), "patched std: hello, patched\n");
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
            std_of(&fixture);
            assert!(assembled(&fixture).join("README.txt").exists());
            assert!(assembled(&fixture).join("bin/rustc").exists());
        }
    }
    fixture.run(&["toolchain"]).success();
    assert_eq!(std_of(&fixture), "patched std: hello, before it has its name\n");
    for leftover in [".toolchain.unfinished", ".toolchain.replaced"] {
        assert!(!fixture.root().join("build").join(leftover).exists(), "{leftover}");
    }
    assert!(snapshot(&fixture.toolchain()) == before);
}

#[test]
fn rustup_knows_it_until_it_is_uninstalled() {
    let fixture = Fixture::new();
    let link = fixture.rustup_toolchains().join("tcp-keepalive");
    fixture.run(&["toolchain", "--link"]).success().stdout(contains("cargo +tcp-keepalive run"));
    assert_eq!(fs::read_link(&link).unwrap(), assembled(&fixture));
    // Twice is as good as once.
    fixture.run(&["toolchain", "--link"]).success();
    let said = fixture.run(&["clean"]).success();
    said.stderr(contains("`rustup toolchain uninstall tcp-keepalive` takes it out"));
    fixture.shell("rustup toolchain uninstall tcp-keepalive").success();
    assert!(fs::symlink_metadata(&link).is_err());
}

#[test]
fn a_toolchain_that_is_not_ours_stays() {
    let fixture = Fixture::new();
    let link = fixture.rustup_toolchains().join("tcp-keepalive");
    symlink("/somewhere/else", &link).unwrap();
    let said = fixture.run(&["toolchain", "--link"]).code(1).stderr(contains("left alone"));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("/somewhere/else"));
    fixture.shell(&support::advice(&said, "can be linked")).success();

    // One that rustup installed is no link.
    fs::create_dir(&link).unwrap();
    fixture.run(&["toolchain", "--link"]).code(1).stderr(contains("left alone"));
    assert!(link.is_dir());
}
