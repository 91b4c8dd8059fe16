//! Builds std with the series for other platforms, and runs its tests there.

pub mod platform;
mod row;
pub mod run;
pub mod support;
mod trace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use fs_err as fs;

use self::platform::Platform;
use self::row::Ran;
use self::support::Support;
use crate::evidence::pool;
use crate::evidence::report::{Report, Row, Subject};
use crate::evidence::scope::{Scope, cores};
use crate::evidence::shard::Part;
use crate::evidence::specs::Specs;
use crate::library::sources::{LibraryId, Patched};
use crate::library::sysroot::{Profile, Workshop};
use crate::run::command::CommandExt;
use crate::session::{Invocation, Session};

/// The series' black-box test, in library/.
pub const TEST: &str = "std/tests/tcp_keepalive.rs";

/// Which of std's unit tests are run, where they are asked for.
const UNIT_TESTS: &str = "net::tcp";

/// Held while they run: they bind the same ports each time.
static PORTS: Mutex<()> = Mutex::new(());

/// Build std with the series for other platforms, and run its tests there: in emulators, in
/// Wine and wasmtime, and natively.
///
/// What runs is library/std/tests/tcp_keepalive.rs of build/rust as it is. Where the system
/// can be watched, the calls that it sees are compared with those that there should be. A
/// target that lacks a linker, a C library or a runner is not run and not counted as passed;
/// below the table is what to install. Exit code 1 if a test fails or does not build, 3 if
/// nothing was run. Without arguments: all but some rare targets.
///
///     cargo xtask cross --install
///     cargo xtask cross s390x-unknown-linux-gnu x86_64-pc-windows-gnu
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Cross {
    #[command(flatten)]
    scope: Scope,
    /// First install what is missing: Debian's packages (as root), others below build/.
    #[arg(long)]
    install: bool,
    /// Exit with code 3 also if some target cannot be run here, and nothing else is wrong.
    #[arg(long)]
    require: bool,
    /// Also build and run std's own unit tests of net::tcp, where upstream's compile for the target.
    #[arg(long)]
    unit_tests: bool,
}

impl Cross {
    /// Builds and runs on the selected targets, prints what came out, and fails if any failed.
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let Scope { part: Part { shard, format }, first, .. } = self.scope;
        let mut platforms = platform::select(&self.scope)?;
        let (session, _lock) = on.open_beside("cross")?;
        let series = Patched::of(&session.tree, first)?;
        let selection: Vec<_> = platforms.iter().map(|platform| platform.target.clone()).collect();
        let title = "The tests of std's keepalive, run on other platforms";
        let unit_tests = if self.unit_tests { " --unit-tests" } else { "" };
        let command = format!("cross{}{unit_tests}", self.scope.words());
        let subject = Subject::new(&session, &series, title, &command, &row::HEADER, &selection)?;
        if let Some(shard) = shard {
            let mine = shard.part(&selection);
            platforms.retain(|platform| mine.contains(&platform.target));
        }

        let support = Support::of(&session.project);
        if self.install {
            let missing = platforms.iter().flat_map(|platform| platform.missing(&support));
            support.install(missing.map(|need| need.from.clone()).collect())?;
        }
        let jobs = self.scope.jobs(platforms.len());
        let setup = Setup {
            session: &session,
            support,
            library: series.library.clone(),
            unit_tests: self.unit_tests,
            jobs: (cores() / jobs).max(1),
        };
        let report = Report::new(subject, shard, setup.all(&platforms, jobs)?)?;
        print!("{}", report.render(format)?);
        Ok(report.exit_code(self.require))
    }
}

/// What building and running for each platform takes.
pub struct Setup<'a> {
    pub session: &'a Session,
    pub support: Support,
    pub library: LibraryId,
    /// Whether to run std's own unit tests, too.
    pub unit_tests: bool,
    /// How many processes may compile for one platform.
    pub jobs: usize,
}

