//! From nothing to a tree in which x.py runs: what works, and what is said when something does not.

// What these tests delete and overwrite is their own.
#![allow(clippy::disallowed_methods)]

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{
    ARCHIVE, COMMIT, Fixture, LINES, advice, archive, finish, serve, start, start_waiting,
    write_script,
};
use xtask::run::files::entries;

#[test]
fn prepares_once_and_runs_x_py_whose_code_it_exits_with() {
    let fixture = Fixture::new();
    fixture
        .run(&["x", "test", "library/std", "--", "net::tcp"])
        .success()
        .stdout(contains("with ['test', 'library/std', '--', 'net::tcp']"))
        .stderr(contains("unpacking"));
    assert_eq!(fixture.std_line(), "hello, patched\n");
    assert!(!fixture.tree().join("vendor").exists());
    assert!(fixture.tree().join("src/llvm-project/llvm").is_dir());
    assert_eq!(fixture.git(&["status", "--porcelain"]), "");

    let mut again = fixture.xtask(&["x", "test", "library/std"]);
    again.env("EXIT_CODE", "37");
    finish(again).code(37).stderr("");
}

/// What a run uses, bootstrap says: options and spellings of paths change nothing.
#[test]
fn std_in_the_sysroot_is_that_of_the_tree_where_a_run_uses_it() {
    let fixture = Fixture::new();
    fixture.run(&["x", "test", "library/std"]).success().stdout(contains("['released std']"));
    let tests = fixture.tree().join("tests/ui/std");
    for args in [
        &["test", "tests/ui/std"][..],
        &["-j", "2", "test", "./tests/ui/std", "--force-rerun"],
        &["test", tests.to_str().unwrap()],
    ] {
        let line = format!("hello, {}\n", args.len());
        fs::write(fixture.tree().join("library/std/src/lib.rs"), &line).unwrap();
        let args = [&["x"], args].concat();
        fixture
            .run(&args)
            .success()
            .stdout(contains(format!("['patched std: hello, {}\\n']", args.len() - 1)));
    }
}

#[test]
fn suite_without_tests_is_not_run() {
    let fixture = Fixture::new();
    fixture.run(&["x", "test", "tests/ui/std"]).success();
    // An archive without tests, but with what bootstrap insists on.
    fixture.git(&["rm", "-r", "--quiet", "tests"]);
    fs::create_dir_all(fixture.tree().join("tests/ui")).unwrap();
    fs::write(fixture.tree().join("tests/ui/README.md"), "").unwrap();
    let said = contains("tests/ui has no tests");
    fixture.run(&["x", "test", "library/std", "tests/ui"]).code(3).stderr(said);
    fixture.run(&["x", "test", "library/std", "--", "tests/ui"]).success();
    // What is a slip of the finger, x.py refuses itself.
    let mut x = fixture.xtask(&["x", "test", "tests/iu"]);
    x.env("EXIT_CODE", "1");
    finish(x).code(1).stdout(contains("x.py ran in"));
}

#[test]
fn format_is_checked_by_a_rustfmt_that_can() {
    let fixture = Fixture::prepared();
    let config = fixture.root().join("build/rust-prebuilt/bootstrap.toml");
    let config = fs::read_to_string(config).unwrap();
    let rustfmt = fixture.root().join("build/rust-prebuilt/rustfmt");
    assert!(config.contains(&format!("rustfmt = \"{}\"", rustfmt.display())), "{config}");
    let run = |args: &[&str]| {
        let mut command = Command::new(&rustfmt);
        command.args(["--unstable-features"]).args(args).env("PATH", fixture.path());
        finish(command)
    };
    let own = fixture.toolchain().join("bin/rustfmt");
    write_script(&own, "echo own $*");
    run(&["--check", "a.rs"]).success().stdout("own --unstable-features --check a.rs\n");

    // A stable one, and no nightly.
    write_script(&own, "echo \"Unrecognized option: 'unstable-features'\" >&2; exit 1");
    write_script(&fixture.bin().join("rustup"), "exit 1");
    run(&["--check", "a.rs"]).success().stderr(contains("the format is NOT checked"));
    run(&["a.rs"]).code(1).stderr(contains("Unrecognized option"));

    let nightly = fixture.bin().join("nightly-rustfmt");
    write_script(&nightly, "echo nightly $*");
    // It is asked for, not installed.
    let rustup = format!("test $RUSTUP_AUTO_INSTALL = 0 && echo '{}'", nightly.display());
    write_script(&fixture.bin().join("rustup"), &rustup);
    run(&["a.rs"]).success().stdout("nightly --unstable-features a.rs\n");
}

