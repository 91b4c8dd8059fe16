//! From nothing to a tree in which x.py runs: what works, and what is said when something does not.

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{ARCHIVE, COMMIT, Fixture, Server, write_script};

#[test]
fn prepares_once_and_runs_x_py() {
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

    fixture.run(&["x", "test", "library/std"]).success().stderr("");
}

#[test]
fn exits_with_the_code_of_x_py() {
    let fixture = Fixture::new();
    let mut x = fixture.xtask(&["x", "test", "library/std"]);
    assert_cmd::Command::from_std({
        x.env("EXIT_CODE", "37");
        x
    })
    .assert()
    .code(37);
}

#[test]
fn bootstrap_gets_the_configuration_and_the_compiler() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    let config = fs::read_to_string(fixture.tree().join("bootstrap.toml")).unwrap();
    assert!(config.contains("x.py-config.toml"), "{config}");
    assert!(config.contains("download-rustc = true"), "{config}");
    let ci_rustc = fixture.root().join("build/rust-prebuilt/x86_64-unknown-linux-gnu/ci-rustc");
    let base = fixture.git(&["rev-parse", "base"]);
    let stamp = fs::read_to_string(ci_rustc.join(".rustc-stamp")).unwrap();
    assert_eq!(stamp, format!("{base}-false"));
    let listed = fs::read_to_string(ci_rustc.join(".rust-std-contents")).unwrap();
    assert!(listed.lines().count() > 0 && listed.lines().all(|f| ci_rustc.join(f).is_file()));
}

#[test]
fn foreign_bootstrap_configuration_stays() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    let config = fixture.tree().join("bootstrap.toml");
    fs::write(&config, "profile = \"library\"\n").unwrap();
    fixture.run(&["prepare"]).code(1).stderr(contains("is not one that this tool wrote"));
    assert_eq!(fs::read_to_string(&config).unwrap(), "profile = \"library\"\n");
}

#[test]
fn no_source_names_each_and_the_way_out() {
    let fixture = Fixture::without_cache("http://127.0.0.1:1/gone");
    fixture
        .run(&["prepare"])
        .code(3)
        .stderr(contains(ARCHIVE).and(contains("127.0.0.1:1/gone")).and(contains("--source PATH")));
    assert!(!fixture.tree().exists());
}

#[test]
fn what_the_server_answers_is_told() {
    let server = Server::start(Vec::new(), vec![]);
    let fixture = Fixture::without_cache(&format!("{}.gone", server.url));
    fixture.run(&["prepare"]).code(3).stderr(contains("error: 404"));
}

#[test]
fn download_with_another_hash_is_not_used() {
    let server = Server::start(b"another archive".to_vec(), vec![]);
    let fixture = Fixture::without_cache(&server.url);
    fixture.run(&["prepare"]).code(3).stderr(contains("another hash than base.toml gives"));
    assert!(!fixture.tree().exists());
}

#[test]
fn source_is_used_without_network() {
    let fixture = Fixture::without_cache("http://127.0.0.1:1/gone");
    let mine = fixture.root().join("mine.tar.xz");
    fs::write(&mine, &fixture.archive).unwrap();
    fixture.run(&["prepare", "--source", mine.to_str().unwrap()]).success();
    assert_eq!(fixture.std_line(), "hello, patched\n");
    assert!(mine.exists());
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

#[test]
fn checkout_at_another_commit_is_refused() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    let checkout = fixture.tree();
    let other = Fixture::new();
    other
        .run(&["prepare", "--source", checkout.to_str().unwrap()])
        .code(1)
        .stderr(contains("stands at commit").and(contains(COMMIT)));
}

#[test]
fn damaged_cache_is_set_aside_and_replaced() {
    let body = Fixture::without_cache("http://127.0.0.1:1/unused").archive;
    let server = Server::start(body, vec![]);
    let fixture = Fixture::without_cache(&server.url);
    fs::create_dir_all(fixture.cache()).unwrap();
    let cut_short = &fixture.archive[..1000];
    fs::write(fixture.cache().join(ARCHIVE), cut_short).unwrap();
    fixture
        .run(&["prepare"])
        .success()
        .stderr(contains("is not used").and(contains("and should be")));
    let aside = fixture.cache().join(format!("{ARCHIVE}.damaged-1"));
    assert_eq!(fs::read(aside).unwrap(), cut_short);
    assert_eq!(fixture.std_line(), "hello, patched\n");
}

