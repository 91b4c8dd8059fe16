//! Building std, its test harness and the test for a target.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::platform::Platform;
use super::support::Support;
use super::unit::Std;
use crate::base::project::display;
use crate::compiler::Compiler;
use crate::library::diagnostic::{Diagnostic, Line};
use crate::library::sources::{LibraryId, Sources};
use crate::run::command::CommandExt;

/// The test, in library/.
pub const TEST: &str = "std/tests/tcp_keepalive.rs";
const NAME: &str = "tcp_keepalive";
const CALLS: &str = "calls";

/// A package with the series' test and with the program whose calls are traced.
pub struct Package<'a> {
    dir: PathBuf,
    sources: Sources,
    /// The state of std's sources.
    std: LibraryId,
    toolchain: &'a Compiler,
}

pub struct Programs {
    pub tests: PathBuf,
    pub calls: PathBuf,
}

impl<'a> Package<'a> {
    pub fn write(
        dir: &Path,
        sources: Sources,
        std: LibraryId,
        toolchain: &'a Compiler,
    ) -> Result<Package<'a>> {
        let test = sources.library.join(TEST);
        if !test.exists() {
            bail!("the series has no library/{TEST}, so there is nothing to run");
        }
        let manifest = format!(
            "[package]\nname = \"cross\"\nedition = \"2024\"\n\n\
             [[bin]]\nname = \"{CALLS}\"\npath = \"calls.rs\"\ntest = false\n\n\
             [[test]]\nname = \"{NAME}\"\npath = {test:?}\n\n\
             # Half the time, and nobody debugs this.\n[profile.dev]\ndebug = 0\n\n[workspace]\n",
        );
        fs::create_dir_all(dir)?;
        write_if_different(&dir.join("Cargo.toml"), &manifest)?;
        write_if_different(&dir.join("calls.rs"), include_str!("calls.rs"))?;
        Ok(Package { dir: dir.to_owned(), sources, std, toolchain })
    }

    /// See [`Sources::fetch_crates`].
    pub fn fetch_crates(&self) -> Result<()> {
        self.sources.fetch_crates(self.toolchain)
    }

    /// Builds std's own unit tests.
    pub fn build_unit_tests(
        &self,
        platform: &Platform,
        support: &Support,
        dir: &Path,
        jobs: usize,
    ) -> Result<PathBuf> {
        let Package { sources, toolchain, .. } = self;
        Std { sources, toolchain, platform, support, dir: dir.to_owned(), jobs }.unit_tests()
    }

    /// Builds with `jobs` processes at most.
    pub fn build(
        &self,
        platform: &Platform,
        support: &Support,
        target_dir: &Path,
        jobs: usize,
    ) -> Result<Programs> {
        let compiler = self.toolchain.version_field("commit-hash")?;
        forget_other_std(target_dir, &format!("{} {compiler}", self.std))?;
        let output = self
            .sources
            .cargo(self.toolchain, "test")
            .current_dir(&self.dir)
            .args(["--no-run", "--offline", "--message-format=json", "--target", platform.target])
            .arg("--target-dir")
            .arg(target_dir)
            .arg(format!("--jobs={jobs}"))
            .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=panic-unwind"])
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", &self.sources.library)
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags(platform, support)?)
            .answer()?;
        if !output.status.success() {
            bail!("the test does not build: {}", why(&output, &self.sources.library));
        }
        let mut programs = (None, None);
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Ok(Line::CompilerArtifact { target, executable: Some(path), .. }) =
                serde_json::from_str(line)
            {
                match target.name.as_str() {
                    NAME => programs.0 = Some(path),
                    CALLS => programs.1 = Some(path),
                    _ => {}
                }
            }
        }
        let (Some(tests), Some(calls)) = programs else {
            bail!("cargo said that all is well, but built no test in {}", display(target_dir));
        };
        Ok(Programs { tests, calls })
    }
}

/// The compiler's errors of a build with `--message-format=json`, or else what cargo said.
pub fn why(output: &Output, library: &Path) -> String {
    let mut errors = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Ok(Line::CompilerMessage { message }) = serde_json::from_str(line) {
            let said = message.into_diagnostic(library);
            errors.extend(said.filter(Diagnostic::is_error).map(|error| error.rendered));
        }
    }
    if errors.is_empty() {
        errors.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    format!("\n{}", errors.join("\n"))
}

/// Cargo takes the sources of std for unchangeable, and would go on testing the std of before an
/// edit: what was built from other sources has to go.
fn forget_other_std(target_dir: &Path, std: &str) -> Result<()> {
    let stamp = target_dir.join("std-stamp");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == std) {
        return Ok(());
    }
    if target_dir.exists() {
        fs::remove_dir_all(target_dir)?;
    }
    fs::create_dir_all(target_dir)?;
    Ok(fs::write(stamp, std)?)
}

/// The compiler's options for the platform, separated as cargo wants them.
pub fn rustflags(platform: &Platform, support: &Support) -> Result<String> {
    let (tools, made) = (support.tools(), support.made());
    let tools = tools.to_str().context("the path of this repository is not UTF-8")?;
    let made = made.to_str().context("the path of this repository is not UTF-8")?;
    let linker = format!("-Clinker={}", platform.linker);
    let flags = platform
        .rustflags
        .iter()
        .map(|flag| flag.replace("{tools}", tools).replace("{support}", made));
    Ok(std::iter::once(linker).chain(flags).collect::<Vec<_>>().join("\u{1f}"))
}

fn write_if_different(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    Ok(fs::write(path, text)?)
}
