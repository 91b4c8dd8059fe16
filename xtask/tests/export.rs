//! From commits in build/rust to patches/, library/ and tests/; and where export stops instead.

// What these tests delete and overwrite is their own.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{Fixture, finish};

/// A project whose patches are as an export writes them.
fn exported() -> Fixture {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    fixture.run(&["export", "--overwrite"]).success();
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
    let mut files = BTreeMap::new();
    let mut paths = vec![fixture.patches(), fixture.root().join("library")];
    paths.push(fixture.root().join("tests"));
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.exists() {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
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
    assert!(fixture.patches().join("0000-cover-letter.md").exists());
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

#[test]
fn refuses_uncommitted_changes() {
    let refused = || {
        let fixture = with_new_commit();
        let file = fixture.tree().join("tests/ui/std/new.rs");
        fs::write(&file, "fn main() { newer(); }\n").unwrap();
        fs::write(fixture.tree().join("untracked"), "mine\n").unwrap();
        let stop = assert_stops(&fixture).stderr(contains("uncommitted changes"));
        assert_eq!(fs::read_to_string(file).unwrap(), "fn main() { newer(); }\n");
        (fixture, stop)
    };
    let (fixture, stop) = refused();
    fixture.follow_advice(&stop, "To put them aside").success();
    fixture.run(&["export"]).success();
    assert_eq!(fixture.git(&["show", "stash^3:untracked"]), "mine");
    let (fixture, stop) = refused();
    fixture.follow_advice(&stop, "To drop them").success();
    fixture.run(&["export"]).success();
}

#[test]
fn refuses_to_overwrite_changed_patches() {
    let fixture = with_new_commit();
    fixture.write_patch("0001-std-Say-hello-patched.patch", "hello", "changed by hand");
    let stop = assert_stops(&fixture).stderr(contains("an export would overwrite"));
    // Nothing of the commit is in the patches, so it stays where it is.
    fixture.follow_advice(&stop, "To take the change").code(1).stderr(contains("Add a ui test"));
    fixture.follow_advice(&stop, "To overwrite it").success();
    let patch = fixture.patches().join("0001-std-Say-hello-patched.patch");
    assert!(!fs::read_to_string(patch).unwrap().contains("changed by hand"));
}

/// Words that `git am` drops, such as a note below `---`, are only in the file.
#[test]
fn refuses_to_overwrite_a_patch_with_words_of_its_own() {
    let fixture = exported();
    let patch = fixture.patches().join("0001-std-Say-hello-patched.patch");
    let text = fs::read_to_string(&patch).unwrap().replacen("\n---\n", "\n---\nA note.\n", 1);
    fs::write(&patch, &text).unwrap();
    fixture.run(&["prepare"]).success();
    let stop = assert_stops(&fixture).stderr(contains("0001-std-Say-hello-patched.patch"));
    assert_eq!(fs::read_to_string(&patch).unwrap(), text);
    fixture.follow_advice(&stop, "To write them as an export does").success();
}

#[test]
fn never_follows_a_link() {
    let fixture = with_new_commit();
    let outside = tempfile::tempdir().unwrap();
    let theirs = outside.path().join("theirs.txt");
    fs::write(&theirs, "theirs\n").unwrap();
    fs::create_dir(fixture.root().join("tests")).unwrap();
    symlink(outside.path(), fixture.root().join("tests/out")).unwrap();
    let stop = assert_stops(&fixture).stderr(contains("  tests/out\n"));
    fixture.follow_advice(&stop, "or drop it").success();
    fixture.run(&["export"]).success();
    assert_eq!(fs::read_to_string(theirs).unwrap(), "theirs\n");

    // A link where the series has a directory leads no file elsewhere.
    fs::rename(fixture.root().join("tests"), outside.path().join("tests")).unwrap();
    symlink(outside.path().join("tests"), fixture.root().join("tests")).unwrap();
    commit(&fixture, "tests/ui/std/new.rs", "fn main() { newer(); }\n", "Change the ui test");
    assert_stops(&fixture).stderr(contains("  tests\n"));
}

#[test]
fn touches_only_files_that_it_wrote() {
    let with_strangers = || {
        let fixture = with_new_commit();
        fixture.run(&["export"]).success();
        fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        fs::create_dir_all(fixture.root().join("library/std")).unwrap();
        for (file, text) in [
            ("tests/my-notes.txt", "notes\n"),
            ("library/std/mine.rs", "mine\n"),
            // The series no longer has this one, but it is not as the series had it.
            ("tests/ui/std/new.rs", "fn main() { edited(); }\n"),
        ] {
            fs::write(fixture.root().join(file), text).unwrap();
        }
        let named = contains("  tests/my-notes.txt\n").and(contains("  library/std/mine.rs\n"));
        let stop = assert_stops(&fixture).stderr(named.and(contains("  tests/ui/std/new.rs\n")));
        (fixture, stop)
    };
    let (fixture, stop) = with_strangers();
    fixture.follow_advice(&stop, "To make it part of the series").success();
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "--quiet", "-m", "Add mine\n\nThey were not there."]);
    fixture.run(&["export"]).success();
    let edited = fs::read_to_string(fixture.root().join("tests/ui/std/new.rs")).unwrap();
    assert_eq!(edited, "fn main() { edited(); }\n");

    let (fixture, stop) = with_strangers();
    fixture.follow_advice(&stop, "or drop it").success();
    fixture.run(&["export"]).success();
    assert!(!fixture.root().join("tests/ui/std/new.rs").exists());
}

