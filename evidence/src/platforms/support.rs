//! Makes what no package has, or none of the installed release of Debian, of what building and running
//! for a platform takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fs_err as fs;
use xtask::base::DebianKind;
use xtask::base::debian::PrivateApt;
use xtask::run::command::CommandExt;
use xtask::run::files::entries;
use xtask::run::{lock, whole};

use super::{Platform, Runner};

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

/// Makes what the platform needs in a directory below `shared`, which all bases have in common, and
/// returns that directory.
pub fn make(platform: &Platform, shared: &Path) -> Result<PathBuf> {
    let made = shared.join("made");
    let make = |name: &str, fill: &dyn Fn(&Path) -> Result<()>| {
        let _lock = lock::acquire(&made.join("lock"), "preparing for other platforms")?;
        let done = made.join(name);
        if done.exists() { Ok(()) } else { whole::make(&done, fill) }
    };
    let linker = &platform.linker;
    if platform.target.ends_with("-musl") {
        make("musl", &|dir| {
            // std asks for LLVM's unwinder by its name; gcc's does the same.
            let unwinder = Command::new("cc").arg("-print-file-name=libgcc_eh.a").read()?;
            fs::copy(unwinder, dir.join("libunwind.a"))?;
            fs::write(dir.join("dl_find_object.c"), DL_FIND_OBJECT)?;
            Command::new(linker).args(["-c", "dl_find_object.c"]).current_dir(dir).run()?;
            let add = ["rs", "libunwind.a", "dl_find_object.o"];
            Command::new("ar").args(add).current_dir(dir).run().map(drop)
        })?;
    }
    if let Runner::Wine = platform.runner {
        make("wine", &|dir| {
            let name = "libgcc_s_seh-1.dll";
            let library = Command::new(linker).arg(format!("-print-file-name={name}")).read()?;
            fs::copy(library, dir.join(name))?;
            fs::write(dir.join("bcryptprimitives.c"), BCRYPTPRIMITIVES)?;
            let shared = ["-shared", "-o", "bcryptprimitives.dll", "bcryptprimitives.c"];
            let mut compiler = Command::new(linker);
            compiler.args(shared).arg("-ladvapi32").current_dir(dir).run().map(drop)
        })?;
    }
    if platform.target.starts_with("wasm32-wasi") {
        make("wasi-libc", &|dir| {
            let suites = ["sid".to_owned()];
            let apt = PrivateApt::new(&made.join("apt"), &suites, DebianKind::Binary)?;
            apt.command(&["download", "wasi-libc"]).run()?;
            let package = entries(&apt.files())?.pop().context("apt-get got no wasi-libc")?;
            Command::new("dpkg").arg("--extract").args([&*package, dir]).run().map(drop)
        })?;
    }
    Ok(made)
}
