//! `cargo xtask cross` where nothing can be run: what it says, and its exit code.

mod support;

use fs_err as fs;
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

/// pip without a network: what venv made before must not pass for the environment.
#[test]
fn half_made_python_environment_does_not_count() {
    let fixture = fixture();
    let tools = fixture.root().join("build/cross-support/tools");
    let library = tools.join("wasi-libc/usr/lib/wasm32-wasip2/libc.a");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::write(library, "").unwrap();
    // What it is called with: -m venv DIR.
    let venv = "mkdir -p \"$3/bin\"; printf '#!/bin/sh\\nexit 1\\n' >\"$3/bin/python3\"; \
                chmod +x \"$3/bin/python3\"";
    write_script(&fixture.bin().join("python3"), venv);
    write_script(&fixture.bin().join("strace"), "");
    let failed = fixture.run(&["cross", "wasm32-wasip2", "--install"]).code(1);
    failed.stderr(contains("-m pip install"));
    assert!(!tools.join("python").exists());
    assert!(!tools.join(".python.unfinished").exists());
    let not_run = fixture.run(&["cross", "wasm32-wasip2"]).code(3);
    not_run.stdout(contains("tools/python/bin/python3"));
}
