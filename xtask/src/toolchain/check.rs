//! Proves that without the feature the assembled toolchain is the release, and that with it, it
//! does what upstream's own compiler does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::ownership;
use crate::say::checks::Checks;
use crate::say::failure::NotRun;
use crate::say::progress::Step;
use crate::session::Session;

/// A crate whose own tests use `std::net` heavily, and come with it.
const NETWORK_CRATE: (&str, &str) = ("socket2", "0.6.5");

/// The series' ui test of what compiles.
const RUN_PASS: &str = "tests/ui/std/tcp-keepalive.rs";

const GATE: &str = "#![feature(tcp_keepalive)]\n";
const CALLS: &str = "\
fn main() {
    let stream = std::net::TcpStream::connect(\"127.0.0.1:1\").unwrap();
    stream.set_keepalive(true).unwrap();
}
";

pub fn run(session: &Session, directory: &Path) -> Result<()> {
    let Session { project, base, compiler: released, tree, .. } = session;
    let patched = Compiler::at(directory.to_owned())?;
    let work = project.build_of(base, "check");
    fs::create_dir_all(&work)?;
    let mut checks = Checks::new("toolchain", "the toolchain is not what it should be");

    checks.add("other features stay shut", other_features(&patched, &work));
    if is_gated(&tree.src)? {
        checks.add("without the feature, the methods are refused", gate(&patched, &work));
    } else {
        checks.add("the methods need no feature", compiles(&patched, &work, CALLS));
    }
    checks.add("the compiler tells of itself what the release does", answers(released, &patched));
    let (name, version) = NETWORK_CRATE;
    let same = same_results(released, &patched, &work);
    checks.add(&format!("{name} {version} has the same test results"), same);
    let run_pass = tree.src.join(RUN_PASS);
    if run_pass.exists() {
        checks.add(&format!("{RUN_PASS} compiles and runs"), runs(&patched, &run_pass, &work));
    }

    let here = test_examples(session, &mut patched.cargo(), &work.join("examples-here"));
    if !can_make_networks() {
        checks.skip("the example whose client vanishes: `unshare -rn ip` does not work here");
    }
    match upstream(session, &work)? {
        Some(upstream) => {
            let name = format!("the examples and tests pass here, and on {}", upstream.title());
            let verdict = here.and_then(|here| {
                // A release refuses the gate, but for this variable.
                let mut cargo = upstream.cargo();
                cargo.env("RUSTC_BOOTSTRAP", "1");
                let there = test_examples(session, &mut cargo, &work.join("examples-there"))?;
                is_same("on upstream's compiler", &here, &there)
            });
            checks.add(&name, verdict);
        }
        None => {
            checks.add("the examples and tests pass here", here.map(drop));
            checks.skip("the same on upstream's compiler: no base has one with the methods here");
        }
    }
    checks.finish()
}

/// What the compiler says of a program.
fn compile(rustc: &mut Command, work: &Path, source: &str) -> Result<Output> {
    fs::write(work.join("program.rs"), source)?;
    rustc.args(["--edition", "2024", "--emit", "metadata", "program.rs"]).current_dir(work);
    rustc.answer()
}

fn other_features(patched: &Compiler, work: &Path) -> Result<()> {
    for features in ["test", "tcp_keepalive, test"] {
        let source = format!("#![feature({features})]\nfn main() {{}}\n");
        expect_error(&compile(&mut patched.rustc(), work, &source)?, &["E0554", "E0725"])?;
    }
    Ok(())
}

fn gate(patched: &Compiler, work: &Path) -> Result<()> {
    expect_error(&compile(&mut patched.rustc(), work, CALLS)?, &["E0658"])?;
    compiles(patched, work, &format!("{GATE}{CALLS}")).context("with the feature, too")
}

