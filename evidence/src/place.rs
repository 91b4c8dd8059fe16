//! The environment of a running trial: the opened base, a directory, a log, and a time limit for programs.

use std::ffi::OsString;
use std::fs::TryLockError;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use xtask::base::Base;
use xtask::compiler::Compiler;
use xtask::project::Project;
use xtask::run::{CommandExt, words};
use xtask::store::Store;

use crate::tables::{self, Row};

/// A base that is ready for trials.
pub struct Opened {
    pub base: Base,
    pub compiler: Compiler,
    pub store: Store,
}

impl Opened {
    pub fn open(project: &Project, base: &Base) -> Result<Opened> {
        let compiler = Compiler::find(base)?;
        let store = Store::open(project, base, &compiler)?;
        Ok(Opened { base: base.clone(), compiler, store })
    }

    /// Returns `library/` with the series.
    pub fn library(&self) -> Result<PathBuf> {
        self.store.library("series")
    }

    /// Returns a name that identifies the base, the series and the compiler. Results of these are in a directory of
    /// this name.
    pub fn found_with(&self) -> Result<String> {
        let series = self.store.tree_of("series:library")?;
        let compiler = self.compiler.version_field("commit-hash")?;
        Ok(format!("{}-{}-{}", self.base.name, &series[..12], &compiler[..12]))
    }
}

/// The environment of one running trial.
pub struct Place {
    project: Project,
    opened: Arc<Opened>,
    suite: String,
    name: String,
    dir: PathBuf,
    log: PathBuf,
    /// The lock of `dir`.
    _lock: fs::File,
}

impl Place {
    pub fn new(project: &Project, opened: Arc<Opened>, suite: &str, name: &str) -> Result<Place> {
        let log = log_file(project, suite, &opened.base, name);
        fs::create_dir_all(log.parent().context("a file is in a directory")?)?;
        fs::write(&log, "")?;
        let set = format!("{suite}-{}", opened.base.name);
        let (dir, lock) = free_dir(&project.build.root.join("evidence/places").join(set))?;
        let (suite, name) = (suite.into(), name.into());
        Ok(Place { project: project.clone(), opened, suite, name, dir, log, _lock: lock })
    }

    pub fn project(&self) -> &Project {
        &self.project
    }

    pub fn base(&self) -> &Base {
        &self.opened.base
    }

    /// Returns the base's store and compiler, which all trials of a process share.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Returns a directory that no other running trial uses. Later trials of the suite and the base use the directory
    /// again, so cargo's caches belong here.
    pub fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Appends the text to the trial's log.
    pub fn log(&self, text: &str) {
        self.append(format!("{}\n", text.trim_end()).as_bytes());
    }

    fn append(&self, bytes: &[u8]) {
        let log = fs::OpenOptions::new().append(true).open(&self.log);
        if let Err(error) = log.and_then(|mut log| log.write_all(bytes)) {
            eprintln!("warning: {error}");
        }
    }

    /// Runs the command in a clean environment, and returns its output, which also goes to the log. After `seconds`,
    /// ends the command and its children, if this machine has `timeout`. Any exit code is fine.
    pub fn run(&self, command: &mut Command, seconds: u64) -> Result<Output> {
        self.log(&format!("$ {}", words(command)));
        let started = Instant::now();
        let mut limited = limited(command, seconds);
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            limited.spawn().with_context(|| format!("cannot run `{}`", words(command)))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = thread::scope(|scope| {
            let reader = scope.spawn(|| self.read(stderr));
            (self.read(stdout), reader.join().expect("reading does not panic"))
        });
        let output = Output { status: child.wait()?, stdout: stdout?, stderr: stderr? };
        if !output.status.success() && started.elapsed() >= Duration::from_secs(seconds) {
            bail!("`{}` still ran after {seconds} seconds and was ended", words(command));
        }
        Ok(output)
    }

    /// Reads the pipe to its end, and appends each chunk to the log at once.
    fn read(&self, pipe: Option<impl Read>) -> Result<Vec<u8>> {
        let (mut pipe, mut all, mut chunk) = (pipe.context("no pipe")?, Vec::new(), [0; 8192]);
        loop {
            let read = pipe.read(&mut chunk)?;
            if read == 0 {
                return Ok(all);
            }
            all.extend_from_slice(&chunk[..read]);
            self.append(&chunk[..read]);
        }
    }

    /// Writes the trial's row for the suite's table. Sets today's date if the row has none.
    pub fn record(&self, row: &Row) -> Result<()> {
        let mut row = row.clone();
        if row.date.is_empty() {
            row.date = Command::new("date").args(["-u", "+%F"]).stdout_of()?;
        }
        row.write(&self.project.build, &self.row_file()?)
    }

    /// Returns the trial's row, if the trial ran before with the same series and compiler.
    pub fn recorded(&self) -> Result<Option<Row>> {
        Row::read(&self.row_file()?)
    }

    fn row_file(&self) -> Result<PathBuf> {
        let found_with = self.opened.found_with()?;
        Ok(tables::file(&self.project, &self.suite, &found_with, &self.name))
    }
}

/// Returns the command under `timeout`, in a clean environment. `timeout` puts the command into a process group that
/// Ctrl-C does not reach. So on Linux, `setpriv` ends `timeout` when this process ends.
fn limited(command: &Command, seconds: u64) -> Command {
    let mut words: Vec<OsString> = Vec::new();
    let is_there = |program: &str| which::which(program).is_ok();
    if is_there("timeout") {
        if cfg!(target_os = "linux") && is_there("setpriv") {
            words.extend(["setpriv", "--pdeathsig", "TERM"].map(Into::into));
        }
        words.extend(["timeout", "-k", "10", &seconds.to_string()].map(Into::into));
    }
    words.push(command.get_program().into());
    words.extend(command.get_args().map(Into::into));
    let mut limited = Command::new(&words[0]);
    limited.args(&words[1..]).clean_env();
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    limited
}

/// Returns the lowest-numbered directory of a set that no other trial uses, in any process, and its lock.
fn free_dir(set: &Path) -> Result<(PathBuf, fs::File)> {
    for number in 0.. {
        let dir = set.join(number.to_string());
        fs::create_dir_all(&dir)?;
        let file = fs::File::create(dir.join("lock"))?;
        match file.file().try_lock() {
            Ok(()) => return Ok((dir, file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    unreachable!("numbers do not end")
}

/// Waits for the lock of a directory.
pub fn lock(dir: &Path) -> Result<fs::File> {
    fs::create_dir_all(dir)?;
    let file = fs::File::create(dir.join("lock"))?;
    file.file().lock()?;
    Ok(file)
}

/// Returns the file with a trial's log.
pub fn log_file(project: &Project, suite: &str, base: &Base, name: &str) -> PathBuf {
    let logs = project.build.root.join("evidence/logs").join(suite).join(&base.name);
    logs.join(format!("{}.log", name.replace(['/', ' '], "-")))
}
