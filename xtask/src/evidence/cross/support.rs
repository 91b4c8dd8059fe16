//! Provides what building and running for other platforms takes and no package has: found, made or
//! installed below build/cross-support.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result};
use fs_err as fs;

use super::platform::{Need, Platform, Runner, Source, TRACER};
use crate::base::DebianKind;
use crate::base::debian::PrivateApt;
use crate::base::project::Project;
use crate::run::command::CommandExt;
use crate::run::files::entries;
use crate::run::lock::{self, Lock};
use crate::run::packages;
use crate::run::{ownership, whole};
use crate::say::progress::Step;

pub struct Support {
    dir: PathBuf,
    turn: Mutex<()>,
}

/// Wine 8 lacks this library, and std takes random numbers from it. Later versions have their own.
const BCRYPTPRIMITIVES: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
";

/// The compiler's unwinder asks glibc first; musl has the older way that it then takes.
const DL_FIND_OBJECT: &str = "\
int _dl_find_object(void *address, void *result)
{
    return -1;
}
";

impl Support {
    /// What all bases share.
    pub fn of(project: &Project) -> Support {
        Support::at(&project.build().join("cross-support"))
    }

    pub fn at(dir: &Path) -> Support {
        Support { dir: dir.to_owned(), turn: Mutex::new(()) }
    }

    /// Where packages that are not installed are unpacked.
    fn tools(&self) -> PathBuf {
        self.dir.join("tools")
    }

    pub fn made(&self) -> PathBuf {
        self.dir.join("support")
    }

    pub fn python(&self) -> PathBuf {
        self.tools().join("python/bin/python3")
    }

    /// The compiler's options for the platform, beside the linker.
    pub fn rustflags(&self, platform: &Platform) -> Vec<String> {
        platform.rustflags.iter().map(|flag| self.expand(flag)).collect()
    }

    /// The text with the directories that platforms.toml has names for.
    pub fn expand(&self, text: &str) -> String {
        let [tools, made] = [self.tools(), self.made()].map(|dir| dir.display().to_string());
        text.replace("{tools}", &tools).replace("{made}", &made)
    }

    /// Whether there is a program with the name, or such a file.
    pub fn has(&self, name: &str) -> bool {
        let is_file = name.contains('/');
        if is_file { Path::new(&self.expand(name)).exists() } else { which::which(name).is_ok() }
    }

    /// Makes the files that the platform needs beside its packages.
    pub fn prepare(&self, platform: &Platform) -> Result<()> {
        if platform.target.ends_with("-musl") {
            self.make("musl", |dir| {
                // std asks for LLVM's unwinder by its name; gcc's does the same.
                let unwinder = Command::new("cc").arg("-print-file-name=libgcc_eh.a").read()?;
                fs::copy(unwinder, dir.join("libunwind.a"))?;
                fs::write(dir.join("dl_find_object.c"), DL_FIND_OBJECT)?;
                let run = |line: &[&str]| {
                    Command::new(line[0]).args(&line[1..]).current_dir(dir).run().map(drop)
                };
                run(&["musl-gcc", "-c", "dl_find_object.c"])?;
                run(&["ar", "rs", "libunwind.a", "dl_find_object.o"])
            })?;
        }
        if let Runner::Wine = platform.runner {
            self.make("wine", |dir| {
                let library = Command::new(&platform.linker)
                    .arg("-print-file-name=libgcc_s_seh-1.dll")
                    .read()?;
                fs::copy(library, dir.join("libgcc_s_seh-1.dll"))?;
                fs::write(dir.join("bcryptprimitives.c"), BCRYPTPRIMITIVES)?;
                Command::new(&platform.linker)
                    .args(["-shared", "-o", "bcryptprimitives.dll", "bcryptprimitives.c"])
                    .arg("-ladvapi32")
                    .current_dir(dir)
                    .run()
                    .map(drop)
            })?;
        }
        Ok(())
    }

    /// All bases share the directory, and their tests may run side by side.
    fn lock(&self) -> Result<Lock> {
        lock::acquire(&self.dir.join("lock"), "preparing what cross needs")
    }

