//! Configures upstream's build system, provides the compiler that it uses, and runs it.
//!
//! The prebuilt lane is bootstrap's own `rust.download-rustc`, with the directory that it would
//! download to filled from the installed toolchain. That toolchain is the base's compiler, so
//! nothing but std is compiled.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::project::{Project, display};
use crate::compiler::Compiler;
use crate::library::sysroot::libraries;
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name};
use crate::run::git::Git;
use crate::run::ownership;
use crate::say::failure::NotRun;
use crate::say::progress::Step;
use crate::session::Session;

/// Where the compiler comes from.
#[derive(Clone, Copy, PartialEq)]
pub enum Lane {
    /// The installed one, of the base's commit.
    Prebuilt,
    /// Compiled from the base's sources against the installed LLVM.
    Full,
}

/// Runs the first installed rustfmt that has unstable options. Without one, tidy goes on without the check of
/// the format, and `x.py fmt` fails.
const RUSTFMT: &str = r#"#!/bin/sh
for rustfmt in {own} "$(RUSTUP_AUTO_INSTALL=0 rustup which --toolchain nightly rustfmt 2>/dev/null)"; do
    "$rustfmt" --unstable-features --version >/dev/null 2>&1 && exec "$rustfmt" "$@"
done
case " $* " in
*" --check "*)
    echo 'note: the format is NOT checked. Bootstrap wants the unstable options of a nightly rustfmt:
  rustup toolchain install nightly --profile minimal --component rustfmt' >&2
    exit 0;;
esac
exec {own} "$@"
"#;

/// The part of bootstrap's configuration that depends on this machine, with names in braces for what is
/// found out.
const CONFIG: &str = "\
# Written by `cargo xtask prepare` and `./x.py`, and again whenever it should say something else.
# Lasting settings belong in the file that it includes.
include = [{include}]

[build]
rustc = {rustc}
cargo = {cargo}
rustfmt = {rustfmt}
build-dir = {build-dir}
# The toolchain is the release itself, not the beta that bootstrap expects at this place.
local-rebuild = true
vendor = false
submodules = false
";

const PREBUILT: &str = "
[rust]
download-rustc = true

[llvm]
# Bootstrap asks for ninja even where no LLVM is built.
ninja = false
download-ci-llvm = true
";

const FULL: &str = "\
# The included file speaks of the prebuilt compiler.
build-stage = 1
check-stage = 1
test-stage = 1
doc-stage = 1

[rust]
download-rustc = false

[llvm]
ninja = true
download-ci-llvm = false
# A distribution's LLVM is made for this. Its static libraries want those of Polly, Z3, zstd and whatever
# else it was built with, which come in packages of their own.
link-shared = true

[target.{host}]
llvm-config = {llvm-config}
";

/// Upstream's build system in a tree.
pub struct Bootstrap<'a> {
    project: &'a Project,
    src: &'a Path,
    /// What it takes for upstream's newest commit.
    base_commit: String,
    /// The directory that it builds in.
    out: PathBuf,
    lane: Lane,
    compiler: &'a Compiler,
}

