//! Compiles std for one target, from its sources as they are shown: as the ones in releases are, or
//! quickly for tests. Every std that the tool works with, but for bootstrap's own, is from here.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::Value;

use crate::compiler::Compiler;
use crate::library::sources::Sources;
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name};
use crate::run::lock::{self, Lock};
use crate::run::ownership;
use crate::session::Session;

#[derive(Clone, Copy, PartialEq)]
pub enum Profile {
    /// Type-checked alone: all that it takes to type-check others.
    Metadata,
    /// As in a release: upstream's profile `dist` of library/Cargo.toml, with what bootstrap passes to
    /// the compiler beside it, as far as it shows in the result.
    Dist,
    /// Compiled in a third of the time, without optimizations, debug information and backtraces, and
    /// incrementally. Its messages name the files in build/rust, where they are edited.
    Dev,
}

const DIST_FLAGS: [&str; 6] = [
    "-Zunstable-options",
    "-Cprefer-dynamic",
    "-Csplit-debuginfo=off",
    "-Zinline-mir",
    "-Zinline-mir-preserve-debug",
    "-Zmir_strip_debuginfo=locals-in-tiny-functions",
];

/// Where in the workshop the std is that std's own tests link.
const FINISHED: &str = "finished";

/// Cargo's name for the program of std's unit tests.
pub const UNIT_TESTS: &str = "std";

impl Profile {
    /// Where cargo compiles to, in the workshop, and where below the target's directory the results are.
    fn directories(self) -> (&'static str, &'static str) {
        match self {
            Profile::Metadata => ("metadata", "debug"),
            Profile::Dist => ("target", "dist"),
            Profile::Dev => ("target", "debug"),
        }
    }

    /// Whether a file is of use in a sysroot.
    fn needs(self, file: &Path) -> bool {
        match self {
            Profile::Metadata => file.extension() == Some("rmeta".as_ref()),
            Profile::Dist => true,
            Profile::Dev => file.extension() == Some("rlib".as_ref()),
        }
    }
}

/// A place to compile the std of one base for one target, which one invocation at a time may use.
pub struct Workshop<'a> {
    pub sources: Sources,
    compiler: &'a Compiler,
    target: String,
    dir: PathBuf,
    /// The directory that the sources are copied from.
    origin: PathBuf,
    /// The program that links for the target, where it is not the compiler's own choice; to begin with,
    /// the one that the user's environment names.
    pub linker: Option<OsString>,
    /// Options of the compiler for the target.
    pub rustflags: Vec<String>,
    /// How many processes at most; cargo decides if it is not said.
    pub jobs: Option<usize>,
    /// Whether the user sees what cargo says as it says it; else it is part of the error.
    pub show: bool,
    _lock: Lock,
}

