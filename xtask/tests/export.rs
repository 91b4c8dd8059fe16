//! `cargo xtask export`: from commits in rust/ to patches/, library/ and tests/, and the cases in which it stops.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::os::unix::fs::{PermissionsExt, symlink};

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{Fixture, Snapshot, advice, finish, snapshot, stderr_of};

/// Returns a project in git, whose patches are as an export writes them.
fn exported() -> Fixture {
    let fixture = Fixture::prepared();
    let commit = "printf '/build/\\n/rust*/\\n' >.gitignore; git init -q; git add .; cargo xtask export; \
                  git add .; git commit -qm Project";
    fixture.shell(commit).success();
    fixture
}

/// Returns such a project with a new commit in rust/, which adds a ui test.
fn with_new_commit() -> Fixture {
    let fixture = exported();
    fixture.commit("tests/ui/std/new.rs", "fn main() { new(); }\n", "Add a ui test");
    fixture
}

/// Returns everything in the project but build/ and rust/.
fn written(fixture: &Fixture) -> Snapshot {
    let others = ["build", "rust", ".git"].map(|directory| fixture.root.join(directory));
    snapshot(&fixture.root, &others)
}

/// Checks that an export stops with code 1 and writes nothing.
fn assert_stops(fixture: &Fixture) -> Assert {
    let before = written(fixture);
    let assert = fixture.run("export").code(1);
    assert!(written(fixture) == before, "something was written: {assert}");
    assert
}

#[test]
fn writes_patches_and_the_files_that_they_add() {
    let fixture = with_new_commit();
    // `git format-patch --cover-letter` writes it.
    let letter = fixture.root.join("patches/1.95/0000-cover-letter.patch");
    fs::write(&letter, "text\n").unwrap();
    fixture.run("export").success().stdout(contains("0002-Add-a-ui-test.patch"));
    fixture.run("prepare").success();
    assert_eq!(fs::read_to_string(letter).unwrap(), "text\n");

    let patch = fixture.read("patches/1.95/0002-Add-a-ui-test.patch");
    assert!(patch.contains("\nFrom: Worker <worker@project.example>\n"), "{patch}");
    assert!(patch.contains("\nThere was none.\n"), "{patch}");
    let mirrored = fixture.read("tests/ui/std/new.rs");
    assert_eq!(mirrored, "fn main() { new(); }\n");
    // None of upstream's files is written, changed or not.
    assert!(!fixture.root.join("library/std/src/lib.rs").exists());
    assert!(!fixture.root.join("tests/ui/std/old.rs").exists());
}

#[test]
fn exported_patches_give_the_same_commits() {
    let fixture = with_new_commit();
    fixture.run("export").success();
    let (commit, exported) = (fixture.git("rev-parse HEAD"), written(&fixture));
    assert_eq!(fixture.git("status --porcelain --branch"), "## series...origin/series");
    fixture.shell("rm -rf build rust").success();
    fixture.run("prepare").success();
    assert_eq!(fixture.git("rev-parse HEAD"), commit);
    fixture.run("export").success();
    assert!(written(&fixture) == exported, "unchanged files are not written again");
}

#[test]
fn removes_files_that_the_series_no_longer_adds_and_names_all_others() {
    let fixture = with_new_commit();
    // Neither git's index nor HEAD has these files: the store knows them.
    fixture.run("export").success();
    fixture.git("reset --quiet --hard HEAD~1");
    let theirs = "tests/my-notes.txt library/std/mine.rs tests/ui/std/new.rs";
    let edit = "mkdir -p library/std; for file in $FILES; do echo mine >$file; done";
    fixture
        .copy()
        .shell("cargo xtask export; ! ls tests/ui/std/new.rs patches/1.95/0002*")
        .success();
    fixture.shell(&edit.replace("$FILES", theirs)).success();
    let said = stderr_of(&assert_stops(&fixture));
    assert!(theirs.split(' ').all(|file| said.contains(&format!("\n  {file}\n"))), "{said}");
    fixture.shell("git add tests library; cargo xtask export").success();
    assert!(theirs.split(' ').all(|file| !fixture.root.join(file).exists()));
    fixture.shell("git show :tests/ui/std/new.rs").success().stdout("mine\n");
}