/// Arguments are looked at before anything is fetched, built or written.
#[test]
fn wrong_arguments_are_refused_at_once() {
    let fixture = Fixture::new();
    for (args, said) in [
        (&["x", "--base", "9.99", "test"][..], "base.toml has no base \"9.99\"; it has 1.95"),
        (&["x", "test", "library/std", "--base", "1.95"], "`./x.py --base … test`"),
        (&["x", "test", "--source=/elsewhere"], "`./x.py --source … test`"),
        (&["clean", "--base", "1.95"], "takes no --base"),
    ] {
        fixture.run(args).code(1).stderr(contains(said));
        assert!(!fixture.root().join("build/rust").exists(), "{args:?}");
    }
}

#[test]
fn bootstrap_gets_the_configuration_and_the_compiler() {
    let fixture = Fixture::prepared();
    let config = fixture.root().join("build/rust-prebuilt/bootstrap.toml");
    let config = fs::read_to_string(config).unwrap();
    assert!(config.contains("x.py-config.toml"), "{config}");
    assert!(config.contains("download-rustc = true"), "{config}");
    let ci_rustc = fixture.root().join("build/rust-prebuilt/x86_64-unknown-linux-gnu/ci-rustc");
    let base = fixture.git(&["rev-parse", "base"]);
    let stamp = fs::read_to_string(ci_rustc.join(".rustc-stamp")).unwrap();
    assert_eq!(stamp, format!("{base}-false"));
    let listed = fs::read_to_string(ci_rustc.join(".rust-std-contents")).unwrap();
    assert!(listed.lines().count() > 0 && listed.lines().all(|f| ci_rustc.join(f).is_file()));
}

/// What bootstrap is told is not in the tree.
#[test]
fn bootstrap_configuration_of_the_user_stays() {
    let fixture = Fixture::prepared();
    let config = fixture.tree().join("bootstrap.toml");
    assert!(!config.exists());
    fs::write(&config, "profile = \"library\"\n").unwrap();
    let mut x = fixture.xtask(&["x", "test", "library/std"]);
    x.env_remove("RUST_BOOTSTRAP_CONFIG");
    finish(x).success().stderr(contains("build/rust/bootstrap.toml is not used"));
    assert_eq!(fs::read_to_string(&config).unwrap(), "profile = \"library\"\n");
    // Nothing waits for what is not read.
    fixture.shell("rm build/rust/bootstrap.toml; mkfifo build/rust/bootstrap.toml").success();
    fixture.run(&["prepare"]).success();
}

#[test]
fn what_came_of_each_source_is_told() {
    let url = serve(b"another archive".to_vec(), vec![]);
    for (url, said) in [
        ("http://127.0.0.1:1/gone", "127.0.0.1:1/gone"),
        (&format!("{url}.gone"), "error: 404"),
        (&url, "another hash than base.toml gives"),
    ] {
        let fixture = Fixture::without_cache(url);
        let stop = fixture.run(&["prepare"]).code(3);
        stop.stderr(contains(said).and(contains(ARCHIVE)).and(contains("--source PATH")));
        assert!(!fixture.tree().exists());
    }
}

#[test]
fn project_whose_path_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new();
    let root = fixture.dir().join(std::ffi::OsStr::from_bytes(b"K\xf6ln"));
    fs::rename(fixture.root(), &root).unwrap();
    let mut prepare = fixture.xtask(&["prepare"]);
    prepare.env("XTASK_ROOT", &root).current_dir(&root);
    finish(prepare).code(1).stderr(contains("is not UTF-8"));
}

