//! `cargo xtask export`: from commits in rust/ to patches/, library/ and tests/, and the cases in which it stops.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::os::unix::fs::PermissionsExt;

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{Fixture, LIB, Snapshot, Template, advice, finish, snapshot, stderr_of};

const FIRST: &str = "patches/1.95/0001-std-Say-hello-patched.patch";
const SECOND: &str = "patches/1.95/0002-Add-a-ui-test.patch";

/// Returns a project in git, whose patches are as an export writes them, with a new commit in rust/, which adds a ui
/// test.
fn with_new_commit() -> Fixture {
    static TEMPLATE: Template = Template::new();
    TEMPLATE.copy(|| {
        let fixture = Fixture::prepared();
        fixture.shell("track; cargo xtask export; git add .; git commit -qm Project").success();
        fixture.commit("tests/ui/std/new.rs", "fn main() { new(); }\n", "Add a ui test");
        fixture
    })
}

/// Returns all files but those in build/, rust/ and .git/.
fn written(fixture: &Fixture) -> Snapshot {
    let others = ["build", "rust", ".git"].map(|directory| fixture.root.join(directory));
    snapshot(&fixture.dir, &others)
}

/// Checks that an export stops with code 1 and writes nothing.
fn stop(fixture: &Fixture, said: &str) -> Assert {
    let before = written(fixture);
    let assert = fixture.run("export").code(1).stderr(contains(said));
    assert!(written(fixture) == before, "something was written: {assert}");
    assert
}

#[test]
fn writes_patches_that_give_the_same_commits_and_the_files_that_they_add() {
    let fixture = with_new_commit();
    // `git format-patch --cover-letter` writes it.
    let letter = "patches/1.95/0000-cover-letter.patch";
    fixture.write(letter, "text\n");
    fixture.run("export").success().stdout(contains(SECOND));
    fixture.run("prepare").success();
    assert_eq!(fixture.read(letter), "text\n");
    let patch = fixture.read(SECOND);
    assert!(patch.contains("\nFrom: Worker <worker@project.example>\n"), "{patch}");
    assert!(patch.contains("\nThere was none.\n"), "{patch}");
    assert_eq!(fixture.read("tests/ui/std/new.rs"), "fn main() { new(); }\n");
    // None of upstream's files is written, changed or not.
    fixture.shell("fails ls library/std/src/lib.rs; fails ls tests/ui/std/old.rs").success();

    let (commit, exported) = (fixture.git("rev-parse HEAD"), written(&fixture));
    assert_eq!(fixture.git("status --porcelain --branch"), "## series...origin/series");
    fixture.shell("rm -rf build rust; cargo xtask prepare").success();
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
    let export = "cargo xtask export; fails ls tests/ui/std/new.rs patches/1.95/0002*";
    fixture.copy().shell(export).success();
    let theirs = ["tests/my-notes.txt", "library/std/mine.rs", "tests/ui/std/new.rs"];
    theirs.iter().for_each(|file| fixture.write(file, "mine\n"));
    let said = stderr_of(&stop(&fixture, "nothing was written"));
    assert!(theirs.iter().all(|file| said.contains(&format!("\n  {file}\n"))), "{said}");
    fixture.shell("git add tests library; cargo xtask export").success();
    assert!(theirs.iter().all(|file| !fixture.root.join(file).exists()));
    fixture.shell("git show :tests/ui/std/new.rs").success().stdout("mine\n");
}

/// Each line has a change, and the path that an export refuses to replace or remove then. No link is followed.
#[test]
fn replaces_a_file_only_if_git_or_the_last_export_has_its_contents_at_its_path() {
    for (change, named) in [
        ("true", None),
        ("note", Some(FIRST)),
        ("note; git add $F", None),
        ("note; git commit -qam Mine", None),
        ("note; git commit -qam Mine; note", Some(FIRST)),
        // Known contents at another path are a person's own copy.
        ("cp $F patches/1.95/0009-mine.patch", Some("patches/1.95/0009-mine.patch")),
        ("mkdir tests; cp $F tests/copy.rs", Some("tests/copy.rs")),
        ("rm $F; mkfifo $F", Some(FIRST)),
        ("cp $F mine; ln -sf ../../mine $F", Some(FIRST)),
        ("mkdir tests; ln -s $OUT tests/out", Some("tests/out")),
        ("mkdir tests; ln -s $OUT tests/ui", Some("tests/ui")),
        ("ln -s $OUT tests", Some("tests")),
        ("mv patches/1.95 $OUT; ln -s $OUT/1.95 patches", Some("patches/1.95")),
        ("mkdir -p tests/ui/std/new.rs", Some("tests/ui/std/new.rs")),
    ] {
        let fixture = with_new_commit();
        let note = "note() { sed -i 's/^---$/---\\nA note./' $F; }";
        fixture.shell(&format!("F={FIRST}; {note}; {change}")).success();
        let Some(named) = named else {
            fixture.run("export").success();
            let first = fixture.read(FIRST);
            assert!(first.contains("[PATCH 1/2]") && !first.contains("A note."), "{change}");
            continue;
        };
        stop(&fixture, "nothing was written").stderr(contains(format!("\n  {named}\n")));
        // The message's way on.
        if fs::symlink_metadata(fixture.root.join(named)).unwrap().is_file() {
            fixture.shell("git add .; cargo xtask export").success();
        }
    }
}