#[test]
fn replaces_a_file_only_if_git_or_the_last_export_has_its_contents_at_its_path() {
    for (change, is_known) in [
        ("true", true),
        ("note $F", false),
        ("note $F; git add $F", true),
        ("note $F; git commit -qam Mine", true),
        ("note $F; git commit -qam Mine; note $F", false),
        // Known contents at another path are a person's own copy.
        ("cp $F patches/1.95/0009-my-backup.patch", false),
        ("mkdir -p tests; cp patches/1.95/0001* tests/copy.rs", false),
        ("rm $F; mkfifo $F", false),
        ("cp $F mine; ln -sf ../../mine $F", false),
    ] {
        let fixture = with_new_commit();
        let note = "F=patches/1.95/0001-std-Say-hello-patched.patch; \
                    note() { sed -i 's/^---$/---\\nA note./' $1; }";
        fixture.shell(&format!("{note}; {change}")).success();
        if is_known {
            fixture.run("export").success();
            let first = fixture.root.join("patches/1.95/0001-std-Say-hello-patched.patch");
            let first = fs::read_to_string(first).unwrap();
            assert!(first.contains("[PATCH 1/2]") && !first.contains("A note."), "{change}");
        } else {
            let stop = assert_stops(&fixture);
            stop.stderr(contains("nothing was written").and(contains("git add")));
            // The message's way on.
            if !change.contains("fifo") && !change.contains("ln ") {
                fixture.shell("git add .; cargo xtask export").success();
            }
        }
    }
}

