//! Configures upstream's build system, provides the compiler that it uses, and runs its x.py.
//!
//! Without `--full`, bootstrap runs with `rust.download-rustc`. This module fills the download directory from the
//! installed toolchain, so bootstrap downloads nothing and compiles only std.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::base::Base;
use crate::compiler::{Compiler, rustup_which};
use crate::error::NotRun;
use crate::git::Git;
use crate::out::{Step, shown};
use crate::owned::{entries, file_name};
use crate::project::Project;
use crate::run::CommandExt;
use crate::std::libraries;
use crate::tree::Prepared;

/// The configuration of bootstrap.
#[derive(Clone, Copy, PartialEq)]
pub enum Config {
    /// `x.py-config.toml`: bootstrap uses the installed compiler.
    Prebuilt,
    /// `x.py-config-full.toml`: bootstrap builds the compiler against the installed LLVM.
    Full,
}

/// The programs that are copied from a toolchain's `bin/`, if they exist there.
const PROGRAMS: [&str; 7] =
    ["rustc", "rustdoc", "cargo", "rustfmt", "cargo-fmt", "clippy-driver", "cargo-clippy"];

/// The prefixes of the names that are copied from a toolchain's `lib/`, where a distribution has other libraries, too.
const LIBRARIES: [&str; 6] =
    ["rustlib", "librustc_driver", "libLLVM", "libstd-", "libtest-", "private"];

/// Upstream's build system in the clone.
pub struct Bootstrap<'a> {
    project: &'a Project,
    base: &'a Base,
    src: &'a Path,
    compiler: &'a Compiler,
    config: Config,
    /// The store's commit `base`, which bootstrap takes for upstream's newest.
    base_commit: String,
    /// The build directory.
    out: PathBuf,
    show: bool,
}

