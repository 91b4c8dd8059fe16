//! From commits in build/rust to patches/, library/ and tests/; and where export stops instead.

// What these tests delete and overwrite is their own.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::str::contains;
use support::{Fixture, finish};
use walkdir::WalkDir;

/// A project whose patches are as an export writes them.
fn exported() -> Fixture {
    let fixture = Fixture::prepared();
    fixture.run(&["export"]).success();
    fs::remove_dir_all(fixture.root().join("build/saved")).unwrap();
    fixture
}

/// The same, with a commit more in build/rust, which adds a ui test.
fn with_new_commit() -> Fixture {
    let fixture = exported();
    commit(&fixture, "tests/ui/std/new.rs", "fn main() { new(); }\n", "Add a ui test");
    fixture
}

/// Commits a file in build/rust.
fn commit(fixture: &Fixture, file: &str, text: &str, subject: &str) {
    fs::write(fixture.tree().join(file), text).unwrap();
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "--quiet", "-m", &format!("{subject}\n\nThere was none.")]);
}

/// The files in patches/, library/ and tests/, with their texts.
fn written(fixture: &Fixture) -> BTreeMap<PathBuf, Vec<u8>> {
    let places = ["patches/1.95", "library", "tests"].map(|place| fixture.root().join(place));
    let walk = |place| WalkDir::new(place).follow_links(true);
    // Not all of them are always there.
    let entries = places.into_iter().flat_map(walk).filter_map(Result::ok);
    let files = entries.filter(|entry| entry.path().is_file()).map(walkdir::DirEntry::into_path);
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// An export stops with code 1, and writes nothing.
fn assert_stops(fixture: &Fixture) -> Assert {
    let before = written(fixture);
    let assert = fixture.run(&["export"]).code(1);
    assert!(written(fixture) == before, "something was written");
    assert
}

#[test]
fn writes_patches_and_the_files_that_they_add() {
    let fixture = with_new_commit();
    // As `git format-patch --cover-letter` writes it.
    let letter = fixture.patches().join("0000-cover-letter.patch");
    fs::write(&letter, "text\n").unwrap();
    fixture.run(&["export"]).success().stdout(contains("0002-Add-a-ui-test.patch"));
    fixture.run(&["prepare"]).success();
    assert_eq!(fs::read_to_string(letter).unwrap(), "text\n");

    let patch = fs::read_to_string(fixture.patches().join("0002-Add-a-ui-test.patch")).unwrap();
    assert!(patch.contains("\nFrom: Worker <worker@project.example>\n"), "{patch}");
    assert!(patch.contains("\nThere was none.\n"), "{patch}");
    let mirrored = fs::read_to_string(fixture.root().join("tests/ui/std/new.rs")).unwrap();
    assert_eq!(mirrored, "fn main() { new(); }\n");
    // Of upstream's files, none comes along, changed or not.
    assert!(!fixture.root().join("library/std/src/lib.rs").exists());
    assert!(!fixture.root().join("tests/ui/std/old.rs").exists());
}

#[test]
fn applying_what_was_exported_gives_the_same_commits() {
    let fixture = with_new_commit();
    fixture.run(&["export"]).success();
    let tree = fixture.git(&["rev-parse", "HEAD^{tree}"]);
    let exported = written(&fixture);
    fixture.run(&["clean"]).success();
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.git(&["rev-parse", "HEAD^{tree}"]), tree);
    fixture.run(&["export"]).success();
    assert!(written(&fixture) == exported);
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

/// What git has at HEAD, or the last export wrote, is not kept once more.
#[test]
fn moves_what_it_replaces() {
    let first = "patches/1.95/0001-std-Say-hello-patched.patch";
    for (change, is_moved) in [
        ("true", false),
        ("sed -i 's/^---$/---\\nA note./' $F", true),
        ("sed -i 's/^---$/---\\nA note./' $F; git init -q; git add $F; git commit -qm Mine", false),
        ("rm $F; mkfifo $F", false),
        ("cp $F mine; ln -sf ../../mine $F", false),
    ] {
        let fixture = with_new_commit();
        fixture.shell(&change.replace("$F", first)).success();
        fixture.run(&["export"]).success();
        let written = fs::read_to_string(fixture.root().join(first)).unwrap();
        assert!(written.contains("[PATCH 1/2]") && !written.contains("A note."));
        assert_eq!(fixture.saved().contains_key(Path::new(first)), is_moved, "{change}");
        if change.contains("fifo") || change.contains("ln") {
            fixture.shell(&format!("ls -l build/saved/*/{first} | grep '^[pl]'")).success();
        }
    }
}

#[test]
fn refuses_a_repository_in_the_tree() {
    let fixture = with_new_commit();
    let nested = "cd build/rust; git init -q nested; cd nested; git commit -q --allow-empty -m Mine; cd ..; \
                  git add . 2>/dev/null; git commit -qm Nested; git rm -q --cached nested; git commit -qm None";
    fixture.shell(nested).success();
    fixture.shell("mv build/rust/nested build/nested").success();
    assert_stops(&fixture).stderr(contains("nested is a repository of its own"));
}

#[test]
fn never_follows_a_link() {
    let fixture = with_new_commit();
    let outside = tempfile::tempdir_in(fixture.dir()).unwrap();
    let theirs = outside.path().join("theirs.txt");
    fs::write(&theirs, "theirs\n").unwrap();
    fs::create_dir(fixture.root().join("tests")).unwrap();
    symlink(outside.path(), fixture.root().join("tests/out")).unwrap();
    fixture.run(&["export"]).success().stderr(contains("moved tests/out to build/saved/"));
    assert_eq!(fs::read_to_string(theirs).unwrap(), "theirs\n");

    // A link where the series has a directory leads no file elsewhere.
    fs::rename(fixture.root().join("tests"), outside.path().join("tests")).unwrap();
    symlink(outside.path().join("tests"), fixture.root().join("tests")).unwrap();
    commit(&fixture, "tests/ui/std/new.rs", "fn main() { newer(); }\n", "Change the ui test");
    fixture.run(&["export"]).success().stderr(contains("moved tests to build/saved/"));
    let outer = fs::read_to_string(outside.path().join("tests/ui/std/new.rs")).unwrap();
    assert_eq!(outer, "fn main() { new(); }\n");
    let mirrored = fs::read_to_string(fixture.root().join("tests/ui/std/new.rs")).unwrap();
    assert_eq!(mirrored, "fn main() { newer(); }\n");
}

#[test]
fn moves_files_that_it_did_not_write() {
    let fixture = with_new_commit();
    fixture.run(&["export"]).success();
    fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    fs::create_dir_all(fixture.root().join("library/std")).unwrap();
    let theirs = [
        ("tests/my-notes.txt", "notes\n"),
        ("library/std/mine.rs", "mine\n"),
        // The series no longer has this one, but it is not as the series had it.
        ("tests/ui/std/new.rs", "fn main() { edited(); }\n"),
    ];
    for (file, text) in theirs {
        fs::write(fixture.root().join(file), text).unwrap();
    }
    fixture.run(&["export"]).success();
    let saved = fixture.saved();
    assert_eq!(saved.len(), theirs.len());
    for (file, text) in theirs {
        assert_eq!(saved[Path::new(file)], text);
        assert!(!fixture.root().join(file).exists());
    }
}

/// Of what git is in the middle of, it says its own words.
#[test]
fn refuses_what_is_no_series() {
    for (begin, said) in [
        ("echo mine >library/std/src/lib.rs", "uncommitted changes"),
        ("echo mine >untracked", "uncommitted changes"),
        ("echo >new; git add -N new", "uncommitted changes"),
        ("git update-index --assume-unchanged x.py; echo >x.py", "x.py (hidden by"),
        ("git -c sequence.editor='sed -i s/^pick/edit/' rebase --quiet -i HEAD~1", "rebasing"),
        (
            "git format-patch -qo .. HEAD~1; git reset -q --hard HEAD~1; printf 'fn main() {}' >tests/ui/std/new.rs; \
             git add .; git commit -qm Another; ! git am \"$PWD\"/../0001-*.patch",
            "am session",
        ),
        ("git merge -q --no-commit --no-ff $(git commit-tree -p base -m Mine HEAD:)", "merging"),
        ("git checkout -q HEAD~1", "HEAD detached"),
        ("git reset -q --hard base", "nothing to export"),
        (
            "git switch -qc side HEAD~1; echo 'fn main() {}' >tests/ui/std/side.rs; git add .; \
             git commit -qm Side -m 'There was none.'; git switch -q series; git merge -q --no-ff -m Merge side",
            "no merge",
        ),
    ] {
        let fixture = with_new_commit();
        fixture.shell(&format!("cd build/rust; {begin}")).success();
        assert_stops(&fixture).stderr(contains(said));
    }
}

/// A series may be on any branch, also where none can be called `series`.
#[test]
fn exports_the_branch_that_is_checked_out() {
    for (leave, said) in [
        ("git switch -qc other", "the branch other"),
        ("git branch -m mine; git branch series/v1", "the branch mine"),
        ("git tag series", ""),
        (
            "git checkout -q --detach; git worktree add -q ../linked series; git switch -qc mine",
            "the branch mine",
        ),
    ] {
        let fixture = with_new_commit();
        fixture.shell(&format!("cd build/rust; {leave}")).success();
        let export = fixture.run(&["export"]).success();
        export.stdout(contains("0002-Add-a-ui-test.patch")).stderr(contains(said));
    }
}

#[test]
fn writes_nothing_that_does_not_come_back() {
    let diff = "Subject\n\nBody.\n---\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    for (message, text) in [
        (diff, "text\n"),
        ("Subject\n\nBody.\n---\nMore of the body.", "text\n"),
        ("[std] Subject\n\nBody.", "text\n"),
        ("Subject\n\nBody.", "text\r\n"),
    ] {
        let fixture = exported();
        fs::write(fixture.tree().join("tests/ui/std/new.rs"), text).unwrap();
        fixture.git(&["add", "."]);
        fixture.git(&["commit", "--quiet", "--cleanup=verbatim", "-m", message]);
        assert_stops(&fixture).stderr(contains("cannot be written as patches"));
    }
    let fixture = exported();
    fixture.git(&["commit", "--quiet", "--allow-empty", "-m", "Nothing\n\nAt all."]);
    assert_stops(&fixture).stderr(contains("0002-Nothing.patch"));
}