#[test]
fn altered_source_is_refused_and_left_alone() {
    let fixture = Fixture::without_cache("http://127.0.0.1:1/gone");
    let mine = fixture.root().join("mine.tar.xz");
    fs::write(&mine, "something else").unwrap();
    let found = "f41f3fa625ff120ddca7ef456bf66371ecea23c129f4e4c32367101edb516cf8";
    fixture
        .run(&["prepare", "--source", mine.to_str().unwrap()])
        .code(1)
        .stderr(contains(found).and(contains("those in base.toml are")));
    assert_eq!(fs::read_to_string(&mine).unwrap(), "something else");
}

/// What is checked out there, and changed, is not looked at.
#[test]
fn clone_is_used_at_the_commit_of_the_base() {
    let fixture = Fixture::without_cache("http://127.0.0.1:1/gone");
    let made = fixture.shell(
        "export GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z
        mkdir -p sub rust/library/std/src rust/vendor rust/src/tools/vendor
        git init -q sub; echo inside >sub/inside; git -C sub add .; git -C sub commit -qm Sub
        cd rust; git init -q
        echo 'print(\"made up\")' >x.py; echo hello >library/std/src/lib.rs
        touch vendor/left-out src/tools/vendor/kept
        git -c protocol.file.allow=always submodule --quiet add ../sub library/backtrace
        git add .; git commit -qm Base; git rev-parse HEAD
        echo changed >library/std/src/lib.rs; git commit -qam Later; echo more >x.py; touch new",
    );
    let commit = String::from_utf8(made.success().get_output().stdout.clone()).unwrap();
    let base_toml = fixture.root().join("base.toml");
    let text = fs::read_to_string(&base_toml).unwrap().replace(COMMIT, commit.trim());
    fs::write(base_toml, text).unwrap();
    fixture.write_toolchain(commit.trim());
    // A submodule that was never fetched.
    fixture.shell("mv rust/library/backtrace away; mkdir rust/library/backtrace").success();
    let stop = fixture.run(&["prepare", "--source", "rust"]).code(1);
    stop.stderr(contains("git submodule update --init").and(contains("rust/library/backtrace")));
    fixture.shell("rmdir rust/library/backtrace; mv away rust/library/backtrace").success();

    fixture.run(&["prepare", "--source", "rust"]).success();
    assert_eq!(fixture.std_line(), "hello, patched\n");
    let tracked = fixture.git(&["ls-files", "library", "src/tools", "vendor", "new", "tree"]);
    let expected = ["library/backtrace/inside", "library/std/src/lib.rs", "src/tools/vendor/kept"];
    assert_eq!(tracked.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn clone_without_the_commit_is_refused() {
    let fixture = Fixture::prepared();
    let other = Fixture::new();
    other
        .run(&["prepare", "--source", fixture.tree().to_str().unwrap()])
        .code(1)
        .stderr(contains(COMMIT).and(contains("git fetch origin tag 1.95.0")));
    assert!(!other.tree().exists());
}

#[test]
fn what_is_damaged_in_the_cache_is_refused_and_left_alone() {
    for (damage, found) in
        [("cut -c1-100 archive | head -1 >", "and should be"), ("mkfifo", "that of no file")]
    {
        // Only the first request is answered: one that came too early would be missed in the end.
        let fixture = Fixture::without_cache(&serve(archive(LINES), vec![usize::MAX, 0]));
        fs::create_dir_all(fixture.cache()).unwrap();
        fs::write(fixture.root().join("archive"), &fixture.archive).unwrap();
        let cached = fixture.cache().join(ARCHIVE);
        fixture.shell(&format!("{damage} '{}'", cached.display())).success();
        let stop = fixture.run(&["prepare"]).code(1).stderr(contains(found));
        assert!(cached.exists());
        let said = String::from_utf8_lossy(&stop.get_output().stderr).into_owned();
        let advice = said.lines().find(|line| line.trim_start().starts_with("rm ")).unwrap();
        fixture.shell(advice).success();
        fixture.run(&["prepare"]).success();
        assert_eq!(fixture.std_line(), "hello, patched\n");
    }
}

#[test]
fn files_have_the_permissions_that_the_user_wants() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fixture.shell("umask 077; cargo xtask prepare").success();
    for file in ["x.py", "library/std/src", "library/std/src/lib.rs"] {
        let mode = fs::metadata(fixture.tree().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}

#[test]
fn source_is_not_looked_at_where_the_tree_is() {
    let fixture = Fixture::prepared();
    fixture
        .run(&["prepare", "--source", "/no/such/file"])
        .success()
        .stderr(contains("is there already").and(contains("/no/such/file")));
}

#[test]
fn interrupted_download_is_never_taken_for_a_whole_one() {
    let fixture = Fixture::without_cache(&serve(archive(LINES), vec![100_000]));
    fixture.run(&["prepare"]).code(3).stderr(contains("cannot download"));
    assert!(!fixture.cache().join(ARCHIVE).exists());
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.std_line(), "hello, patched\n");
}

#[test]
fn killed_anywhere_it_goes_on() {
    let fixture = Fixture::new();
    for point in ["unpacked", "before it has its name"] {
        fixture.kill_at(point, &["prepare"]);
    }
    for point in ["before the move", "after the move"] {
        fixture.kill_at(point, &["prepare"]);
    }
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.std_line(), "hello, patched\n");
    assert_eq!(fixture.git(&["status", "--porcelain"]), "");
    assert_eq!(fixture.git(&["log", "--format=%s", "base.."]), "std: Say `hello, patched`");
    assert_eq!(fixture.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn changed_patches_are_applied() {
    let fixture = Fixture::prepared();
    fixture.write_patch("0002-second.patch", "hello, patched", "hello twice");
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.std_line(), "hello twice\n");
}

/// It moves by itself in one case alone. In all others there is one way out, which always works.
#[test]
fn work_in_the_tree_is_never_touched() {
    for (work, named) in [
        ("mine", "modified:   library/std/src/lines.rs"),
        ("mine; git add .; echo more >new", "new"),
        ("echo new >new; git add -N new", "new"),
        ("mine; git commit -qam Mine", "Mine"),
        ("git checkout -q --detach; mine; git commit -qam Mine", "HEAD detached"),
        (
            "git switch -qc other; mine; git commit -qam Mine; git branch -D series",
            "On branch other",
        ),
        ("git branch -m mine; git branch series/v1", "On branch mine"),
        (
            "mine; git commit -qam Mine; git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi HEAD~1",
            "rebas",
        ),
        ("git merge -q --no-commit --no-ff $(git commit-tree -p base -m Mine HEAD:)", "merging"),
        ("git update-index --skip-worktree library/std/src/lines.rs; mine", "nothing to commit"),
        // In a linked tree is the branch, and here an older commit.
        ("git checkout -q --detach; git worktree add -q ../linked series", "HEAD detached"),
    ] {
        let fixture = Fixture::prepared();
        let mine = "echo mine >library/std/src/lines.rs";
        fixture.shell(&format!("cd build/rust; mine() {{ {mine}; }}; {work}")).success();
        // With the same patches, work in progress is what x.py is there for.
        fixture.run(&["x", "test", "library/std"]).success();
        let state = |fixture: &Fixture| {
            let files = "git rev-parse HEAD; git status --porcelain; cat library/std/src/*.rs";
            let said = fixture.shell(&format!("cd build/rust; {files}")).success();
            said.get_output().stdout.clone()
        };
        let before = state(&fixture);
        fixture.write_patch("0001-first.patch", "hello", "hello, again");
        let stop = fixture.run(&["x", "test", "library/std"]).code(1);
        let stop = stop.stderr(contains("nothing was touched").and(contains(named)));
        assert_eq!(state(&fixture), before, "{work}");
        fixture.shell(&advice(&stop, "and make it anew")).success();
        assert_eq!(fixture.std_line(), "hello, again\n", "{work}");
        assert!(fixture.root().join("build/rust-kept/.git").exists(), "{work}");
        if work.ends_with("git commit -qam Mine") {
            fixture.git(&["cherry-pick", "FETCH_HEAD"]);
            assert!(fixture.tree().join("library/std/src/lines.rs").exists());
            assert_eq!(fixture.git(&["show", "HEAD:library/std/src/lines.rs"]), "mine");
        }
    }
}

/// git would take the repository of the project itself.
#[test]
fn tree_whose_repository_is_broken_is_left_alone() {
    let fixture = Fixture::prepared();
    let commit = "git init -q && echo /build/ >.gitignore && git add . && git commit -qm Project";
    fixture.shell(commit).success();
    fixture.shell(": >build/rust/.git/HEAD").success();
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    fixture.run(&["prepare"]).code(1).stderr(contains("not a git repository"));
    fixture.run(&["export"]).code(1).stderr(contains("not a git repository"));
    fixture.shell("git log -1 --format=%s; git branch").success().stdout(contains("Project"));
}

#[test]
fn what_is_no_file_is_no_patch() {
    let fixture = Fixture::new();
    fixture.shell("mkfifo patches/1.95/0002-x.patch").success();
    fixture.run(&["prepare"]).code(1).stderr(contains("0002-x.patch is no file"));
}

#[test]
fn ignored_file_in_the_way_stays() {
    let fixture = Fixture::prepared();
    fixture.shell("echo mine.rs >>build/rust/.git/info/exclude").success();
    fixture.git(&["switch", "--quiet", "--create", "other"]);
    fs::write(fixture.tree().join("mine.rs"), "of the series\n").unwrap();
    fixture.git(&["add", "--force", "mine.rs"]);
    fixture.git(&["commit", "--quiet", "-m", "Add a file\n\nIt is ignored."]);
    fixture.git(&["format-patch", "--quiet", "--start-number=2", "-o", "../../patches/1.95", "-1"]);
    fixture.git(&["switch", "--quiet", "series"]);
    fs::write(fixture.tree().join("mine.rs"), "mine\n").unwrap();
    fixture.run(&["prepare"]).code(1).stderr(contains("mine.rs"));
    assert_eq!(fs::read_to_string(fixture.tree().join("mine.rs")).unwrap(), "mine\n");
}

#[test]
fn patch_that_does_not_apply_is_explained() {
    let fixture = Fixture::prepared();
    fixture.write_patch("0002-second.patch", "something else", "hello twice");
    fixture.run(&["prepare"]).code(1).stderr(
        contains("0002-second.patch does not apply")
            .and(contains("patch failed: library/std/src/lib.rs:1"))
            .and(contains("CONTRIBUTING.md")),
    );
    assert_eq!(fixture.std_line(), "hello, patched\n");

    // From nothing, there is a tree to resolve it in.
    let fresh = Fixture::new();
    fresh.write_patch("0001-first.patch", "something else", "hello twice");
    fresh.run(&["prepare"]).code(1).stderr(contains("0001-first.patch does not apply"));
    assert_eq!(fresh.std_line(), "hello\n");
}

#[test]
fn patches_are_merged_into_a_new_base() {
    let fixture = Fixture::prepared();
    fixture.shell("sed -i s/eight/acht/ build/rust/library/std/src/lines.rs").success();
    fixture.git(&["commit", "--quiet", "--all", "-m", "Say acht\n\nIt was eight."]);
    fixture.run(&["export"]).success();
    // As CONTRIBUTING.md has it.
    fixture.add_base();
    fixture.shell("mkdir patches/1.96 && cp patches/1.95/*.patch patches/1.96").success();
    fixture.run(&["prepare", "--base", "1.96"]).code(1);
    fixture.shell("git -C build/rust-1.96 fetch -q ../rust series").success();
    fixture.shell("git -C build/rust-1.96 am -q --3way \"$PWD\"/patches/1.96/*.patch").success();
    fixture.run(&["export", "--base", "1.96"]).success();
    let lines = fixture.root().join("build/rust-1.96/library/std/src/lines.rs");
    let lines = fs::read_to_string(lines).unwrap();
    assert_eq!(lines, "one\ntwo\nthree\nfour\ncinq\nsix\nseven\nacht\nnine\n");
    fixture.run(&["prepare", "--base", "1.96"]).success();
    fixture.run(&["prepare"]).success();
}

/// git asks who owns a repository, and works in one of someone else's only where the user lets it.
#[test]
fn repository_of_another_owner_is_used_where_the_user_lets_it() {
    let fixture = Fixture::prepared();
    let git = which::which("git").unwrap();
    let script =
        format!("export GIT_TEST_ASSUME_DIFFERENT_OWNER=1; exec '{}' \"$@\"", git.display());
    write_script(&fixture.bin().join("git"), &script);
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    fixture.run(&["prepare"]).code(1).stderr(contains("dubious ownership"));
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".gitconfig"), "[safe]\n\tdirectory = *\n").unwrap();
    let mut prepare = fixture.xtask(&["prepare"]);
    prepare.env("HOME", home.path());
    finish(prepare).success();
    assert_eq!(fixture.std_line(), "hello, again\n");
}

