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
        --package=*) member=${1#--package=};;
        --target-dir) out=$2;;
    esac
    shift
done
if [ "$member" = sysroot ]; then
    mkdir -p "$out/HOST/debug/deps"
    rm -f "$out/HOST/debug/deps/libstd-0.rmeta"
    cat std/src/net/tcp.rs > "$out/HOST/debug/deps/libstd-0.rmeta" 2>/dev/null
    exit 0
fi
sysroot=$(echo "$CARGO_ENCODED_RUSTFLAGS" | cut -d"$(printf '\037')" -f2)
std=$(cat "$sysroot/lib/rustlib/HOST/lib/libstd-0.rmeta" | tr -d '\n')
echo "$member" >> "$XDG_CACHE_HOME/checked"
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

/// The methods as the series has them.
const METHODS: &str = r#"
    #[stable(feature = "tcp_keepalive")]
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.0.set_keepalive(keepalive)
    }

    #[stable(feature = "tcp_keepalive")]
    pub fn keepalive(&self) -> io::Result<bool> {
        self.0.keepalive()
    }
"#;

impl Project {
    fn new() -> Project {
        let fixture = Fixture::new();
        write_script(&fixture.toolchain().join("bin/cargo"), &CARGO.replace("HOST", HOST));
        let crates = fixture.root().join("crates");
        fs::create_dir_all(&crates).unwrap();
        fs::write(crates.join("crates.toml"), TABLE).unwrap();
        fixture.run(&["prepare"]).success();
        let project = Project(fixture);
        project.write_methods(METHODS);
        project
    }

    fn write_methods(&self, text: &str) {
        let file = self.0.tree().join("library/std/src/net/tcp.rs");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
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
    let is_there = |pattern| predicate::str::is_match(pattern).unwrap();
    project
        .run(&["--format=markdown"])
        .success()
        .stdout(contains("2 breaks, 1 not built, 1 same, of 4\n"))
        .stdout(contains("In 1 of them, the lint unstable_name_collisions is about these methods: net2-caller 1.2.3\n"))
        .stdout(contains("net2-caller 1.2.3 (1)\n  its-user 1.2.3\n"))
        .stdout(contains("\n\nnet2-caller 1.2.3: breaks by net2-caller 1.2.3, src/a.rs:92, E0308: mis"))
        .stdout(is_there(r"\| same 1.2.3 +\| a test +\| +\| same +\|"))
        .stdout(is_there(r"\| its-user 1.2.3 +\| a test +\| net2-caller 1.2.3 +\| breaks"))
        .stdout(is_there(r"\| not-built 1.2.3 .* src/a.rs:92, E0599: .* not built"));
    // What does not compile at the base is not tried with the series.
    assert_eq!(project.checked(), 7);
    assert!(project.0.root().join("crates/old.lock").exists());
}

#[test]
fn run_that_was_stopped_goes_on() {
    let project = Project::new();
    // The machine fails in the middle, which is no verdict.
    project.run_failing("same-1-user", &[]).code(1).stderr(contains("out of memory"));
    project.run(&[]).success();
    assert_eq!(project.checked(), 7 + 1);
    // Finished checks are remembered until the lock file changes.
    project.run(&["its-user"]).success().stdout(contains("1 breaks, of 1\n"));
    assert_eq!(project.checked(), 7 + 1);
    fs::write(project.0.root().join("crates/old.lock"), "another lock").unwrap();
    project.run(&["its-user"]).success();
    assert_eq!(project.checked(), 7 + 1 + 2);
}

#[test]
fn parts_make_up_the_whole() {
    let project = Project::new();
    let whole = project.run(&["--format=markdown"]).success();
    let files = ["0", "1"].map(|k| {
        let json = project.run(&["--format=json", &format!("--shard={k}/2")]).success();
        let file = project.beside(k);
        fs::write(&file, &json.get_output().stdout).unwrap();
        file.to_str().unwrap().to_owned()
    });
    assert_eq!(project.checked(), 7);
    let merged = project.0.run(&["merge", "--format=markdown", &files[0], &files[1]]).success();
    // To the last byte: the table, the lint's line, and the tree of causes, of which each part has some.
    merged.stdout(whole.get_output().stdout.clone());
    project.run(&["--names", "--shard=0/2"]).code(2);
    project.run(&["--names", "--format=json"]).code(1).stderr(contains("leave out --format json"));
    project.run(&["--quick"]).success().stdout(contains("1 not built, of 1\n"));
    project.run(&["nonexistent"]).code(1).stderr(contains("no crate \"nonexistent\""));
}

#[test]
fn what_the_table_does_not_expect_fails() {
    let project = Project::new();
    let table = TABLE.replace("why = \"a test\", expect = \"breaks\"", "why = \"a test\"");
    fs::write(project.0.root().join("crates/crates.toml"), table).unwrap();
    project.run(&[]).code(1);
    project.run(&["same"]).success();
}

#[test]
fn methods_behind_their_gate_are_refused() {
    let project = Project::new();
    project.write_methods(&METHODS.replace("stable", "unstable"));
    project.run(&[]).code(1).stderr(contains("leaves the methods behind their feature gate"));
}
