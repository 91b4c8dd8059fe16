//! `cargo xtask toolchain`: the contents of build/<base>/toolchain, rustup, and the user's own toolchain, which stays
//! as it is.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fs_err as fs;
use predicates::str::contains;
use support::{Fixture, HOST, LIB, advice, snapshot};

fn assembled(fixture: &Fixture) -> PathBuf {
    fixture.root.join("build/1.95/toolchain")
}

/// Returns the contents of the one library in the assembled toolchain.
fn std_of(fixture: &Fixture) -> String {
    let libdir = assembled(fixture).join("lib/rustlib").join(HOST).join("lib");
    let libraries = fs::read_dir(libdir).unwrap().map(|entry| entry.unwrap().path());
    let libraries: Vec<_> =
        libraries.filter(|path| path.extension().is_some_and(|e| e == "rlib")).collect();
    assert_eq!(libraries.len(), 1, "{libraries:?}");
    fs::read_to_string(&libraries[0]).unwrap()
}

#[test]
fn holds_the_release_with_the_patched_std() {
    let fixture = Fixture::prepared();
    let release_sources = fixture.toolchain.join("lib/rustlib/src/rust/library/std/src");
    fs::create_dir_all(&release_sources).unwrap();
    fs::write(release_sources.join("of_the_release.rs"), "").unwrap();
    // The sysroot is copied from the toolchain as it is now.
    fs::remove_dir_all(fixture.root.join("build/1.95/prebuilt")).unwrap();
    fixture.run("toolchain").success().stdout(contains("build/1.95/toolchain is ready"));
    let (ours, theirs) = (assembled(&fixture), &fixture.toolchain);

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
    // The release's run-time libraries are still there.
    assert!(ours.join("lib/rustlib").join(HOST).join("lib/librt.asan.a").exists());
}

#[test]
fn follows_patches_and_edits() {
    let fixture = Fixture::prepared();
    fixture.run("toolchain").success();
    let launcher = || fs::read_to_string(assembled(&fixture).join("bin/rustc")).unwrap();
    let (first, all) = (launcher(), snapshot(&assembled(&fixture), &[]));
    fixture.run("toolchain").success().stdout(contains("toolchain is up to date"));
    assert!(snapshot(&assembled(&fixture), &[]) == all);
    fixture.write_patch("0001-first.patch", "hello", "hello, twice");
    fixture.run("toolchain").success();
    assert_eq!(std_of(&fixture), "patched std: hello, twice\n");
    assert_ne!(launcher(), first, "cargo would take the compiler for the one before");
    fixture.write(LIB, "my work\n");
    fixture.run("toolchain").success();
    assert_eq!(std_of(&fixture), "patched std: my work\n");
}

/// Some package managers make `lib`, or directories below it, a link to another disk. Hard links and copied links
/// would let the tool write to the user's files.
#[test]
fn toolchain_of_the_user_stays_as_it_is_behind_links_too() {
    for links in [
        "true",
        "mv lib $OUT/lib; ln -s $OUT/lib lib",
        "mv lib/rustlib $OUT/rustlib; ln -s $OUT/rustlib lib/rustlib",
        "mv lib/rustlib/*/lib $OUT/libdir; ln -s $OUT/libdir lib/rustlib/*/lib; mv $OUT/libdir $OUT/second; \
         ln -s second $OUT/libdir",
        "cd lib/rustlib/*/lib; mv libstd-0.rlib $OUT/std; ln -s $OUT/std libstd-0.rlib",
        "mv bin $OUT/bin; ln -s $OUT/bin bin",
        "mv bin/rustc $OUT/rustc; ln -s $OUT/rustc bin/rustc",
        "chmod -R a-w lib",
    ] {
        let fixture = Fixture::new();
        fixture
            .shell(&format!(
                "cd ../toolchain; {}",
                links.replace("rustlib/*", &format!("rustlib/{HOST}"))
            ))
            .success();
        let users = || {
            let [toolchain, outside] =
                ["toolchain", "outside"].map(|d| snapshot(&fixture.dir.join(d), &[]));
            (toolchain, outside)
        };
        let before = users();
        for command in ["prepare", "x test library/std", "x test tests/ui/std", "toolchain"] {
            fixture.run(command).success();
            assert!(users() == before, "{command:?}: {links}");
        }
        assert_eq!(std_of(&fixture), "patched std: hello, patched\n");
        fixture.write(LIB, "my work\n");
        fixture.run("toolchain").success();
        assert_eq!(std_of(&fixture), "patched std: my work\n");
        fs::remove_dir_all(fixture.root.join("build")).unwrap();
        assert!(users() == before, "{links}");
        fixture.shell("chmod -R u+w ../toolchain").success();
    }
}