#[test]
fn interrupted_download_is_resumed() {
    let body = Fixture::without_cache("http://127.0.0.1:1/unused").archive;
    let server = Server::start(body, vec![100_000]);
    let fixture = Fixture::without_cache(&server.url);
    fixture.run(&["prepare"]).code(3);
    assert!(!fixture.cache().join(ARCHIVE).exists());
    fixture.run(&["prepare"]).success();
    let requests = server.requests.lock().unwrap();
    assert!(requests[1].contains("range: bytes="), "{requests:?}");
    assert_eq!(fixture.std_line(), "hello, patched\n");
}

#[test]
fn unfinished_tree_is_never_taken_for_a_whole_one() {
    let fixture = Fixture::new();
    let unfinished = fixture.root().join("build/.rust.unfinished/library/std/src");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("lib.rs"), "half a file").unwrap();
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.std_line(), "hello, patched\n");
    assert!(!fixture.root().join("build/.rust.unfinished").exists());
}

/// Kills the tool at moments spread over a whole run, and after it, and runs it again.
#[test]
fn killed_at_any_moment_it_goes_on() {
    let fixture = Fixture::new();
    let whole = {
        let started = Instant::now();
        Fixture::new().run(&["prepare"]).success();
        started.elapsed()
    };
    for moment in 0..12 {
        fixture.kill_after(whole * moment / 10, &["prepare"]);
    }
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.std_line(), "hello, patched\n");
    assert_eq!(fixture.git(&["status", "--porcelain"]), "");
    assert_eq!(fixture.git(&["log", "--format=%s", "base.."]), "std: Say `hello, patched`");
}

#[test]
fn interrupted_move_to_new_patches_is_completed() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    let old = fixture.git(&["rev-parse", "HEAD"]);
    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    fixture.run(&["prepare"]).success();
    let new = fixture.git(&["rev-parse", "HEAD"]);
    // As a kill in the middle of the checkout leaves it: the state says where it was going, git's
    // lock is there, and a file is half written.
    fixture.git(&["checkout", "--quiet", "-B", "series", &old]);
    let state = fixture.tree().join(".git/xtask.toml");
    let text = fs::read_to_string(&state).unwrap().replace(&new, &old);
    fs::write(&state, format!("{text}moving_to = \"{new}\"\n")).unwrap();
    fs::write(fixture.tree().join(".git/index.lock"), "").unwrap();
    fs::write(fixture.tree().join("library/std/src/lib.rs"), "hel").unwrap();

    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.std_line(), "hello, again\n");
    assert_eq!(fixture.git(&["rev-parse", "HEAD"]), new);
    assert_eq!(fixture.git(&["show", "refs/xtask/interrupted:library/std/src/lib.rs"]), "hel");
}

#[test]
fn changed_patches_are_applied() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    fixture.write_patch("0002-second.patch", "hello, patched", "hello twice");
    fixture.run(&["prepare"]).success();
    assert_eq!(fixture.std_line(), "hello twice\n");
}

#[test]
fn work_in_the_tree_is_never_touched() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    let file = fixture.tree().join("library/std/src/lib.rs");
    fs::write(&file, "my work\n").unwrap();
    // With the same patches, work in progress is what x.py is there for.
    fixture.run(&["x", "test", "library/std"]).success();

    fixture.write_patch("0001-first.patch", "hello", "hello, again");
    let uncommitted = "changed  M library/std/src/lib.rs";
    fixture
        .run(&["x", "test", "library/std"])
        .code(1)
        .stderr(contains(uncommitted).and(contains("nothing was touched")));
    assert_eq!(fixture.std_line(), "my work\n");

    fixture.git(&["commit", "--quiet", "--all", "-m", "My commit"]);
    fixture.run(&["prepare"]).code(1).stderr(
        contains("My commit").and(contains("To keep that work")).and(contains("To drop it")),
    );
    assert_eq!(fixture.git(&["show", "--no-patch", "--format=%s"]), "My commit");
    fixture.run(&["clean"]).code(1).stderr(contains("My commit"));
    assert_eq!(fixture.std_line(), "my work\n");
}