impl<'a> Workshop<'a> {
    /// Waits until nobody else uses the place.
    pub fn open(session: &'a Session, target: &str) -> Result<Workshop<'a>> {
        let Session { project, base, compiler, tree, .. } = session;
        let dir = project.build_of(base, "std").join(target);
        let lock = lock::acquire(&dir.join("lock"), &format!("compiling std for {target}"))?;
        Ok(Workshop {
            sources: Sources::at(tree, &dir),
            compiler,
            target: target.into(),
            linker: std::env::var_os(linker_variable(target)),
            dir,
            origin: tree.src.join("library"),
            rustflags: Vec::new(),
            jobs: None,
            show: false,
            _lock: lock,
        })
    }

    /// Compiles as much of std as changed, and makes `sysroot` anew with it, in a directory that the
    /// caller has to itself. `--sysroot` takes it; and the compiler itself is in there, too, if it runs
    /// on the target.
    pub fn sysroot(&self, profile: Profile, sysroot: &Path) -> Result<()> {
        let files = self.compile(profile)?;
        ownership::discard(sysroot)?;
        let libraries = sysroot.join("lib/rustlib").join(&self.target).join("lib");
        fs::create_dir_all(&libraries)?;
        for file in files {
            let new = libraries.join(&*file_name(&file));
            fs::hard_link(&file, &new).or_else(|_| fs::copy(&file, &new).map(drop))?;
        }
        if self.target == self.compiler.host {
            fs::create_dir_all(sysroot.join("bin"))?;
            let rustc = sysroot.join("bin/rustc");
            fs_err::os::unix::fs::symlink(self.compiler.bin("rustc"), rustc)?;
        }
        Ok(())
    }

    /// Compiles as much of std as changed, and returns the files that a toolchain needs of it.
    pub fn compile(&self, profile: Profile) -> Result<Vec<PathBuf>> {
        self.sources.fetch_crates(self.compiler)?;
        let (out, results) = profile.directories();
        let out = self.dir.join(out).join(&self.target).join(results);
        self.build(profile)?;
        if has_a_crate_twice(&out.join("deps"))? {
            // Something changed that makes other file names: start over, for what is left from before
            // must not get in.
            ownership::discard(&out)?;
            self.build(profile)?;
        }
        let mut files = libraries(&out.join("deps"))?;
        files.retain(|file| profile.needs(file));
        if files.is_empty() {
            bail!("Cargo compiled std, but {} holds no library", out.display());
        }
        Ok(files)
    }

    fn build(&self, profile: Profile) -> Result<()> {
        let subcommand = if profile == Profile::Metadata { "check" } else { "build" };
        let mut cargo = self.cargo(subcommand, profile)?;
        // Tests need no macros, whose crate would be compiled again after each edit of std.
        cargo.args(match profile {
            Profile::Dev => ["--package=test", "--features=std/panic-unwind"],
            _ => ["--package=sysroot", "--features=panic-unwind"],
        });
        if profile == Profile::Dist {
            // Each library comes with its metadata in a file of its own, as in releases.
            cargo.args(["--profile", "dist", "-Zno-embed-metadata", "--features", "backtrace"]);
            // The libc crate declares the cfgs that it knows.
            cargo.env("LIBC_CHECK_CFG", "1");
            if let Some(library) = self.profiler_runtime()? {
                cargo.args(["--features", "profiler"]).env("LLVM_PROFILER_RT_LIB", library);
            }
        }
        self.run(cargo).map(drop)
    }

    /// Compiles std's own tests that cargo selects by `which`, such as `--lib`, and returns the programs
    /// by cargo's names. The unit tests are part of the crate `std` and have its name; they and the
    /// crates that only they use link a second, finished one, which must come from the same build.
    pub fn tests(&self, which: &[String]) -> Result<BTreeMap<String, PathBuf>> {
        let finished = self.dir.join(FINISHED);
        self.sysroot(Profile::Dev, &finished)?;
        let mut cargo = self.cargo("test", Profile::Dev)?;
        cargo.args(["--package=std", "--features=panic-unwind", "--no-run"]).args(which);
        cargo.arg("--message-format=json-render-diagnostics");
        let said = self.run(cargo);
        ownership::discard(&finished)?;
        let said = String::from_utf8(said?)?;
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let program = |line: Value| {
            let name = line["target"]["name"].as_str()?.to_owned();
            Some((name, line["executable"].as_str()?.into()))
        };
        Ok(lines.filter_map(program).collect())
    }

    /// Compiles std's unit tests, and returns the program.
    pub fn unit_tests(&self) -> Result<PathBuf> {
        let mut programs = self.tests(&["--lib".into()])?;
        programs.remove(UNIT_TESTS).context("cargo said that all is well, but built no unit tests")
    }

    /// Has cargo compile, and returns what it printed to standard output.
    fn run(&self, mut cargo: Command) -> Result<Vec<u8>> {
        if self.show {
            cargo.stderr(Stdio::inherit());
        }
        let output = cargo.answer()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        if self.show {
            bail!("std or its tests do not compile: cargo says above why");
        }
        bail!(
            "std does not compile for {}. A target of another machine needs a linker, which {} \
             names:\n{}",
            self.target,
            linker_variable(&self.target),
            String::from_utf8_lossy(&output.stderr).trim_end()
        )
    }

    fn cargo(&self, subcommand: &str, profile: Profile) -> Result<Command> {
        // What std is made of is no public API.
        let mut flags = vec!["-Zforce-unstable-if-unmarked".to_owned()];
        flags.extend(self.rustflags.iter().cloned());
        if profile == Profile::Dist {
            flags.extend(DIST_FLAGS.map(Into::into));
            // Paths of a release, for the compiler to find under lib/rustlib/src; none of this machine.
            let commit = self.compiler.version_field("commit-hash")?;
            flags.push(format!("--remap-path-prefix={}=/rustc/{commit}", self.dir.display()));
            if let Some(cargo_home) = cargo_home() {
                let crates = cargo_home.join("registry/src");
                flags.push(format!("--remap-path-prefix={}=/rust/deps", crates.display()));
            }
            if self.target.starts_with("riscv") {
                flags.push("-Cforce-unwind-tables=yes".into());
            }
        }
        if profile == Profile::Dev {
            // Of use for std's own tests alone, but other options would be another build.
            flags.push(format!("--sysroot={}", self.dir.join(FINISHED).display()));
            // The compiler runs in library/, and is given paths from there on.
            flags.push(format!("--remap-path-prefix=={}", self.origin.display()));
        }
        let mut cargo = self.sources.cargo(self.compiler, subcommand);
        if profile == Profile::Dev {
            cargo.env("CARGO_INCREMENTAL", "1");
        }
        cargo
            .args(["--locked", "--offline", "--target", &self.target, "--target-dir"])
            .arg(self.dir.join(profile.directories().0))
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            // Without it, Cargo gives libstd.so a name with no hash.
            .env("__CARGO_DEFAULT_LIB_METADATA", "tcp-keepalive");
        if let Some(jobs) = self.jobs {
            cargo.args(["--jobs", &jobs.to_string()]);
        }
        if let Some(linker) = &self.linker {
            cargo.env(linker_variable(&self.target), linker);
        }
        Ok(cargo)
    }

    /// LLVM's run-time library for code coverage, which rust-lang/rust compiles from C sources that not
    /// every archive has. It is taken from the std of the release, if there is one for the target.
    fn profiler_runtime(&self) -> Result<Option<PathBuf>> {
        let libdir = self.compiler.libdir(&self.target);
        if !libdir.exists() || which::which("ar").is_err() {
            return Ok(None);
        }
        let is_profiler = |path: &PathBuf| {
            file_name(path).starts_with("libprofiler_builtins-")
                && file_name(path).ends_with(".rlib")
        };
        let Some(released) = libraries(&libdir)?.into_iter().find(is_profiler) else {
            return Ok(None);
        };
        let library = self.dir.join("libclang_rt.profile.a");
        if library.exists() {
            return Ok(Some(library));
        }
        let scratch = tempfile::tempdir()?;
        Command::new("ar").arg("x").arg(released).current_dir(&scratch).run()?;
        let mut objects = entries(scratch.path())?;
        // The others are what rustc made: the crate's metadata and its own, empty, code.
        objects.retain(|file| {
            file_name(file).ends_with(".o") && !file_name(file).ends_with(".rcgu.o")
        });
        Command::new("ar").args(["rcsD", "packed.a"]).args(objects).current_dir(&scratch).run()?;
        ownership::write(&library, &fs::read(scratch.path().join("packed.a"))?)?;
        Ok(Some(library))
    }
}

/// The variable by which Cargo is told the linker for a target.
fn linker_variable(target: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"))
}

/// Where Cargo keeps the crates that it downloaded.
fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").filter(|path| !path.is_empty());
    set.map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

/// The compiled crates in a directory, in the order of their names.
pub fn libraries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut libraries = entries(directory)?;
    libraries.retain(|path| is_library(path));
    Ok(libraries)
}

/// Whether the file is a compiled crate.
pub fn is_library(path: &Path) -> bool {
    let kinds = ["rlib", "rmeta", "so", "dylib", "dll"];
    path.extension().is_some_and(|extension| kinds.iter().any(|kind| extension == *kind))
}

fn has_a_crate_twice(directory: &Path) -> Result<bool> {
    let mut seen = BTreeSet::new();
    for path in libraries(directory)? {
        // libcore-0123456789abcdef.rlib
        let name = file_name(&path);
        let (stem, extension) = name.rsplit_once('.').context("a library has an extension")?;
        let krate = stem.rsplit_once('-').map_or(stem, |(krate, _)| krate);
        if !seen.insert(format!("{krate}.{extension}")) {
            return Ok(true);
        }
    }
    Ok(false)
}
