//! Breaks the methods on purpose, one way after the other: a test that cannot fail would show here.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use fs_err as fs;

use super::cross::platform::{self, Platform};
use super::cross::support::Support;
use super::cross::{Setup, run};
use super::scope::cores;
use crate::library::libtest::Counts;
use crate::library::sources::Patched;
use crate::library::sysroot::{Profile, Workshop};
use crate::run::command::CommandExt;
use crate::say::checks::Checks;
use crate::say::failure::NotRun;
use crate::say::progress::Step;
use crate::session::{Invocation, Session};

/// The methods that all platforms share, in library/, and what they say.
const SHARED: &str = "std/src/net/tcp.rs";
const SET: &str = "self.0.set_keepalive(keepalive)";
const GET: &str = "self.0.keepalive()";

/// The getter's backend on Unix, in library/.
const UNIX: &str = "std/src/sys/net/connection/socket/unix.rs";

/// A mistake, and the edits that make it: of which file, what it says, and what it says then.
type Mutant = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const MUTANTS: [Mutant; 10] = [
    ("the setter does nothing", &[(SHARED, SET, "{ let _ = keepalive; Ok(()) }")]),
    (
        "the setter enables, whatever it is told",
        &[(SHARED, SET, "{ let _ = keepalive; self.0.set_keepalive(true) }")],
    ),
    ("the setter does the opposite", &[(SHARED, SET, "self.0.set_keepalive(!keepalive)")]),
    ("the setter hides errors", &[(SHARED, SET, "self.0.set_keepalive(keepalive).or(Ok(()))")]),
    ("the getter says no", &[(SHARED, GET, "Ok(false)")]),
    ("the getter says yes", &[(SHARED, GET, "Ok(true)")]),
    ("the getter says the opposite", &[(SHARED, GET, "self.0.keepalive().map(|on| !on)")]),
    ("the getter hides errors", &[(SHARED, GET, "self.0.keepalive().or(Ok(false))")]),
    (
        "both use TCP_NODELAY",
        &[(SHARED, SET, "self.0.set_nodelay(keepalive)"), (SHARED, GET, "self.0.nodelay()")],
    ),
    (
        "the getter takes 1 alone for a yes",
        &[(
            UNIX,
            "SO_KEEPALIVE)? };\n        Ok(raw != 0)",
            "SO_KEEPALIVE)? };\n        Ok(raw == 1)",
        )],
    ),
];

/// Break the methods on purpose, in one way after the other, and see that the tests notice.
///
/// For each mistake, std is compiled with it and library/std/tests/tcp_keepalive.rs run on this
/// machine: as it is, and with a C library that answers as the BSDs' kernels do, by 8 and not by 1.
/// Exit code 1 if no test fails. build/rust is not touched.
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
    let bsd_answer = bsd_answer(&session.dir)?;

    // What the tests say without and with the answers of a BSD.
    let test = |name: &str| -> Result<[Counts; 2]> {
        let step = Step::start(format!("compiling std and its tests: {name}"));
        let program = test_program(&setup, &workshop, &platform)?;
        let plain = || run::command(&platform, &setup.support, &program);
        let mut as_bsd = plain();
        as_bsd.env("LD_PRELOAD", &bsd_answer);
        let counts = [run::tests(plain())?, run::tests(as_bsd)?];
        step.done();
        Ok(counts)
    };
    for (counts, how) in test("as it is")?.iter().zip(["", " where the system answers as a BSD"]) {
        if let Some((name, output)) = counts.failures.first() {
            bail!("{counts} with std as it is{how}; {name}:\n{output}");
        }
    }
    let mut checks = Checks::new("mutants", "the tests do not notice each mistake");
    for (name, edits) in MUTANTS {
        workshop.sources.show(&library)?;
        mutate(&workshop.sources.library, edits)?;
        match test(name) {
            Ok([plain, as_bsd]) if plain.failed + as_bsd.failed == 0 => {
                checks.add(name, Err(anyhow!("no test fails")));
            }
            Ok([plain, as_bsd]) => {
                let [plain, as_bsd] = [plain, as_bsd].map(|counts| counts.failed);
                checks.add(&format!("{name}: {plain} fail, {as_bsd} as on a BSD"), Ok(()));
            }
            Err(error) => checks.add(name, Err(error)),
        }
    }
    workshop.sources.show(&library)?;
    checks.finish()
}

fn mutate(library: &Path, edits: &[(&str, &str, &str)]) -> Result<()> {
    for (file, from, to) in edits {
        let file = library.join(file);
        let text = fs::read_to_string(&file)?;
        if text.matches(from).count() != 1 {
            bail!("{} does not say `{from}` exactly once", file.display());
        }
        fs::write(file, text.replace(from, to))?;
    }
    Ok(())
}

fn test_program(setup: &Setup, workshop: &Workshop, platform: &Platform) -> Result<PathBuf> {
    let dir = &setup.session.dir;
    workshop.sysroot(Profile::Dev, &dir.join("sysroot"))?;
    setup.test_program(workshop, platform, dir)
}

/// Compiles the library that lets this system answer like a BSD.
fn bsd_answer(dir: &Path) -> Result<PathBuf> {
    let source = dir.join("bsd_answer.c");
    fs::write(&source, include_str!("bsd_answer.c"))?;
    let library = dir.join("bsd_answer.so");
    Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).run()?;
    Ok(library)
}
