//! `./x.py` and `cargo xtask prepare`: from nothing to a clone in which upstream's x.py runs, and the messages when
//! something is in the way.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::{io::BufRead, io::BufReader, net::TcpListener};

use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{COMMIT, Fixture, HOST, LIB, OTHER, advice, finish, snapshot, stderr_of, stdout_of};

#[test]
fn x_prepares_once_and_runs_upstreams_x_py_with_the_tools_configuration() {
    let fixture = Fixture::new();
    // snap's curl may not create files in hidden directories, such as ~/.cache.
    fixture.wrap("curl", "' -o '*|*' -O '*|*' --output'*|*' --remote-name'", "exit 23");
    let variables = "RUST_BOOTSTRAP_CONFIG=/elsewhere.toml GIT_DIR=/elsewhere GIT_CONFIG_COUNT=0 \
                     GIT_SSL_CAINFO=/needed";
    let x = "x test library/std --config mine.toml -- net::tcp";
    let said = fixture.shell(&format!("{variables} cargo xtask {x}")).success();
    said.stderr(contains("unpacking")).stdout(
        contains("with ['test', 'library/std', '--config', 'mine.toml', '--', 'net::tcp']")
            .and(contains("build/1.95/prebuilt/bootstrap.toml\n"))
            .and(contains("git's variables: ['GIT_SSL_CAINFO']")),
    );
    assert_eq!(fixture.read(LIB), "hello, patched\n");
    fixture.shell("fails ls rust/vendor; ls -d rust/src/llvm-project/llvm").success();
    assert_eq!(fixture.git("status --porcelain"), "");
    fixture.shell("EXIT_CODE=37 cargo xtask x build library/std").code(37).stderr("");
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
        fixture.write(LIB, &format!("hello, {}\n", args.len()));
        let said = fixture.run(&format!("x test {args}")).success();
        said.stdout(contains(format!("['patched std: hello, {}\\n']", args.len())));
    }
    // Some archives have no tests, but the files that bootstrap insists on.
    let empty = "git rm -rqf tests; mkdir -p tests/ui; touch tests/ui/README.md";
    fixture.shell(&format!("cd rust; {empty}")).success();
    let said = contains("tests/ui has no tests");
    fixture.run("x test library/std tests/ui").code(3).stderr(said);
    fixture.run("x test library/std -- tests/ui").success();
}

/// Each line has a script, a command, its exit code and a part of its message. 3 means that the machine lacks something.
#[test]
fn what_is_wrong_is_named_before_anything_is_made() {
    for (script, command, code, said) in [
        ("", "x", 2, "Usage: ./x.py [OPTIONS] ARGS..."),
        ("", "x tset library/std", 1, "`tset library/std` has no subcommand"),
        ("", "x library/std", 1, "for example `./x.py test library/std`"),
        ("", "x --base 9.99 test", 1, "base.toml has no base \"9.99\"; it has 1.95, 1.96"),
        ("", "x test library/std --base 1.95", 1, "`./x.py --base … test`"),
        ("", "x test --source=/elsewhere", 1, "`./x.py --source … test`"),
        ("", "export --base 1.96", 1, "with `cargo xtask prepare --base 1.96`"),
        (OLD_LLVM, "x --full test", 3, "apt-get install llvm-22-dev"),
        ("ln -s /nowhere/build build", "prepare", 1, "cannot create build/"),
        ("echo >mine.tar", "prepare --source mine.tar", 1, "mine.tar is none of the archives"),
        // rustup would otherwise install the compiler.
        ("stand_in rustup '[ $RUSTUP_AUTO_INSTALL = 0 ] && echo no; exit 1'", "test", 3, ":\nno"),
        ("stand_in rustup 'exit 1'", "prepare", 3, INSTALL),
        ("sed -i s/598076/012345/ ../toolchain/bin/rustc", "prepare", 3, "commit 01234516e1fa"),
        ("sed -i s/598076/012345/ ../toolchain/bin/rustc", "prepare", 3, COMMIT),
        (
            "cp ../server/1.95* $CACHE; stand_in tar 'echo No space left on device >&2; exit 2'",
            "prepare",
            1,
            "disk is full",
        ),
        ("mv ../server/* $OUT", "prepare", 3, "1.95.tar.xz: curl: (37)"),
        ("mv ../server/* $OUT", "prepare", 3, "\n  cargo xtask prepare --source PATH\n"),
        ("echo another >../server/1.95.tar.xz", "prepare", 1, "its SHA-256 is "),
        ("stand_in curl 'echo half; exit 18'", "prepare", 3, "1.95.tar.xz"),
        // curl cannot write, which can have many causes. Nothing is written through a link.
        (
            "stand_in curl 'echo curl: Failure writing output >&2; exit 23'; \
             echo mine >$OUT/mine; ln -s $OUT/mine $CACHE/1.95.tar.xz.part",
            "prepare",
            3,
            "curl: Failure writing output",
        ),
        ("echo >$CACHE/1.95.tar.xz", "prepare", 1, "has a wrong SHA-256"),
        ("mkfifo $CACHE/1.95.tar.xz", "prepare", 1, "has a wrong SHA-256"),
        ("mkdir $CACHE/1.95.tar.xz", "prepare", 1, "has a wrong SHA-256"),
        ("ln -s /nowhere $CACHE/1.95.tar.xz", "prepare", 1, "has a wrong SHA-256"),
    ] {
        let fixture = Fixture::new();
        fixture.shell(script).success();
        let before = snapshot(&fixture.dir, &[]);
        let stop = fixture.run(command).code(code).stderr(contains(said));
        assert_eq!(stderr_of(&stop).contains("disk"), said.contains("disk"), "{script}");
        for (path, entry) in snapshot(&fixture.dir, &[]) {
            let is_expected = ["build", "1.95", ".lock"].iter().any(|name| path.ends_with(name));
            assert!(is_expected || before.get(&path) == Some(&entry), "{script}: {path:?}");
        }
        if script.contains("$CACHE/") && code == 1 {
            let remove = advice(&stop).concat();
            fixture.shell(&format!("{remove}; cargo xtask prepare")).success();
        }
    }
}

