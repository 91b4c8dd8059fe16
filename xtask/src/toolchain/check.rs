//! `cargo xtask toolchain --check`: without the feature the assembled toolchain is the release, and
//! with it, it does what upstream's own compiler does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::project::Project;
use crate::compiler::Compiler;
use crate::compiler::newest;
use crate::library::sysroot::cargo_home;
use crate::run::command::CommandExt;
use crate::say::checks::Checks;
use crate::say::progress::Step;
use crate::series::tree::Tree;
use crate::session::Session;

/// A crate whose own tests use `std::net` heavily, and come with it.
struct Krate {
    name: &'static str,
    version: &'static str,
    /// For `cargo test`.
    arguments: &'static [&'static str],
    /// A dependency that is too old for today's compilers in the crate's lock file.
    update: Option<(&'static str, &'static str)>,
    /// Tests that talk to hosts on the Internet.
    skipped: &'static [&'static str],
}

const CRATES: [Krate; 3] = [
    Krate {
        name: "tiny_http",
        version: "0.12.0",
        arguments: &[],
        update: Some(("rustc-serialize", "0.3.25")),
        skipped: &[],
    },
    Krate {
        name: "ureq",
        version: "2.12.1",
        arguments: &["--no-default-features", "--lib"],
        update: None,
        skipped: &["connect_http_google", "socket_addr_fail_over", "status_code_error_redirect"],
    },
    Krate {
        name: "socket2",
        version: "0.6.5",
        arguments: &["--all-features"],
        update: None,
        skipped: &[],
    },
];

/// The black-box tests of the series.
const BLACK_BOX: &str = "library/std/tests/tcp_keepalive.rs";

/// Its ui test of what compiles. `./x.py test tests/ui/std` runs this and the other one, but only where
/// the base has compiletest.
const RUN_PASS: &str = "tests/ui/std/tcp-keepalive.rs";

const CALLS: &str = "\
fn main() {
    let stream = std::net::TcpStream::connect(\"127.0.0.1:1\").unwrap();
    stream.set_keepalive(true).unwrap();
}
";

/// What a user of the crate net2 has: a method of the same name, from a trait, with another type.
const COLLIDES: &str = "\
use std::net::TcpStream;
use std::time::Duration;

trait Extension {
    fn set_keepalive(&self, idle_time: Option<Duration>);
}

impl Extension for TcpStream {
    fn set_keepalive(&self, _: Option<Duration>) {}
}

pub fn enable(stream: &TcpStream) {
    stream.set_keepalive(Some(Duration::from_secs(60)));
}

fn main() {}
";

pub fn run(session: &Session, directory: &Path) -> Result<()> {
    let Session { project, base, compiler: released, tree, .. } = session;
    let patched = Compiler::at(directory.to_owned())?;
    let work = project.build_of(base, "check");
    fs::create_dir_all(&work)?;
    let mut checks = Checks::new("toolchain", "the toolchain is not what it should be");

    if released.is_nightly() {
        checks.skip("other features stay shut: this is a nightly compiler, which allows them all");
    } else {
        checks.add("other features stay shut", other_features(&patched, &work));
    }
    let is_gated = is_gated(tree)?;
    if is_gated {
        checks.add("without the feature, the methods are refused", gate(&patched, &work));
        let verdict = collision(&patched, &work, "unstable_name_collisions", true);
        checks.add("a trait's method of the same name is called, with a warning", verdict);
    } else {
        checks.add("the methods need no feature", compiles(&patched, &work, CALLS));
        let verdict = collision(&patched, &work, "E0308", false);
        checks.add("a trait's method of the same name is called no more (E0308)", verdict);
    }
    checks.add("the compiler tells of itself what the release does", answers(released, &patched));
    for krate in &CRATES {
        let name = format!("{} {} has the same test results", krate.name, krate.version);
        checks.add(&name, same_results(krate, released, &patched, &work));
    }
    checks.add("the examples do what they say", examples(project, &patched, &work));

    let name = format!("{RUN_PASS} compiles and runs");
    checks.add(&name, runs(&patched, &tree.src.join(RUN_PASS), &work.join("run-pass")));

    let black_box = tree.src.join(BLACK_BOX);
    let here = black_box_tests(&patched, &black_box, &work.join("black-box-here"), &[]);
    match newest::newest(&project.build())? {
        Some(upstream) => {
            let name = format!("{BLACK_BOX} passes here, and on {}", upstream.title());
            // With the methods stable here, the tests no longer name the feature.
            let gate = ["-Zcrate-attr=feature(tcp_keepalive)"];
            let gate = if is_gated { &[][..] } else { &gate };
            let verdict = here.and_then(|here| {
                let program = work.join("black-box-there");
                let there = black_box_tests(&upstream, &black_box, &program, gate)?;
                same("on upstream's compiler", &here, &there)
            });
            checks.add(&name, verdict);
        }
        None => {
            checks.add(&format!("{BLACK_BOX} passes here"), here.map(drop));
            checks.skip(&format!(
                "{BLACK_BOX} on upstream's compiler: no Rust 1.97 or later is installed; `{}`",
                newest::INSTALL
            ));
        }
    }
    checks.finish()
}