#[test]
fn refuses_while_git_is_in_the_middle_of_something() {
    for begin in [
        "git -C build/rust -c sequence.editor='sed -i s/^pick/edit/' rebase --quiet -i HEAD~1",
        "git -C build/rust format-patch --quiet -o .. HEAD~1 && \
         git -C build/rust reset --quiet --hard HEAD~1 && \
         printf 'fn main() {}' >build/rust/tests/ui/std/new.rs && git -C build/rust add . && \
         git -C build/rust commit --quiet -m 'Another' && ! git -C build/rust am \"$PWD\"/build/0001-*.patch",
        "git -C build/rust bisect start && git -C build/rust bisect bad",
    ] {
        let fixture = with_new_commit();
        fixture.run(&["export"]).success();
        fixture.shell(begin).success();
        let stop = assert_stops(&fixture).stderr(contains("is not finished"));
        fixture.follow_advice(&stop, "or call it off").success();
        fixture.run(&["export"]).success();
    }
}

#[test]
fn refuses_off_the_branch_of_the_series() {
    for leave in
        [&["checkout", "--quiet", "HEAD~1"][..], &["switch", "-q", "-c", "other", "HEAD~1"]]
    {
        let off_branch = || {
            let fixture = with_new_commit();
            fixture.run(&["export"]).success();
            fixture.git(leave);
            let stop =
                assert_stops(&fixture).stderr(contains("is checked out; the branch `series`"));
            (fixture, stop)
        };
        let (fixture, stop) = off_branch();
        let before = written(&fixture);
        fixture.follow_advice(&stop, "To go back to it").success();
        fixture.run(&["export"]).success();
        assert!(written(&fixture) == before);

        let (fixture, stop) = off_branch();
        fixture.follow_advice(&stop, "To export what is checked out now").success();
        fixture.run(&["export"]).success();
        assert!(!fixture.root().join("tests/ui/std/new.rs").exists());
        assert_eq!(fixture.git(&["log", "-1", "--format=%s", "former-series"]), "Add a ui test");
    }
}

#[test]
fn refuses_a_merge() {
    let fixture = with_new_commit();
    fixture.git(&["switch", "--quiet", "--create", "side", "HEAD~1"]);
    commit(&fixture, "tests/ui/std/side.rs", "fn main() {}\n", "Add another ui test");
    fixture.git(&["switch", "--quiet", "series"]);
    fixture.git(&["merge", "--quiet", "--no-ff", "side"]);
    let stop = assert_stops(&fixture).stderr(contains("Merge branch 'side'"));
    fixture.follow_advice(&stop, "To put their commits in a row").success();
    fixture.run(&["export"]).success().stdout(contains("0003-"));
}

#[test]
fn refuses_to_delete_the_whole_series() {
    let fixture = exported();
    fixture.git(&["reset", "--quiet", "--hard", "base"]);
    assert_stops(&fixture).stderr(contains("nothing to export"));
}

#[test]
fn refuses_what_git_was_told_to_overlook() {
    let fixture = with_new_commit();
    fixture.git(&["update-index", "--assume-unchanged", "library/std/src/lib.rs"]);
    fs::write(fixture.tree().join("library/std/src/lib.rs"), "my work\n").unwrap();
    let stop = assert_stops(&fixture).stderr(contains("git overlooks changes"));
    fixture.follow_advice(&stop, "To have it look again").success();
    assert_stops(&fixture).stderr(contains(" M library/std/src/lib.rs"));
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
        "between patches and mirror",
    ] {
        let fixture = with_new_commit();
        fixture.run(&["export"]).success();
        fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        commit(&fixture, "tests/ui/std/newer.rs", "fn main() {}\n", "Add a newer ui test");
        commit(&fixture, "tests/ui/std/newest.rs", "fn main() {}\n", "Add the newest ui test");
        fixture.kill_at(point, &["export"]);
        if !point.starts_with("writing a file") {
            let stop = fixture.run(&["prepare"]).code(1);
            stop.stderr(contains("interrupted; `cargo xtask export` completes it"));
        }
        fixture.run(&["export"]).success();
        let names: Vec<_> = written(&fixture).into_keys().collect();
        assert_eq!(names.len(), 5, "{names:?}");
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