#[test]
#[cfg(target_os = "linux")] // for /dev/full
fn full_disk_leaves_no_half_a_patch() {
    let fixture = with_new_commit();
    // Every write to this device fails as on a full disk.
    let unfinished = fixture.patches().join(".xtask-unfinished-0002-Add-a-ui-test.patch");
    symlink("/dev/full", unfinished).unwrap();
    fixture.run(&["export"]).code(1).stderr(contains("help: the disk is full"));
    assert!(!fixture.patches().join("0002-Add-a-ui-test.patch").exists());
    // The first one is written already, as there are two now.
    let first = fs::read_to_string(fixture.patches().join("0001-std-Say-hello-patched.patch"));
    assert!(first.unwrap().contains("[PATCH 1/2]"));
    fixture.run(&["export"]).success();
    assert_eq!(fs::read_dir(fixture.patches()).unwrap().count(), 2);
}

#[test]
fn interrupted_export_is_completed() {
    for point in [
        "writing a file",
        "writing a file 2",
        "writing a file 3",
        "removing a file",
        "between files and state",
    ] {
        let fixture = with_new_commit();
        fixture.run(&["export"]).success();
        fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        commit(&fixture, "tests/ui/std/newer.rs", "fn main() {}\n", "Add a newer ui test");
        commit(&fixture, "tests/ui/std/newest.rs", "fn main() {}\n", "Add the newest ui test");
        fixture.kill_at(point, &["export"]);
        if !point.starts_with("writing a file") {
            let stop = fixture.run(&["prepare"]).code(1);
            stop.stderr(contains("`cargo xtask export`"));
        }
        fixture.run(&["export"]).success();
        let names: Vec<_> = written(&fixture).into_keys().collect();
        assert_eq!(names.len(), 5, "{names:?}");
        assert!(fixture.saved().is_empty(), "{:?}", fixture.saved());
    }
}

