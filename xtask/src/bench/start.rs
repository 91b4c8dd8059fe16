//! What the launcher of the assembled toolchain adds to a start of the compiler.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use fs_err as fs;

use crate::bench::Bench;
use crate::bench::calls::quartile;
use crate::process::CommandExt;
use crate::progress::Step;

const STARTS: usize = 101;

pub fn measure(bench: &Bench) -> Result<String> {
    let step = Step::start("starting the compiler with and without its launcher");
    let scratch = tempfile::tempdir()?;
    // With the feature in it, so that the launcher does all that it can have to do.
    fs::write(scratch.path().join("empty.rs"), "#![feature(tcp_keepalive)]\n")?;
    let (mut launched, mut direct, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let with = compile(&bench.patched.sysroot.join("bin/rustc"), scratch.path(), false)?;
        let without = compile(&bench.patched.sysroot.join("libexec/rustc"), scratch.path(), true)?;
        launched.push(with);
        direct.push(without);
        added.push(with - without);
    }
    step.done();
    let median = |values: &[f64]| quartile(values, 2);
    Ok(format!(
        "Checking an empty crate, {STARTS} times in turn, medians.\n\n\
         | | |\n|---|---|\n\
         | the release's compiler | {:.1} ms |\n\
         | through the launcher | {:.1} ms |\n\
         | difference (its middle half) | {:.1} ms ({:.1} – {:.1}) |\n",
        median(&direct),
        median(&launched),
        median(&added),
        quartile(&added, 1),
        quartile(&added, 3),
    ))
}

/// The milliseconds that checking the crate takes. The launcher opens the gate by itself.
fn compile(rustc: &Path, scratch: &Path, open_gate: bool) -> Result<f64> {
    let mut command = Command::new(rustc);
    if open_gate {
        command.arg("-Zallow-features=tcp_keepalive").env("RUSTC_BOOTSTRAP", "1");
    }
    // Which `cargo xtask` sets, and which would lead to the libraries of the release.
    command.env_remove("LD_LIBRARY_PATH");
    command.args(["--crate-type", "lib", "--emit", "metadata", "empty.rs"]).current_dir(scratch);
    let started = Instant::now();
    command.run()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
