//! The methods broken on purpose, one way after the other: a test that cannot fail would show here.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;

use super::cross::build::{self, rustflags};
use super::cross::platform;
use super::cross::run::tests as run_tests;
use super::cross::support::Support;
use super::cross::unit::Std;
use crate::library::sources::{Patched, Sources};
use crate::run::command::CommandExt;
use crate::say::checks::Checks;
use crate::say::progress::Step;
use crate::session::{Invocation, Session};

/// What is edited, in library/: the methods that all platforms share.
const FILE: &str = "std/src/net/tcp.rs";
const SET: &str = "self.0.set_keepalive(keepalive)";
const GET: &str = "self.0.keepalive()";

/// A mistake, and the edits that make it.
type Mutant = (&'static str, &'static [(&'static str, &'static str)]);

const MUTANTS: [Mutant; 9] = [
    ("the setter does nothing", &[(SET, "{ let _ = keepalive; Ok(()) }")]),
    (
        "the setter enables, whatever it is told",
        &[(SET, "{ let _ = keepalive; self.0.set_keepalive(true) }")],
    ),
    ("the setter does the opposite", &[(SET, "self.0.set_keepalive(!keepalive)")]),
    ("the setter hides errors", &[(SET, "self.0.set_keepalive(keepalive).or(Ok(()))")]),
    ("the getter says no", &[(GET, "Ok(false)")]),
    ("the getter says yes", &[(GET, "Ok(true)")]),
    ("the getter says the opposite", &[(GET, "self.0.keepalive().map(|on| !on)")]),
    ("the getter hides errors", &[(GET, "self.0.keepalive().or(Ok(false))")]),
    ("both use TCP_NODELAY", &[(SET, "self.0.set_nodelay(keepalive)"), (GET, "self.0.nodelay()")]),
];

/// Break the methods on purpose, in one way after the other, and see that the tests notice.
///
/// For each mistake, std is compiled with it and library/std/tests/tcp_keepalive.rs run on this
/// machine. Exit code 1 if no test fails. build/rust is not touched.
#[derive(Args)]
pub struct Mutants {}

impl Mutants {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        test_each(&on.open_beside("mutants")?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Tests each mutant natively, and fails if the tests pass with one of them.
fn test_each(session: &Session) -> Result<()> {
    let Session { project, compiler, tree, dir, .. } = session;
    let platform = platform::all().into_iter().find(|platform| platform.target == compiler.host);
    let platform = platform
        .with_context(|| format!("nothing is known of how to run {} here", compiler.host))?;
    let support = Support::at(&project.build().join("cross-support"));
    let sources = Sources::at(tree, dir);
    let library = Patched::of(tree, None)?.library;
    sources.show(&library)?;
    sources.fetch_crates(compiler)?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let std = Std {
        sources: &sources,
        toolchain: compiler,
        platform: &platform,
        support: &support,
        dir: dir.clone(),
        jobs,
    };

    // How many tests fail, of how many.
    let failures = |name: &str| -> Result<(usize, usize)> {
        let step = Step::start(format!("compiling std and its tests: {name}"));
        let program = test_program(&std)?;
        let counts = run_tests(&platform, &support, &program, &[])?;
        step.done();
        Ok((counts.failed, counts.passed + counts.failed))
    };
    let mut checks = Checks::new("mutants", "the tests do not notice each mistake");
    let sound = failures("as it is")?;
    if sound.0 > 0 {
        bail!("{} of {} tests fail with std as it is", sound.0, sound.1);
    }
    for (name, edits) in MUTANTS {
        sources.show(&library)?;
        mutate(&sources.library.join(FILE), edits)?;
        match failures(name) {
            Ok((0, _)) => checks.add(name, Err(anyhow::anyhow!("no test fails"))),
            Ok((failed, all)) => checks.add(&format!("{name}: {failed} of {all} fail"), Ok(())),
            Err(error) => checks.add(name, Err(error)),
        }
    }
    checks.finish()
}

fn mutate(file: &Path, edits: &[(&str, &str)]) -> Result<()> {
    let mut text = fs::read_to_string(file)?;
    for (from, to) in edits {
        if text.matches(from).count() != 1 {
            bail!("{} does not say `{from}` exactly once", file.display());
        }
        text = text.replace(from, to);
    }
    Ok(fs::write(file, text)?)
}

fn test_program(std: &Std) -> Result<PathBuf> {
    let sysroot = std.sysroot()?;
    let program = std.dir.join("tests");
    let mut rustc = std.toolchain.rustc();
    rustc
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["--edition", "2024", "--test", "--sysroot"])
        .arg(sysroot);
    rustc.args(rustflags(std.platform, std.support)?.split('\u{1f}'));
    rustc.arg(std.sources.library.join(build::TEST)).arg("-o").arg(&program).run()?;
    Ok(program)
}
