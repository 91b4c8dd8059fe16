//! Checks the toolchain for users: it opens one feature gate, for crates that name the gate, and compiles all other
//! crates like the release.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;
use xtask::compiler::Compiler;
use xtask::project::Project;
use xtask::run::CommandExt;
use xtask::toolchain;
use xtask::tree::Prepared;

use crate::libtest;
use crate::platforms;
use crate::suite::{Outcome, Place, Trial};

/// The ui test of the series that runs a program.
const RUN_PASS: &str = "tests/ui/std/tcp-keepalive.rs";

const CALL: &str = "fn main() { let _ = std::net::TcpStream::set_keepalive; }\n";

/// Uses the methods, and catches a panic, which shows that the target's unwinder works.
const PROGRAM: &str = r#"#![feature(tcp_keepalive)]
use std::net::{TcpListener, TcpStream};
fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_keepalive(true).unwrap();
    let caught = std::panic::catch_unwind(|| panic!("on purpose")).is_err();
    println!("keepalive: {}, caught: {caught}", stream.keepalive().unwrap());
}
"#;

/// A crate that compiles to other bytes if RUSTC_BOOTSTRAP, which opens all feature gates, is set.
const TELLTALE: &str = r#"#![no_std]
const IS_OPEN: bool = matches!(option_env!("RUSTC_BOOTSTRAP"), Some(_));
#[unsafe(no_mangle)]
pub extern "C" fn is_open() -> bool {
    IS_OPEN
}
"#;

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let base = project.base(None)?;
    let trial = |name, check: fn(&Place) -> Result<String>| {
        let work = move |place: &Place| check(place).map(Outcome::Passed);
        Trial::new("toolchain", &base, name, work).alone(&base.suffixed("x.py"))
    };
    Ok(vec![
        trial("one gate opens", one_gate_opens),
        trial("other crates stay the same", other_crates_stay_the_same),
        trial("the examples pass", examples_pass),
        trial("std of another target is added", |place| runs(place, "x86_64-unknown-linux-musl")),
        trial("Windows programs run", |place| runs(place, "x86_64-pc-windows-gnu")).quick(false),
    ])
}

/// The toolchain, made from the series, and a directory for a trial's files.
struct Made {
    prepared: Prepared,
    patched: Compiler,
    dir: PathBuf,
}

fn make(place: &Place, name: &str, targets: &[String]) -> Result<Made> {
    let prepared = Prepared::apart(place.project().clone(), place.base().clone())?;
    toolchain::bring_up_to_date(&prepared, targets)?;
    let dir = place.dir().join(name);
    fs::create_dir_all(&dir)?;
    let patched = Compiler::at(toolchain::directory(&prepared))?;
    Ok(Made { prepared, patched, dir })
}

/// Checks that a program has the methods if it names the gate, and lacks them otherwise. No other gate opens.
fn one_gate_opens(place: &Place) -> Result<String> {
    let Made { prepared, patched, dir } = make(place, "gate", &[])?;
    let program = dir.join("program");
    let mut rustc = patched.rustc();
    rustc.args(["--edition", "2021"]).arg(prepared.tree.src.join(RUN_PASS));
    rustc.arg("-o").arg(&program).run_quiet()?;
    Command::new(program).run_quiet()?;
    let other = "#![feature(test)]\nfn main() {}\n";
    let both = format!("#![feature(tcp_keepalive, test)]\n{CALL}");
    for (source, code) in [(CALL, "E0658"), (other, "E0554"), (&both, "E0725")] {
        fs::write(dir.join("program.rs"), source)?;
        let mut rustc = patched.rustc();
        rustc.args(["--edition", "2024", "--emit", "metadata", "program.rs"]).current_dir(&dir);
        let output = rustc.any_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !stderr.contains(code) {
            bail!("expected {code} for\n{source}\nand the compiler printed\n{stderr}");
        }
    }
    Ok(String::new())
}

/// Checks that a crate without the feature gate compiles to the same bytes as with the release.
fn other_crates_stay_the_same(place: &Place) -> Result<String> {
    let Made { prepared, patched, dir } = make(place, "bytes", &[])?;
    fs::write(dir.join("telltale.rs"), TELLTALE)?;
    let compile = |compiler: &Compiler| -> Result<Vec<u8>> {
        let mut rustc = compiler.rustc();
        rustc.args(["--edition", "2024", "--crate-type", "lib", "--emit", "obj=telltale.o"]);
        rustc.args(["-Cpanic=abort", "telltale.rs"]).current_dir(&dir).run_quiet()?;
        Ok(fs::read(dir.join("telltale.o"))?)
    };
    if compile(&prepared.compiler)? != compile(&patched)? {
        bail!("a crate that names no gate compiles to other bytes than with the release");
    }
    Ok(String::new())
}

/// Runs the tests in examples/, among them the integration test of the series.
fn examples_pass(place: &Place) -> Result<String> {
    let Made { patched, dir, .. } = make(place, "examples", &[])?;
    let library = place.opened().library()?;
    let mut cargo = patched.cargo();
    cargo.args(["test", "--locked", "--test=*", "--target-dir"]).arg(&dir);
    cargo.current_dir(place.project().root.join("examples"));
    let network = ["-rn", "ip", "link", "set", "lo", "up"];
    let has_network = Command::new("unshare").args(network).run_quiet().is_ok();
    if has_network {
        // The ignored test needs a network namespace.
        cargo.args(["--", "--include-ignored"]);
    }
    let output = place.run(&mut cargo, 20 * 60)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let counts = libtest::count(&printed)?;
    if !output.status.success() || printed.contains("running 0 tests") {
        bail!("{counts}, and cargo ended with {}; see the log", output.status);
    }
    libtest::require_tests_of(&fs::read_to_string(library.join(libtest::KEEPALIVE))?, &printed)?;
    let without = if has_network { "" } else { ", without those that need `unshare -rn`" };
    Ok(format!("{counts}{without}"))
}

/// Adds std for the target to the toolchain, and runs [`PROGRAM`] on the target.
fn runs(place: &Place, target: &str) -> Result<String> {
    let program = |linker: &str| {
        let Made { patched, dir, .. } = make(place, target, &[target.into()])?;
        let (source, program) = (dir.join("program.rs"), dir.join("program.exe"));
        fs::write(&source, PROGRAM)?;
        let mut rustc = patched.rustc();
        rustc.args(["--edition", "2024", "--target", target]).arg(&source).arg("-o").arg(&program);
        // For musl, rustc's default linker must work.
        if !target.ends_with("-musl") {
            rustc.arg(format!("-Clinker={linker}"));
        }
        rustc.run_quiet().map(|()| program)
    };
    let printed = platforms::run_program(place, target, program)?;
    if printed != "keepalive: true, caught: true" {
        bail!("the program for {target} printed {printed:?}");
    }
    Ok(String::new())
}