#[test]
fn no_variable_of_git_reaches_x_py() {
    let fixture = Fixture::new();
    let mut x = fixture.xtask(&["x", "test", "library/std"]);
    for name in ["GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE"] {
        x.env(name, "/elsewhere");
    }
    x.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "a.b").env("GIT_CONFIG_VALUE_0", "1");
    x.env("GIT_SSL_CAINFO", "/needed");
    finish(x).success().stdout(contains("git's variables: ['GIT_SSL_CAINFO']"));
}

#[test]
fn rustup_is_left_to_the_user() {
    let fixture = Fixture::new();
    let rustup = fixture.bin().join("rustup");
    let installed = fs::read_to_string(&rustup).unwrap();
    let installs =
        r#"[ "$RUSTUP_AUTO_INSTALL" = 0 ] && { echo "error: not installed" >&2; exit 1; }"#;
    write_script(&rustup, &format!("{installs}\n{installed}"));
    // Nothing is wrong; the machine lacks something.
    fixture.run(&["prepare"]).code(3).stderr(contains(
        "rustup toolchain install 1.95.0 --profile minimal --component clippy --component rustfmt",
    ));
}

#[test]
fn toolchain_of_another_commit_is_refused() {
    let fixture = Fixture::new();
    let other = "0123456789012345678901234567890123456789";
    fixture.write_toolchain(other);
    fixture.run(&["prepare"]).code(3).stderr(contains(other).and(contains(COMMIT)));
}