#[test]
fn patch_that_does_not_apply_is_explained() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    fixture.write_patch("0002-second.patch", "something else", "hello twice");
    fixture.run(&["prepare"]).code(1).stderr(
        contains("0002-second.patch does not apply")
            .and(contains("patch failed: library/std/src/lib.rs:1"))
            .and(contains("git am --3way")),
    );
    assert_eq!(fixture.std_line(), "hello, patched\n");

    // From nothing, there is a tree to resolve it in.
    let fresh = Fixture::new();
    fresh.write_patch("0001-first.patch", "something else", "hello twice");
    fresh.run(&["prepare"]).code(1).stderr(contains("0001-first.patch does not apply"));
    assert_eq!(fresh.std_line(), "hello\n");
}

#[test]
fn missing_toolchain_gives_the_rustup_command() {
    let fixture = Fixture::new();
    write_script(
        &fixture.bin().join("rustup"),
        "echo \"error: toolchain is not installed\" >&2; exit 1",
    );
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
    fixture
        .run(&["prepare"])
        .code(3)
        .stderr(contains(other).and(contains(COMMIT)).and(contains("RUSTUP_AUTO_INSTALL")));
}

#[test]
fn missing_programs_are_named() {
    let fixture = Fixture::new();
    let programs = ["git", "python3", "cc"];
    for missing in programs {
        let bin = tempfile::tempdir().unwrap();
        symlink(fixture.bin().join("rustup"), bin.path().join("rustup")).unwrap();
        for program in programs.into_iter().filter(|program| *program != missing) {
            symlink("/bin/true", bin.path().join(program)).unwrap();
        }
        let mut prepare = fixture.xtask(&["prepare"]);
        prepare.env("PATH", bin.path());
        assert_cmd::Command::from_std(prepare)
            .assert()
            .code(3)
            .stderr(contains(format!("  {missing}: install the package")));
    }
}

#[test]
#[cfg(target_os = "linux")] // for /dev/full
fn full_disk_is_said_so() {
    let body = Fixture::without_cache("http://127.0.0.1:1/unused").archive;
    let server = Server::start(body, vec![]);
    let fixture = Fixture::without_cache(&server.url);
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
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    let hold = fixture.root().join("hold");
    fs::write(&hold, "").unwrap();
    let mut first = fixture
        .xtask(&["x", "test", "library/alloc"])
        .env("HOLD", &hold)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Once it prints, upstream's x.py has taken the place of the tool, and holds the lock.
    let mut line = String::new();
    BufReader::new(first.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("library/alloc"), "{line}");

    let mut second = fixture.xtask(&["prepare"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut waiting = String::new();
    BufReader::new(second.stderr.take().unwrap()).read_line(&mut waiting).unwrap();
    assert!(waiting.contains("waiting for another invocation"), "{waiting}");
    assert!(waiting.contains("x.py test library/alloc"), "{waiting}");
    std::thread::sleep(Duration::from_millis(50));
    assert!(second.try_wait().unwrap().is_none(), "it did not wait");

    fs::remove_file(&hold).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
}

#[test]
fn clean_removes_what_can_be_made_again() {
    let fixture = Fixture::new();
    fixture.run(&["prepare"]).success();
    fixture.run(&["clean"]).success();
    assert!(!fixture.tree().exists());
    assert!(fixture.cache().join(ARCHIVE).exists());
    fixture.run(&["clean", "--archives"]).success();
    assert!(!fixture.cache().exists());
}

#[test]
fn x_py_itself_is_there() {
    // The front door of the real repository: what a contributor types first.
    let x_py = concat!(env!("CARGO_MANIFEST_DIR"), "/../x.py");
    let output = Command::new(x_py).arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("./x.py test library/std"), "{help}");
}