/// Some distributions' compilers have the path of their sysroot built in.
#[test]
fn compiler_that_finds_the_released_std_from_everywhere_is_refused() {
    let fixture = Fixture::new();
    let rustc = fixture.toolchain.join("bin/rustc");
    let script = fs::read_to_string(&rustc).unwrap();
    let fixed = script
        .replace("cd \"${0%/*}/..\" && pwd", &format!("echo '{}'", fixture.toolchain.display()));
    assert_ne!(script, fixed);
    fs::write(&rustc, fixed).unwrap();
    fixture.run("prepare").code(3).stderr(contains("cannot use the patched std"));
}

#[test]
fn std_that_does_not_compile_leaves_the_toolchain_in_use() {
    let fixture = Fixture::prepared();
    fixture.run("toolchain").success();
    fixture.write_patch("0001-first.patch", "hello", "does not compile");
    fixture.run("toolchain").code(1).stderr(contains("the patched std does not build"));
    assert_eq!(std_of(&fixture), "patched std: hello, patched\n");
    assert!(!assembled(&fixture).with_file_name(".toolchain.unfinished").exists());
}

#[test]
fn killed_while_it_assembles_it_starts_over() {
    let fixture = Fixture::prepared();
    fixture.run("toolchain").success();
    fixture.write_patch("0001-first.patch", "hello", "hello, twice");
    let cp = which::which("cp").unwrap();
    let script = format!("'{0}' \"$@\"; case $1 in -RPl) kill -9 $PPID;; esac", cp.display());
    fixture.stand_in("cp", &script);
    fixture.run("toolchain").interrupted();
    assert_eq!(std_of(&fixture), "patched std: hello, patched\n");
    fs::remove_file(fixture.dir.join("bin").join("cp")).unwrap();
    fixture.run("toolchain").success();
    assert_eq!(std_of(&fixture), "patched std: hello, twice\n");
    assert!(!assembled(&fixture).with_file_name(".toolchain.unfinished").exists());
}

#[test]
fn rustup_knows_it_until_it_is_uninstalled() {
    let fixture = Fixture::prepared();
    let link = fixture.dir.join("rustup/toolchains").join("tcp-keepalive");
    fixture.run("toolchain --link").success().stdout(contains("cargo +tcp-keepalive run"));
    assert_eq!(fs::read_link(&link).unwrap(), assembled(&fixture).canonicalize().unwrap());
    let again = fixture.run("toolchain --link").success();
    again.stdout(contains("To unlink it: `rustup toolchain uninstall tcp-keepalive`"));
    fixture.shell("rustup toolchain uninstall tcp-keepalive").success();
    assert!(fs::symlink_metadata(&link).is_err());
}

#[test]
fn toolchain_of_the_same_name_stays() {
    let fixture = Fixture::prepared();
    let link = fixture.dir.join("rustup/toolchains").join("tcp-keepalive");
    symlink("/somewhere/else", &link).unwrap();
    let said = fixture.run("toolchain --link").code(1).stderr(contains("left alone"));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("/somewhere/else"));
    fixture.shell(&advice(&said).concat()).success();
    fixture.run("toolchain --link").success();

    // A toolchain that rustup installed is a directory.
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    fixture.run("toolchain --link").code(1).stderr(contains("left alone"));
    assert!(link.is_dir());
}

#[test]
fn without_rustup_the_path_of_its_cargo_is_named() {
    let fixture = Fixture::prepared();
    fixture.stand_in("rustup", "exit 127");
    fixture.stand_in("rustc", "exec \"${0%/*}/../toolchain/bin/rustc\" \"$@\"");
    let said = fixture.run("toolchain --link").code(3).stderr(contains("needs rustup"));
    said.stderr(contains("build/1.95/toolchain/bin/cargo"));
}
