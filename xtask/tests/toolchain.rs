//! `cargo xtask toolchain`: the contents of build/<base>/toolchain, rustup, and the user's own toolchain, which stays
//! as it is.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use predicates::str::contains;
use support::{Fixture, LIB, advice, snapshot};

/// Checks the contents of the one library in the assembled toolchain.
#[track_caller]
fn assert_std(fixture: &Fixture, source: &str) {
    let libraries = fixture.shell("cat build/1.95/toolchain/lib/rustlib/*/lib/*.rlib").success();
    libraries.stdout(format!("patched std: {source}\n"));
}

#[test]
fn holds_the_release_with_the_patched_std() {
    let fixture = Fixture::prepared();
    let sources = "lib/rustlib/src/rust/library/std/src";
    fixture.write(fixture.toolchain.join(sources).join("of_the_release.rs"), "");
    // The sysroot is copied from the toolchain as it is now.
    let toolchain = fixture.shell("rm -r build/1.95/prebuilt; cargo xtask toolchain").success();
    toolchain.stdout(contains("build/1.95/toolchain is ready"));
    assert_std(&fixture, "hello, patched");
    let compare = "
        cd build/1.95/toolchain; release=../../../../toolchain
        for program in rustc rustdoc clippy-driver; do
            cmp libexec/$program $release/bin/$program; grep '^compiled ' bin/$program
        done
        cmp bin/cargo $release/bin/cargo
        cmp lib/librustc_driver.so $release/lib/librustc_driver.so
        # The release's run-time libraries are still there.
        ls lib/rustlib/*/lib/librt.asan.a
        diff -r $sources ../../../rust/library/std/src
        grep 'Rust 1.95.0' README.txt";
    fixture.shell(&format!("sources={sources}; {compare}")).success();
}

#[test]
fn follows_patches_and_edits() {
    let fixture = Fixture::prepared();
    fixture.run("toolchain").success();
    let assembled = fixture.root.join("build/1.95/toolchain");
    let launcher = || fixture.read(assembled.join("bin/rustc"));
    let (first, all) = (launcher(), snapshot(&assembled, &[]));
    fixture.run("toolchain").success().stdout(contains("toolchain is up to date"));
    assert!(snapshot(&assembled, &[]) == all);
    fixture.write_patch("0001-first.patch", "hello", "hello, twice");
    fixture.run("toolchain").success();
    assert_std(&fixture, "hello, twice");
    assert_ne!(launcher(), first, "cargo would take the compiler for the one before");
    fixture.write(LIB, "my work\n");
    fixture.run("toolchain").success();
    assert_std(&fixture, "my work");
}

/// Some package managers make `lib`, or directories below it, a link to another disk. Hard links and copied links
/// would let the tool write to the user's files.
#[test]
fn toolchain_of_the_user_stays_as_it_is_behind_links_too() {
    for links in [
        "true",
        "mv lib $OUT/lib; ln -s $OUT/lib lib",
        "mv lib/rustlib $OUT/rustlib; ln -s $OUT/rustlib lib/rustlib",
        "cd lib/rustlib/*-*; mv lib $OUT/second; ln -s second $OUT/first; ln -s $OUT/first lib",
        "cd lib/rustlib/*/lib; mv libstd-0.rlib $OUT/std; ln -s $OUT/std libstd-0.rlib",
        "mv bin $OUT/bin; ln -s $OUT/bin bin",
        "mv bin/rustc $OUT/rustc; ln -s $OUT/rustc bin/rustc",
        "chmod -R a-w lib",
    ] {
        let fixture = Fixture::new();
        fixture.shell(&format!("cd ../toolchain; {links}")).success();
        let users = || snapshot(&fixture.dir, &[fixture.root.clone(), fixture.cache.clone()]);
        let before = users();
        for command in ["prepare", "x test library/std", "x test tests/ui/std", "toolchain"] {
            fixture.run(command).success();
            assert!(users() == before, "{command}: {links}");
        }
        assert_std(&fixture, "hello, patched");
        fixture.shell("echo my work >rust/$LIB; cargo xtask toolchain").success();
        assert_std(&fixture, "my work");
        fixture.shell("rm -r build").success();
        assert!(users() == before, "{links}");
        fixture.shell("chmod -R u+w ../toolchain").success();
    }
}

/// Some distributions' compilers have the path of their sysroot built in.
#[test]
fn compiler_that_finds_the_released_std_from_everywhere_is_refused() {
    let fixture = Fixture::new();
    let fix = "cd ../toolchain; sed -i \"s|cd .* pwd|echo $PWD|\" bin/rustc; grep \"echo $PWD\" bin/rustc";
    fixture.shell(fix).success();
    fixture.run("prepare").code(3).stderr(contains("cannot use the patched std"));
}

#[test]
fn toolchain_in_use_stays_until_the_next_one_is_complete() {
    let fixture = Fixture::prepared();
    fixture.run("toolchain").success();
    let unfinished = "ls -d build/1.95/.toolchain.unfinished";
    fixture.write_patch("0001-first.patch", "hello", "does not compile");
    fixture.run("toolchain").code(1).stderr(contains("the patched std does not build"));
    assert_std(&fixture, "hello, patched");
    fixture.shell(&format!("fails {unfinished}")).success();

    fixture.write_patch("0001-first.patch", "hello", "hello, twice");
    let cp = which::which("cp").unwrap();
    let script = format!("'{}' \"$@\"; case $1 in -RPl) kill -9 $PPID;; esac", cp.display());
    fixture.stand_in("cp", &script);
    fixture.run("toolchain").interrupted();
    assert_std(&fixture, "hello, patched");
    let again = format!("{unfinished}; rm ../bin/cp; cargo xtask toolchain; fails {unfinished}");
    fixture.shell(&again).success();
    assert_std(&fixture, "hello, twice");
}

#[test]
fn rustup_knows_it_until_it_is_uninstalled_and_keeps_another_one_of_its_name() {
    let fixture = Fixture::prepared();
    fixture.run("toolchain --link").success().stdout(contains("cargo +tcp-keepalive run"));
    let link = "../rustup/toolchains/tcp-keepalive";
    fixture.shell(&format!("[ {link} -ef build/1.95/toolchain ]")).success();
    let again = fixture.run("toolchain --link").success();
    again.stdout(contains("To unlink it: `rustup toolchain uninstall tcp-keepalive`"));

    // A toolchain that rustup installed is a directory.
    for other in ["ln -s /elsewhere", "mkdir"] {
        let replace = format!("rustup toolchain uninstall tcp-keepalive; {other} {link}");
        fixture.shell(&replace).success();
        let toolchains = || snapshot(&fixture.dir.join("rustup"), &[]);
        let before = toolchains();
        let stop = fixture.run("toolchain --link").code(1).stderr(contains("left alone"));
        assert!(toolchains() == before, "{other}");
        let commands = advice(&stop).concat();
        fixture.shell(&format!("{commands}; cargo xtask toolchain --link")).success();
    }
}

#[test]
fn without_rustup_the_path_of_its_cargo_is_named() {
    let fixture = Fixture::prepared();
    fixture.stand_in("rustup", "exit 127");
    let toolchain = fixture.toolchain.join("bin/rustc");
    fixture.stand_in("rustc", &format!("exec '{}' \"$@\"", toolchain.display()));
    let said = fixture.run("toolchain --link").code(3).stderr(contains("needs rustup"));
    said.stderr(contains("build/1.95/toolchain/bin/cargo"));
}