fn compiles(patched: &Compiler, work: &Path, source: &str) -> Result<()> {
    let output = compile(&mut patched.rustc(), work, source)?;
    if !output.status.success() {
        bail!("the compiler says\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Whether the methods are unstable in the std of the tree.
fn is_gated(src: &Path) -> Result<bool> {
    let source = fs::read_to_string(src.join("library/std/src/net/tcp.rs"))?;
    Ok(source.contains("#[unstable(feature = \"tcp_keepalive\""))
}

fn expect_error(output: &Output, codes: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || !codes.iter().any(|code| said.contains(code)) {
        bail!("expected {}, and the compiler says\n{said}", codes.join(" or "));
    }
    Ok(())
}

/// What Cargo and build scripts ask.
fn answers(released: &Compiler, patched: &Compiler) -> Result<()> {
    for question in [&["-V"][..], &["--print=cfg"], &["--print", "cfg"], &["--print=target-list"]] {
        let answers = [released, patched].map(|compiler| compiler.rustc().args(question).read());
        let [before, after] = answers.map(|answer| answer.map(|text| lines(&text)));
        is_same(&question.join(" "), &before?, &after?)?;
    }
    Ok(())
}

/// Runs the crate's own tests with both stds.
fn same_results(released: &Compiler, patched: &Compiler, work: &Path) -> Result<()> {
    let (name, _) = NETWORK_CRATE;
    let step = Step::start(format!("testing {name} with the release and with std patched"));
    let source = unpack_crate(released, work)?;
    let results = |compiler: &Compiler, target: &str| {
        let mut cargo = compiler.cargo();
        cargo.args(["test", "--locked", "--no-fail-fast", "--all-features", "--target-dir"]);
        cargo.arg(work.join(target)).current_dir(&source);
        tests_of(cargo.answer()?)
    };
    let before = results(released, "target-released").context("with the release")?;
    let after = results(patched, "target-patched").context("with the patched std")?;
    step.done();
    is_same("with the patched std", &before, &after)
}

/// The crate as it was published, in a directory where it can be tested.
fn unpack_crate(released: &Compiler, work: &Path) -> Result<PathBuf> {
    let (name, version) = NETWORK_CRATE;
    // Cargo fetches a crate for one that depends on it.
    let dependent = work.join("dependent");
    fs::create_dir_all(dependent.join("src"))?;
    fs::write(dependent.join("src/lib.rs"), "")?;
    let manifest = "[package]\nname = \"dependent\"\nedition = \"2024\"\n\n[workspace]\n\n";
    let dependency = format!("[dependencies]\n{name} = \"={version}\"\n");
    fs::write(dependent.join("Cargo.toml"), format!("{manifest}{dependency}"))?;
    let vendored = work.join("vendored");
    // Cargo leaves alone what it finds there, such as the changed manifest of an earlier run.
    ownership::discard(&vendored)?;
    let mut vendor = released.cargo();
    vendor.args(["vendor", "--quiet", "--versioned-dirs"]).arg(&vendored);
    vendor.current_dir(&dependent).run()?;
    let source = vendored.join(format!("{name}-{version}"));
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    fs::write(source.join("Cargo.toml"), format!("{manifest}\n[workspace]\n"))?;
    Ok(source)
}

fn runs(patched: &Compiler, source: &Path, work: &Path) -> Result<()> {
    let program = work.join("run-pass");
    let mut rustc = patched.rustc();
    rustc.args(["--edition", "2021"]).arg(source).arg("-o").arg(&program).run()?;
    Command::new(program).run().map(drop)
}

/// The first of the bases' own compilers whose std has the methods without any patch.
fn upstream(session: &Session, work: &Path) -> Result<Option<Compiler>> {
    for base in session.project.bases() {
        let compiler = match Compiler::find(&base) {
            Err(error) if error.is::<NotRun>() => continue,
            compiler => compiler?,
        };
        let mut rustc = compiler.rustc();
        rustc.env("RUSTC_BOOTSTRAP", "1");
        if compile(&mut rustc, work, &format!("{GATE}{CALLS}"))?.status.success() {
            return Ok(Some(compiler));
        }
    }
    Ok(None)
}

/// The verdict on each test of the examples, the series' integration test among them.
fn test_examples(session: &Session, cargo: &mut Command, target: &Path) -> Result<Vec<String>> {
    let step = Step::start("testing the examples");
    cargo.args(["test", "--locked", "--target-dir"]).arg(target);
    if can_make_networks() {
        cargo.args(["--", "--include-ignored"]);
    }
    let output = cargo.current_dir(session.project.root.join("examples")).answer()?;
    step.done();
    tests_of(output)
}

/// Whether this machine can run the one example's test that is ignored elsewhere.
fn can_make_networks() -> bool {
    Command::new("unshare").args(["-rn", "ip", "link", "set", "lo", "up"]).run().is_ok()
}

/// The verdict on each test, in order, of a run in which none failed.
fn tests_of(output: Output) -> Result<Vec<String>> {
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    let is_verdict = |line: &&str| line.starts_with("test ") && line.contains(" ... ");
    let mut tests: Vec<_> = said.lines().filter(is_verdict).map(Into::into).collect();
    tests.sort();
    if tests.is_empty() {
        bail!("no test ran");
    }
    Ok(tests)
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(Into::into).collect()
}

/// Fails with what is in one of the lists alone.
fn is_same(when: &str, before: &[String], after: &[String]) -> Result<()> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let differences: Vec<_> = gone.chain(new).collect();
    if !differences.is_empty() || before.len() != after.len() {
        bail!("{when}, there is a difference:\n{}", differences.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn output(code: i32, stdout: &str) -> Output {
        let status = ExitStatus::from_raw(code << 8);
        Output { status, stdout: stdout.into(), stderr: Vec::new() }
    }

    #[test]
    fn reads_verdicts() {
        let said = "running 2 tests\ntest b ... ok\ntest a ... ignored\n\ntest result: ok.\n";
        assert_eq!(tests_of(output(0, said)).unwrap(), ["test a ... ignored", "test b ... ok"]);
        assert!(tests_of(output(101, "test a ... FAILED\n")).is_err());
        assert!(tests_of(output(0, "running 0 tests\n")).is_err());
    }

    #[test]
    fn tells_differences() {
        let [one, two] = ["test a ... ok", "test b ... ok"].map(str::to_owned);
        let both = [one.clone(), two.clone()];
        assert!(is_same("now", &both, &both).is_ok());
        let error = is_same("now", &both, std::slice::from_ref(&one)).unwrap_err().to_string();
        assert!(error.contains("- test b ... ok"), "{error}");
        let error = is_same("now", std::slice::from_ref(&two), &both).unwrap_err().to_string();
        assert!(error.contains("+ test a ... ok"), "{error}");
        assert!(is_same("now", std::slice::from_ref(&one), &[one.clone(), one.clone()]).is_err());
    }
}
