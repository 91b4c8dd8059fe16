//! Puts the results of all shards together, as one machine would have written them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::report::Report;
use crate::say::table::Format;
use crate::session::Invocation;

/// Put together what several machines found out, each with a `--shard` of its own.
///
/// Fails if a shard is missing or there twice, or if one was made with another base, series, compiler
/// or selection than the others. The exit code is that of a run on one machine, with `--require` where
/// there is one.
///
///     cargo xtask targets --all --shard 0/2 --format json >0.json   # on one machine
///     cargo xtask targets --all --shard 1/2 --format json >1.json   # on another
///     cargo xtask merge 0.json 1.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Merge {
    /// What `--shard K/N --format json` printed, for each K.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How to print the results.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Merge {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        on.refuse_base("merge")?;
        let report = Report::merge(&self.files)?;
        print!("{}", report.render(self.format)?);
        Ok(report.exit_code(true))
    }
}
