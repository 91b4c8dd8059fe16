//! Makes the files that a platform's programs need, and that no installed package has.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use fs_err as fs;
use xtask::fetch;
use xtask::project::Project;
use xtask::run::CommandExt;
use xtask::toolchain;

use super::{Platform, Runner};

/// A library that Wine 8 lacks, and later versions have. std gets random numbers from the library.
const BCRYPTPRIMITIVES: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
";

/// Makes the platform's files in a directory that all platforms share, and returns that directory.
pub fn make(project: &Project, platform: &Platform) -> Result<PathBuf> {
    let made = project.build.root.join("evidence/platforms/made");
    let make = |name: &str, fill: &dyn Fn(&Path) -> Result<()>| {
        let done = made.join(name);
        if done.exists() {
            return Ok(());
        }
        let _lock = project.build.lock(&made)?;
        if done.exists() { Ok(()) } else { project.build.make(&done, fill) }
    };
    let linker = &platform.linker;
    if platform.target.ends_with("-musl") {
        make("musl", &|dir| toolchain::musl_files(&platform.target, Some(linker.as_ref()), dir))?;
    }
    if platform.runner == Runner::Wine {
        make("wine", &|dir| {
            let name = "libgcc_s_seh-1.dll";
            let library =
                Command::new(linker).arg(format!("-print-file-name={name}")).stdout_of()?;
            fs::copy(library, dir.join(name))?;
            fs::write(dir.join("bcryptprimitives.c"), BCRYPTPRIMITIVES)?;
            let shared = ["-shared", "-o", "bcryptprimitives.dll", "bcryptprimitives.c"];
            Command::new(linker).args(shared).arg("-ladvapi32").current_dir(dir).run_quiet()
        })?;
    }
    if let Some(archive) = &platform.package {
        make(&archive.root, &|dir| {
            let package = fetch::cached(archive)?;
            Command::new("dpkg").arg("--extract").args([&package, dir]).run_quiet()
        })?;
    }
    Ok(made)
}