const OLD_LLVM: &str = "for name in llvm-config llvm-config-21 llvm-config-22 cmake ninja; do \
                        stand_in $name 'echo 14.0.6'; done";

const INSTALL: &str = "\n  rustup toolchain install 1.95.0 --profile minimal --component clippy \
                       --component rustfmt\n";

#[test]
fn bootstrap_gets_a_configuration_and_the_installed_compiler_or_llvm() {
    let fixture = Fixture::prepared();
    // The template of this copy had another path.
    fixture.run("prepare").success();
    let out = fixture.root.join("build/1.95/prebuilt");
    let config = || fixture.read(out.join("bootstrap.toml"));
    assert!(config().contains("/x.py-config.toml\"]"), "{}", config());
    let ci_rustc = out.join(HOST).join("ci-rustc");
    // bootstrap takes the newest commit of this author for upstream's.
    let base = fixture.git("log -1 --format=%H --author=bors@rust-lang.org");
    assert_eq!(fixture.read(ci_rustc.join(".rustc-stamp")), format!("{base}-false"));
    let listed = fixture.read(ci_rustc.join(".rust-std-contents"));
    assert!(listed.lines().count() > 0 && listed.lines().all(|f| ci_rustc.join(f).is_file()));

    // `x.py fmt` and tidy use options of a nightly rustfmt.
    assert!(config().contains("/toolchain/bin/rustfmt\""), "{}", config());
    let known = fixture.read(fixture.dir.join("bin/rustup"));
    let nightly = "[ \"$*\" = 'which --toolchain nightly rustfmt' ] && { echo /nightly; exit; }";
    fixture.stand_in("rustup", &format!("{nightly}\n{known}"));
    fixture.run("prepare").success();
    assert!(config().contains("rustfmt = \"/nightly\""), "{}", config());

    let full =
        format!("{OLD_LLVM}; stand_in llvm-config 'echo 22.1.2'; cargo xtask prepare --full");
    fixture.shell(&full).success();
    let config = fixture.read("build/1.95/full/bootstrap.toml");
    assert!(config.contains("x.py-config-full.toml\"") && config.contains("/llvm-config\""));
}

#[test]
fn clone_is_set_up_once_for_work_inside_it() {
    let fixture = Fixture::prepared();
    let text = fixture.read("rust/bootstrap.toml");
    assert!(fixture.tree.join(text.split('"').nth(1).unwrap()).is_file(), "{text}");
    let alias = fixture.read("rust/.cargo/config.toml");
    assert!(alias.contains("--manifest-path ../xtask/Cargo.toml"), "{alias}");
    fixture.shell("cd rust; git fetch -q; mkdir build; touch build/x").success();
    assert_eq!(fixture.git("status --porcelain"), "");
    // The file is the person's from then on.
    fixture.write("rust/bootstrap.toml", "profile = \"library\"\n");
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    fixture.run("x test library/std").success();
    assert_eq!(fixture.read("rust/bootstrap.toml"), "profile = \"library\"\n");
}

