//! Makes the files that programs for a platform need and that no installed package has.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use fs_err as fs;
use xtask::fetch;
use xtask::project::Project;
use xtask::run::CommandExt;

use super::{Platform, Runner};

/// Wine 8 lacks this library, which std takes random numbers from. Later versions have it.
const BCRYPTPRIMITIVES: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
";

/// The unwinder of gcc 12 finds the unwind table by this function of glibc alone, which musl lacks. It has weak
/// references to the functions of pthread, for which the linker takes nothing out of musl's archive.
const DL_FIND_OBJECT: &str = "\
#include <link.h>
#include <pthread.h>

struct dl_find_object {
    unsigned long long flags;
    void *map_start, *map_end, *link_map, *eh_frame;
    unsigned long long reserved[7];
};

static int find(struct dl_phdr_info *info, size_t size, void *eh_frame)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            *(void **)eh_frame = (void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 0;
}

int _dl_find_object(void *address, struct dl_find_object *result)
{
    *result = (struct dl_find_object){ .map_end = (void *)-1 };
    dl_iterate_phdr(find, &result->eh_frame);
    return result->eh_frame ? 0 : -1;
}

__attribute__((used)) static void *const strong_references[] = {
    pthread_once,       pthread_mutex_lock,  pthread_mutex_unlock,
    pthread_key_create, pthread_getspecific, pthread_setspecific,
};
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
        make("musl", &|dir| {
            // std asks for LLVM's unwinder by its name; gcc's unwinder has the same functions.
            let unwinder = Command::new("cc").arg("-print-file-name=libgcc_eh.a").stdout_of()?;
            fs::copy(unwinder, dir.join("libunwind.a"))?;
            fs::write(dir.join("dl_find_object.c"), DL_FIND_OBJECT)?;
            Command::new(linker).args(["-c", "dl_find_object.c"]).current_dir(dir).run_quiet()?;
            let add = ["rs", "libunwind.a", "dl_find_object.o"];
            Command::new("ar").args(add).current_dir(dir).run_quiet()
        })?;
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