#[test]
#[cfg(target_os = "linux")] // for /dev/full
fn full_disk_is_said_so() {
    let fixture = Fixture::without_cache(&serve(archive(LINES), vec![]));
    fs::create_dir_all(fixture.cache()).unwrap();
    // Every write to this device fails as on a full disk.
    let partial = fixture.cache().join(format!("{ARCHIVE}.part"));
    symlink("/dev/full", &partial).unwrap();
    fixture.run(&["prepare"]).code(3).stderr(contains("help: the disk is full"));
    assert!(!fixture.tree().exists());

    fs::remove_file(partial).unwrap();
    fixture.run(&["prepare"]).success();
}

#[test]
fn second_invocation_waits_and_says_for_what() {
    let fixture = Fixture::prepared();
    let hold = fixture.root().join("hold");
    fs::write(&hold, "").unwrap();
    let mut first = fixture.xtask(&["x", "test", "library/alloc"]);
    first.env("HOLD", &hold).stdout(Stdio::piped());
    let mut first = start(first);
    // Once it prints, upstream's x.py has taken the place of the tool, and holds the lock.
    let mut line = String::new();
    let mut printed = BufReader::new(first.stdout.take().unwrap());
    while !line.contains("library/alloc") {
        assert_ne!(printed.read_line(&mut line).unwrap(), 0, "{line}");
    }

    let for_what = "x.py test library/alloc";
    let (mut second, _said) = start_waiting(fixture.xtask(&["prepare"]), for_what);
    std::thread::sleep(Duration::from_millis(50));
    assert!(second.try_wait().unwrap().is_none(), "it did not wait");

    fs::remove_file(&hold).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
}

