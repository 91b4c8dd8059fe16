//! Tests `patches/1.98/rehearse` with a made-up series and clones of a made-up repository.
#![cfg(unix)]

mod support;

use std::process::Command;

use assert_cmd::assert::Assert;
use predicates::str::{contains, ends_with};
use tempfile::TempDir;

/// Makes the series, and `clone`, at the commit that the series is for.
const SETUP: &str = "
mkdir series tmp; cp \"$REHEARSE\" series/rehearse
printf '| pull request | patches | on top of | text |\\n|---|---|---|---|\\n' >series/pull-requests.md
echo '| documentation | 0002 | 0001 | `letter.md` |' >>series/pull-requests.md
echo '| tests | 0003 | | `letter.md` |' >>series/pull-requests.md
git init -q --initial-branch=main upstream; cd upstream; git config uploadpack.allowFilter true
echo same >neighbor; seq 9 >other; seq 9 >file; commit; git branch base
sed -i s/2/two/ file; commit; sed -i s/3/three/ file; commit; echo new >new; sed -i s/6/six/ other; commit
git format-patch -q --full-index base -o ../series; cd ..
git clone -q upstream clone; git -C clone checkout -q origin/base";

const COMMIT: &str =
    "commit() { git add --all; git -c user.name=a -c user.email=b commit -qm Change; }";

struct Fixture(TempDir);

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture(tempfile::Builder::new().prefix("with space ").tempdir().unwrap());
        fixture.shell(SETUP).success();
        fixture
    }

    /// Runs a script in the directory of the series and the clones.
    fn shell(&self, script: &str) -> Assert {
        let mut shell = Command::new("sh");
        shell.args(["-ec", &format!("{COMMIT}; {script}")]).current_dir(self.0.path());
        shell.env("TMPDIR", self.0.path().join("tmp"));
        shell.env("REHEARSE", concat!(env!("CARGO_MANIFEST_DIR"), "/../patches/1.98/rehearse"));
        support::finish(shell)
    }

    /// Runs a script and then the rehearsal on a clone, which must change neither the clone nor leave a temporary file.
    /// Compares its exit code and what it says of both pull requests.
    #[track_caller]
    fn expect(&self, script: &str, clone: &str, code: i32, documentation: &str, tests: &str) {
        let sums = "find $clone -type f -exec cksum {} +";
        let rehearse = format!(
            "({script}); clone={clone}; {sums} >before; code=0; series/rehearse $clone || code=$?; \
             {sums} | cmp - before || exit 9; rmdir tmp || exit 9; mkdir tmp; exit $code"
        );
        let expected = format!("\ndocumentation   {documentation}\ntests           {tests}\n");
        self.shell(&rehearse).code(code).stdout(ends_with(expected));
    }
}

#[test]
fn tells_what_applies_what_is_there_and_what_conflicts() {
    let fixture = Fixture::new();
    fixture.expect("true", "clone", 0, "applies: 0002, after 0001", "applies: 0003");
    let first = "cd clone; git checkout -q origin/main~2; echo not committed >file";
    fixture.expect(first, "clone", 0, "applies: 0002", "applies: 0003");
    let all = "cd clone; git checkout -q --force origin/main";
    fixture.expect(all, "clone", 0, "is there already", "is there already");
    let more = "cd clone; sed -i s/4/four/ other; commit";
    fixture.expect(more, "clone", 0, "is there already", "is there already");
    let others = "cd clone; git checkout -q origin/base; sed -i s/6/another/ other; sed -i s/3/another/ file; commit";
    fixture.expect(others, "clone", 1, "conflicts: 0002 in file", "conflicts: 0003 in other");
}

#[test]
fn partial_and_shallow_clones_will_do_if_they_have_the_files() {
    let fixture = Fixture::new();
    let clone = "git clone -q --depth=1 --filter=blob:none --no-checkout --branch=base \"file://$PWD/upstream\" partial; \
                 code=0; series/rehearse partial || code=$?; rmdir tmp; mkdir tmp; exit $code";
    fixture.shell(clone).code(2).stderr(contains("lacks the content of file"));
    let get = "git -C partial cat-file -e HEAD:file";
    fixture.expect(get, "partial", 0, "applies: 0002, after 0001", "applies: 0003");
}

/// A shell that starts tests in the background ignores SIGINT for them, and then no script can trap it.
#[test]
fn an_interrupt_leaves_nothing() {
    let script = r#"
        mkdir bin; git=$(command -v git)
        echo '#!/bin/sh' >bin/git; chmod +x bin/git
        echo "[ \$1 != sparse-checkout ] || kill -TERM \$PPID; exec '$git' \"\$@\"" >>bin/git
        code=0; PATH="$PWD/bin:$PATH" series/rehearse clone || code=$?
        rmdir tmp; exit $code"#;
    Fixture::new().shell(script).code(143);
}
