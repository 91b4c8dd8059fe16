//! The front door: prepare, then hand over to upstream's x.py.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::base::Base;
use crate::bootstrap::{Bootstrap, Lane};
use crate::lock;
use crate::prepare::prepare;
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::tree::Tree;

/// Runs upstream's x.py with `args` in place of this process, so that its exit code is ours and
/// Ctrl-C reaches it.
pub fn run(
    project: &Project,
    base: &Base,
    source: Option<&Path>,
    lane: Lane,
    args: &[OsString],
) -> Result<ExitCode> {
    let line: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let lock = lock::acquire(project, &format!("x.py {}", line.join(" ")))?;
    let toolchain = Toolchain::find(base)?;
    let tree = prepare(project, base, source, &toolchain)?;
    let bootstrap =
        Bootstrap::configure(project, &tree.src, &tree.state()?.base, lane, &toolchain)?;
    if uses_compiler_sysroot(&tree, args) {
        bootstrap.provide_patched_std()?;
    }
    lock.keep_for_successor()?;
    Err(bootstrap.x_py().args(args).exec().into())
}

/// Whether x.py is asked for test suites that take std from the compiler's sysroot: those under
/// tests/, by path or by name, or all suites because none is named.
fn uses_compiler_sysroot(tree: &Tree, args: &[OsString]) -> bool {
    let mut words = args
        .iter()
        .map_while(|arg| arg.to_str())
        .take_while(|arg| *arg != "--")
        .filter(|arg| !arg.starts_with('-'));
    if !words.next().is_some_and(|command| ["test", "t"].contains(&command)) {
        return false;
    }
    let suites = tree.src.join("tests");
    let mut paths = words.peekable();
    paths.peek().is_none()
        || paths.any(|path| {
            let path = path.trim_start_matches("./");
            path == "tests" || path.starts_with("tests/") || suites.join(path).exists()
        })
}