impl<'a> Bootstrap<'a> {
    /// Upstream's build system in the tree that the session prepared.
    pub fn of(session: &'a Session, lane: Lane) -> Result<Bootstrap<'a>> {
        let base_commit = session.tree.state()?.base;
        let Session { project, tree, compiler, .. } = session;
        let lane_name = if lane == Lane::Full { "full" } else { "prebuilt" };
        let out = project.build().join(format!("{}-{lane_name}", file_name(&tree.src)));
        Ok(Bootstrap { project, src: &tree.src, base_commit, out, lane, compiler })
    }

    /// Writes the configuration, and provides the compiler that it names.
    pub fn configure(&self) -> Result<()> {
        self.write_config()?;
        if self.lane == Lane::Prebuilt {
            self.provide_compiler(&self.base_commit)?;
        }
        let theirs = self.src.join("bootstrap.toml");
        if theirs.exists() {
            eprintln!(
                "note: {} is not used; `./x.py --config FILE` is, and what is in {}",
                display(&theirs),
                display(&self.project.x_py_config())
            );
        }
        Ok(())
    }

    /// Where the configuration is: not in the tree, which is its user's.
    fn config(&self) -> PathBuf {
        self.out.join("bootstrap.toml")
    }

    fn write_config(&self) -> Result<()> {
        let mut text = CONFIG.to_owned();
        let mut files = vec![
            ("{include}", self.project.x_py_config()),
            ("{rustc}", self.compiler.bin("rustc")),
            ("{cargo}", self.compiler.bin("cargo")),
            ("{rustfmt}", self.provide_rustfmt()?),
            ("{build-dir}", self.out.clone()),
        ];
        if self.lane == Lane::Full {
            text += &FULL.replace("{host}", &self.compiler.host);
            files.push(("{llvm-config}", find_llvm_config()?));
        } else {
            text += PREBUILT;
        }
        for (name, file) in files {
            text = text.replace(name, &toml::Value::from(file.display().to_string()).to_string());
        }
        write_if_new(&self.config(), &text)
    }

    /// A rustfmt for bootstrap, which passes it options that only a nightly one knows.
    fn provide_rustfmt(&self) -> Result<PathBuf> {
        let own = self.compiler.bin("rustfmt").display().to_string();
        let text = RUSTFMT.replace("{own}", &shlex::try_quote(&own)?);
        let script = self.out.join("rustfmt");
        write_if_new(&script, &text)?;
        fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        Ok(script)
    }

    /// The directory that bootstrap would download the compiler to: a whole sysroot.
    pub fn sysroot(&self) -> PathBuf {
        self.out.join(&self.compiler.host).join("ci-rustc")
    }

    /// Where the host's std is in it.
    pub fn libdir(&self) -> PathBuf {
        self.sysroot().join("lib/rustlib").join(&self.compiler.host).join("lib")
    }

    /// Fills the directories that bootstrap would download a compiler and its LLVM to.
    fn provide_compiler(&self, base_commit: &str) -> Result<()> {
        let rustc = self.sysroot();
        let llvm = rustc.with_file_name("ci-llvm");
        let rustc_stamp = format!("{base_commit}-false");
        let llvm_stamp = format!("{base_commit}false");
        let copied_from = self.compiler.sysroot.display().to_string();
        let holds = |path: PathBuf, text: &str| fs::read_to_string(path).is_ok_and(|t| t == text);
        if holds(rustc.join(".rustc-stamp"), &rustc_stamp)
            && holds(llvm.join(".llvm-stamp"), &llvm_stamp)
            && holds(rustc.join("copied-from"), &copied_from)
        {
            return Ok(());
        }
        let step = Step::start("handing the installed compiler to bootstrap");
        for directory in [&rustc, &llvm] {
            ownership::discard(directory)?;
        }
        // Copies: bootstrap may write to what it takes for its own download, but never to the
        // user's toolchain. The stamps come last, so that an interrupted copy is not taken for a
        // whole one.
        let parts = ["bin", "lib", "libexec"].map(|part| self.compiler.sysroot.join(part));
        fs::create_dir_all(&rustc)?;
        let mut copy = Command::new("cp");
        copy.arg("-RP").args(parts.iter().filter(|part| part.exists())).arg(&rustc).run()?;
        self.write_std_contents(&entries(&self.compiler.libdir(&self.compiler.host))?)?;
        fs::write(rustc.join(".rustc-dev-contents"), "")?;
        fs::write(rustc.join("builder-config"), "")?;
        fs::write(rustc.join("copied-from"), copied_from)?;
        fs::write(rustc.join(".rustc-stamp"), rustc_stamp)?;

        // No LLVM is needed where no compiler is built, but bootstrap asks for its version.
        let llvm_config = llvm.join("bin/llvm-config");
        fs::create_dir_all(llvm.join("bin"))?;
        let version = self.compiler.version_field("LLVM version")?;
        fs::write(&llvm_config, format!("#!/bin/sh\necho {version}\n"))?;
        fs::set_permissions(&llvm_config, std::fs::Permissions::from_mode(0o755))?;
        fs::write(llvm.join("link-type.txt"), "static")?;
        fs::write(llvm.join("builder-config"), "")?;
        fs::write(llvm.join(".llvm-stamp"), llvm_stamp)?;
        step.done();
        Ok(())
    }

    /// Writes bootstrap's list of the files that make up the host's std.
    fn write_std_contents<'p>(&self, files: impl IntoIterator<Item = &'p PathBuf>) -> Result<()> {
        let libdir = format!("lib/rustlib/{}/lib", self.compiler.host);
        let lines = files.into_iter().map(|file| format!("{libdir}/{}\n", file_name(file)));
        Ok(fs::write(self.sysroot().join(".rust-std-contents"), lines.collect::<String>())?)
    }

    /// Builds the patched std and puts it into the compiler's sysroot in place of the released
    /// one: unlike std's own tests, other suites use what they find there.
    pub fn provide_patched_std(&self) -> Result<()> {
        if self.lane == Lane::Full {
            return Ok(());
        }
        eprintln!("building the patched std for the compiler that the tests use");
        let status = self.x_py().args(["build", "library"]).stdin(Stdio::null()).show()?;
        if !status.success() {
            bail!("the patched std does not build ({status})");
        }
        let host = &self.compiler.host;
        let stamp = self.out.join(host).join("stage1-std").join(host).join("dist/.libstd-stamp");
        // NUL-separated paths, each with a letter before it that says for which machine it is.
        let list = fs::read_to_string(stamp)?;
        let built: BTreeSet<PathBuf> = list
            .split_terminator('\0')
            .filter_map(|entry| entry.get(1..))
            .map(PathBuf::from)
            .collect();
        if built.is_empty() {
            bail!("bootstrap built std, but its stamp names no file");
        }
        let libdir = self.libdir();
        let mut outdated = libraries(&libdir)?.len() != built.len();
        for file in &built {
            outdated |= !is_same(file, &libdir)?;
        }
        if !outdated {
            return Ok(());
        }
        for library in libraries(&libdir)? {
            ownership::discard(&library)?;
        }
        for file in &built {
            fs::copy(file, libdir.join(&*file_name(file)))?;
        }
        self.write_std_contents(&built)
    }

