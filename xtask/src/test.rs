//! The command `test`: runs std's tests of TCP on rust/, seconds after an edit.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::base::Base;
use crate::owned::{entries, file_name};
use crate::project::Project;
use crate::run::{CommandExt, words};
use crate::std::{Std, UNIT_TESTS};
use crate::tree::{Prepared, Tree};

/// The filter for the unit tests if the user gives none.
const DEFAULT_FILTER: &str = "net::tcp";

/// Run std's tests on the files in rust/, committed or not, in seconds
///
/// Without arguments, this runs std's unit tests of net::tcp, and the integration tests in library/std/tests that
/// the series adds or changes. It first compiles what changed in std, without optimization. `./x.py test
/// library/std` runs all tests, with optimization and with the doctests. Examples:
///
///     cargo xtask test
///     cargo xtask test net::udp -- --nocapture
///     cargo xtask test -- keepalive
///     cargo xtask test --test tcp_keepalive
///     cargo xtask --base 1.98 test -- --list
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Test {
    /// Run the unit tests and integration tests whose names contain one of the filters.
    #[arg(value_name = "FILTER")]
    filters: Vec<OsString>,
    /// Run this integration test of library/std/tests, and no unit tests.
    #[arg(long = "test", value_name = "NAME")]
    tests: Vec<String>,
    /// More filters, and options of libtest such as --nocapture, --exact or --list.
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Test {
    pub fn run(self, project: Project, base: Base) -> Result<ExitCode> {
        let Prepared { project, base, compiler, store, tree, .. } =
            Prepared::open(project, base, None)?;
        let mut options: Vec<_> = self.tests.iter().map(|name| format!("--test={name}")).collect();
        if options.is_empty() {
            options = changed_tests(&tree)?;
            options.push("--lib".into());
        }
        // The lock is held while the tests run, because they bind fixed ports.
        let dir = store.dir.join("test");
        let _lock = project.build.lock(&dir)?;
        let library = tree.src.join("library");
        let mut std = Std::new(&compiler, &library, &compiler.host, &dir);
        std.show = true;
        let programs = std.tests(&options)?;
        let is_filtered = !self.filters.is_empty() || has_filter(&self.args);
        let (mut codes, mut empty) = (Vec::new(), Vec::new());
        for (name, program) in &programs {
            let mut test = Command::new(program);
            // cargo runs tests in the package's directory.
            test.current_dir(library.join("std")).args(&self.args).args(&self.filters);
            if name == UNIT_TESTS && !is_filtered {
                test.arg(DEFAULT_FILTER);
            }
            if selects_none(&test)? {
                empty.push(name.as_str());
                continue;
            }
            let status = test.run_shown()?;
            codes.push(
                status
                    .code()
                    .with_context(|| format!("`{}` was killed ({status})", words(&test)))?,
            );
        }
        // With a filter or --skip, it is enough that one program has a selected test.
        let is_narrowed = is_filtered || self.args.iter().any(|arg| arg == "--skip");
        if codes.is_empty() || !is_narrowed && !empty.is_empty() {
            bail!("no test was selected in {}", empty.join(" and "));
        }
        eprintln!(
            "note: std was compiled without optimization, and no doctests ran. To run all tests, with \
             optimization: `./x.py{} test library/std`",
            base.option()
        );
        let failed = codes.into_iter().find(|code| *code != 0);
        Ok(failed.map_or(ExitCode::SUCCESS, |code| ExitCode::from(code as u8)))
    }
}

/// Returns whether one of libtest's arguments is a filter, and not an option or an option's value.
fn has_filter(args: &[OsString]) -> bool {
    let with_value =
        ["--skip", "--color", "--format", "--logfile", "--shuffle-seed", "--test-threads", "-Z"];
    let mut previous = "";
    for arg in args.iter().map(|arg| arg.to_str().unwrap_or_default()) {
        if !arg.starts_with('-') && !with_value.contains(&previous) {
            return true;
        }
        previous = arg;
    }
    false
}

/// Returns whether the arguments select no test. If libtest refuses the arguments, the real run prints its error.
fn selects_none(test: &Command) -> Result<bool> {
    let mut list = Command::new(test.get_program());
    list.args(test.get_args());
    if !test.get_args().any(|argument| argument == "--list") {
        list.arg("--list");
    }
    let output = list.any_output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && ["", "0 tests, 0 benchmarks\n"].contains(&&*printed))
}

/// Returns cargo's options for the integration tests that differ from the base, committed or not. Compares hashes,
/// because `git diff` skips files that are marked as unchanged with `git update-index`.
fn changed_tests(tree: &Tree) -> Result<Vec<String>> {
    let directory = "library/std/tests/";
    let found = tree.src.join(directory);
    let mut files = if found.exists() { entries(&found)? } else { Vec::new() };
    files.retain(|file| file.is_file() && file.extension() == Some("rs".as_ref()));
    let hashes = tree.git.hash_files(&files)?;
    let base = tree.git.stdout_of(&["ls-tree", "refs/remotes/origin/base", directory])?;
    let is_known =
        |hash: &str, file: &Path| base.contains(&format!("{hash}\t{directory}{}", file_name(file)));
    let changed = files.iter().zip(hashes.lines()).filter(|(file, hash)| !is_known(hash, file));
    let names = changed.filter_map(|(file, _)| file.file_stem()?.to_str());
    Ok(names.map(|name| format!("--test={name}")).collect())
}