#[test]
fn path_that_is_not_utf_8_is_named() {
    let prepare = "mv \"$PWD\" \"$OUT/$(printf 'K\\366ln')\"; cd $OUT/K*; \
                   CARGO_MANIFEST_DIR=$PWD/xtask cargo xtask prepare";
    Fixture::new().shell(prepare).code(1).stderr(contains("is not UTF-8"));
}

/// Replace references, attributes and what is checked out in the clone do not matter.
#[test]
fn source_is_an_archive_of_base_toml_or_a_clone_with_the_commit_of_the_base() {
    let fixture = Fixture::new();
    let made = fixture.shell(
        "mkdir -p sub src/library/std/src src/vendor src/src/tools/vendor
        git init -q sub; echo inside >sub/inside; git -C sub add .; git -C sub commit -qm Sub
        cd src; git init -q; echo 'print(\"made up\")' >x.py; echo hello >$LIB
        touch vendor/left-out src/tools/vendor/kept; echo 'x.py export-ignore' >.gitattributes
        git -c protocol.file.allow=always submodule --quiet add ../sub library/backtrace
        git add .; git commit -qm Base; git rev-parse HEAD
        echo changed >$LIB; git commit -qam Later; git replace HEAD~1 HEAD
        echo more >x.py; touch new",
    );
    let commit = stdout_of(&made.success());
    fixture.write("base.toml", &fixture.read("base.toml").replace(COMMIT, &commit));
    fixture.shell(&format!("sed -i s/{COMMIT}/{commit}/ ../toolchain/bin/rustc")).success();
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
    let stop = other.run(&format!("prepare --source '{}'", fixture.tree.display())).code(1);
    assert!(advice(&stop)[0].ends_with(" fetch origin tag 1.95.0") && !other.tree.exists());
}

/// The tool is killed when it runs the named command of git.
#[test]
fn killed_anywhere_it_goes_on() {
    let fixture = Fixture::new();
    let kill_at = |command: &str| {
        fixture.wrap("git", command, "kill -9 $PPID; exit");
        let ended = fixture.run("prepare").get_output().status;
        assert_eq!(ended.signal(), Some(9), "{command}");
    };
    let commands = ["init", "write-tree", "update-ref", "\" am \"", "clone", "set-url"];
    commands.into_iter().for_each(kill_at);
    for (line, command) in [("1", "fetch"), ("2", "switch"), ("3", "origin/series")] {
        fixture.shell("rm ../bin/git; cargo xtask prepare").success();
        fixture.write_patch("0001-first.patch", "hello", line);
        kill_at(command);
    }
    fixture.shell("rm ../bin/git; cargo xtask prepare").success();
    assert_eq!(fixture.git("status --porcelain"), "");
    assert_eq!(fixture.git("log --format=%s origin/base.."), "std: Say `3`");
}

/// In a container, the clone often belongs to another user. git refuses such repositories at first.
#[test]
fn changed_patches_are_applied_and_edits_elsewhere_stay_also_with_another_owner() {
    let fixture = Fixture::prepared();
    fixture.wrap("git", "", "export GIT_TEST_ASSUME_DIFFERENT_OWNER=1");
    fixture.write(OTHER, "mine\n");
    fixture.write("rust/new", "mine\n");
    fixture.write_patch("0002-second.patch", "hello, patched", "hello twice");
    fixture.run("prepare").success();
    assert_eq!(fixture.read(LIB), "hello twice\n");
    let status = fixture.shell("rm ../bin/git; git -C rust status --porcelain").success();
    assert_eq!(stdout_of(&status), " M library/std/src/lines.rs\n?? new");
}