#[test]
fn never_follows_a_link() {
    let fixture = with_new_commit();
    let outside = fixture.dir.join("outside");
    fs::write(outside.join("theirs.txt"), "theirs\n").unwrap();
    fs::create_dir(fixture.root.join("tests")).unwrap();
    for (link, target) in [("tests/out", &outside), ("tests/ui", &outside)] {
        symlink(target, fixture.root.join(link)).unwrap();
        assert_stops(&fixture).stderr(contains(link));
        fs::remove_file(fixture.root.join(link)).unwrap();
    }
    fs::remove_dir(fixture.root.join("tests")).unwrap();
    symlink(&outside, fixture.root.join("tests")).unwrap();
    assert_stops(&fixture).stderr(contains("  tests\n"));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

/// An error of git is no proof that git does not have a file.
#[test]
fn error_of_git_is_an_error() {
    let fixture = with_new_commit();
    let before = fixture.git("rev-parse HEAD origin/series");
    for command in ["cat-file --batch-check", "cat-file blob"] {
        fixture.stand_in_for_git(&format!("'{command}'"), "echo 'error: broken' >&2; exit 1");
        assert_stops(&fixture).stderr(contains("cat-file").and(contains("nothing was").not()));
    }
    assert_eq!(fixture.git("rev-parse HEAD origin/series"), before);
}

#[test]
fn refuses_commits_that_are_no_series() {
    for line in "echo mine >library/std/src/lib.rs -- changes that are not committed
        echo mine >untracked -- changes that are not committed
        echo >new; git add -N new -- changes that are not committed
        git update-index --assume-unchanged x.py; echo >x.py -- hides changes of x.py
        git update-index --skip-worktree x.py; echo >x.py -- hides changes of x.py
        git -c sequence.editor='sed -i s/^pick/edit/' rebase --quiet -i HEAD~1 -- rebas
        git switch -qc a HEAD~1; new side.rs; git format-patch -qo $OUT HEAD~1; git reset -q --hard HEAD~1; \
        echo >tests/ui/std/side.rs; git add .; git commit -qm B; ! git am -q $OUT/0001* -- am session
        git merge -q --no-commit --no-ff $(git commit-tree -p origin/base -m Mine HEAD:) -- still merging
        git bisect start; git bisect bad -- bisecting
        git checkout -q HEAD~1 -- no branch is checked out
        git reset -q --hard origin/base -- nothing to export
        echo x >>x.py; git commit -qa --fixup HEAD -- rebase --interactive --autosquash
        echo x >>x.py; git commit -qam 'squash! Add' -- \"squash! Add\"
        git switch -qc side HEAD~1; new side.rs; git switch -q series; git merge -q --no-ff -m Merge side -- no merge
        ln -s old.rs tests/ui/std/link.rs; git add .; git commit -qm Link -- tests/ui/std/link.rs is a symbolic link
        echo >tests/x; chmod +x tests/x; git add .; git commit -qm X -- tests/x is a symbolic link or executable
        git init -q nested; git -C nested commit -q --allow-empty -m Mine; git add . 2>/dev/null; git commit -qm N; \
        git rm -q --cached nested; git commit -qm None; rm -rf nested -- nested is a repository of its own"
        .lines()
    {
        let (begin, said) = line.split_once(" -- ").unwrap();
        let new = "new() { echo 'fn main() {}' >tests/ui/std/$1; git add .; git commit -qm New -m 'None.'; }";
        let begin = format!("{new}; {begin}");
        let fixture = with_new_commit();
        fixture.shell(&format!("cd rust; {begin}")).success();
        assert_stops(&fixture).stderr(contains(said));
    }
}

#[test]
fn printed_rebase_merges_the_fixup() {
    let fixture = with_new_commit();
    fixture
        .shell("cd rust; echo x >>library/std/src/lines.rs; git commit -qa --fixup HEAD")
        .success();
    let stop = assert_stops(&fixture);
    fixture.shell(&advice(&stop).join("\n")).success();
    fixture.run("export").success();
    let patch = fixture.read("patches/1.95/0002-Add-a-ui-test.patch");
    assert!(patch.contains("\n+x\n"), "{patch}");
}

/// A series may be on any branch, also where no branch can be called `series`.
#[test]
fn exports_the_branch_that_is_checked_out() {
    for (leave, said) in [
        ("git switch -qc other", "the branch other"),
        ("git branch -m mine; git branch series/v1", "the branch mine"),
        ("git tag series", ""),
        (
            "git checkout -q --detach; git worktree add -q $OUT/linked series; git switch -qc mine",
            "the branch mine",
        ),
    ] {
        let fixture = with_new_commit();
        fixture.shell(&format!("cd rust; {leave}")).success();
        let export = fixture.run("export").success();
        export.stdout(contains("0002-Add-a-ui-test.patch")).stderr(contains(said));
        fixture.run("prepare").success();
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
        fs::write(fixture.tree.join("tests/ui/std/new.rs"), text).unwrap();
        fixture.git("add .");
        fixture.git(&format!("commit --quiet --cleanup=verbatim -m '{message}'"));
        assert_stops(&fixture).stderr(contains("cannot be written as patches"));
    }
    let fixture = exported();
    fixture.git("commit --quiet --allow-empty -m 'Nothing\n\nAt all.'");
    assert_stops(&fixture).stderr(contains("no commit without a change"));
}

/// A directory without write permission stands for a full disk. An error must leave no half of a patch.
#[test]
fn interrupted_export_is_completed() {
    let fixture = with_new_commit();
    fixture.commit("tests/ui/std/newer.rs", "fn main() {}\n", "Add a newer ui test");
    // The next command finds a file that is half written under its temporary name.
    let unfinished = fixture.root.join("patches/1.95/.0002-Add-a-ui-test.patch.unfinished");
    fs::write(&unfinished, "From 0000").unwrap();
    fixture.run("prepare").success();
    // The tool was killed when its files were written, and the store and the clone did not have the series yet.
    fixture.shell("cp -a build $OUT/build; cp -a rust $OUT/rust").success();
    fixture.run("export").success();
    assert!(!unfinished.exists());
    let exported = written(&fixture);
    fixture.shell("rm -rf build rust; mv $OUT/build $OUT/rust .").success();
    let stop = fixture.run("prepare").code(1);
    let commands = advice(&stop);
    fixture.copy().shell(&format!("{}; cargo xtask prepare", commands[..2].join(";"))).success();
    assert_eq!(commands[2], "cargo xtask export");
    fixture.run("export").success();
    fixture.run("prepare").success();
    assert!(written(&fixture) == exported);
}

/// Settings and variables of git, of the user or of a hook, change nothing.
#[test]
fn settings_of_git_change_nothing() {
    let fixture = with_new_commit();
    fixture.run("export").success();
    let before = written(&fixture);
    fixture.git("config diff.noprefix true");
    fixture.git("config format.subjectPrefix MINE");
    let elsewhere = fixture.dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut export = fixture.xtask("export");
    export.env("GIT_DIFF_OPTS", "-u1").env("GIT_CONFIG_PARAMETERS", "'diff.context'='1'");
    export.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "diff.context");
    export.env("GIT_CONFIG_VALUE_0", "1").env("GIT_EXTERNAL_DIFF", "false");
    for name in ["GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE"] {
        export.env(name, &elsewhere);
    }
    finish(export).success();
    assert!(written(&fixture) == before);
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[test]
fn names_the_base_in_the_command_to_type() {
    let fixture = exported();
    fixture.add_base();
    fs::create_dir(fixture.root.join("patches/1.96")).unwrap();
    let said = fixture.run("export --base 1.96").code(1);
    said.stderr(contains("Create it with `cargo xtask prepare --base 1.96`"));
}

#[test]
fn files_get_the_permissions_that_the_umask_leaves() {
    for (umask, mode) in [("077", 0o600), ("022", 0o644)] {
        let fixture = with_new_commit();
        fixture.shell(&format!("umask {umask}; cargo xtask export")).success();
        for file in ["tests/ui/std/new.rs", "patches/1.95/0002-Add-a-ui-test.patch"] {
            let permissions = fs::metadata(fixture.root.join(file)).unwrap().permissions();
            assert_eq!(permissions.mode() & 0o777, mode, "{file}");
        }
    }
}
