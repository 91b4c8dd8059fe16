//! Sees that the toolchain for users opens the one gate, for who names it, and is the release otherwise.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;
use xtask::base::Base;
use xtask::compiler::Compiler;
use xtask::run::command::CommandExt;
use xtask::session::{Invocation, Session};
use xtask::toolchain;

use crate::suite;

/// The series' ui test of what compiles.
const RUN_PASS: &str = "tests/ui/std/tcp-keepalive.rs";

const CALL: &str = "fn main() { let _ = std::net::TcpStream::set_keepalive; }\n";

/// Says whether the variable was set that opens all gates, and so compiles to other bytes if it was.
const TELLTALE: &str = r#"#![no_std]
const IS_OPEN: bool = matches!(option_env!("RUSTC_BOOTSTRAP"), Some(_));
#[unsafe(no_mangle)]
pub extern "C" fn is_open() -> bool {
    IS_OPEN
}
"#;

/// The toolchain, assembled from what is in the tree, and a directory to work in.
struct Made {
    session: Session,
    patched: Compiler,
    dir: PathBuf,
}

fn make(base: &Base, name: &str) -> Result<Made> {
    let on = Invocation { project: suite::project()?, base: Some(base.name.clone()) };
    let (session, _lock) = on.open("assembling the toolchain for a test")?;
    let directory = toolchain::directory(&session.project, base);
    toolchain::bring_up_to_date(&session, &directory)?;
    let dir = session.project.build().join("evidence/toolchain").join(name);
    fs::create_dir_all(&dir)?;
    Ok(Made { session, patched: Compiler::at(directory)?, dir })
}

/// The methods are there for a program that names the gate; without it, and of other gates, nothing is.
pub fn one_gate_opens(base: &Base) -> Result<String> {
    let Made { session, patched, dir } = make(base, "gate")?;
    let program = dir.join("program");
    let mut rustc = patched.rustc();
    rustc.args(["--edition", "2021"]).arg(session.tree.src.join(RUN_PASS));
    rustc.arg("-o").arg(&program).run()?;
    Command::new(program).run()?;
    let other = "#![feature(test)]\nfn main() {}\n";
    let both = format!("#![feature(tcp_keepalive, test)]\n{CALL}");
    for (source, code) in [(CALL, "E0658"), (other, "E0554"), (&both, "E0725")] {
        fs::write(dir.join("program.rs"), source)?;
        let mut rustc = patched.rustc();
        rustc.args(["--edition", "2024", "--emit", "metadata", "program.rs"]).current_dir(&dir);
        let output = rustc.answer()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !said.contains(code) {
            bail!("expected {code} for\n{source}\nand the compiler says\n{said}");
        }
    }
    Ok(String::new())
}

/// Whoever does not name the gate gets what the release compiles, to the byte.
pub fn other_crates_stay_the_same(base: &Base) -> Result<String> {
    let Made { session, patched, dir } = make(base, "bytes")?;
    fs::write(dir.join("telltale.rs"), TELLTALE)?;
    let compile = |compiler: &Compiler| -> Result<Vec<u8>> {
        let mut rustc = compiler.rustc();
        rustc.args(["--edition", "2024", "--crate-type", "lib", "--emit", "obj=telltale.o"]);
        rustc.args(["-Cpanic=abort", "telltale.rs"]).current_dir(&dir).run()?;
        Ok(fs::read(dir.join("telltale.o"))?)
    };
    if compile(&session.compiler)? != compile(&patched)? {
        bail!("a crate that names no gate compiles to other bytes than with the release");
    }
    Ok(String::new())
}

/// The examples' tests, and with them the series' own as a user would run them.
pub fn examples_pass(base: &Base) -> Result<String> {
    let Made { session, patched, dir } = make(base, "examples")?;
    let mut cargo = patched.cargo();
    cargo.args(["test", "--locked", "--target-dir"]).arg(&dir);
    cargo.current_dir(session.project.root.join("examples"));
    let unshare = Command::new("unshare").args(["-rn", "ip", "link", "set", "lo", "up"]).run();
    if unshare.is_ok() {
        // The one whose client loses its power, in a network of its own.
        cargo.args(["--", "--include-ignored"]);
    }
    let said = String::from_utf8(cargo.run()?.stdout)?;
    Ok(said.lines().filter(|line| line.starts_with("test result")).collect::<Vec<_>>().join("\n"))
}