/// Each refusal names commands. They are typed as they are printed, after what the message asks for.
#[test]
fn work_in_the_clone_is_left_alone_and_the_printed_commands_are_the_way_on() {
    // The work in the clone, what the message shows of it, and the command of git that ends it.
    for line in "echo mine >$LIB -- modified:   library/std/src/lib.rs -- stash
        echo mine >$LIB; git add . -- modified:   library/std/src/lib.rs -- stash
        echo mine >$LIB -- modified:   library/std/src/lib.rs -- checkout -q .
        save $OTHER mine; echo mine >>$OTHER -- Say mine -- stash
        save $OTHER mine -- Say mine -- status
        git checkout -qd; save $OTHER mine -- HEAD detached -- status
        git switch -qc other; save $OTHER mine; git branch -D series -- On branch other -- status
        git branch -m mine; git branch series/v1 -- On branch mine -- status
        save $OTHER mine; stop_in_rebase HEAD~1 -- rebas -- rebase --continue
        git merge -q --no-commit --no-ff $(git commit-tree -p origin/base -m M HEAD:) -- merging -- merge --abort
        git update-index --skip-worktree $LIB; echo mine >$LIB -- be overwritten -- \
        update-index --no-skip-worktree $LIB; git -C rust stash
        git checkout -qd; git worktree add -q $OUT/linked series -- HEAD detached -- status
        : >.git/index.lock -- index.lock -- status; rm rust/.git/index.lock"
        .lines()
    {
        let parts: Vec<_> = line.split(" -- ").collect();
        let [work, named, end] = parts[..] else { panic!("{line}") };
        let fixture = Fixture::prepared();
        fixture.shell(&format!("cd rust; {work}")).success();
        // Without changed patches, x.py is for work in progress.
        fixture.run("x test library/std").success();
        fixture.write_patch("0001-first.patch", "hello", "hello, again");
        let stop = fixture.run("x test library/std").code(1);
        let commands = advice(&stop.stderr(contains("could lose work").and(contains(named))));
        let [fetch, rebase, export] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!(export, "cargo xtask export");
        fixture.shell(&format!("git -C rust {end}; {fetch}")).success();
        if line.contains("Say mine -- status") {
            // The fetch is not taken for the rebase: an export would undo the changed patches.
            fixture.run("prepare").code(1).stderr(contains("rebase --onto origin/series"));
        }
        fixture.shell(rebase).success();
        fixture.run("x test library/std").success();
        assert_eq!(fixture.read(LIB), "hello, again\n", "{work}");
        if work.contains("save") {
            assert!(fixture.git("show HEAD:library/std/src/lines.rs").ends_with("mine"), "{work}");
        }
        if end.ends_with("stash") {
            assert!(fixture.git("stash show -p").contains("+mine"), "{work}");
        }
    }
}