impl<'a> Bootstrap<'a> {
    /// Configures bootstrap, and provides its compiler.
    pub fn configured(prepared: &'a Prepared, config: Config) -> Result<Bootstrap<'a>> {
        let Prepared { project, base, compiler, store, tree, out, show } = prepared;
        let out = out.join(if config == Config::Full { "full" } else { "prebuilt" });
        let base_commit = store.git.rev("base")?;
        let bootstrap = Bootstrap {
            project,
            base,
            src: &tree.src,
            compiler,
            config,
            base_commit,
            out,
            show: *show,
        };
        let _lock = project.build.lock(&bootstrap.out)?;
        bootstrap.write_config()?;
        if config == Config::Prebuilt {
            bootstrap.provide_compiler()?;
        }
        Ok(bootstrap)
    }

    /// Writes bootstrap.toml, with the settings that depend on this machine. The included file has all others.
    fn write_config(&self) -> Result<()> {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let included =
            if self.config == Config::Full { "x.py-config-full.toml" } else { "x.py-config.toml" };
        let mut text = format!(
            "# Written by ./x.py. Settings belong in the included file.\ninclude = [{}]\n\n[build]\nrustc = {}\n\
             cargo = {}\nrustfmt = {}\nbuild-dir = {}\n# The compiler is the release, not the beta that bootstrap \
             expects here.\nlocal-rebuild = true\nvendor = false\nsubmodules = false\n",
            quoted(&self.project.root.join(included)),
            quoted(&self.compiler.bin("rustc")),
            quoted(&self.compiler.bin("cargo")),
            quoted(&self.rustfmt()),
            quoted(&self.out),
        );
        if self.config == Config::Full {
            let llvm_config = quoted(&find_llvm_config()?);
            text += &format!("\n[target.{}]\nllvm-config = {llvm_config}\n", self.compiler.host);
        }
        let config = self.config_file();
        if fs::read_to_string(&config).is_ok_and(|found| found == text) {
            return Ok(());
        }
        self.project.build.write(&config, text)
    }

    fn config_file(&self) -> PathBuf {
        self.out.join("bootstrap.toml")
    }

    /// Returns the rustfmt for `x.py fmt` and tidy: that of the nightly toolchain if there is one, because they use
    /// unstable options.
    fn rustfmt(&self) -> PathBuf {
        rustup_which("nightly", "rustfmt").unwrap_or_else(|_| self.compiler.bin("rustfmt"))
    }

    /// Returns the sysroot to which bootstrap would download the compiler.
    pub fn sysroot(&self) -> PathBuf {
        self.out.join(&self.compiler.host).join("ci-rustc")
    }

    /// Returns the directory with the host's std in the sysroot.
    pub fn libdir(&self) -> PathBuf {
        self.sysroot().join("lib/rustlib").join(&self.compiler.host).join("lib")
    }

    /// Fills the directories to which bootstrap would download the compiler and its LLVM.
    fn provide_compiler(&self) -> Result<()> {
        let (rustc, from) = (self.sysroot(), self.compiler.sysroot.display().to_string());
        let llvm = rustc.with_file_name("ci-llvm");
        let stamp = format!("{} {from}", self.base_commit);
        if fs::read_to_string(rustc.join("copied-from")).is_ok_and(|found| found == stamp)
            && llvm.exists()
        {
            return Ok(());
        }
        let _step = Step::start("copying the installed compiler for bootstrap");
        let owned = &self.project.build;
        owned.make(&llvm, |new| {
            // bootstrap builds nothing against LLVM, but asks for its version.
            let llvm_config = new.join("bin/llvm-config");
            fs::create_dir_all(new.join("bin"))?;
            let version = self.compiler.version_field("LLVM version")?;
            fs::write(&llvm_config, format!("#!/bin/sh\necho {version}\n"))?;
            fs::set_permissions(&llvm_config, std::fs::Permissions::from_mode(0o755))?;
            fs::write(new.join("link-type.txt"), "static")?;
            fs::write(new.join("builder-config"), "")?;
            Ok(fs::write(new.join(".llvm-stamp"), format!("{}false", self.base_commit))?)
        })?;
        owned.make(&rustc, |new| {
            self.copy_compiler(new)?;
            fs::write(new.join(".rustc-dev-contents"), "")?;
            fs::write(new.join("builder-config"), "")?;
            fs::write(new.join(".rustc-stamp"), format!("{}-false", self.base_commit))?;
            let std = entries(&self.compiler.libdir(&self.compiler.host))?;
            fs::write(new.join(".rust-std-contents"), self.std_contents(&std))?;
            Ok(fs::write(new.join("copied-from"), stamp)?)
        })?;
        let found = Command::new(rustc.join("bin/rustc"))
            .clean_env()
            .args(["--print", "sysroot"])
            .stdout_of()?;
        if fs::canonicalize(&found)? != fs::canonicalize(&rustc)? {
            owned.remove(&rustc)?;
            Err(NotRun(format!(
                "a copy of the compiler in {from} looks for std in {found}, so it cannot use the patched std. \
                 rustup's compiler can:\n  rustup toolchain install {}",
                self.compiler.title().split(' ').nth(1).unwrap_or_default()
            )))?;
        }
        Ok(())
    }

    /// Copies the compiler, with files instead of links: bootstrap writes to its download directory, and must not write
    /// through a link to the user's toolchain.
    fn copy_compiler(&self, new: &Path) -> Result<()> {
        let copy = |directory: &str, is_wanted: &dyn Fn(&str) -> bool| -> Result<()> {
            let from = self.compiler.sysroot.join(directory);
            let found = if from.exists() { entries(&from)? } else { Vec::new() };
            let wanted: Vec<_> = found.iter().filter(|path| is_wanted(&file_name(path))).collect();
            if wanted.is_empty() {
                return Ok(());
            }
            fs::create_dir_all(new.join(directory))?;
            Command::new("cp")
                .args(["-R", "-L", "--"])
                .args(wanted)
                .arg(new.join(directory))
                .run_quiet()
        };
        copy("bin", &|name| PROGRAMS.contains(&name))?;
        copy("lib", &|name| LIBRARIES.iter().any(|start| name.starts_with(start)))?;
        copy("libexec", &|name| name.starts_with("rust-analyzer"))?;
        // Some package managers install without write permission.
        Command::new("chmod").args(["-R", "u+w", "--"]).arg(new).run_quiet()
    }

    /// Returns the text of .rust-std-contents, bootstrap's list of the host's std.
    fn std_contents<'p>(&self, files: impl IntoIterator<Item = &'p PathBuf>) -> String {
        let libdir = format!("lib/rustlib/{}/lib", self.compiler.host);
        files.into_iter().map(|file| format!("{libdir}/{}\n", file_name(file))).collect()
    }

    /// Builds the patched std, and replaces the released std in the compiler's sysroot with it. Suites other than std's
    /// own tests, such as tests/ui, use the std in the sysroot.
    pub fn provide_patched_std(&self) -> Result<()> {
        if self.config == Config::Full {
            return Ok(());
        }
        let mut build = self.x_py();
        build.args(["build", "library"]).stdin(Stdio::null());
        if self.show {
            eprintln!("building the patched std for the sysroot of the compiler");
            let status = build.run_shown()?;
            if !status.success() {
                bail!("the patched std does not build ({status}). x.py's messages are above");
            }
        } else {
            build.run_quiet()?;
        }
        let _lock = self.project.build.lock(&self.out)?;
        let host = &self.compiler.host;
        let stamp = self.out.join(host).join("stage1-std").join(host).join("dist/.libstd-stamp");
        // NUL-separated paths, with a letter before each that says whether the file is for the host.
        let list = fs::read_to_string(stamp)?;
        let paths = list.split_terminator('\0').filter_map(|entry| entry.get(1..));
        let built: BTreeSet<PathBuf> = paths.map(PathBuf::from).collect();
        if built.is_empty() {
            bail!("bootstrap built std, but its stamp names no file");
        }
        let libdir = self.libdir();
        let mut is_new = libraries(&libdir)?.len() != built.len();
        for file in &built {
            let copy = libdir.join(file_name(file));
            is_new |= !copy.exists() || fs::read(&copy)? != fs::read(file)?;
        }
        if !is_new {
            return Ok(());
        }
        for library in libraries(&libdir)? {
            self.project.build.remove(&library)?;
        }
        for file in &built {
            fs::copy(file, libdir.join(file_name(file)))?;
        }
        Ok(fs::write(self.sysroot().join(".rust-std-contents"), self.std_contents(&built))?)
    }

