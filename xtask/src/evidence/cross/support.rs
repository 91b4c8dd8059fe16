//! What building and running for other platforms takes and no package has: found, made or installed
//! below build/cross.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::platform::{Need, Platform, Runner, Source, What};
use crate::base::DebianKind;
use crate::base::debian::PrivateApt;
use crate::run::command::CommandExt;
use crate::say::progress::Step;

pub struct Support {
    dir: PathBuf,
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
    pub fn at(dir: &Path) -> Support {
        Support { dir: dir.to_owned() }
    }

    /// Where packages that are not installed are unpacked.
    pub fn tools(&self) -> PathBuf {
        self.dir.join("tools")
    }

    pub fn made(&self) -> PathBuf {
        self.dir.join("support")
    }

    pub fn python(&self) -> PathBuf {
        self.tools().join("python/bin/python3")
    }

    /// What the platform needs and this machine does not have.
    pub fn missing(&self, platform: &Platform) -> Vec<Need> {
        let is_missing = |need: &&Need| match need.what {
            What::Program(name) => which::which(name).is_err(),
            What::File(paths) => !paths.iter().any(|path| Path::new(path).exists()),
            What::Tool(path) => !self.tools().join(path).exists(),
            What::Processor(name) => std::env::consts::ARCH != name,
        };
        platform.needs.iter().filter(is_missing).cloned().collect()
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
                let library = Command::new(platform.linker)
                    .arg("-print-file-name=libgcc_s_seh-1.dll")
                    .read()?;
                fs::copy(library, dir.join("libgcc_s_seh-1.dll"))?;
                fs::write(dir.join("bcryptprimitives.c"), BCRYPTPRIMITIVES)?;
                Command::new(platform.linker)
                    .args(["-shared", "-o", "bcryptprimitives.dll", "bcryptprimitives.c"])
                    .arg("-ladvapi32")
                    .current_dir(dir)
                    .run()
                    .map(drop)
            })?;
        }
        Ok(())
    }

    /// Makes a directory of support files, which appears under its name when it is whole.
    fn make(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let done = self.made().join(name);
        if done.exists() {
            return Ok(());
        }
        fs::create_dir_all(self.made())?;
        let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(self.made())?;
        fill(unfinished.path())?;
        Ok(fs::rename(unfinished.keep(), done)?)
    }

    /// Installs what is missing, as far as there is a package for it.
    pub fn install(&self, missing: &BTreeSet<Source>) -> Result<()> {
        let mut debian = Vec::new();
        for source in missing {
            match source {
                Source::Debian(package) => debian.push(*package),
                Source::Unpacked { package, suite } => self.unpack(package, suite)?,
                Source::Python { package, version } => {
                    self.install_python(&format!("{package}=={version}"))?
                }
                Source::Nowhere => {}
            }
        }
        if debian.is_empty() {
            return Ok(());
        }
        let line = format!("apt-get install --no-install-recommends {}", debian.join(" "));
        if !rustix::process::geteuid().is_root() || which::which("apt-get").is_err() {
            bail!("these packages must be installed by who may, on Debian with\n  {line}");
        }
        let step = Step::start(format!("installing {}", debian.join(", ")));
        let apt_get = |args: &[&str]| {
            Command::new("apt-get")
                .args(args)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .run()
                .map(drop)
        };
        let install = || {
            let mut args = vec!["install", "--yes", "--no-install-recommends"];
            args.extend(&debian);
            apt_get(&args)
        };
        // A fresh machine has no lists of packages yet.
        install().or_else(|_| apt_get(&["update"]).and_then(|()| install()))?;
        step.done();
        Ok(())
    }

    /// Downloads a package of another release of Debian and unpacks it, without installing it.
    fn unpack(&self, package: &str, suite: &str) -> Result<()> {
        let step = Step::start(format!("downloading {package} from Debian {suite}"));
        let apt = PrivateApt::new(&self.dir.join("apt"), &[suite.to_owned()], DebianKind::Binary)?;
        apt.command(&["download", package]).run()?;
        let archive = fs::read_dir(apt.files())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension() == Some("deb".as_ref()))
            .with_context(|| format!("apt-get ended well, but there is no {package}"))?;
        fs::create_dir_all(self.tools())?;
        let unfinished =
            tempfile::Builder::new().prefix(".unfinished-").tempdir_in(self.tools())?;
        Command::new("dpkg").arg("--extract").args([&archive, unfinished.path()]).run()?;
        fs::rename(unfinished.keep(), self.tools().join(package))?;
        step.done();
        Ok(())
    }

    fn install_python(&self, package: &str) -> Result<()> {
        let step = Step::start(format!("installing {package} from the Python registry"));
        let environment = self.tools().join("python");
        let made = (|| {
            Command::new("python3").args(["-m", "venv"]).arg(&environment).run()?;
            Command::new(self.python()).args(["-m", "pip", "install", "--quiet", package]).run()
        })();
        if let Err(error) = made {
            if environment.exists() {
                fs::remove_dir_all(environment)?;
            }
            return Err(error.context("Debian's python3-venv may be missing"));
        }
        step.done();
        Ok(())
    }
}
