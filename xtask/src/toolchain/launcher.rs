//! The launcher: the program that replaces `rustc`, `rustdoc` and `clippy-driver` in a toolchain's `bin/`. It starts
//! the release's program of the same name in `libexec/`, and opens one feature gate.
//!
//! A release refuses `#![feature]`. `RUSTC_BOOTSTRAP=1` allows all features for all crates, which is too much: many
//! build scripts compile a probe that detects a nightly compiler, and would choose other code than with the release. So
//! the launcher sets the variable only for a crate whose root file contains `tcp_keepalive`. `-Zallow-features` keeps
//! the other gates closed.
//!
//! Cargo identifies a compiler by the output of `rustc -vV`. The launcher adds a line that identifies its std, so that
//! Cargo does not reuse crates that were compiled for another std.
//!
//! `cargo xtask toolchain` compiles this file as a program of its own, with the base's compiler.

use std::ffi::{OsStr, OsString};
use std::io::Error;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::{env, fs};

/// The line that the launcher adds to `rustc -vV`.
const STD: &str = concat!("std: with tcp_keepalive, ", env!("STD_DIGEST"));
/// The command that assembles the toolchain, in the repository that built it.
const ASSEMBLE: &str = env!("ASSEMBLE_TOOLCHAIN");
const FEATURE: &str = "tcp_keepalive";
const BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";

/// The variable with the directories in which Linux's dynamic linker looks for libraries first.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

fn main() {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let error = match env::current_exe() {
        Ok(own) => {
            let toolchain = own.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
            note_missing_std(toolchain, &arguments);
            match real_program(toolchain, own.file_name().unwrap_or_default()) {
                Ok(program) => run(program, &arguments),
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    eprintln!(
        "error: this toolchain cannot start its compiler: {error}. To assemble it again, in the repository that built it: \
         `{ASSEMBLE}`"
    );
    exit(1);
}

/// Prints how to add std for the target of a crate if the toolchain has none. rustc's own advice, `rustup target add`,
/// does not work for a linked toolchain.
fn note_missing_std(toolchain: &Path, arguments: &[OsString]) {
    let arguments: Vec<_> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let separate = arguments.windows(2).find(|pair| pair[0] == "--target").map(|pair| pair[1]);
    let joined = arguments.iter().find_map(|argument| argument.strip_prefix("--target="));
    let is_compiling = arguments.iter().any(|argument| argument.ends_with(".rs"));
    if let Some(target) =
        separate.or(joined).filter(|target| is_compiling && !target.ends_with(".json"))
    {
        if !toolchain.join("lib/rustlib").join(target).exists() {
            eprintln!(
                "note: `{ASSEMBLE} --target {target}`, in the repository that built this toolchain, adds std for this \
                 target"
            );
        }
    }
}

/// Returns the command that starts the release's program.
fn real_program(toolchain: &Path, name: &OsStr) -> Result<Command, Error> {
    let mut program = Command::new(toolchain.join("libexec").join(name));
    // The compiler looks for std beside the libraries that it is loaded from. `cargo run` and rustup may set the
    // variable to the release's libraries, and the release's std is beside those.
    if let Some(paths) = env::var_os(LIBRARY_PATH).filter(|paths| !paths.is_empty()) {
        let own = std::iter::once(toolchain.join("lib"));
        let paths = env::join_paths(own.chain(env::split_paths(&paths))).map_err(Error::other)?;
        program.env(LIBRARY_PATH, paths);
    }
    Ok(program)
}

/// Runs the release's program in the place of this one. Returns only if the program cannot be started.
fn run(mut command: Command, arguments: &[OsString]) -> Error {
    if asks_for_verbose_version(arguments) {
        return match command.args(arguments).stderr(Stdio::inherit()).output() {
            Ok(output) => {
                print!("{}", String::from_utf8_lossy(&output.stdout));
                println!("{STD}");
                exit(output.status.code().unwrap_or(1));
            }
            Err(error) => error,
        };
    }
    if !opens_gate(arguments) {
        return command.args(arguments).exec();
    }
    // Cargo passes the path of rustc to clippy-driver as the first argument.
    let is_wrapper =
        arguments.first().is_some_and(|a| Path::new(a).file_stem() == Some("rustc".as_ref()));
    let (wrapped, arguments) = arguments.split_at(is_wrapper.into());
    command.args(wrapped).arg(format!("-Zallow-features={FEATURE}")).args(arguments);
    command.env(BOOTSTRAP, "1").exec()
}

fn asks_for_verbose_version(arguments: &[OsString]) -> bool {
    let arguments: Vec<_> = arguments.iter().filter_map(|a| a.to_str()).collect();
    matches!(
        arguments[..],
        ["-vV" | "-Vv"] | ["--version", "--verbose"] | ["--verbose", "--version"]
    )
}

fn opens_gate(arguments: &[OsString]) -> bool {
    // A caller who sets the variable, or passes a `-Z` option, gets the release's behavior.
    if env::var_os(BOOTSTRAP).is_some() || arguments.iter().any(|a| a.as_bytes().starts_with(b"-Z"))
    {
        return false;
    }
    // With the variable, the compiler also prints unstable cfgs, and Cargo would pass them to build scripts.
    if asks_for_cfg(arguments) {
        return false;
    }
    arguments.iter().any(|argument| mentions_feature(argument))
}

fn asks_for_cfg(arguments: &[OsString]) -> bool {
    let is_cfg = |value: &[u8]| [&b"cfg"[..], b"check-cfg"].contains(&value);
    let joined = |a: &OsString| a.as_bytes().strip_prefix(b"--print=").is_some_and(is_cfg);
    let separate = |pair: &[OsString]| pair[0] == "--print" && is_cfg(pair[1].as_bytes());
    arguments.iter().any(joined) || arguments.windows(2).any(separate)
}

/// Returns whether the argument is a source that uses the feature, or may be one.
fn mentions_feature(argument: &OsStr) -> bool {
    let bytes = argument.as_bytes();
    // The launcher does not read standard input or files of arguments.
    if bytes == b"-" || bytes.starts_with(b"@") {
        return true;
    }
    let is_source = bytes.ends_with(b".rs") || bytes.ends_with(b".md");
    // The compiler reports a file that cannot be read.
    is_source
        && fs::read(argument)
            .is_ok_and(|text| text.windows(FEATURE.len()).any(|w| w == FEATURE.as_bytes()))
}
