//! The methods broken on purpose, one way after the other: a test that cannot fail would show here.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::build::{self, rustflags};
use super::platform;
use super::run::tests as run_tests;
use super::support::Support;
use super::unit::Std;
use crate::base::Base;
use crate::checks::Checks;
use crate::lock;
use crate::prepare::prepare;
use crate::process::CommandExt;
use crate::progress::Step;
use crate::project::Project;
use crate::sources::{Patched, Sources};
use crate::toolchain::Toolchain;

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

/// Tests each mutant natively, and fails if the tests pass with one of them.
pub fn run(project: &Project, base: &Base) -> Result<()> {
    let toolchain = Toolchain::find(base)?;
    let tree = {
        let _lock = lock::acquire(project, "mutants: preparing the tree")?;
        prepare(project, base, None, &toolchain)?
    };
    let platform = platform::all().into_iter().find(|platform| platform.target == toolchain.host);
    let platform = platform
        .with_context(|| format!("nothing is known of how to run {} here", toolchain.host))?;
    let dir = project.build_of(base, "mutants");
    let _lock = lock::acquire_in(&dir, "mutants")?;
    let support = Support::at(&project.build().join("cross-support"));
    let sources = Sources::at(&tree, &dir);
    let library = Patched::of(&tree, None)?.library;
    sources.show(&library)?;
    sources.fetch_crates(&toolchain)?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let std = Std {
        sources: &sources,
        toolchain: &toolchain,
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
