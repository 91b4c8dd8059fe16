//! Tests `patches/1.98/rehearse` with a made-up series and clones of a made-up repository.
#![cfg(unix)]
// The programs of tests are started here.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

const TABLE: &str = "| pull request | patches | on top of | text |\n|---|---|---|---|\n\
    | documentation | 0002 | 0001 | `letter.md` |\n| tests | 0003 | | `letter.md` |\n";

const LINES: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";

struct Fixture(TempDir);

impl Fixture {
    /// Makes the series and `clone`, at the commit that the series is for.
    fn new() -> Fixture {
        let it = Fixture(tempfile::Builder::new().prefix("with space ").tempdir().unwrap());
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
        fs::create_dir(it.path("series")).unwrap();
        fs::copy(root.join("../patches/1.98/rehearse"), it.path("series/rehearse")).unwrap();
        fs::write(it.path("series/pull-requests.md"), TABLE).unwrap();
        it.git(".", &["init", "--quiet", "--initial-branch=main", "upstream"]);
        it.git("upstream", &["config", "uploadpack.allowFilter", "true"]);
        it.commit("upstream", "neighbor", "not changed\n");
        it.commit("upstream", "other", LINES);
        it.commit("upstream", "file", LINES);
        it.git("upstream", &["branch", "base"]);
        it.commit("upstream", "file", &LINES.replace("2", "two"));
        it.commit("upstream", "file", &LINES.replace("2\n3", "two\nthree"));
        fs::write(it.path("upstream/new"), "new\n").unwrap();
        it.commit("upstream", "other", &LINES.replace("6", "six"));
        it.git("upstream", &["format-patch", "--quiet", "--full-index", "base", "-o", "../series"]);
        it.git(".", &["clone", "--quiet", "upstream", "clone"]);
        it.git("clone", &["checkout", "--quiet", "origin/base"]);
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn git(&self, repository: &str, args: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path(repository)).args(["-c", "user.name=a", "-c", "user.email=b"]);
        let output = git.args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {output:?}");
    }

    fn commit(&self, repository: &str, file: &str, text: &str) {
        fs::write(self.path(repository).join(file), text).unwrap();
        self.git(repository, &["add", "--all"]);
        self.git(repository, &["commit", "--quiet", "-m", "A change"]);
    }

    /// Runs the script and checks that it leaves no temporary file.
    fn rehearse(&self, clone: &str, path: &str) -> Output {
        fs::create_dir_all(self.path("tmp")).unwrap();
        let mut script = Command::new(self.path("series/rehearse"));
        script.arg(self.path(clone)).env("TMPDIR", self.path("tmp")).env("PATH", path);
        let output = script.output().unwrap();
        assert_eq!(fs::read_dir(self.path("tmp")).unwrap().count(), 0, "{output:?}");
        output
    }

    /// Compares the script's exit code and what it tells of both pull requests.
    #[track_caller]
    fn expect(&self, clone: &str, code: i32, documentation: &str, tests: &str) {
        let mut find = Command::new("find");
        find.arg(self.path(clone)).args(["-type", "f", "-exec", "cksum", "{}", "+"]);
        let before = find.output().unwrap().stdout;
        let output = self.rehearse(clone, &std::env::var("PATH").unwrap());
        assert!(before == find.output().unwrap().stdout, "the clone changed");
        let expected = format!("\ndocumentation   {documentation}\ntests           {tests}\n");
        assert!(output.stdout.ends_with(expected.as_bytes()), "{output:?}");
        assert_eq!(output.status.code(), Some(code));
    }
}

#[test]
fn tells_what_applies_what_is_there_and_what_conflicts() {
    let fixture = Fixture::new();
    fixture.expect("clone", 0, "applies: 0002, after 0001", "applies: 0003");
    fixture.git("clone", &["checkout", "--quiet", "origin/main~2"]);
    fs::write(fixture.path("clone/file"), "not committed\n").unwrap();
    fixture.expect("clone", 0, "applies: 0002", "applies: 0003");
    fixture.git("clone", &["checkout", "--quiet", "--force", "origin/main"]);
    fixture.expect("clone", 0, "is there already", "is there already");
    fixture.commit("clone", "other", &LINES.replace("6", "six").replace("4", "four"));
    fixture.expect("clone", 0, "is there already", "is there already");
    fixture.git("clone", &["checkout", "--quiet", "origin/base"]);
    fixture.commit("clone", "other", &LINES.replace("6", "another"));
    fixture.commit("clone", "file", &LINES.replace("3", "another"));
    fixture.expect("clone", 1, "conflicts: 0002 in file", "conflicts: 0003 in other");
}

#[test]
fn partial_and_shallow_clones_will_do_if_they_have_the_files() {
    let fixture = Fixture::new();
    let from = format!("file://{}", fixture.path("upstream").display());
    let how = ["--quiet", "--depth=1", "--filter=blob:none", "--no-checkout", "--branch=base"];
    fixture.git(".", &[&["clone"], &how[..], &[&from, "partial"]].concat());
    let output = fixture.rehearse("partial", &std::env::var("PATH").unwrap());
    assert!(String::from_utf8_lossy(&output.stderr).contains("lacks the content of file"));
    assert_eq!(output.status.code(), Some(2));
    fixture.git("partial", &["cat-file", "-e", "HEAD:file"]);
    fixture.expect("partial", 0, "applies: 0002, after 0001", "applies: 0003");
}

#[test]
fn an_interrupt_leaves_nothing() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("bin")).unwrap();
    fs::copy(fixture.path("series/rehearse"), fixture.path("bin/git")).unwrap(); // executable
    // A shell that starts tests in the background ignores SIGINT for them, and then no script can trap it.
    let git = "#!/bin/sh\n[ $1 != sparse-checkout ] || kill -TERM $PPID\nPATH=${PATH#*:} exec git \"$@\"\n";
    fs::write(fixture.path("bin/git"), git).unwrap();
    let path = format!("{}:{}", fixture.path("bin").display(), std::env::var("PATH").unwrap());
    assert_eq!(fixture.rehearse("clone", &path).status.code(), Some(143));
}