/// What the compiler says of a program.
fn compile(toolchain: &Compiler, work: &Path, source: &str) -> Result<Output> {
    fs::write(work.join("program.rs"), source)?;
    let mut rustc = toolchain.rustc();
    rustc.args(["--edition", "2024", "--emit", "metadata", "program.rs"]).current_dir(work);
    Ok(rustc.answer()?)
}

fn other_features(patched: &Compiler, work: &Path) -> Result<()> {
    for features in ["test", "tcp_keepalive, test"] {
        let source = format!("#![feature({features})]\nfn main() {{}}\n");
        let output = compile(patched, work, &source)?;
        expect_error(&output, &["E0554", "E0725"])?;
    }
    Ok(())
}

fn gate(patched: &Compiler, work: &Path) -> Result<()> {
    expect_error(&compile(patched, work, CALLS)?, &["E0658"])?;
    compiles(patched, work, &format!("#![feature(tcp_keepalive)]\n{CALLS}"))
        .context("with the feature, too")
}

fn compiles(patched: &Compiler, work: &Path, source: &str) -> Result<()> {
    let output = compile(patched, work, source)?;
    if !output.status.success() {
        bail!("the compiler says\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What becomes of code like that of net2's users.
fn collision(patched: &Compiler, work: &Path, words: &str, compiles: bool) -> Result<()> {
    let output = compile(patched, work, COLLIDES)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() != compiles || !said.contains(words) {
        bail!("the compiler says\n{said}");
    }
    Ok(())
}

/// Whether the methods are unstable in the patched std.
fn is_gated(tree: &Tree) -> Result<bool> {
    let source = fs::read_to_string(tree.src.join("library/std/src/net/tcp.rs"))?;
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
        let [before, after] =
            [released, patched].map(|toolchain| toolchain.rustc().args(question).read());
        same(&question.join(" "), &lines(&before?), &lines(&after?))?;
    }
    Ok(())
}

fn same_results(krate: &Krate, released: &Compiler, patched: &Compiler, work: &Path) -> Result<()> {
    let Krate { name, version, .. } = krate;
    let step =
        Step::start(format!("testing {name} {version} with the release and with std patched"));
    let source = krate.unpack(released, work)?;
    let results = |toolchain: &Compiler, target: &str| {
        let mut cargo = toolchain.cargo();
        cargo.args(["test", "--locked", "--no-fail-fast", "--target-dir"]).arg(work.join(target));
        cargo.args(krate.arguments).arg("--");
        cargo.args(krate.skipped.iter().flat_map(|test| ["--skip", test]));
        cargo.current_dir(&source);
        tests_of(cargo.answer()?)
    };
    let before = results(released, "target-released").context("with the release")?;
    let after = results(patched, "target-patched").context("with the patched std")?;
    step.done();
    same("with the patched std", &before, &after)
}

impl Krate {
    /// The crate as it was published, in a directory where it can be tested.
    fn unpack(&self, released: &Compiler, work: &Path) -> Result<PathBuf> {
        let Krate { name, version, .. } = self;
        // Cargo fetches a crate for one that depends on it.
        let dependent = work.join("dependent");
        fs::create_dir_all(dependent.join("src"))?;
        fs::write(dependent.join("src/lib.rs"), "")?;
        fs::write(
            dependent.join("Cargo.toml"),
            format!(
                "[package]\nname = \"dependent\"\nedition = \"2024\"\n\n[workspace]\n\n\
                 [dependencies]\n{name} = \"={version}\"\n"
            ),
        )?;
        released.cargo().arg("fetch").current_dir(&dependent).run()?;

        let registries =
            cargo_home().context("cannot tell Cargo's directory")?.join("registry/src");
        let mut found = None;
        for registry in fs::read_dir(registries)? {
            let path = registry?.path().join(format!("{name}-{version}"));
            if path.exists() {
                found = Some(path);
            }
        }
        let found = found.with_context(|| format!("Cargo did not unpack {name} {version}"))?;
        let copy = work.join(name);
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        Command::new("cp").arg("-R").arg(found).arg(&copy).run()?;
        let manifest = fs::read_to_string(copy.join("Cargo.toml"))?;
        fs::write(copy.join("Cargo.toml"), format!("{manifest}\n[workspace]\n"))?;
        if let Some((dependency, version)) = self.update {
            let mut update = released.cargo();
            update.args(["update", "--package", dependency, "--precise", version]);
            update.current_dir(&copy).run()?;
        }
        Ok(copy)
    }
}

/// The examples are well-formatted, compile, and pass their tests.
fn examples(project: &Project, patched: &Compiler, work: &Path) -> Result<()> {
    let step = Step::start("testing the examples");
    let directory = project.root.join("examples");
    // `cargo fmt` would look for these programs where rustup's are.
    let mut fmt = Command::new(patched.bin("cargo-fmt"));
    fmt.env("CARGO", patched.bin("cargo")).env("RUSTFMT", patched.bin("rustfmt"));
    fmt.arg("--check").current_dir(&directory).run()?;
    let mut cargo = patched.cargo();
    cargo.args(["test", "--target-dir"]).arg(work.join("target-examples"));
    let output = cargo.current_dir(&directory).answer()?;
    step.done();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.starts_with("not run") {
            println!("        {line}");
        }
    }
    tests_of(output).map(drop)
}

fn runs(patched: &Compiler, source: &Path, program: &Path) -> Result<()> {
    let mut rustc = patched.rustc();
    rustc.args(["--edition", "2021"]).arg(source).arg("-o").arg(program).run()?;
    Command::new(program).run().map(drop)
}

/// Compiles the tests and runs them. The features that they use are all allowed.
fn black_box_tests(
    toolchain: &Compiler,
    source: &Path,
    program: &Path,
    flags: &[&str],
) -> Result<Vec<String>> {
    let title = toolchain.title();
    let mut rustc = toolchain.rustc();
    rustc.args(["--edition", "2024", "--test"]).arg(source).arg("-o").arg(program).args(flags);
    rustc.env("RUSTC_BOOTSTRAP", "1").run().with_context(|| format!("with {title}"))?;
    tests_of(Command::new(program).answer()?).with_context(|| format!("with {title}"))
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
fn same(when: &str, before: &[String], after: &[String]) -> Result<()> {
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
        assert!(same("now", &both, &both).is_ok());
        let error = same("now", &both, std::slice::from_ref(&one)).unwrap_err().to_string();
        assert!(error.contains("- test b ... ok"), "{error}");
        let error = same("now", std::slice::from_ref(&two), &both).unwrap_err().to_string();
        assert!(error.contains("+ test a ... ok"), "{error}");
        assert!(same("now", std::slice::from_ref(&one), &[one.clone(), one.clone()]).is_err());
    }
}