    /// Returns the command for x.py with arguments. Before that, provides the patched std if a suite needs it.
    pub fn x_py_for(&self, args: &[OsString]) -> Result<Command> {
        let suites = self.suites(args)?;
        self.require_tests(&suites)?;
        let mut command = self.x_py();
        if !suites.is_empty() && self.config == Config::Prebuilt {
            self.provide_patched_std()?;
            // compiletest runs for seconds, and optimizing it takes most of a minute. std's profile, `dist`, inherits
            // from `release`, and must stay optimized.
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
            command.env("CARGO_PROFILE_DIST_OPT_LEVEL", "3");
        }
        command.args(args);
        Ok(command)
    }

    /// Asks x.py which suites use the std in the compiler's sysroot. Returns none if x.py refuses the arguments: the
    /// real run prints the error.
    fn suites(&self, args: &[OsString]) -> Result<Vec<String>> {
        let mut dry_run = self.x_py();
        dry_run.arg("--dry-run").args(args).stdin(Stdio::null());
        // The first run compiles bootstrap for a minute, so cargo's progress is shown.
        if self.show && !self.out.join("bootstrap/debug/bootstrap").exists() {
            dry_run.stderr(Stdio::inherit());
        }
        let output = dry_run.any_output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        // A line with braces lists crates of std, whose own tests link a std that is compiled for them.
        let suites =
            printed.lines().filter(|line| line.starts_with("Testing stage") && !line.contains('{'));
        Ok(if output.status.success() { suites.map(str::to_owned).collect() } else { Vec::new() })
    }

    /// Returns an error if a suite has no tests, which x.py would report as a success.
    fn require_tests(&self, suites: &[String]) -> Result<()> {
        for line in suites {
            let Some((_, rest)) = line.split_once(" suite=") else { continue };
            let suite = format!("tests/{}", rest.split(' ').next().unwrap_or_default());
            let list = ["ls-files", "--cached", "--others", "--", &suite];
            if !Git::at(self.src).stdout_of(&list)?.lines().any(|file| file.ends_with(".rs")) {
                Err(NotRun(format!(
                    "{suite} has no tests in {}. Some archives lack them. To use another archive of base.toml:\n  \
                     rm -rf {}\n  {} --source PATH",
                    shown(self.src),
                    shown(&self.project.dir(self.base).join("store.git")),
                    self.base.command("cargo xtask prepare")
                )))?;
            }
        }
        Ok(())
    }

    /// Returns the command for x.py in the clone, with this tool's configuration.
    pub fn x_py(&self) -> Command {
        let mut command = Command::new("python3");
        command.x_py_env().arg(self.src.join("x.py")).current_dir(self.src);
        // `--config` in the arguments overrides this variable.
        command.env("RUST_BOOTSTRAP_CONFIG", self.config_file());
        // Incremental compilation would only help people who edit bootstrap.
        command.env("CARGO_INCREMENTAL", "0");
        command
    }
}

/// Finds llvm-config of the newest installed LLVM that the compiler can be built against. The releases use LLVM 22.
pub fn find_llvm_config() -> Result<PathBuf> {
    let is_supported = |path: &PathBuf| {
        let version = Command::new(path).arg("--version").stdout_of().unwrap_or_default();
        version.starts_with("21.") || version.starts_with("22.")
    };
    let names = ["llvm-config-22", "llvm-config-21", "llvm-config"];
    let found = names.iter().filter_map(|name| which::which(name).ok()).find(is_supported);
    let mut missing = vec!["cmake", "ninja"];
    missing.retain(|name| which::which(name).is_err());
    if found.is_none() {
        missing.push("llvm-config of LLVM 21 or 22");
    }
    found.filter(|_| missing.is_empty()).with_context(|| {
        NotRun(format!(
            "--full builds the compiler, and these are missing: {}. On Debian:\n  apt-get install llvm-22-dev cmake \
             ninja-build",
            missing.join(", ")
        ))
    })
}
