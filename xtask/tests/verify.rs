//! What `verify` says of a series that is not as it should be. The checks that need upstream's
//! sources (tidy) cannot pass on a made-up base; each test looks at one check.

// What these tests delete and overwrite is their own.
#![allow(clippy::disallowed_methods)]

mod support;

use std::path::Path;

use fs_err as fs;
use predicates::str::contains;
use support::Fixture;

const DESCRIPTIONS: &str = "each patch has a subject, a body and an author";
const WRITTEN: &str = "patches/, library/ and tests/ are what export writes";

/// A project whose series adds a ui test, exported.
fn exported() -> Fixture {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    fs::write(fixture.tree().join("tests/ui/std/new.rs"), "fn main() {}\n").unwrap();
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "--quiet", "-m", "Add a ui test\n\nThere was none."]);
    fixture.run(&["export"]).success();
    fs::write(fixture.patches().join("0000-cover-letter.md"), "text\n").unwrap();
    fixture
}

/// Puts `to` in place of `from` in the patch that adds the ui test.
fn edit_patch(fixture: &Fixture, from: &str, to: &str) {
    let path = fixture.patches().join("0002-Add-a-ui-test.patch");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn assert_ok(fixture: &Fixture, check: &str) {
    fixture.run(&["verify"]).stdout(contains(format!("ok      {check}")));
}

fn assert_failed(fixture: &Fixture, check: &str, why: &str) {
    fixture
        .run(&["verify"])
        .code(1)
        .stdout(contains(format!("FAILED  {check}")))
        .stdout(contains(why.to_owned()));
}

#[test]
fn exported_series_is_in_order() {
    let fixture = exported();
    for check in [DESCRIPTIONS, WRITTEN, "no whitespace error: Add a ui test"] {
        assert_ok(&fixture, check);
    }
}

#[test]
fn altered_mirrored_file_is_found() {
    let fixture = exported();
    fs::write(fixture.root().join("tests/ui/std/new.rs"), "fn main() { }\n").unwrap();
    assert_failed(&fixture, WRITTEN, "tests/ui/std/new.rs differs");
}

#[test]
fn missing_mirrored_file_is_found() {
    let fixture = exported();
    fs::remove_file(fixture.root().join("tests/ui/std/new.rs")).unwrap();
    assert_failed(&fixture, WRITTEN, "tests/ui/std/new.rs differs");
}

#[test]
fn additional_mirrored_file_is_found() {
    let fixture = exported();
    fs::create_dir_all(fixture.root().join("library/std")).unwrap();
    fs::write(fixture.root().join("library/std/extra.rs"), "").unwrap();
    assert_failed(&fixture, WRITTEN, "library/std/extra.rs differs");
}

#[test]
fn patch_without_body_is_found() {
    let fixture = exported();
    edit_patch(&fixture, "There was none.\n", "");
    assert_failed(&fixture, DESCRIPTIONS, "0002-Add-a-ui-test.patch has no body");
}

#[test]
fn patch_without_plausible_author_is_found() {
    let fixture = exported();
    edit_patch(&fixture, "<worker@project.example>", "<root@localhost>");
    assert_failed(&fixture, DESCRIPTIONS, "has no plausible author");
}

#[test]
fn hand_edited_patch_is_found() {
    let fixture = exported();
    edit_patch(&fixture, "1 file changed", "2 files changed");
    assert_failed(&fixture, WRITTEN, "0002-Add-a-ui-test.patch differs");
}

#[test]
fn whitespace_error_is_found() {
    let fixture = exported();
    edit_patch(&fixture, "+fn main() {}", "+fn main() {} ");
    assert_failed(&fixture, "no whitespace error: Add a ui test", "trailing whitespace");
}

#[test]
fn patch_that_does_not_apply_is_found() {
    let fixture = exported();
    fixture.write_patch("0003-third.patch", "not there", "never");
    let check = "the patches apply to the pristine base, in order";
    assert_failed(&fixture, check, "0003-third.patch does not apply");
}

/// git quotes such a name where it is not asked for NUL characters.
#[test]
fn unclosed_fence_is_found_in_a_file_of_any_name() {
    let fixture = exported();
    fs::write(fixture.tree().join("library/std/src/ü.rs"), "/**\n~~~\na();\n*/\nfn a() {}\n")
        .unwrap();
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "--quiet", "-m", "Add a file\n\nThere was none."]);
    fixture.run(&["export"]).success();
    let check = "each code fence in the documentation closes";
    assert_failed(&fixture, check, "library/std/src/ü.rs:2 opens one for good");
}

#[test]
fn damaged_archive_is_found() {
    let fixture = exported();
    fs::write(fixture.cache().join(support::ARCHIVE), "damaged").unwrap();
    assert_failed(&fixture, "the archives in the cache have their hashes", "and should be");
}

#[test]
fn work_in_its_checkout_is_moved() {
    for (work, kept) in [
        ("echo mine >library/std/src/lib.rs", "library/std/src/lib.rs"),
        ("git switch -q --detach; echo mine >mine; git add .; git commit -qm Mine", "mine"),
        (
            "export GIT_COMMITTER_EMAIL=maintainers@tcp-keepalive.example; echo mine >mine; git add .; \
             git commit -qm Mine",
            "mine",
        ),
        ("echo mine >mine", "mine"),
        ("git init -q nested; echo mine >nested/mine", "nested/mine"),
        ("rm -rf .git; echo mine >mine", "mine"),
    ] {
        let fixture = exported();
        fixture.run(&["verify"]);
        fixture.shell(&format!("cd build/verify; {work}")).success();
        fixture.run(&["verify"]).stderr(contains("moved build/verify to build/saved/"));
        assert_eq!(fixture.saved()[&Path::new("build/verify").join(kept)], "mine\n", "{work}");
        assert_ok(&fixture, "no whitespace error: Add a ui test");
    }
}

#[test]
fn interrupted_checkout_is_made_again() {
    let fixture = exported();
    fixture.run(&["verify"]);
    fixture.shell("rm -rf build/verify").success();
    fixture.kill_at("before it has its name", &["verify"]);
    assert_ok(&fixture, "no whitespace error: Add a ui test");
}
