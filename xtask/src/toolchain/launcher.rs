//! The program that replaces `rustc`, `rustdoc` and `clippy-driver` in a toolchain's `bin/`. It starts the release's
//! program of the same name in `libexec/`, and opens one feature gate.
//!
//! A release refuses `#![feature]`. `RUSTC_BOOTSTRAP=1` in its environment lifts that, but for all features, and for
//! every crate: many build scripts compile a probe to find out whether they are on a nightly compiler, and would then
//! choose other code than they do on the release. So the variable is set for a crate that says `tcp_keepalive` alone,
//! and `-Zallow-features` keeps the other gates shut. Any other crate is compiled as the release compiles it.
//!
//! Cargo takes two compilers for the same if `rustc -vV` prints the same, and would keep crates that were compiled for
//! another std. So the launcher adds a line that identifies its std.
//!
//! `cargo xtask toolchain` compiles this file by itself, with the base's compiler.

use std::ffi::{OsStr, OsString};
use std::io::Error;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::{env, fs};

/// The line that the launcher adds to `rustc -vV`.
const STD: &str = concat!("std: with tcp_keepalive, ", env!("STD_DIGEST"));
const FEATURE: &str = "tcp_keepalive";
const SWITCH: &str = "RUSTC_BOOTSTRAP";

/// The variable that names the directories in which Linux looks for libraries first.
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
        "error: this toolchain cannot start its compiler: {error}. `cargo xtask toolchain` makes it again"
    );
    exit(1);
}

/// Says how to add std for the target of a crate, if the toolchain has none. rustc would advise rustup, which refuses.
fn note_missing_std(toolchain: &Path, arguments: &[OsString]) {
    let arguments: Vec<_> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let apart = arguments.windows(2).find(|pair| pair[0] == "--target").map(|pair| pair[1]);
    let target = apart.or(arguments.iter().find_map(|argument| argument.strip_prefix("--target=")));
    let is_compiling = arguments.iter().any(|argument| argument.ends_with(".rs"));
    if let Some(target) = target.filter(|target| is_compiling && !target.ends_with(".json")) {
        if !toolchain.join("lib/rustlib").join(target).exists() {
            eprintln!("note: `cargo xtask toolchain --target {target}` adds std for this target");
        }
    }
}

/// Returns the command that starts the release's program.
fn real_program(toolchain: &Path, name: &OsStr) -> Result<Command, Error> {
    let mut program = Command::new(toolchain.join("libexec").join(name));
    // The compiler takes its std from beside the libraries that it was loaded from. Under `cargo
    // run` or rustup, the variable can lead to those of the release, which are the same but for
    // the std beside them.
    if let Some(paths) = env::var_os(LIBRARY_PATH).filter(|paths| !paths.is_empty()) {
        let own = std::iter::once(toolchain.join("lib"));
        let paths = env::join_paths(own.chain(env::split_paths(&paths))).map_err(Error::other)?;
        program.env(LIBRARY_PATH, paths);
    }
    Ok(program)
}

/// Becomes the compiler. Returns only if that fails.
fn run(mut command: Command, arguments: &[OsString]) -> Error {
    if asks_who_it_is(arguments) {
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
    // Cargo calls clippy-driver with the compiler's own path before the arguments.
    let is_wrapper =
        arguments.first().is_some_and(|a| Path::new(a).file_stem() == Some("rustc".as_ref()));
    let (wrapped, arguments) = arguments.split_at(is_wrapper.into());
    command.args(wrapped).arg(format!("-Zallow-features={FEATURE}")).args(arguments);
    command.env(SWITCH, "1").exec()
}

fn asks_who_it_is(arguments: &[OsString]) -> bool {
    let arguments: Vec<_> = arguments.iter().filter_map(|a| a.to_str()).collect();
    matches!(
        arguments[..],
        ["-vV" | "-Vv"] | ["--version", "--verbose"] | ["--verbose", "--version"]
    )
}

fn opens_gate(arguments: &[OsString]) -> bool {
    // Whoever sets the variable, or asks for what only a nightly compiler does, gets what the
    // release would say to that.
    if env::var_os(SWITCH).is_some() || arguments.iter().any(|a| a.as_bytes().starts_with(b"-Z")) {
        return false;
    }
    // With the variable set, the compiler also tells of cfgs that are unstable, and Cargo would pass
    // them on to build scripts.
    if asks_for_cfg(arguments) {
        return false;
    }
    arguments.iter().any(|argument| mentions_feature(argument))
}

fn asks_for_cfg(arguments: &[OsString]) -> bool {
    let is_cfg = |value: &[u8]| [&b"cfg"[..], b"check-cfg"].contains(&value);
    let joined = |a: &OsString| a.as_bytes().strip_prefix(b"--print=").is_some_and(is_cfg);
    let apart = |pair: &[OsString]| pair[0] == "--print" && is_cfg(pair[1].as_bytes());
    arguments.iter().any(joined) || arguments.windows(2).any(apart)
}

/// Whether the argument is a source that uses the feature, as far as that can be told.
fn mentions_feature(argument: &OsStr) -> bool {
    let bytes = argument.as_bytes();
    // Standard input, and a file of arguments: what is in there comes too late to be looked at.
    if bytes == b"-" || bytes.starts_with(b"@") {
        return true;
    }
    let is_source = bytes.ends_with(b".rs") || bytes.ends_with(b".md");
    // What cannot be read, the compiler will report.
    is_source
        && fs::read(argument)
            .is_ok_and(|text| text.windows(FEATURE.len()).any(|w| w == FEATURE.as_bytes()))
}
