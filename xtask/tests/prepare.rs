//! `./x.py` and `cargo xtask prepare`: from nothing to a clone in which upstream's x.py runs, and the messages when
//! something is in the way.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{io::BufRead, io::BufReader, net::TcpListener};

use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{
    ARCHIVE, COMMIT, Fixture, HOST, LIB, advice, finish, snapshot, stderr_of, stdout_of,
};

#[test]
fn x_prepares_once_and_exits_with_the_code_of_upstreams_x_py() {
    let fixture = Fixture::new();
    let said = fixture.run("x test library/std -- net::tcp").success();
    said.stdout(contains("with ['test', 'library/std', '--', 'net::tcp']"))
        .stderr(contains("unpacking"));
    assert_eq!(fixture.read(LIB), "hello, patched\n");
    assert!(!fixture.tree.join("vendor").exists());
    assert!(fixture.tree.join("src/llvm-project/llvm").is_dir());
    assert_eq!(fixture.git("status --porcelain"), "");

    let mut again = fixture.xtask("x build library/std");
    again.env("EXIT_CODE", "37");
    finish(again).code(37).stderr("");
}

/// bootstrap itself lists the suites of a run, so options and spellings of paths do not matter.
#[test]
fn suites_get_the_patched_std_and_must_have_tests() {
    let fixture = Fixture::prepared();
    fixture.run("x test library/std").success().stdout(contains("['released std']"));
    for args in [
        "tests/ui/std",
        "-j 2 ./tests/ui/std --force-rerun",
        &format!("'{}'", fixture.tree.join("tests/ui/std").display()),
    ] {
        let line = format!("hello, {}", args.len());
        fs::write(fixture.tree.join("library/std/src/lib.rs"), format!("{line}\n")).unwrap();
        let said = fixture.run(&format!("x test {args}")).success();
        said.stdout(contains(format!("['patched std: {line}\\n']")));
    }
    // Some archives have no tests, but the files that bootstrap insists on.
    let empty = "git rm -rqf tests; mkdir -p tests/ui; touch tests/ui/README.md";
    fixture.shell(&format!("cd rust; {empty}")).success();
    let said = contains("tests/ui has no tests");
    fixture.run("x test library/std tests/ui").code(3).stderr(said);
    fixture.run("x test library/std -- tests/ui").success();
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_prepared() {
    let fixture = Fixture::new();
    for name in ["llvm-config", "llvm-config-21", "llvm-config-22", "cmake", "ninja"] {
        fixture.stand_in(name, "echo 14.0.6");
    }
    for (args, code, said) in [
        ("x", 2, "Usage: ./x.py [OPTIONS] ARGS..."),
        ("x tset library/std", 1, "`tset library/std` has no subcommand"),
        ("x library/std", 1, "for example `./x.py test library/std`"),
        ("x --base 9.99 test", 1, "base.toml has no base \"9.99\"; it has 1.95"),
        ("x test library/std --base 1.95", 1, "`./x.py --base … test`"),
        ("x test --source=/elsewhere", 1, "`./x.py --source … test`"),
        // No llvm-config is of version 21 or 22.
        ("x --full test library/std", 3, "apt-get install llvm-22-dev"),
    ] {
        fixture.run(args).code(code).stderr(contains(said));
        assert!(!fixture.root.join("build/1.95").exists(), "{args}");
    }
    fixture.stand_in("llvm-config", "echo 22.1.2");
    fixture.run("prepare --full").success();
    let config = fixture.read("build/1.95/full/bootstrap.toml");
    assert!(config.contains("x.py-config-full.toml\"") && config.contains("/llvm-config\""));
}

#[test]
fn bootstrap_gets_a_configuration_and_the_installed_compiler() {
    let fixture = Fixture::new();
    fixture.run("prepare").success();
    let out = fixture.root.join("build/1.95/prebuilt");
    let config = || fs::read_to_string(out.join("bootstrap.toml")).unwrap();
    assert!(config().contains("/x.py-config.toml\"]"), "{}", config());
    let ci_rustc = out.join(HOST).join("ci-rustc");
    // bootstrap takes the newest commit of this author for upstream's.
    let base = fixture.git("log -1 --format=%H --author=bors@rust-lang.org");
    let stamp = fs::read_to_string(ci_rustc.join(".rustc-stamp")).unwrap();
    assert_eq!(stamp, format!("{base}-false"));
    let listed = fs::read_to_string(ci_rustc.join(".rust-std-contents")).unwrap();
    assert!(listed.lines().count() > 0 && listed.lines().all(|f| ci_rustc.join(f).is_file()));

    // `x.py fmt` and tidy use options of a nightly rustfmt.
    assert!(config().contains("/toolchain/bin/rustfmt\""), "{}", config());
    let rustup = fixture.bin.join("rustup");
    let known = fs::read_to_string(&rustup).unwrap();
    let nightly = "[ \"$*\" = 'which --toolchain nightly rustfmt' ] && { echo /nightly; exit; }";
    fixture.stand_in("rustup", &format!("{nightly}\n{known}"));
    fixture.run("prepare").success();
    assert!(config().contains("rustfmt = \"/nightly\""), "{}", config());
}

#[test]
fn configuration_of_the_callers_environment_is_not_used_and_that_of_arguments_is() {
    let fixture = Fixture::prepared();
    let mut x = fixture.xtask("x test library/std --config mine.toml");
    x.env("RUST_BOOTSTRAP_CONFIG", "/elsewhere.toml");
    x.env("GIT_DIR", "/elsewhere").env("GIT_CONFIG_COUNT", "0").env("GIT_SSL_CAINFO", "/needed");
    finish(x).success().stdout(
        contains("build/1.95/prebuilt/bootstrap.toml\n")
            .and(contains("'--config', 'mine.toml'"))
            .and(contains("git's variables: ['GIT_SSL_CAINFO']")),
    );
}

#[test]
fn clone_is_set_up_once_for_work_inside_it() {
    let fixture = Fixture::prepared();
    let [config, alias] = ["bootstrap.toml", ".cargo/config.toml"].map(|f| fixture.tree.join(f));
    let text = fs::read_to_string(&config).unwrap();
    assert!(fixture.tree.join(text.split('"').nth(1).unwrap()).is_file(), "{text}");
    assert!(fs::read_to_string(alias).unwrap().contains("--manifest-path ../xtask/Cargo.toml"));
    fixture.shell("cd rust; git fetch -q; mkdir build; touch build/x").success();
    assert_eq!(fixture.git("status --porcelain"), "");
    // The file is the person's from then on.
    fs::write(&config, "profile = \"library\"\n").unwrap();
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    fixture.run("x test library/std").success();
    assert_eq!(fs::read_to_string(&config).unwrap(), "profile = \"library\"\n");
}

#[test]
fn download_that_failed_is_named_and_leaves_nothing() {
    let fixture = Fixture::new();
    let whole = fixture.archive.with_extension("whole");
    fs::rename(&fixture.archive, &whole).unwrap();
    let fails = |code: i32, said: &str| {
        let stop = fixture.run("prepare").code(code).stderr(contains(said));
        stop.stderr(contains(ARCHIVE).and(contains("--source PATH")).and(contains("disk").not()));
        assert_eq!(fs::read_dir(&fixture.cache).unwrap().count(), 1, "only the lock is there");
    };
    fails(3, "curl: (37)");
    // A wrong hash does not mean that the machine lacks something.
    fs::write(&fixture.archive, "another archive").unwrap();
    fails(1, "its SHA-256 is ");
    fixture.stand_in("curl", "echo half; echo 'curl: (18) transfer closed' >&2; exit 18");
    fails(3, "curl: (18)");
    fixture
        .stand_in("curl", "echo 'curl: (23) Failure writing output to destination' >&2; exit 23");
    fails(3, "curl: (23)");
    // The tool writes through no link.
    let precious = fixture.dir.join("precious");
    fs::write(&precious, "mine").unwrap();
    symlink(&precious, fixture.cache.join(format!("{ARCHIVE}.part"))).unwrap();
    fails(3, "curl: (23)");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    // snap's curl may not create files in hidden directories, such as ~/.cache.
    let script =
        "case \" $* \" in *' -o '*|*' -O '*|*' --output'*|*' --remote-name'*) exit 23;; esac; cat";
    fixture.stand_in("curl", &format!("{script} '{}'", whole.display()));
    fixture.run("prepare").success();
}

#[test]
fn full_disk_is_named_when_a_program_reports_it() {
    let fixture = Fixture::new();
    let said = "echo 'tar: x.py: Cannot write: No space left on device' >&2; exit 2";
    fixture.stand_in("tar", said);
    fixture.run("prepare").code(1).stderr(contains("help: the disk is full"));
    let left = snapshot(&fixture.root.join("build"), &[]);
    assert_eq!(left.len(), 2, "only a directory and its lock are left: {:?}", left.keys());
}

#[test]
fn place_that_cannot_be_used_is_named() {
    let fixture = Fixture::new();
    let build = fixture.root.join("build");
    symlink("/nowhere/build", &build).unwrap();
    fixture.run("prepare").code(1).stderr(contains("cannot create build/"));
    fs::remove_file(&build).unwrap();
    let root = fixture.dir.join(OsStr::from_bytes(b"K\xf6ln"));
    fs::rename(&fixture.root, &root).unwrap();
    let mut prepare = fixture.xtask("prepare");
    prepare.env("CARGO_MANIFEST_DIR", root.join("xtask")).current_dir(&root);
    finish(prepare).code(1).stderr(contains("is not UTF-8"));
}

#[test]
fn damaged_file_in_the_cache_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    for damage in ["echo damaged >", "mkfifo", "mkdir", "ln -s /nowhere/archive"] {
        let cached = fixture.cache.join(ARCHIVE);
        fixture.shell(&format!("{damage} '{}'", cached.display())).success();
        let stop = fixture.run("prepare").code(1).stderr(contains("has a wrong SHA-256"));
        assert!(fs::symlink_metadata(&cached).is_ok(), "{damage}");
        fixture.shell(&advice(&stop).concat()).success();
    }
    fixture.run("prepare").success();
}

