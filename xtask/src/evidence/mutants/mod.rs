//! Breaks the methods on purpose, one way after the other: a test that cannot fail would show here.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use fs_err as fs;

use super::cross::platform;
use super::cross::support::Support;
use super::cross::{Setup, run};
use super::scope::cores;
use crate::library::libtest::Counts;
use crate::library::sources::Patched;
use crate::library::sysroot::Profile;
use crate::run::command::CommandExt;
use crate::say::checks::Checks;
use crate::say::failure::NotRun;
use crate::say::progress::Step;
use crate::session::{Invocation, Session};

/// An expression in a method: the file in library/, what comes before it there, and what it says.
type Place = (&'static str, &'static str, &'static str);

const SET: Place = (SHARED, "io::Result<()> {\n        ", "self.0.set_keepalive(keepalive)");
const GET: Place = (SHARED, "io::Result<bool> {\n        ", "self.0.keepalive()");
/// The getter's answer on Unix.
const ANSWER: Place =
    ("std/src/sys/net/connection/socket/unix.rs", "SO_KEEPALIVE)? };\n        ", "Ok(raw != 0)");

/// The methods that all platforms share.
const SHARED: &str = "std/src/net/tcp.rs";

/// A mistake, and what some expressions say instead.
type Mutant = (&'static str, &'static [(Place, &'static str)]);

const MUTANTS: [Mutant; 10] = [
    ("the setter does nothing", &[(SET, "Ok(())")]),
    ("the setter enables, whatever it is told", &[(SET, "self.0.set_keepalive(true)")]),
    ("the setter does the opposite", &[(SET, "self.0.set_keepalive(!keepalive)")]),
    ("the setter hides errors", &[(SET, "self.0.set_keepalive(keepalive).or(Ok(()))")]),
    ("the getter says no", &[(GET, "Ok(false)")]),
    ("the getter says yes", &[(GET, "Ok(true)")]),
    ("the getter says the opposite", &[(GET, "self.0.keepalive().map(|on| !on)")]),
    ("the getter hides errors", &[(GET, "self.0.keepalive().or(Ok(false))")]),
    ("both use TCP_NODELAY", &[(SET, "self.0.set_nodelay(keepalive)"), (GET, "self.0.nodelay()")]),
    ("the getter takes 1 alone for a yes", &[(ANSWER, "Ok(raw == 1)")]),
];

/// The variable that chooses a mistake when a test is run.
const CHOICE: &str = "TCP_KEEPALIVE_MUTANT";

/// Break the methods on purpose, in one way after the other, and see that the tests notice.
///
/// A copy of std is compiled with all mistakes, of which an environment variable chooses one, and
/// library/std/tests/tcp_keepalive.rs run with each on this machine: as it is, and with a C library
/// that answers as the BSDs' kernels do, by 8 and not by 1. Exit code 1 if no test fails. build/rust is
/// not touched.
#[derive(Args)]
pub struct Mutants {}

impl Mutants {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let (session, _lock) = on.open_beside("mutants")?;
        test_each(&session)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Tests each mutant natively, and fails if the tests pass with one of them.
fn test_each(session: &Session) -> Result<()> {
    let host = &session.compiler.host;
    let Some(platform) = platform::all().into_iter().find(|platform| platform.target == *host)
    else {
        return Err(NotRun(format!("nothing is known of how to run tests for {host} here")))?;
    };
    let library = Patched::of(&session.tree, None)?.library;
    let support = Support::of(&session.project);
    let jobs = cores();
    let setup = Setup { session, support, library: library.clone(), unit_tests: false, jobs };
    let workshop = setup.workshop(&platform)?;
    workshop.sources.show(&library)?;
    mutate(&workshop.sources.library)?;
    let step = Step::start("compiling std with all mistakes, and its tests");
    workshop.sysroot(Profile::Dev, &session.dir.join("sysroot"))?;
    let program = setup.test_program(&workshop, &platform, &session.dir)?;
    let bsd_answer = bsd_answer(&session.dir)?;
    step.done();

    // What the tests say of a choice, without and with the answers of a BSD.
    let test = |choice: &str| -> Result<[Counts; 2]> {
        let mut plain = run::command(&platform, &setup.support, &program);
        let mut as_bsd = run::command(&platform, &setup.support, &program);
        as_bsd.env("LD_PRELOAD", &bsd_answer);
        Ok([run::tests(plain.env(CHOICE, choice))?, run::tests(as_bsd.env(CHOICE, choice))?])
    };
    for (counts, how) in test("none")?.iter().zip(["", " where the system answers as a BSD"]) {
        if let Some((name, output)) = counts.failures.first() {
            bail!("{counts} without any mistake{how}; {name}:\n{output}");
        }
    }
    let mut checks = Checks::new("mutants", "the tests do not notice each mistake");
    for (name, _) in MUTANTS {
        match test(name).map(|counts| counts.map(|counts| counts.failed)) {
            Ok([0, 0]) => checks.add(name, Err(anyhow!("no test fails"))),
            Ok([plain, as_bsd]) => {
                checks.add(&format!("{name}: {plain} fail, {as_bsd} as on a BSD"), Ok(()));
            }
            Err(error) => checks.add(name, Err(error)),
        }
    }
    workshop.sources.show(&library)?;
    checks.finish()
}

/// Has each place say what the chosen mistake makes of it.
fn mutate(library: &Path) -> Result<()> {
    for place in [SET, GET, ANSWER] {
        let (file, before, right) = place;
        let file = library.join(file);
        let text = fs::read_to_string(&file)?;
        let found = format!("{before}{right}");
        if text.matches(&found).count() != 1 {
            bail!("{} does not say `{found}` exactly once", file.display());
        }
        let mut choice = format!("{before}match crate::env::var(\"{CHOICE}\").as_deref() {{\n");
        for (name, edits) in MUTANTS {
            for (_, wrong) in edits.iter().filter(|(edited, _)| *edited == place) {
                choice += &format!("Ok({name:?}) => {wrong},\n");
            }
        }
        choice += &format!("_ => {right},\n}}");
        fs::write(&file, text.replace(&found, &choice))?;
    }
    Ok(())
}

/// Compiles the library that lets this system answer like a BSD.
fn bsd_answer(dir: &Path) -> Result<PathBuf> {
    let source = dir.join("bsd_answer.c");
    fs::write(&source, include_str!("bsd_answer.c"))?;
    let library = dir.join("bsd_answer.so");
    Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).run()?;
    Ok(library)
}
