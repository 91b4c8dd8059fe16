//! From commits in build/rust to patches/, library/ and tests/.

mod support;

use fs_err as fs;
use predicates::str::contains;
use support::Fixture;

/// A project with a commit in build/rust that adds a ui test.
fn with_new_commit() -> Fixture {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    fs::write(fixture.tree().join("tests/ui/std/new.rs"), "fn main() { new(); }\n").unwrap();
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "--quiet", "-m", "Add a ui test\n\nThere was none."]);
    fixture
}

#[test]
fn writes_patches_and_the_files_that_they_add() {
    let fixture = with_new_commit();
    fs::write(fixture.patches().join("0000-cover-letter.md"), "text\n").unwrap();
    fixture.run(&["export"]).success().stdout(contains("0002-Add-a-ui-test.patch"));

    let patch = fs::read_to_string(fixture.patches().join("0002-Add-a-ui-test.patch")).unwrap();
    assert!(patch.contains("\nFrom: Worker <worker@project.example>\n"), "{patch}");
    assert!(patch.contains("\nThere was none.\n"), "{patch}");
    let mirrored = fs::read_to_string(fixture.root().join("tests/ui/std/new.rs")).unwrap();
    assert_eq!(mirrored, "fn main() { new(); }\n");
    // Of upstream's files, none comes along, changed or not.
    assert!(!fixture.root().join("library/std/src/lib.rs").exists());
    assert!(!fixture.root().join("tests/ui/std/old.rs").exists());
    // The first patch now has the name that its subject gives it.
    assert!(!fixture.patches().join("0001-first.patch").exists());
    assert!(fixture.patches().join("0000-cover-letter.md").exists());
}

#[test]
fn applying_what_was_exported_gives_the_same_commits() {
    let fixture = with_new_commit();
    fixture.run(&["export"]).success();
    let tree = fixture.git(&["rev-parse", "HEAD^{tree}"]);
    let patches = |f: &Fixture| {
        let mut patches: Vec<_> = fs::read_dir(f.patches())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_owned(), fs::read(path).unwrap()))
            .collect();
        patches.sort();
        patches
    };
    let exported = patches(&fixture);
    fixture.run(&["clean"]).success();
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.git(&["rev-parse", "HEAD^{tree}"]), tree);
    fixture.run(&["export"]).success();
    assert_eq!(patches(&fixture), exported);
}

#[test]
fn removes_what_the_series_no_longer_adds() {
    let fixture = with_new_commit();
    fixture.run(&["export"]).success();
    fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    fixture.run(&["export"]).success();
    assert!(!fixture.root().join("tests/ui/std/new.rs").exists());
    assert!(!fixture.patches().join("0002-Add-a-ui-test.patch").exists());
}

#[test]
fn refuses_uncommitted_changes() {
    let fixture = with_new_commit();
    fs::write(fixture.tree().join("tests/ui/std/new.rs"), "fn main() { newer(); }\n").unwrap();
    fixture.run(&["export"]).code(1).stderr(contains("uncommitted changes"));
    assert!(!fixture.root().join("tests").exists());
}

#[test]
fn refuses_to_overwrite_changed_patches() {
    let fixture = with_new_commit();
    fixture.write_patch("0001-first.patch", "hello", "changed by hand");
    fixture.run(&["export"]).code(1).stderr(contains("an export would overwrite"));
    let patch = fs::read_to_string(fixture.patches().join("0001-first.patch")).unwrap();
    assert!(patch.contains("changed by hand"));

    fixture.run(&["export", "--overwrite"]).success();
    assert!(!fixture.patches().join("0001-first.patch").exists());
}