/// Replace references, attributes and what is checked out in the clone do not matter.
#[test]
fn source_is_an_archive_of_base_toml_or_a_clone_with_the_commit_of_the_base() {
    let fixture = Fixture::new();
    fs::write(fixture.root.join("mine.tar.xz"), "something else").unwrap();
    let stop = fixture.run("prepare --source mine.tar.xz").code(1);
    stop.stderr(contains("mine.tar.xz is none of the archives of Rust 1.95.0"));

    let made = fixture.shell(
        "mkdir -p sub src/library/std/src src/vendor src/src/tools/vendor
        git init -q sub; echo inside >sub/inside; git -C sub add .; git -C sub commit -qm Sub
        cd src; git init -q; echo 'print(\"made up\")' >x.py; echo hello >library/std/src/lib.rs
        touch vendor/left-out src/tools/vendor/kept; echo 'x.py export-ignore' >.gitattributes
        git -c protocol.file.allow=always submodule --quiet add ../sub library/backtrace
        git add .; git commit -qm Base; git rev-parse HEAD
        echo changed >library/std/src/lib.rs; git commit -qam Later; git replace HEAD~1 HEAD
        echo more >x.py; touch new",
    );
    let commit = stdout_of(&made.success());
    let base_toml = fixture.root.join("base.toml");
    let text = fs::read_to_string(&base_toml).unwrap().replace(COMMIT, &commit);
    fs::write(base_toml, text).unwrap();
    fixture.write_toolchain(&commit);
    // A submodule that was never fetched.
    fixture.shell("mv src/library/backtrace away; mkdir src/library/backtrace").success();
    let stop = fixture.run("prepare --source src").code(1);
    assert_eq!(advice(&stop), ["git -C src submodule update --init library/backtrace"]);
    fixture.shell("rmdir src/library/backtrace; mv away src/library/backtrace").success();

    let before = snapshot(&fixture.root.join("src"), &[]);
    fixture.run("prepare --source src").success();
    assert!(snapshot(&fixture.root.join("src"), &[]) == before);
    assert_eq!(fixture.read(LIB), "hello, patched\n");
    assert_eq!(fixture.git("show origin/base:x.py"), "print(\"made up\")");
    let tracked = fixture.git("ls-files library src/tools vendor new tree");
    let expected = ["library/backtrace/inside", "library/std/src/lib.rs", "src/tools/vendor/kept"];
    assert_eq!(tracked.lines().collect::<Vec<_>>(), expected);
    let again = fixture.run("prepare --source /no/such/file").success();
    again.stderr(contains("is unpacked already; /no/such/file is not used"));

    let other = Fixture::new();
    let prepare = format!("prepare --source '{}'", fixture.tree.display());
    let stop = other.run(&prepare).code(1);
    assert!(advice(&stop)[0].ends_with(" fetch origin tag 1.95.0") && !other.tree.exists());
}