/// What the user has told git elsewhere changes nothing, and neither does what a hook of the outer
/// repository sets.
#[test]
fn variables_of_git_change_nothing() {
    let fixture = with_new_commit();
    fixture.run(&["export"]).success();
    let before = written(&fixture);
    fixture.git(&["config", "diff.noprefix", "true"]);
    fixture.git(&["config", "format.subjectPrefix", "MINE"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut export = fixture.xtask(&["export"]);
    export.env("GIT_DIFF_OPTS", "-u1").env("GIT_CONFIG_PARAMETERS", "'diff.context'='1'");
    export.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "diff.context");
    export.env("GIT_CONFIG_VALUE_0", "1").env("GIT_EXTERNAL_DIFF", "false");
    for name in ["GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE"] {
        export.env(name, elsewhere.path());
    }
    finish(export).success();
    assert!(written(&fixture) == before);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn names_the_base_in_what_it_says_to_type() {
    let fixture = exported();
    fixture.add_base();
    fs::create_dir(fixture.root().join("patches/1.96")).unwrap();
    let said = fixture.run(&["export", "--base", "1.96"]).code(1);
    said.stderr(contains("`cargo xtask prepare --base 1.96` makes it"));
}

#[test]
fn files_get_the_permissions_that_the_umask_leaves() {
    for (umask, mode) in [("077", 0o600), ("022", 0o644)] {
        let fixture = with_new_commit();
        fixture.shell(&format!("umask {umask}; cargo xtask export")).success();
        for path in written(&fixture).into_keys() {
            let permissions = fs::metadata(&path).unwrap().permissions();
            let is_new = path.ends_with("new.rs") || path.ends_with("0002-Add-a-ui-test.patch");
            assert!(!is_new || permissions.mode() & 0o777 == mode, "{path:?}: {permissions:?}");
        }
    }
}
