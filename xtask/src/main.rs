//! `cargo xtask` and what is behind `./x.py`: from a fresh clone to upstream's own test runner on
//! the patched tree.
//!
//! The data flows one way: an archive named in `base.toml` is unpacked into `build/rust` and
//! committed, the patches of `patches/<base>/` are applied on top, bootstrap is configured, and
//! then upstream's `x.py` runs there.

mod archive;
mod assemble;
mod base;
mod bench;
mod bootstrap;
mod checks;
mod ci;
mod clean;
mod compare;
mod cross;
mod debian;
mod diagnostic;
mod fences;
mod git;
mod lab;
mod lock;
mod mirror;
mod prepare;
mod process;
mod progress;
mod project;
mod report;
mod rustup;
mod series;
mod sources;
mod sysroot;
mod table;
mod targets;
mod toolchain;
mod tree;
mod unpack;
mod upstream;
mod verify;
mod x;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::assemble::Assembly;
use crate::bootstrap::Bootstrap;
use crate::project::Project;
use crate::table::Format;
use crate::targets::Selection;
use crate::toolchain::Toolchain;

/// Tools for the TCP keepalive patch series of Rust's standard library.
///
/// `./x.py ARGS…` is the front door: it prepares build/rust and runs upstream's x.py there. The
/// commands below are for working on the series itself. A change goes: edit and commit in
/// build/rust, try it with `./x.py test library/std`, write it down with `cargo xtask export`,
/// prove it with `cargo xtask ci`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    /// Work on another project directory than the one this tool was built in.
    #[arg(long, env = "XTASK_ROOT", hide = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    root: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prepare build/rust: fetch, check and unpack the base, apply the series, configure bootstrap.
    ///
    /// Each step is skipped when it is already done, and a run that was interrupted is taken up
    /// where it stopped. Work in build/rust that the patches do not hold is never touched: prepare
    /// stops and says how to keep it or drop it.
    Prepare(Setup),

    /// Prepare, then run upstream's x.py in build/rust with ARGS. `./x.py` calls this.
    ///
    /// The exit code is that of upstream's x.py. Examples:
    ///
    ///     ./x.py test library/std
    ///     ./x.py test library/std -- net::tcp
    ///     ./x.py test tests/ui/std
    ///     ./x.py --full test library/std
    #[command(verbatim_doc_comment)]
    X {
        #[command(flatten)]
        setup: Setup,
        /// Arguments for upstream's x.py, from its sub-command on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<std::ffi::OsString>,
    },

    /// Write the commits of build/rust to patches/, and the files they add to library/ and tests/.
    ///
    /// Commit first: export takes commits, not uncommitted changes. Its inverse is prepare.
    Export {
        #[command(flatten)]
        base: BaseName,
        /// Overwrite patches that changed since they were last applied or exported.
        #[arg(long)]
        overwrite: bool,
    },

    /// Prove that patches/, library/ and tests/ agree, apply cleanly and are fit to submit.
    ///
    /// Works in a checkout of its own, build/verify; build/rust is not touched.
    Verify {
        #[command(flatten)]
        base: BaseName,
        /// Also build std and run the series' tests after each single patch (slow).
        #[arg(long)]
        each: bool,
    },

    /// Show keepalive at work, packet by packet, in a small network inside this machine.
    ///
    /// Builds the patched std of the base and runs the lab with it. ARGS are the lab's own, see
    /// `cargo xtask lab --help`; `--base`, if any, comes before them.
    #[command(disable_help_flag = true)]
    Lab {
        #[command(flatten)]
        base: BaseName,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<std::ffi::OsString>,
    },

    /// Type-check std for many targets, at the base and with the series, and compare.
    ///
    /// A target may get no diagnostic (error or warning) that it does not have at the base, and
    /// must get both methods: a crate that calls them is checked, too. Targets whose std is broken
    /// at the base are compared by their diagnostics. What is checked is library/ of build/rust as
    /// it is, with changes that are not committed. A finished target is remembered, so a run that
    /// was interrupted goes on where it stopped.
    ///
    /// Without arguments: one target for each operating system, environment and vendor.
    /// Exit code 1 if the series breaks a target.
    ///
    ///     cargo xtask targets
    ///     cargo xtask targets aarch64-unknown-nuttx x86_64-unknown-uefi
    ///     cargo xtask targets --all --format json
    ///     cargo xtask targets --base 1.97 --first 1 '*nuttx*'
    #[command(verbatim_doc_comment)]
    Targets {
        /// Check these targets alone. Patterns with `*` are taken, too.
        #[arg(value_name = "TARGET", conflicts_with_all = ["all", "quick"])]
        names: Vec<String>,
        /// Check every target that may have a std.
        #[arg(long, conflicts_with = "quick")]
        all: bool,
        /// Check the least that compiles every backend of std's sockets.
        #[arg(long)]
        quick: bool,
        #[command(flatten)]
        series: Extent,
        /// Check so many targets side by side. [default: the number of cores]
        #[arg(long, short, value_name = "N")]
        jobs: Option<usize>,
        /// How to print the results.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },

    /// Build std with the series for other platforms, and run its tests there: in emulators, in
    /// Wine and wasmtime, and natively.
    ///
    /// What runs is library/std/tests/tcp_keepalive.rs of build/rust as it is. Where the system
    /// can be watched, the calls that it sees are compared with those that there should be. A
    /// target that lacks a linker, a C library or a runner is not run and not counted as passed; its
    /// row says what to install. Exit code 1 if a test fails or does not build, 3 if nothing was run.
    ///
    ///     cargo xtask cross --install
    ///     cargo xtask cross s390x-unknown-linux-gnu x86_64-pc-windows-gnu
    #[command(verbatim_doc_comment)]
    Cross {
        /// Run on these targets alone. [default: all but some rare ones]
        #[arg(value_name = "TARGET", conflicts_with_all = ["all", "quick"])]
        names: Vec<String>,
        /// Run on every target that this tool knows how to run.
        #[arg(long, conflicts_with = "quick")]
        all: bool,
        /// Run on one big-endian target, one of Windows and one native.
        #[arg(long)]
        quick: bool,
        /// First install what is missing: Debian's packages (as root), others below build/.
        #[arg(long)]
        install: bool,
        /// Exit with code 3 also if some target cannot be run here, and nothing else is wrong.
        #[arg(long)]
        require: bool,
        /// Also build and run std's own unit tests of net::tcp.
        #[arg(long)]
        unit_tests: bool,
        #[command(flatten)]
        series: Extent,
        /// Build and run so many targets side by side. [default: the number of cores]
        #[arg(long, short, value_name = "N")]
        jobs: Option<usize>,
        /// How to print the results.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },

    /// Break the methods on purpose, in one way after the other, and see that the tests notice.
    ///
    /// For each mistake, std is compiled with it and library/std/tests/tcp_keepalive.rs run on this
    /// machine. Exit code 1 if no test fails. build/rust is not touched.
    Mutants {
        #[command(flatten)]
        base: BaseName,
    },

    /// Assemble build/toolchain: the release's programs with the patched std, for use with rustup.
    ///
    /// Compiles the patched std, which takes a minute or two, and links the rest from the installed
    /// release. When nothing changed, it does nothing. Then, in any project whose crates say
    /// #![feature(tcp_keepalive)]:
    ///
    ///     cargo xtask toolchain --link
    ///     cargo +tcp-keepalive run
    #[command(verbatim_doc_comment)]
    Toolchain {
        #[command(flatten)]
        base: BaseName,
        /// Also compile std for this target, now and whenever the toolchain is brought up to date.
        #[arg(long = "target", value_name = "TARGET")]
        targets: Vec<String>,
        /// Register it with rustup, under the name tcp-keepalive or the given one.
        #[arg(long, value_name = "NAME", num_args = 0..=1)]
        link: Option<Option<String>>,
        /// Prove that it is the release but for the feature, and upstream's own with it.
        ///
        /// Builds and tests some crates from the registry with the release and with this toolchain,
        /// runs the examples' tests, and runs the series' black-box tests on upstream's compiler as
        /// well, where one that has the methods is installed.
        #[arg(long)]
        check: bool,
        /// Take it out of rustup again; assemble nothing.
        #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with_all = ["link", "targets", "check"])]
        unlink: Option<Option<String>>,
    },

    /// Measure what the methods cost beside what is used instead, and write BENCHMARKS.md.
    ///
    /// Takes some minutes. Times mean most on an idle machine; instruction counts need valgrind.
    Bench {
        #[command(flatten)]
        base: BaseName,
        /// Measure instead how long `./x.py test library/std` takes in both lanes (most of an hour).
        #[arg(long)]
        clock: bool,
    },

    /// Run everything that guards the project; what must be green before a change is merged.
    ///
    /// rustfmt, clippy, the tools' own tests, verify, upstream's tests of std and tests/ui/std on
    /// the patched tree, the quick sets of targets and cross, mutants, the lab, and the toolchain
    /// with its checks; then the same in small for the second series. All of them run even
    /// if one fails. What this machine cannot run is said, and not counted as passed.
    Ci,

    /// Remove what prepare and upstream's x.py made under build/.
    ///
    /// Refuses while build/rust holds work that the patches do not. Downloaded archives stay.
    Clean {
        /// Remove the downloaded archives in the user's cache directory, too.
        #[arg(long)]
        archives: bool,
    },
}

#[derive(Args)]
struct BaseName {
    /// The base to work on: a name from base.toml.
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
}

#[derive(Args)]
struct Extent {
    #[command(flatten)]
    base: BaseName,
    /// Take only the first N patches of the series, as they are committed.
    #[arg(long, value_name = "N")]
    first: Option<usize>,
}

#[derive(Args)]
struct Setup {
    #[command(flatten)]
    base: BaseName,
    /// Take the base from this archive or checkout instead of fetching it.
    ///
    /// An archive must have one of the SHA-256 hashes in base.toml; a checkout of rust-lang/rust
    /// must be clean and at the base's commit.
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// Build the compiler from source as upstream's CI does, instead of using the installed one.
    ///
    /// Slow; needs LLVM's development files, cmake and ninja.
    #[arg(long)]
    full: bool,
}

fn main() -> ExitCode {
    // Output may go to a program that has seen enough, such as head.
    sigpipe::reset();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => report::failure(&error),
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let project = Project::open(cli.root)?;
    match cli.command {
        Command::Prepare(setup) => {
            let base = project.base(setup.base.base.as_deref())?;
            let _lock = lock::acquire(&project, "prepare")?;
            let toolchain = Toolchain::find(&base)?;
            let tree = prepare::prepare(&project, &base, setup.source.as_deref(), &toolchain)?;
            let base_commit = tree.state()?.base;
            if tree.has_x_py() {
                let lane = setup.full.into();
                Bootstrap::configure(&project, &tree.src, &base_commit, lane, &toolchain)?;
            }
        }
        Command::X { setup, args } => {
            let base = project.base(setup.base.base.as_deref())?;
            return x::run(&project, &base, setup.source.as_deref(), setup.full.into(), &args);
        }
        Command::Export { base, overwrite } => {
            let base = project.base(base.base.as_deref())?;
            let _lock = lock::acquire(&project, "export")?;
            series::export(&project, &base, overwrite)?;
        }
        Command::Verify { base, each } => {
            let base = project.base(base.base.as_deref())?;
            let _lock = lock::acquire(&project, "verify")?;
            verify::verify(&project, &base, each)?;
        }
        Command::Lab { base, args } => {
            let base = project.base(base.base.as_deref())?;
            return lab::run(&project, &base, &args);
        }
        Command::Targets { names, all, quick, series, jobs, format } => {
            let base = project.base(series.base.base.as_deref())?;
            let selection = match (all, quick) {
                (true, _) => Selection::All,
                (_, true) => Selection::Quick,
                _ if names.is_empty() => Selection::OneOfEach,
                _ => Selection::Named(names),
            };
            let options = targets::Options { first: series.first, jobs, format };
            return targets::run(&project, &base, &selection, &options);
        }
        Command::Cross {
            names,
            all,
            quick,
            install,
            require,
            unit_tests,
            series,
            jobs,
            format,
        } => {
            let base = project.base(series.base.base.as_deref())?;
            let first = series.first;
            let selection = match (all, quick) {
                (true, _) => cross::Selection::All,
                (_, true) => cross::Selection::Quick,
                _ if names.is_empty() => cross::Selection::Default,
                _ => cross::Selection::Named(names),
            };
            let options = cross::Options { install, require, unit_tests, first, jobs, format };
            return cross::run(&project, &base, &selection, &options);
        }
        Command::Toolchain { base, targets, link, check, unlink } => {
            let base = project.base(base.base.as_deref())?;
            let name = |given: Option<String>| given.unwrap_or_else(|| rustup::default_name(&base));
            if let Some(given) = unlink {
                rustup::unlink(&name(given), &assemble::directory(&project, &base))?;
                return Ok(ExitCode::SUCCESS);
            }
            let _lock = lock::acquire(&project, "toolchain")?;
            let toolchain = Toolchain::find(&base)?;
            let tree = prepare::prepare(&project, &base, None, &toolchain)?;
            let assembly = Assembly::patched(&project, &base, &toolchain, &tree)?;
            let directory = &assembly.directory;
            let news = if assembly.bring_up_to_date(&targets)? { "ready" } else { "up to date" };
            println!("{} is {news}", project::display(directory));
            if let Some(given) = link {
                rustup::link(&name(given), directory)?;
            }
            if check {
                compare::run(&project, &base, &toolchain, &tree, directory)?;
            }
        }
        Command::Mutants { base } => {
            cross::mutants::run(&project, &project.base(base.base.as_deref())?)?;
        }
        Command::Bench { base, clock } => {
            let base = project.base(base.base.as_deref())?;
            let _lock = lock::acquire(&project, "bench")?;
            if clock { bench::run_clock(&project, &base)? } else { bench::run(&project, &base)? }
        }
        Command::Ci => ci::run(&project)?,
        Command::Clean { archives } => {
            let _lock = lock::acquire(&project, "clean")?;
            clean::run(&project, archives)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