#[test]
fn files_have_the_permissions_that_the_umask_leaves() {
    let fixture = Fixture::new();
    fixture.shell("umask 077; cargo xtask prepare").success();
    for file in ["x.py", "library/std/src", "library/std/src/lib.rs"] {
        let mode = fs::metadata(fixture.tree.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}

/// The tool is killed when it runs the named command of git.
#[test]
fn killed_anywhere_it_goes_on() {
    let fixture = Fixture::new();
    let kill_at = |command: &str| {
        fixture.stand_in_for_git(command, "kill -9 $PPID; exit");
        let ended = fixture.run("prepare").get_output().status;
        assert_eq!(ended.signal(), Some(9), "{command}");
    };
    ["init", "write-tree", "update-ref", "\" am \"", "clone", "set-url"]
        .into_iter()
        .for_each(kill_at);
    for (line, command) in
        [("hello, 1", "fetch"), ("hello, 2", "switch"), ("hello, 3", "origin/series")]
    {
        fs::remove_file(fixture.bin.join("git")).unwrap();
        fixture.run("prepare").success();
        fixture.write_patch("0001-first.patch", "hello", line);
        kill_at(command);
    }
    fs::remove_file(fixture.bin.join("git")).unwrap();
    fixture.run("prepare").success();
    assert_eq!(fixture.git("status --porcelain"), "");
    assert_eq!(fixture.git("log --format=%s origin/base.."), "std: Say `hello, 3`");
}

#[test]
fn changed_patches_are_applied_and_edits_elsewhere_stay() {
    let fixture = Fixture::prepared();
    fixture.shell("echo mine >rust/library/std/src/lines.rs; echo mine >rust/new").success();
    fixture.write_patch("0002-second.patch", "hello, patched", "hello twice");
    fixture.run("prepare").success();
    assert_eq!(fixture.read(LIB), "hello twice\n");
    let status = fixture.git("status --porcelain");
    assert_eq!(status, " M library/std/src/lines.rs\n?? new");
}

/// Each refusal names commands. They are typed as they are printed, after what the message asks for.
#[test]
fn work_in_the_clone_is_left_alone_and_the_printed_commands_are_the_way_on() {
    // What a person did, what the message shows of it, and how it is finished.
    for line in "edit -- modified:   library/std/src/lib.rs -- stash
        edit; git add . -- modified:   library/std/src/lib.rs -- stash
        edit -- modified:   library/std/src/lib.rs -- checkout -q .
        mine; git commit -qam Mine; mine more -- Mine -- stash
        mine; git commit -qam Mine -- Mine -- status
        git checkout -qd; mine; git commit -qam Mine -- HEAD detached -- status
        git switch -qc other; mine; git commit -qam Mine; git branch -D series -- On branch other -- status
        git branch -m mine; git branch series/v1 -- On branch mine -- status
        mine; git commit -qam Mine; stop_in_rebase -- rebas -- rebase --continue
        git merge -q --no-commit --no-ff $(git commit-tree -p origin/base -m M HEAD:) -- merging -- merge --abort
        git update-index --skip-worktree $L; edit -- be overwritten -- update-index --no-skip-worktree $L; git -C rust stash
        git checkout -qd; git worktree add -q $OUT/linked series -- HEAD detached -- status
        : >.git/index.lock -- index.lock -- status; rm rust/.git/index.lock"
        .lines()
    {
        let [work, named, finish_it] = line.trim().splitn(3, " -- ").collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let fixture = Fixture::prepared();
        let functions = "L=library/std/src/lib.rs; edit() { echo mine >$L; }; \
                         mine() { echo mine $* >library/std/src/lines.rs; }; \
                         stop_in_rebase() { git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi HEAD~1; }";
        fixture.shell(&format!("{functions}; cd rust; {work}")).success();
        // Without changed patches, x.py is for work in progress.
        fixture.run("x test library/std").success();
        fixture.write_patch("0001-first.patch", "hello", "hello, again");
        let before = snapshot(&fixture.tree.join("library"), &[]);
        let stop = fixture.run("x test library/std").code(1);
        let stop = stop.stderr(contains("could lose work").and(contains(named)));
        assert!(snapshot(&fixture.tree.join("library"), &[]) == before, "{work}");
        let commands = advice(&stop);
        let [fetch, rebase, export] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!(export, "cargo xtask export");
        let way = format!("{functions}; git -C rust {finish_it}; {fetch}; {rebase}");
        fixture.shell(&way).success();
        fixture.run("x test library/std").success();
        assert_eq!(fixture.read(LIB), "hello, again\n", "{work}");
        if work.contains("-qam Mine") {
            assert_eq!(fixture.git("show HEAD:library/std/src/lines.rs"), "mine", "{work}");
        }
        if finish_it.ends_with("stash") {
            assert!(fixture.git("stash show -p").contains("+mine"), "{work}");
        }
    }
}

/// git would otherwise work in the project's own repository.
#[test]
fn clone_whose_repository_is_broken_is_left_alone() {
    let fixture = Fixture::prepared();
    let commit =
        "printf '/build/\\n/rust/\\n' >.gitignore; git init -q; git add .; git commit -qm Project";
    fixture.shell(&format!("{commit}; : >rust/.git/HEAD")).success();
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    for command in ["prepare", "export", "test", "toolchain"] {
        fixture.run(command).code(1).stderr(contains("rust is not a clone that this tool made"));
    }
    let project = fixture.shell("git log -1 --format=%s; git branch").success();
    project.stdout(contains("Project").and(contains("series").not()));
}

#[test]
fn only_files_are_patches() {
    let fixture = Fixture::new();
    fixture.shell("mkfifo patches/1.95/0002-x.patch").success();
    fixture.run("prepare").code(1).stderr(contains("0002-x.patch is not a file"));
    fixture.shell("rm patches/1.95/*").success();
    fixture.run("prepare").code(1).stderr(contains("has no patch"));
}

#[test]
fn ignored_file_in_the_way_stays() {
    let fixture = Fixture::prepared();
    fixture.shell("cd rust; echo mine.rs >>.git/info/exclude; git switch -qc other").success();
    fs::write(fixture.tree.join("mine.rs"), "of the series\n").unwrap();
    let make = "git add -f mine.rs; git commit -qm Add; git format-patch -q --start-number=2 -o ../patches/1.95 -1; \
                git switch -q series; echo mine >mine.rs";
    fixture.shell(&format!("cd rust; {make}")).success();
    fixture.run("prepare").code(1).stderr(contains("mine.rs"));
    assert_eq!(fixture.read("rust/mine.rs"), "mine\n");
}

#[test]
fn conflicts_of_patches_are_resolved_in_the_clone() {
    for fixture in [Fixture::prepared(), Fixture::new()] {
        fixture.write_patch("0002-second.patch", "something else", "hello twice");
        let line = fs::read_to_string(fixture.tree.join("library/std/src/lib.rs")).ok();
        let stop = fixture.run("prepare").code(1);
        let stop = stop.stderr(contains("patch failed: library/std/src/lib.rs:1"));
        // From nothing, the clone has the base.
        assert_eq!(fixture.read(LIB), line.unwrap_or("hello\n".into()));
        let commands = advice(&stop);
        let [am, export] = &commands[..] else { panic!("{commands:?}") };
        fixture.shell(am).failure();
        let resolve =
            "cd rust; echo resolved >library/std/src/lib.rs; git add .; git am --continue";
        fixture.shell(resolve).success();
        fixture.shell(&format!("git init -q; git add patches; {export}")).success();
        fixture.run("prepare").success();
        assert_eq!(fixture.read(LIB), "resolved\n");
    }
}

#[test]
fn changed_base_makes_a_new_store_and_the_clone_follows_or_stays() {
    let fixture = Fixture::prepared();
    fixture.add_base();
    let file = fixture.root.join("base.toml");
    let text = fs::read_to_string(&file).unwrap();
    // The second table under the name of the first.
    let (head, rest) = text.split_once("[base.\"1.95\"]").unwrap();
    let (_, next) = rest.split_once("[base.\"1.96\"]").unwrap();
    let changed = format!("{head}[base.\"1.95\"]{}", next.replace("1.96", "1.95"));
    let lines = || fixture.read("rust/library/std/src/lines.rs");
    fixture.commit("library/std/src/mine.rs", "mine\n", "Add a file");
    fs::write(&file, &changed).unwrap();
    let refs = fixture.git("for-each-ref");
    let stop = fixture.run("prepare").code(1).stderr(contains("Add a file"));
    assert!(lines().contains("five"));
    assert_eq!(fixture.git("for-each-ref"), refs);
    fixture.shell(&advice(&stop)[..2].join("\n")).success();
    fixture.run("prepare").success();
    assert!(lines().contains("cinq") && fixture.tree.join("library/std/src/mine.rs").exists());

    // A clone without work of its own follows.
    fixture.git("reset --quiet --hard origin/series");
    fs::write(&file, text).unwrap();
    fixture.run("x test library/std").success();
    assert!(lines().contains("five"));
    assert_eq!(fixture.git("log --format=%s").lines().count(), 2);
}

#[test]
fn patches_are_merged_into_a_new_base() {
    let fixture = Fixture::prepared();
    fixture
        .shell("git init -q; git add patches; sed -i s/eight/acht/ rust/library/std/src/lines.rs")
        .success();
    fixture.git("commit --quiet --all -m 'Say acht\n\nIt was eight.'");
    fixture.run("export").success();
    fixture.add_base();
    fixture.shell("mkdir patches/1.96; cp patches/1.95/* patches/1.96; git add patches").success();
    let stop = fixture.run("prepare --base 1.96").code(1);
    // git merges where the clone has the objects of the other base.
    fixture.shell("git -C rust-1.96 fetch -q ../rust series").success();
    fixture.shell(&advice(&stop).join("\n")).success();
    let lines = fixture.root.join("rust-1.96/library/std/src/lines.rs");
    let lines = fs::read_to_string(lines).unwrap();
    assert_eq!(lines, "one\ntwo\nthree\nfour\ncinq\nsix\nseven\nacht\nnine\n");
    fixture.run("prepare --base 1.96").success();
}

/// In a container, the clone often belongs to another user. git refuses such repositories at first.
#[test]
fn repositories_of_another_owner_are_used() {
    let fixture = Fixture::prepared();
    fixture.stand_in_for_git("", "export GIT_TEST_ASSUME_DIFFERENT_OWNER=1");
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    fixture.run("prepare").success();
    assert_eq!(fixture.read(LIB), "hello, again\n");
}

#[test]
fn compiler_is_found_with_rustup_or_on_the_path_and_never_installed() {
    let fixture = Fixture::new();
    let known = fixture.read(fixture.bin.join("rustup"));
    let lacks = "[ \"$RUSTUP_AUTO_INSTALL\" = 0 ] && { echo 'error: not installed' >&2; exit 1; }";
    fixture.stand_in("rustup", &format!("{lacks}\n{known}"));
    let stop = fixture.run("prepare").code(3).stderr(contains("not installed"));
    let install =
        "rustup toolchain install 1.95.0 --profile minimal --component clippy --component rustfmt";
    assert_eq!(advice(&stop), [install]);

    let other = "0123456789012345678901234567890123456789";
    fixture.write_toolchain(other);
    fixture.stand_in("rustup", &known);
    fixture.run("prepare").code(3).stderr(contains(other).and(contains(COMMIT)));
    assert!(!fixture.root.join("build/1.95").exists());

    // A machine without rustup, on which a distribution or Nix has the release.
    fixture.write_toolchain(COMMIT);
    let system = fixture.dir.join("system");
    fs::create_dir(&system).unwrap();
    for name in ["sh", "git", "tar", "xz", "sha256sum", "cp", "mv", "chmod", "curl"] {
        symlink(which::which(name).unwrap(), system.join(name)).unwrap();
    }
    symlink(&*support::PYTHON, system.join("python3")).unwrap();
    let mut x = fixture.xtask("x test tests/ui/std");
    x.env("PATH", std::env::join_paths([fixture.toolchain.join("bin"), system]).unwrap());
    finish(x).success().stdout(contains("patched std: hello, patched"));
}

#[test]
fn second_command_waits_for_the_first() {
    let fixture = Fixture::prepared();
    let lock = fs::File::open(fixture.root.join("build/1.95/.lock")).unwrap().into_parts().0;
    lock.lock().unwrap();
    let mut waiting = fixture.xtask("prepare").stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let line = said.next().unwrap().unwrap();
    assert_eq!(line, "waiting for another command that works in build/1.95");
    assert!(waiting.try_wait().unwrap().is_none());
    lock.unlock().unwrap();
    assert!(waiting.wait().unwrap().success());
}

#[test]
#[cfg(target_os = "linux")] // where there are two disks
fn build_may_be_on_another_disk() {
    let fixture = Fixture::new();
    // An ordinary user may not be allowed to write to /dev/shm. A link to the same disk is tested then.
    let others = ["/dev/shm", "/var/tmp", "/tmp"].into_iter();
    let mut others = others.filter(|other| !fixture.dir.starts_with(other));
    let disk = others.find_map(|other| tempfile::tempdir_in(other).ok()).unwrap();
    symlink(disk.path(), fixture.root.join("build")).unwrap();
    fixture.run("x test library/std").success();
    fixture.commit("tests/ui/std/new.rs", "fn main() {}\n", "Add a ui test");
    fixture.shell("git init -q; git add patches; cargo xtask export").success();
    assert!(fixture.root.join("tests/ui/std/new.rs").exists());
}

/// std's tests bind fixed ports from 19600 on.
#[test]
fn port_of_stds_tests_that_is_in_use_is_named_before_the_run() {
    let fixture = Fixture::prepared();
    // Where another program has the port already, the tool finds the same.
    let _port = TcpListener::bind(("127.0.0.1", 19899));
    let said = fixture.run("x test library/std").success();
    said.stderr(contains("is in use").and(contains("unshare --map-root-user --net")));
    fixture.run("x build library/std").success().stderr("");
}

#[test]
fn project_without_git_is_worked_on() {
    let fixture = Fixture::new();
    for command in ["prepare", "x test library/std", "toolchain"] {
        fixture.run(command).success();
    }
    fixture.commit("tests/ui/std/new.rs", "fn main() {}\n", "Add a ui test");
    // The given patch differs from an exported one, and no git has it.
    let stop = fixture.run("export").code(1);
    stop.stderr(contains("0001-first.patch").and(contains("git add").not()));
    fixture.shell("mv patches/1.95 patches/given; cargo xtask export").success();
    fixture.git("reset --quiet --hard HEAD~1");
    fixture.run("export").success();
    assert!(!fixture.root.join("tests/ui/std/new.rs").exists());
}

/// Returns x.py of the project at `root`, with a stand-in for cargo that "compiles" the tool.
fn front_door(fixture: &Fixture, root: &Path, args: &[&str]) -> Command {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::create_dir_all(root.join("xtask")).unwrap();
    for file in ["x.py", "xtask/needs.txt"] {
        fs::copy(project.join(file), root.join(file)).unwrap();
    }
    let cargo = "[ -z \"$CARGO_BUILD_TARGET\" ] || exit 1\n\
         while [ $# -gt 0 ]; do case $1 in --target-dir) mkdir -p \"$2\";; esac; shift; done\n\
         echo '{\"reason\": \"compiler-artifact\", \"executable\": null}'\n\
         printf '{\"reason\": \"compiler-artifact\", \"executable\": \"%s\"}\\n' \"$XTASK\"";
    fixture.stand_in("cargo", cargo);
    let mut x_py = fixture.command(root.join("x.py"));
    x_py.args(args).current_dir(root);
    x_py
}

#[test]
fn front_door_says_that_it_compiles_and_runs_upstreams_x_py() {
    let fixture = Fixture::new();
    let elsewhere = fixture.dir.join("elsewhere");
    let x_py = || {
        let mut x_py = front_door(&fixture, &fixture.root, &["test", "library/std"]);
        x_py.env("CARGO_TARGET_DIR", &elsewhere).env("CARGO_BUILD_TARGET", "wasm32-wasip1");
        finish(x_py).success().stdout(contains("x.py ran in"))
    };
    x_py().stderr(contains("compiling the tool"));
    x_py().stderr(contains("compiling the tool").not());
    assert!(fixture.root.join("build/target").exists() && !elsewhere.exists());
    let help = finish(front_door(&fixture, &fixture.root, &["--help"])).success();
    help.stdout(contains("Usage: ./x.py [OPTIONS] ARGS...").and(contains("cargo xtask x").not()));
    finish(front_door(&fixture, &fixture.root, &[])).code(2).stderr(contains("Usage: ./x.py"));
    // Paths among the arguments begin where the caller stands.
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(&fixture.archive, elsewhere.join("mine.tar.xz")).unwrap();
    fixture.shell("rm -r build rust \"$CACHE\"").success();
    let args = ["--source", "mine.tar.xz", "test", "library/std"];
    let mut x_py = front_door(&fixture, &fixture.root, &args);
    finish({
        x_py.current_dir(&elsewhere);
        x_py
    })
    .success();
}

#[test]
fn ctrl_c_while_the_tool_compiles_shows_no_traceback() {
    let fixture = Fixture::new();
    let x_py = front_door(&fixture, &fixture.root, &["test", "library/std"]);
    fixture.stand_in("cargo", "kill -INT $PPID");
    let ended = finish(x_py);
    assert_eq!(ended.get_output().status.signal(), Some(2), "{ended}");
    assert_eq!(stderr_of(&ended), "compiling the tool (once, up to a minute)\n");
}

/// Two clones may share the tool's program: by `cp -a`, or by one CARGO_TARGET_DIR.
#[test]
fn copied_and_moved_projects_are_worked_on_where_they_are() {
    let fixture = Fixture::prepared();
    let [copy, moved] = ["copy", "moved"].map(|name| fixture.dir.join(name));
    fixture.shell(&format!("cp -a . '{}'", copy.display())).success();
    let before = snapshot(&fixture.root, &[]);
    let ran_in = |root: &Path| contains(format!("x.py ran in {}", root.join("rust").display()));
    let x_py = front_door(&fixture, &copy, &["test", "library/std"]);
    finish(x_py).success().stdout(ran_in(&copy));
    let script =
        "cd ../copy; git init -q; git add patches; CARGO_MANIFEST_DIR=$PWD/xtask \"$XTASK\" export";
    fixture.shell(script).success().stdout(contains("0001-std-Say-hello-patched.patch"));
    assert!(snapshot(&fixture.root, &[]) == before);

    fs::rename(&copy, &moved).unwrap();
    let x_py = front_door(&fixture, &moved, &["test", "library/std"]);
    finish(x_py).success().stdout(ran_in(&moved)).stderr(contains("unpacking").not());
}

#[test]
fn fetch_without_a_rebase_is_not_taken_for_one() {
    let fixture = Fixture::prepared();
    fixture.commit("library/std/src/own.rs", "// own\n", "Add own.rs");
    fixture.write_patch("0001-first.patch", "hello", "hello, changed");
    fixture.run("prepare").code(1);
    fixture.git("fetch --quiet");
    // The clone still lacks the changed patches, so an export would undo them.
    fixture.run("prepare").code(1).stderr(contains("rebase --onto origin/series"));
}
