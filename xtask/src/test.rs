//! Runs the tests of what someone edits in build/rust, seconds after the edit.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::library::sources::{LibraryId, base_library, library_right_now};
use crate::library::sysroot::{UNIT_TESTS, Workshop};
use crate::run::command::{CommandExt, words};
use crate::series::tree::Tree;
use crate::session::Invocation;

/// Which unit tests are run where no filter is given.
const OF_TCP: &str = "net::tcp";

/// Run std's tests on build/rust as it is, with what is not committed, in seconds.
///
/// Without arguments: std's unit tests of net::tcp, and the integration tests in library/std/tests that
/// the series adds or changes. What changed of std is compiled first, without optimization. The exit
/// code is libtest's. Examples:
///
///     cargo xtask test
///     cargo xtask test net::udp -- --nocapture
///     cargo xtask test --test tcp_keepalive
///     cargo xtask --base 1.98 test -- --list
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Test {
    /// Run the tests whose names contain one of these, unit tests and integration tests alike.
    #[arg(value_name = "FILTER")]
    filters: Vec<OsString>,
    /// Run this integration test of library/std/tests, and no unit tests.
    #[arg(long = "test", value_name = "NAME")]
    tests: Vec<String>,
    /// Arguments for libtest, such as --nocapture, --exact or --list.
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Test {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let (session, of_tree) = on.open("test: looking at the tree")?;
        let library = library_right_now(&session.tree)?;
        drop(of_tree);
        let mut which: Vec<_> = self.tests.iter().map(|name| format!("--test={name}")).collect();
        if which.is_empty() {
            which = changed(&session.tree, &library)?;
            which.push("--lib".into());
        }

        // A copy is compiled, and brought up to date in a tenth of a second. So all programs are from one
        // state of the tree, whatever is saved meanwhile, and cargo sees what changed even where the time
        // of a file did not. Only one invocation at a time has the copy, until its tests have run: they
        // bind the same ports each time.
        let mut workshop = Workshop::open(&session, &session.compiler.host, &library)?;
        workshop.show = true;
        let programs = workshop.tests(&which)?;
        let mut codes = Vec::new();
        for (name, program) in &programs {
            let mut test = Command::new(program);
            // Where cargo runs them.
            test.current_dir(workshop.sources.library.join("std"));
            test.args(&self.args).args(&self.filters);
            if name == UNIT_TESTS && self.filters.is_empty() {
                test.arg(OF_TCP);
            }
            if !selects_none(&test)? {
                let status = test.show()?;
                let code =
                    status.code().with_context(|| format!("`{}`: {status}", words(&test)))?;
                codes.push(code);
            }
        }
        if codes.is_empty() {
            let programs: Vec<_> = programs.into_keys().collect();
            let said = [self.args, self.filters].concat();
            bail!("no test of {} is selected by {said:?}", programs.join(" or "));
        }
        let option = session.base.option();
        eprintln!(
            "not optimized, and not upstream's harness: that is `./x.py{option} test library/std`"
        );
        let failed = codes.into_iter().find(|code| *code != 0);
        Ok(failed.map_or(ExitCode::SUCCESS, |code| ExitCode::from(code as u8)))
    }
}

/// Whether there is nothing to run. Of arguments that it does not know, libtest itself tells the user.
fn selects_none(test: &Command) -> Result<bool> {
    let mut list = Command::new(test.get_program());
    list.args(test.get_args());
    if !test.get_args().any(|argument| argument == "--list") {
        list.arg("--list");
    }
    let listed = list.answer()?;
    let said = String::from_utf8_lossy(&listed.stdout);
    let none = ["", "0 tests, 0 benchmarks\n"].contains(&&*said);
    Ok(listed.status.success() && none)
}

/// Which integration tests differ from the base's, as options of cargo's.
fn changed(tree: &Tree, library: &LibraryId) -> Result<Vec<String>> {
    let base = base_library(tree)?;
    let mut diff = tree.git.command(&["diff-tree", "-r", "--name-only", "--diff-filter=d"]);
    let files = diff.args([&base, library, "--", ":(glob)std/tests/*.rs"]).read()?;
    let names =
        files.lines().filter_map(|file| file.strip_prefix("std/tests/")?.strip_suffix(".rs"));
    Ok(names.map(|name| format!("--test={name}")).collect())
}