    /// Upstream's x.py in the tree, to be run with `args`, with all that these take.
    pub fn x_py_for(&self, args: &[OsString]) -> Result<Command> {
        let suites = self.suites(args)?;
        self.require_tests(&suites)?;
        let mut command = self.x_py();
        if !suites.is_empty() && self.lane == Lane::Prebuilt {
            self.provide_patched_std()?;
            // What runs the suites works for some seconds, so it is compiled without the optimization that
            // takes most of a minute. std, whose profile inherits from the same, is as in releases.
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
            command.env("CARGO_PROFILE_DIST_OPT_LEVEL", "3");
        }
        command.args(args);
        Ok(command)
    }

    /// What x.py would test that uses the std in the compiler's sysroot, as it says itself when it is asked
    /// what it would do. None for what x.py refuses: it says so when it is run.
    fn suites(&self, args: &[OsString]) -> Result<Vec<String>> {
        let mut ask = self.x_py();
        ask.arg("--dry-run").args(args).stdin(Stdio::null());
        // It first compiles itself, which takes a minute.
        if !self.out.join("bootstrap/debug/bootstrap").exists() {
            ask.stderr(Stdio::inherit());
        }
        let answer = ask.answer()?;
        let said = String::from_utf8_lossy(&answer.stdout);
        // std's own tests, of the crates in braces, use the std that is compiled for them.
        let tested =
            said.lines().filter(|line| line.starts_with("Testing stage") && !line.contains('{'));
        Ok(if answer.status.success() { tested.map(str::to_owned).collect() } else { Vec::new() })
    }

    /// Stops if there is no test in a suite: upstream's x.py would call that a success.
    fn require_tests(&self, suites: &[String]) -> Result<()> {
        for line in suites {
            let Some((_, rest)) = line.split_once(" suite=") else { continue };
            let suite = format!("tests/{}", rest.split(' ').next().unwrap_or_default());
            let list = ["ls-files", "--cached", "--others", "--", &suite];
            if !Git::at(self.src).read(&list)?.lines().any(|file| file.ends_with(".rs")) {
                Err(NotRun(format!(
                    "not run: {suite} has no tests in {}, which was made from an archive that lacks \
                     them. With another of those in base.toml at hand: `clean`, then `--source PATH`",
                    display(self.src)
                )))?;
            }
        }
        Ok(())
    }

    /// Upstream's x.py in the tree, with an environment that does not depend on who calls.
    pub fn x_py(&self) -> Command {
        let mut command = Command::new("python3");
        command.arg(self.src.join("x.py")).current_dir(self.src);
        // A shell that starts us in the background, as some CI systems do, has SIGINT ignored. Two
        // of std's tests send it to a child and wait for its death.
        //
        // SAFETY: `signal` may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                for signal in [libc::SIGINT, libc::SIGQUIT] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        command.env_of_x_py();
        // As upstream has it, `--config` comes before this, and what the user set is kept.
        if std::env::var_os("RUST_BOOTSTRAP_CONFIG").is_none() {
            command.env("RUST_BOOTSTRAP_CONFIG", self.config());
        }
        // Incremental compilation is for whoever edits bootstrap; upstream's CI does without, too.
        command.env("CARGO_INCREMENTAL", "0");
        // Cargo and rustup add the directories of the toolchain and of this tool's own build.
        if let Some(paths) = std::env::var_os("LD_LIBRARY_PATH") {
            let own = std::env::current_exe().ok();
            let own = own.as_deref().and_then(Path::parent).unwrap_or(self.src);
            let kept = std::env::split_paths(&paths)
                .filter(|path| !path.starts_with(&self.compiler.sysroot) && !path.starts_with(own));
            match std::env::join_paths(kept) {
                Ok(kept) if !kept.is_empty() => command.env("LD_LIBRARY_PATH", kept),
                _ => command.env_remove("LD_LIBRARY_PATH"),
            };
        }
        command
    }
}

/// The newest LLVM that Rust's own sources can be built against. The release's own is version 22.
fn find_llvm_config() -> Result<PathBuf> {
    let names = ["llvm-config-22", "llvm-config-21", "llvm-config"];
    let found = names.iter().find_map(|name| which::which(name).ok());
    let missing: Vec<_> =
        ["cmake", "ninja"].into_iter().filter(|name| which::which(name).is_err()).collect();
    match found {
        Some(path) if missing.is_empty() => Ok(path),
        _ => Err(NotRun(
            "--full builds the compiler and needs LLVM 21 or 22 with its development files, cmake \
             and ninja (Debian: llvm-22-dev, cmake, ninja-build)"
                .into(),
        ))?,
    }
}

fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().context("a file has a directory")?)?;
    ownership::write(path, text.as_bytes())
}

/// Whether the directory has this very file.
fn is_same(file: &Path, directory: &Path) -> Result<bool> {
    let copy = directory.join(&*file_name(file));
    Ok(copy.exists() && fs::read(&copy)? == fs::read(file)?)
}