#[test]
fn clean_deletes_what_is_generated_and_moves_the_rest() {
    let fixture = Fixture::prepared();
    fixture
        .shell("cd build; mkdir my-notes std; echo mine >my-notes/mine; echo made >std/made")
        .success();
    fixture.shell("mkdir -p build/mutants/x; git init -q build/mutants/x; echo mine >build/mutants/x/mine").success();
    fixture
        .shell("echo mine >build/rust/mine; git -C build/rust worktree add -q --detach ../linked")
        .success();
    fixture.run(&["clean"]).success().stderr(contains("moved build/rust to build/saved/"));
    let saved = fixture.saved();
    assert!(!saved.contains_key(Path::new("build/std/made")));
    for file in ["my-notes/mine", "mutants/x/mine", "rust/mine", "rust/x.py", "linked/x.py"] {
        assert!(saved.contains_key(&Path::new("build").join(file)), "{file}: {:?}", saved.keys());
    }
    for path in entries(&fixture.root().join("build")).unwrap() {
        assert!(path.ends_with("saved") || path.extension() == Some("lock".as_ref()), "{path:?}");
    }
    assert!(fixture.cache().join(ARCHIVE).exists());
    // What was moved works on.
    fixture
        .shell("git -C build/saved/*-clean/build/rust log")
        .success()
        .stdout(contains("Say `hello"));

    let listed = contains("deleting build/saved/").and(contains(" kB)"));
    fixture.run(&["clean", "--saved"]).success().stdout(listed);
    assert!(fixture.saved().is_empty());
}

