//! What `verify` says of a series that is not as it should be. The checks that need upstream's
//! sources (tidy) cannot pass on a made-up base; each test looks at one check.

// What these tests delete and overwrite is their own.
#![allow(clippy::disallowed_methods)]

mod support;

use fs_err as fs;
use predicates::str::contains;
use support::Fixture;

const DESCRIPTIONS: &str = "each patch has a subject, a body and an author";
const CANONICAL: &str = "patches/ is what export writes";
const MIRROR: &str = "library/ and tests/ are what the series adds";

/// A project whose series adds a ui test, exported.
fn exported() -> Fixture {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    fs::write(fixture.tree().join("tests/ui/std/new.rs"), "fn main() {}\n").unwrap();
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "--quiet", "-m", "Add a ui test\n\nThere was none."]);
    fixture.run(&["export", "--overwrite"]).success();
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
    for check in [DESCRIPTIONS, CANONICAL, MIRROR, "no whitespace error: Add a ui test"] {
        assert_ok(&fixture, check);
    }
}

#[test]
fn altered_mirrored_file_is_found() {
    let fixture = exported();
    fs::write(fixture.root().join("tests/ui/std/new.rs"), "fn main() { }\n").unwrap();
    assert_failed(&fixture, MIRROR, "tests/ui/std/new.rs is not what the series adds");
}

#[test]
fn missing_mirrored_file_is_found() {
    let fixture = exported();
    fs::remove_file(fixture.root().join("tests/ui/std/new.rs")).unwrap();
    assert_failed(&fixture, MIRROR, "tests/ui/std/new.rs is missing");
}

#[test]
fn additional_mirrored_file_is_found() {
    let fixture = exported();
    fs::create_dir_all(fixture.root().join("library/std")).unwrap();
    fs::write(fixture.root().join("library/std/extra.rs"), "").unwrap();
    assert_failed(&fixture, MIRROR, "library/std/extra.rs is not in the series");
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
    assert_failed(&fixture, CANONICAL, "cargo xtask export");
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

#[test]
fn damaged_archive_is_found() {
    let fixture = exported();
    fs::write(fixture.cache().join(support::ARCHIVE), "damaged").unwrap();
    assert_failed(&fixture, "the archives in the cache have their hashes", "and should be");
}

#[test]
fn work_in_its_checkout_stays() {
    let with_work = |work: &str| {
        let fixture = exported();
        fixture.run(&["verify"]);
        fixture.shell(&format!("cd build/verify; {work}")).success();
        let stop =
            fixture.run(&["verify"]).code(1).stderr(contains("build/verify is for checks alone"));
        (fixture, stop)
    };
    for work in [
        "echo mine >library/std/src/lib.rs",
        "echo mine >library/std/src/lib.rs; git commit -qam Mine",
        "echo mine >mine",
    ] {
        let (fixture, stop) = with_work(work);
        fixture.follow_advice(&stop, "move it away").success();
        assert_ok(&fixture, MIRROR);
        fixture.shell("grep -r mine build/verify-kept --include lib.rs --include mine").success();
    }
    let (fixture, stop) = with_work("echo mine >mine");
    fixture.follow_advice(&stop, "To drop it").success();
    assert_ok(&fixture, "no whitespace error: Add a ui test");
}

#[test]
fn checkout_of_a_repository_that_is_gone_stays() {
    let fixture = exported();
    fixture.run(&["verify"]);
    fixture.shell("echo mine >build/verify/mine; rm -rf build/rust").success();
    let stop = fixture.run(&["verify"]).code(1).stderr(contains("of another repository"));
    assert!(fixture.root().join("build/verify/mine").exists());
    fixture.follow_advice(&stop, "To drop it").success();
    assert_ok(&fixture, "no whitespace error: Add a ui test");
}

/// In a copy of the project, it is still linked to the repository of the first one.
#[test]
fn checkout_in_a_copy_of_the_project_is_not_taken_for_its_own() {
    let fixture = exported();
    fixture.run(&["verify"]);
    let copy = fixture.copy();
    let head = |fixture: &Fixture| fixture.git(&["-C", "../verify", "rev-parse", "HEAD"]);
    let before = head(&fixture);
    copy.run(&["verify"]).code(1).stderr(contains("of another repository"));
    let stop = copy.run(&["clean"]).code(1).stderr(contains("of another repository"));
    assert_eq!(head(&fixture), before);
    copy.follow_advice(&stop, "move it away").success();
    assert_ok(&copy, "no whitespace error: Add a ui test");
}

#[test]
fn interrupted_checkout_is_made_again() {
    let fixture = exported();
    fixture.kill_at("before the checkout has its name", &["verify"]);
    assert_ok(&fixture, "no whitespace error: Add a ui test");
    // As a power failure between two of its commits leaves it.
    fixture.shell("git -C build/rust show HEAD:library/std/src/lib.rs >patched.rs").success();
    fixture.shell("mv patched.rs build/verify/library/std/src/lib.rs").success();
    assert_ok(&fixture, "no whitespace error: Add a ui test");
}