/// An error of git is no proof that git does not have a file.
#[test]
fn error_of_git_is_an_error() {
    let fixture = with_new_commit();
    let before = fixture.git("rev-parse HEAD origin/series");
    for command in ["'cat-file --batch-check'", "'cat-file blob'"] {
        // It reads its input before it ends, as git does.
        fixture.wrap("git", command, "cat >/dev/null; echo 'error: broken' >&2; exit 1");
        stop(&fixture, "cat-file").stderr(contains("nothing was").not());
    }
    assert_eq!(fixture.git("rev-parse HEAD origin/series"), before);
}

#[test]
fn refuses_commits_that_are_no_series() {
    for line in "echo mine >$LIB -- changes that are not committed
        echo mine >untracked -- changes that are not committed
        echo >new; git add -N new -- changes that are not committed
        git update-index --assume-unchanged x.py; echo >x.py -- hides changes of x.py
        git update-index --skip-worktree x.py; echo >x.py -- hides changes of x.py
        stop_in_rebase HEAD~1 -- rebas
        git switch -qc a HEAD~1; save side a; git format-patch -qo $OUT HEAD~1; git reset -q --hard HEAD~1; save side b; \
        fails git am -q $OUT/0001* -- am session
        git merge -q --no-commit --no-ff $(git commit-tree -p origin/base -m Mine HEAD:) -- still merging
        git bisect start; git bisect bad -- bisecting
        git checkout -q HEAD~1 -- no branch is checked out
        git reset -q --hard origin/base -- nothing to export
        echo x >>x.py; git commit -qa --fixup HEAD -- rebase --interactive --autosquash origin/base
        echo x >>x.py; git commit -qam 'squash! Add' -- \"squash! Add\"
        git switch -qc side HEAD~1; save side a; git switch -q series; git merge -q --no-ff -m Merge side -- no merge
        ln -s old.rs tests/ui/std/link.rs; save x.py Link -- tests/ui/std/link.rs is a symbolic link
        echo >tests/x; chmod +x tests/x; save x.py X -- tests/x is a symbolic link or executable
        git init -q nested; git -C nested commit -q --allow-empty -m Mine; save x.py Nested; \
        git rm -q --cached nested; git commit -qm None; rm -rf nested -- nested is a repository of its own"
        .lines()
    {
        let (work, said) = line.split_once(" -- ").unwrap();
        let fixture = with_new_commit();
        fixture.shell(&format!("cd rust; {work}")).success();
        let stop = stop(&fixture, said);
        if said.contains("autosquash") {
            // The message's way on.
            let rebase = advice(&stop).concat();
            fixture.shell(&format!("{rebase}; cargo xtask export; grep '^+x$' {SECOND}")).success();
        }
    }
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
        fixture.run("export").success().stdout(contains(SECOND)).stderr(contains(said));
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
        // A commit without a change.
        ("Nothing\n\nAt all.", "fn main() { new(); }\n"),
    ] {
        let fixture = with_new_commit();
        fixture.write("rust/tests/ui/std/new.rs", text);
        let commit = "commit --quiet --all --allow-empty --cleanup=verbatim -m";
        fixture.git(&format!("{commit} '{message}'"));
        stop(&fixture, "cannot be written as patches");
    }
}

/// The tool is killed when the files are written, and neither the store nor the clone has the series yet.
#[test]
fn interrupted_export_is_completed() {
    let fixture = with_new_commit();
    fixture.commit("tests/ui/std/newer.rs", "fn main() {}\n", "Add a newer ui test");
    // The next command finds a file that is half written under its temporary name.
    let unfinished = "patches/1.95/.0002-Add-a-ui-test.patch.unfinished";
    fixture.write(unfinished, "From 0000");
    let export =
        "cargo xtask prepare; cp -a build $OUT/build; cp -a rust $OUT/rust; cargo xtask export";
    fixture.shell(export).success();
    assert!(!fixture.root.join(unfinished).exists());
    fixture.shell("rm -rf build rust; mv $OUT/build $OUT/rust .").success();
    let exported = written(&fixture);
    let commands = advice(&fixture.run("prepare").code(1));
    fixture.copy().shell(&format!("{}; cargo xtask prepare", commands[..2].join(";"))).success();
    assert_eq!(commands[2], "cargo xtask export");
    fixture.shell("cargo xtask export; cargo xtask prepare").success();
    assert!(written(&fixture) == exported);
}

/// Settings and variables of git, of the user or of a hook, change nothing.
#[test]
fn settings_of_git_change_nothing() {
    let fixture = with_new_commit();
    fixture.run("export").success();
    fixture.git("config diff.noprefix true");
    fixture.git("config format.subjectPrefix MINE");
    let elsewhere = fixture.dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let before = written(&fixture);
    let mut export = fixture.xtask("export");
    export.env("GIT_DIFF_OPTS", "-u1").env("GIT_CONFIG_PARAMETERS", "'diff.context'='1'");
    export.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "diff.context");
    export.env("GIT_CONFIG_VALUE_0", "1").env("GIT_EXTERNAL_DIFF", "false");
    for name in ["GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE"] {
        export.env(name, &elsewhere);
    }
    finish(export).success();
    assert!(written(&fixture) == before);
}

/// The files of the clone as well as those of an export.
#[test]
fn files_get_the_permissions_that_the_umask_leaves() {
    for (umask, expected) in [("077", 0o600), ("022", 0o644)] {
        let fixture = Fixture::new();
        let work =
            "cargo xtask prepare; track; cd rust; save tests/ui/std/new.rs new; cargo xtask export";
        fixture.shell(&format!("umask {umask}; {work}")).success();
        for file in ["rust/x.py", "rust/library/std/src", LIB, "tests/ui/std/new.rs", FIRST] {
            let mode = fs::metadata(fixture.root.join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o666, expected, "{umask}: {file}");
        }
    }
}
