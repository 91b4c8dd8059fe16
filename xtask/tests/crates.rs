//! `cargo xtask crates`, with stand-ins for cargo and rustc: what is checked, told apart, remembered
//! and compared with what the table expects. That a real compiler comes to these verdicts is seen with the crates
//! of crates/made-up/, which every quick run checks.

mod support;

use std::path::PathBuf;

use assert_cmd::assert::Assert;
use fs_err as fs;
use predicates::prelude::*;
use predicates::str::contains;
use support::{Fixture, HOST, write_script};

/// A cargo that takes what a crate's name says for the outcome, and keeps a list of what it checked.
/// `net2-caller` has an error in `net2-caller`, and `its-user` because of that, with a std that says
/// `patched`.
const CARGO: &str = r#"
case "$1" in
    metadata)
        for member in same net2-caller its-user not-built; do
            nodes="$nodes,{\"id\": \"path+file:///w/$member-1-user#0.0.0\", \"dependencies\": [\"r#$member@1.2.3\"]}"
        done
        echo "{\"packages\": [], \"resolve\": {\"nodes\": [
            {\"id\": \"r#its-user@1.2.3\", \"dependencies\": [\"r#net2-caller@1.2.3\"]}$nodes]}}"
        exit;;
    generate-lockfile) echo "a lock" > Cargo.lock; exit;;
    fetch) exit;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
        --package) member=$2;;
        --target-dir) out=$2;;
    esac
    shift
done
if [ -z "$member" ]; then
    mkdir -p "$out/HOST/debug/deps"
    cat std/src/net/tcp.rs > "$out/HOST/debug/deps/libstd-0.rmeta"
    exit
fi
sysroot=$(echo "$CARGO_ENCODED_RUSTFLAGS" | cut -d"$(printf '\037')" -f2)
std=$(cat "$sysroot/lib/rustlib/HOST/lib/libstd-0.rmeta" | tr -d '\n')
echo "$member $std" >> "$XDG_CACHE_HOME/checked"
complain() {
    echo '{"reason": "compiler-message", "package_id": "r#'$1'@1.2.3", "message": {"level": "'$2'",
        "code": {"code": "'$3'"}, "message": "mismatched types", "spans": [{"file_name": "a.rs", "is_primary": true}],
        "rendered": "keepalive\\n --> /registry/src/i-0/'$1'-1.2.3/src/a.rs:92:5\\n"}}' | tr -d '\n'
    echo
}
case "$member $std" in
    not-built*) complain not-built error E0599; exit 101;;
    net2-caller*"[stable"* | its-user*"[stable"*) complain net2-caller error E0308; exit 101;;
    net2-caller* | its-user*) complain net2-caller warning unstable_name_collisions;;
    *"$(cat "$XDG_CACHE_HOME/failing")"*) echo "error: out of memory" >&2; exit 101;;
esac
echo '{"reason": "compiler-artifact", "package_id": "r#same@1.2.3", "target": {"name": "a"}, "filenames": []}'
"#;

const TABLE: &str = r#"
[workspace]
old = [
    { name = "same", version = "1", why = "a test" },
    { name = "net2-caller", version = "1", why = "a test", expect = "breaks" },
    { name = "its-user", version = "1", why = "a test", expect = "breaks" },
    { name = "not-built", version = "1", why = "a test", expect = "not-built", quick = true },
]
"#;

struct Project(Fixture);

impl Project {
    fn new() -> Project {
        let fixture = Fixture::new();
        write_script(&fixture.toolchain().join("bin/cargo"), &CARGO.replace("HOST", HOST));
        let crates = fixture.root().join("crates");
        fs::create_dir_all(&crates).unwrap();
        fs::write(crates.join("crates.toml"), TABLE).unwrap();
        Project(fixture)
    }

    /// Where the stand-in for cargo keeps its list, and is told which check is to fail.
    fn beside(&self, file: &str) -> PathBuf {
        self.0.cache().parent().unwrap().join(file)
    }

    fn run(&self, args: &[&str]) -> Assert {
        self.run_failing("nothing", args)
    }

    fn run_failing(&self, check: &str, args: &[&str]) -> Assert {
        fs::write(self.beside("failing"), check).unwrap();
        self.0.run(&[&["crates"], args].concat())
    }

    fn checked(&self) -> usize {
        fs::read_to_string(self.beside("checked")).unwrap().lines().count()
    }
}

#[test]
fn verdicts_come_with_their_cause() {
    let project = Project::new();
    let assert = project.run(&["--format=markdown"]).success();
    let is_there = |pattern| predicate::str::is_match(pattern).unwrap();
    assert
        .stdout(contains("4 crates: 1 same, 2 breaks, 1 not built"))
        .stdout(contains("1 of them with the lint unstable_name_collisions"))
        .stdout(contains("net2-caller 1.2.3: 1 below\n  its-user 1.2.3\n"))
        .stdout(is_there(r"\| same 1.2.3 +\| a test +\| same +\| +\|"))
        .stdout(is_there(
            r"\| its-user 1.2.3 .* breaks .* net2-caller 1.2.3 src/a.rs:92 E0308: mis",
        ))
        .stdout(is_there(r"\| not-built 1.2.3 .* not built .* E0599"));
    // What does not compile at the base is not tried with the series.
    assert_eq!(project.checked(), 7);
    assert!(project.0.root().join("crates/old.lock").exists());
}

#[test]
fn run_that_was_stopped_goes_on_without_the_network() {
    let project = Project::new();
    // The machine fails in the middle, which is no verdict.
    project.run_failing("same-1-user", &[]).code(1).stderr(contains("out of memory"));
    project.run(&[]).success();
    assert_eq!(project.checked(), 7 + 1);
    // Finished checks are remembered until the lock file changes.
    project.run(&["its-user"]).success().stdout(contains("1 crates: 1 breaks"));
    assert_eq!(project.checked(), 7 + 1);
    fs::write(project.0.root().join("crates/old.lock"), "another lock").unwrap();
    project.run(&["its-user"]).success();
    assert_eq!(project.checked(), 7 + 1 + 2);
}

#[test]
fn parts_make_up_the_whole() {
    let project = Project::new();
    project.run(&["--shard=1/2"]).success().stdout(contains("2 crates"));
    project.run(&["--shard=2/2"]).success().stdout(contains("2 crates"));
    assert_eq!(project.checked(), 7);
    project.run(&["--shard=3/2"]).code(2);
    project.run(&["--quick"]).success().stdout(contains("1 crates: 1 not built"));
    project.run(&["nonexistent"]).code(1).stderr(contains("no crate \"nonexistent\""));
}

#[test]
fn changed_verdict_fails() {
    let project = Project::new();
    let json = project.run(&["--format=json"]).success();
    let text = String::from_utf8(json.get_output().stdout.clone()).unwrap();
    let record = project.0.root().join("docs/crates.json");
    fs::create_dir_all(record.parent().unwrap()).unwrap();
    fs::write(&record, &text).unwrap();
    project.run(&[]).success();
    fs::write(&record, text.replacen("\"breaks\"", "\"same\"", 2)).unwrap();
    project.run(&[]).code(1).stdout(contains("CHANGED its-user 1.2.3: breaks, recorded same"));
}