/// git would otherwise work in the project's own repository.
#[test]
fn clone_whose_repository_is_broken_is_refused() {
    let fixture = Fixture::prepared();
    fixture.shell("track; git commit -qm Project; : >rust/.git/HEAD").success();
    for command in ["prepare", "export", "test", "toolchain"] {
        fixture.run(command).code(1).stderr(contains("rust is not a clone that this tool made"));
    }
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
fn conflicts_of_patches_are_resolved_in_the_clone() {
    for (fixture, line) in [(Fixture::prepared(), "hello, patched\n"), (Fixture::new(), "hello\n")]
    {
        fixture.write_patch("0002-second.patch", "something else", "hello twice");
        let stop = fixture.run("prepare").code(1);
        let stop = stop.stderr(contains("patch failed: library/std/src/lib.rs:1"));
        // From nothing, the clone has the base.
        assert_eq!(fixture.read(LIB), line);
        let commands = advice(&stop);
        let [am, export] = &commands[..] else { panic!("{commands:?}") };
        let resolve = "cd rust; echo resolved >$LIB; git add .; git am --continue";
        fixture.shell(am).failure();
        fixture.shell(&format!("track; ({resolve}); {export}")).success();
        fixture.run("prepare").success();
        assert_eq!(fixture.read(LIB), "resolved\n");
    }
}

#[test]
fn changed_base_makes_a_new_store_and_the_clone_follows_or_stays() {
    let fixture = Fixture::prepared();
    let text = fixture.read("base.toml");
    // The second table under the name of the first.
    let changed = text.replace("base.\"1.95\"", "base.\"old\"");
    let changed = changed.replace("base.\"1.96\"", "base.\"1.95\"");
    fixture.commit("library/std/src/mine.rs", "mine\n", "Add a file");
    fixture.write("base.toml", &changed);
    let stop = fixture.run("prepare").code(1).stderr(contains("Add a file"));
    assert!(fixture.read(OTHER).contains("five"));
    fixture.shell(&advice(&stop)[..2].join("\n")).success();
    fixture.run("prepare").success();
    assert!(fixture.read(OTHER).contains("cinq"));
    assert_eq!(fixture.read("rust/library/std/src/mine.rs"), "mine\n");

    // A clone without work of its own follows.
    fixture.git("reset --quiet --hard origin/series");
    fixture.write("base.toml", &text);
    fixture.run("x test library/std").success();
    assert!(fixture.read(OTHER).contains("five"));
    assert_eq!(fixture.git("log --format=%s").lines().count(), 2);
}

/// A machine without rustup, on which a distribution or Nix has the release.
#[test]
fn compiler_on_the_path_is_used() {
    let fixture = Fixture::new();
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
    // Programs may not be allowed to run in /dev/shm. A link to the same disk is tested then.
    let others = ["/dev/shm", "/var/tmp", "/tmp"].into_iter();
    let mut others = others.filter(|other| !fixture.dir.starts_with(other));
    let disk = others.find_map(support::directory_in).unwrap();
    symlink(disk.path(), fixture.root.join("build")).unwrap();
    fixture.run("x test library/std").success();
    fixture.commit("tests/ui/std/new.rs", "fn main() {}\n", "Add a ui test");
    fixture.shell("track; cargo xtask export; ls tests/ui/std/new.rs").success();
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
fn project_without_git_is_exported() {
    let fixture = Fixture::prepared();
    fixture.commit("tests/ui/std/new.rs", "fn main() {}\n", "Add a ui test");
    // The given patch differs from an exported one, and no git has it.
    let stop = fixture.run("export").code(1);
    stop.stderr(contains("0001-first.patch").and(contains("git add").not()));
    fixture.shell("mv patches/1.95 patches/given; cargo xtask export").success();
    fixture.git("reset --quiet --hard HEAD~1");
    fixture.run("export").success();
    assert!(!fixture.root.join("tests/ui/std/new.rs").exists());
}

/// Returns the project with its x.py, and with a stand-in for cargo that "compiles" the tool.
fn with_x_py(fixture: Fixture) -> Fixture {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::create_dir(fixture.root.join("xtask")).unwrap();
    for file in ["x.py", "xtask/needs.txt"] {
        fs::copy(project.join(file), fixture.root.join(file)).unwrap();
    }
    let cargo = "[ -z \"$CARGO_BUILD_TARGET\" ] || exit 1\n\
         while [ $# -gt 0 ]; do case $1 in --target-dir) mkdir -p \"$2\";; esac; shift; done\n\
         echo '{\"reason\": \"compiler-artifact\", \"executable\": null}'\n\
         printf '{\"reason\": \"compiler-artifact\", \"executable\": \"%s\"}\\n' \"$XTASK\"";
    fixture.stand_in("cargo", cargo);
    fixture
}

#[test]
fn x_py_says_that_it_compiles_the_tool_and_runs_upstreams_x_py() {
    let fixture = with_x_py(Fixture::new());
    let x_py = "CARGO_TARGET_DIR=$OUT/x CARGO_BUILD_TARGET=wasm32-wasip1 ./x.py test library/std";
    let first = fixture.shell(x_py).success();
    first.stdout(contains("x.py ran in")).stderr(contains("compiling the tool"));
    fixture.shell(x_py).success().stderr(contains("compiling the tool").not());
    fixture.shell("ls build/target; fails ls $OUT/x").success();
    let help = fixture.shell("./x.py --help").success();
    help.stdout(contains("Usage: ./x.py [OPTIONS] ARGS...").and(contains("cargo xtask x").not()));
    fixture.shell("./x.py").code(2).stderr(contains("Usage: ./x.py"));
    // Paths among the arguments begin where the caller stands.
    fixture.shell("rm -r build rust $CACHE; mv ../server/1.95.tar.xz $OUT/mine.tar.xz").success();
    let x_py = "cd $OUT; \"$OLDPWD/x.py\" --source mine.tar.xz test library/std";
    fixture.shell(x_py).success();
}

#[test]
fn ctrl_c_while_the_tool_compiles_shows_no_traceback() {
    let fixture = with_x_py(Fixture::new());
    fixture.stand_in("cargo", "kill -INT $PPID");
    let ended = fixture.shell("exec ./x.py test library/std");
    assert_eq!(ended.get_output().status.signal(), Some(2), "{ended}");
    assert_eq!(stderr_of(&ended), "compiling the tool (once, up to a minute)\n");
}

/// Two clones may share the tool's program: by `cp -a`, or by one CARGO_TARGET_DIR.
#[test]
fn copied_and_moved_projects_are_worked_on_where_they_are() {
    let fixture = with_x_py(Fixture::prepared());
    fixture.shell("cp -a . $OUT/copy").success();
    let before = snapshot(&fixture.root, &[]);
    let ran_in =
        |name| contains(format!("x.py ran in {}/outside/{name}/rust", fixture.dir.display()));
    fixture.shell("cd $OUT/copy; ./x.py test library/std").success().stdout(ran_in("copy"));
    let export = "cd $OUT/copy; track; CARGO_MANIFEST_DIR=$PWD/xtask \"$XTASK\" export";
    fixture.shell(export).success().stdout(contains("0001-std-Say-hello-patched.patch"));
    assert!(snapshot(&fixture.root, &[]) == before);

    let moved = fixture.shell("mv $OUT/copy $OUT/moved; cd $OUT/moved; ./x.py test library/std");
    moved.success().stdout(ran_in("moved")).stderr(contains("unpacking").not());
}