impl Setup<'_> {
    /// The rows, in the order of the platforms.
    fn all(&self, platforms: &[Platform], workers: usize) -> Result<Vec<Row>> {
        let specs = Specs::of(&self.session.compiler)?;
        let specs = platforms.iter().map(|platform| specs.get(&platform.target));
        let specs = specs.collect::<Result<Vec<_>>>()?;
        let items: Vec<_> = platforms.iter().zip(specs).collect();
        Ok(pool::each("building and running the tests", &items, workers, |_, (platform, spec)| {
            let target = &platform.target;
            let row = match platform.obstacle(&self.support) {
                Some(obstacle) => row::not_run(target, spec, obstacle),
                None => row::ran(target, spec, self.one(platform)),
            };
            let line = format!("{target}: {}", row.verdict);
            (row, line)
        }))
    }

    fn one(&self, platform: &Platform) -> Result<Ran> {
        let started = Instant::now();
        let workshop = self.workshop(platform)?;
        workshop.sources.show(&self.library)?;
        let dir = self.session.dir.join("targets").join(&platform.target);
        let sysroot = dir.join("sysroot");
        workshop.sysroot(Profile::Dev, &sysroot)?;
        let tests = self.test_program(&workshop, platform, &dir)?;
        let source = dir.join("calls.rs");
        fs::write(&source, include_str!("calls.rs"))?;
        let calls = self.program(platform, &source, &dir, &[])?;
        let with_unit_tests = self.unit_tests && !platform.no_unit_tests;
        let unit_tests = with_unit_tests.then(|| workshop.unit_tests()).transpose()?;
        drop(workshop);

        let built = Instant::now();
        let command = |program: &Path| run::command(platform, &self.support, program);
        let tests = run::tests(&mut command(&tests))?;
        let run_seconds = built.elapsed().as_secs_f64();
        let of_unit = |program: PathBuf| {
            let _turn = PORTS.lock().expect("no worker panics");
            let mut command = command(&program);
            run::tests(command.arg(UNIT_TESTS))
        };
        Ok(Ran {
            tests,
            unit_tests: unit_tests.map(of_unit).transpose()?,
            // What a single failed test says is of more use than the trace of a failed program.
            calls: run::calls(platform, &self.support, &calls),
            runner: run::description(platform, &self.support)?,
            build_seconds: (built - started).as_secs_f64(),
            run_seconds,
        })
    }

    /// Where std is compiled for the platform.
    pub fn workshop(&self, platform: &Platform) -> Result<Workshop<'_>> {
        self.support.prepare(platform)?;
        let mut workshop = Workshop::open(self.session, &platform.target)?;
        workshop.linker = Some(platform.linker.clone().into());
        workshop.rustflags = self.support.rustflags(platform);
        workshop.jobs = Some(self.jobs);
        Ok(workshop)
    }

    /// The series' test for the platform, compiled in `dir` with the sysroot there.
    pub fn test_program(
        &self,
        workshop: &Workshop,
        platform: &Platform,
        dir: &Path,
    ) -> Result<PathBuf> {
        let source = workshop.sources.library.join(TEST);
        if !source.exists() {
            bail!("the series has no library/{TEST}, so there is nothing to run");
        }
        self.program(platform, &source, dir, &["--test"])
    }

    fn program(
        &self,
        platform: &Platform,
        source: &Path,
        dir: &Path,
        options: &[&str],
    ) -> Result<PathBuf> {
        let program = dir.join(source.with_extension("exe").file_name().expect("it is a file"));
        let mut rustc = self.session.compiler.rustc();
        rustc.args(["--edition", "2024", "--target", &platform.target]).args(options);
        rustc.arg(format!("-Clinker={}", platform.linker)).args(self.support.rustflags(platform));
        rustc.arg("--sysroot").arg(dir.join("sysroot")).arg(source).arg("-o").arg(&program);
        rustc.env("RUSTC_BOOTSTRAP", "1").run()?;
        Ok(program)
    }
}
