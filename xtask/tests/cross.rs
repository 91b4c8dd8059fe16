//! `cargo xtask cross` where nothing can be run: what it says, and its exit code.

mod support;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use support::{COMMIT, Fixture, write_script};

/// A compiler that knows one target.
const RUSTC: &str = r#"
case "$*" in
*all-target-specs-json*) echo '{"wasm32-wasip2": {"os": "wasi", "target-pointer-width": 32}}';;
*) echo "commit-hash: COMMIT"; echo "host: x86_64-unknown-linux-gnu"; echo "LLVM version: 22.1.2"
esac"#;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    write_script(&fixture.toolchain().join("bin/rustc"), &RUSTC.replace("COMMIT", COMMIT));
    fixture
}

#[test]
fn platform_that_lacks_something_is_not_run() {
    let fixture = fixture();
    let not_run = fixture.run(&["cross", "wasm32-wasip2"]).code(3);
    not_run.stdout(
        contains("1 not run")
            .and(contains("cross-support/tools/wasi-libc/usr/lib/wasm32-wasip2/libc.a"))
            .and(contains("--install, for Python's wasmtime")),
    );
    // Nothing of it counts as wrong in a shard that has no part of it.
    fixture.run(&["cross", "wasm32-wasip2", "--shard=1/2", "--require"]).success();
}

#[test]
fn unknown_platform_is_an_error() {
    let fixture = fixture();
    let unknown = fixture.run(&["cross", "z80-nothing"]).code(1);
    unknown
        .stderr(contains("how to run z80-nothing here").and(contains("\n  s390x-unknown-linux")));
    assert!(!fixture.tree().exists());
}