    /// Makes a directory of support files.
    fn make(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let done = self.made().join(name);
        // The lock keeps other processes out, and this the other workers.
        let _turn = self.turn.lock().expect("no worker panics");
        if done.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        if done.exists() { Ok(()) } else { whole::make(&done, fill) }
    }

    /// Installs what is missing, as far as there is a package for it.
    pub fn install(&self, missing: BTreeSet<Source>) -> Result<()> {
        let _lock = self.lock()?;
        let mut debian = Vec::new();
        if which::which(TRACER).is_err() {
            debian.push(TRACER.to_owned());
        }
        for source in missing {
            match source {
                Source::Debian(package) => debian.push(package),
                Source::Unpacked(package) => self.unpack(&package)?,
                Source::Python(package) => self.install_python(&package)?,
            }
        }
        packages::install(&debian)
    }

    /// Downloads a package of Debian's newest release and unpacks it, without installing it.
    fn unpack(&self, package: &str) -> Result<()> {
        let step = Step::start(format!("downloading {package} from Debian"));
        let suites = ["sid".to_owned()];
        let apt = PrivateApt::new(&self.dir.join("apt"), &suites, DebianKind::Binary)?;
        apt.command(&["download", package]).run()?;
        let archive = entries(&apt.files())?
            .into_iter()
            .find(|path| path.extension() == Some("deb".as_ref()))
            .with_context(|| format!("apt-get ended well, but there is no {package}"))?;
        whole::make(&self.tools().join(package), |dir| {
            Command::new("dpkg").arg("--extract").args([&archive, dir]).run().map(drop)
        })?;
        step.done();
        Ok(())
    }

    fn install_python(&self, package: &str) -> Result<()> {
        let step = Step::start(format!("installing {package} from the Python registry"));
        // The interpreter, which is all that is used of it, works under another name, too.
        let environment = self.tools().join("python");
        // One that is there was not found to be whole.
        ownership::discard(&environment)?;
        whole::make(&environment, |dir| {
            let venv = || Command::new("python3").args(["-m", "venv"]).arg(dir).run();
            venv().context("Debian's python3-venv may be missing")?;
            let pip = ["-m", "pip", "install", "--quiet", package];
            Command::new(dir.join("bin/python3")).args(pip).run().map(drop)
        })?;
        step.done();
        Ok(())
    }
}

impl Platform {
    /// What the platform needs and this machine does not have, of what there are packages for.
    pub fn missing(&self, support: &Support) -> Vec<&Need> {
        let is_missing = |need: &&Need| !need.any.iter().any(|name| support.has(name));
        self.needs.iter().filter(is_missing).collect()
    }

    /// Why tests for the platform cannot be run here, if so, and what would help.
    pub fn obstacle(&self, support: &Support) -> Option<String> {
        if let Some(processor) = self.processor.as_deref().filter(|p| *p != std::env::consts::ARCH)
        {
            return Some(format!("lacks a processor of {processor}: another machine"));
        }
        let missing = self.missing(support);
        if missing.is_empty() {
            return None;
        }
        let names = missing.iter().map(|need| support.expand(&need.any[0]));
        let mut sources: Vec<_> = missing.iter().map(|need| need.from.to_string()).collect();
        sources.dedup();
        Some(format!("lacks {}: {}", names.collect::<Vec<_>>().join(", "), sources.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::platform;
    use super::*;

    #[test]
    fn obstacle_names_what_is_missing_and_the_way_out() {
        let support = Support::at(Path::new("a directory that is not there"));
        let mut platforms = platform::all().into_iter();
        let wasi = platforms.find(|platform| platform.target == "wasm32-wasip2").unwrap();
        let obstacle = wasi.obstacle(&support).unwrap();
        assert!(obstacle.contains("libc.a"), "{obstacle}");
        assert!(obstacle.ends_with("--install, for Python's wasmtime==45.0.0"), "{obstacle}");
    }
}