/// At any time, a tree is whole under its name, or somewhere else. `XTASK_ROUNDS` says how many there are.
#[test]
fn clean_that_is_interrupted_leaves_trees_whole_or_moved() {
    let template = Fixture::prepared();
    template.shell("mkdir -p build/std build/evidence; cd build/std; touch $(seq 300)").success();
    let whole =
        |tree: &Path| ["padding", "x.py", ".git/index"].iter().all(|f| tree.join(f).exists());
    let took = |fixture: &Fixture| {
        let started = std::time::Instant::now();
        fixture.run(&["clean"]).success();
        started.elapsed()
    };
    let took = took(&template.copy());
    let (mut moved, mut there, mut number) = (0, 0, 0);
    let rounds = std::env::var("XTASK_ROUNDS").map_or(12, |text| text.parse().unwrap());
    // Where the machine is slower by now, it takes more of them until something is moved.
    while number < rounds || moved == 0 && number < 20 * rounds {
        let fixture = template.copy();
        let mut clean = fixture.xtask(&["clean"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took * number / rounds);
        clean.kill().unwrap();
        clean.wait().unwrap();
        if fixture.tree().exists() {
            assert!(whole(&fixture.tree()));
            there += 1;
        } else {
            let saved = fs::read_dir(fixture.root().join("build/saved")).unwrap().next().unwrap();
            assert!(whole(&saved.unwrap().path().join("build/rust")));
            moved += 1;
        }
        let std = fixture.root().join("build/std");
        assert!(!std.exists() || fs::read_dir(std).unwrap().count() == 300);
        number += 1;
    }
    assert!(moved > 0 && there > 0, "{moved} moved, {there} still there");
}

/// As a build directory on another disk.
#[test]
#[cfg(target_os = "linux")] // where the fixture may be in memory
fn what_is_moved_to_another_disk_arrives() {
    let fixture = Fixture::new();
    let other = if fixture.dir().starts_with("/dev/shm") { "/tmp" } else { "/dev/shm" };
    let disk = tempfile::tempdir_in(other).unwrap();
    symlink(disk.path(), fixture.root().join("build")).unwrap();
    fixture.run(&["prepare"]).success();
    fixture.run(&["export"]).success().stderr(contains("moved patches/1.95/0001-first.patch"));
    let first = fixture.saved().remove(Path::new("patches/1.95/0001-first.patch")).unwrap();
    assert!(first.contains("hello, patched"));
}

#[test]
fn cache_below_build_stays() {
    let fixture = Fixture::prepared();
    fixture
        .shell("cp -r \"$XDG_CACHE_HOME\"/rust-tcp-keepalive build/rust-tcp-keepalive")
        .success();
    let mut clean = fixture.xtask(&["clean"]);
    clean.env("XDG_CACHE_HOME", fixture.root().join("build"));
    finish(clean).success();
    assert!(fixture.root().join("build/rust-tcp-keepalive").join(ARCHIVE).exists());
}

#[test]
fn clean_waits_for_every_lock() {
    let fixture = Fixture::prepared();
    let std = fixture.root().join("build/std");
    let lock = std.join("wasm32-wasip2/lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "compiling std (process 1)\n").unwrap();
    let lock = fs::File::open(lock).unwrap().into_parts().0;
    lock.lock().unwrap();
    let (mut clean, _said) = start_waiting(fixture.xtask(&["clean"]), "compiling std");
    assert!(std.exists() && fixture.tree().exists());
    lock.unlock().unwrap();
    assert!(clean.wait().unwrap().success());
    assert!(!std.exists());
}

/// The front door with a stand-in for cargo, which makes the directory that it would compile to, and says
/// where the tool is.
fn front_door(fixture: &Fixture, args: &[&str]) -> Command {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::create_dir_all(fixture.root().join("xtask")).unwrap();
    for file in ["x.py", "xtask/needs.txt"] {
        fs::copy(project.join(file), fixture.root().join(file)).unwrap();
    }
    let cargo = format!(
        "[ -z \"$CARGO_BUILD_TARGET\" ] || exit 1\n\
         while [ $# -gt 0 ]; do case $1 in --target-dir) mkdir -p \"$2\";; esac; shift; done\n\
         echo '{{\"reason\": \"compiler-artifact\", \"executable\": null}}'\n\
         echo '{{\"reason\": \"compiler-artifact\", \"executable\": \"{}\"}}'",
        env!("CARGO_BIN_EXE_xtask")
    );
    write_script(&fixture.bin().join("cargo"), &cargo);
    let mut x_py = fixture.command(fixture.root().join("x.py"));
    x_py.args(args);
    x_py
}

#[test]
fn front_door_leads_to_x_py_and_says_when_it_compiles() {
    let fixture = Fixture::new();
    let said = contains("compiling the tool");
    let x_py = || finish(front_door(&fixture, &["test", "library/std"])).success();
    x_py().stderr(said.clone()).stdout(contains("x.py ran in"));
    x_py().stderr(said.not());
}

#[test]
fn source_is_taken_from_where_one_stands_without_network() {
    let fixture = Fixture::without_cache("http://127.0.0.1:1/gone");
    let elsewhere = fixture.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("mine.tar.xz"), &fixture.archive).unwrap();
    let mut x_py = front_door(&fixture, &["--source", "mine.tar.xz", "test", "library/std"]);
    x_py.current_dir(&elsewhere);
    finish(x_py).success();
    assert_eq!(fixture.std_line(), "hello, patched\n");
    assert_eq!(fs::read(elsewhere.join("mine.tar.xz")).unwrap(), fixture.archive);
}

#[test]
fn front_door_has_its_own_target_directory() {
    let fixture = Fixture::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut x_py = front_door(&fixture, &["test", "library/std"]);
    x_py.env("CARGO_TARGET_DIR", elsewhere.path()).env("CARGO_BUILD_TARGET", "wasm32-wasip1");
    finish(x_py).success().stdout(contains("x.py ran in"));
    assert!(fixture.root().join("build/target").exists());
}
