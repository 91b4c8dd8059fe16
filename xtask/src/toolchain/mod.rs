//! build/toolchain: for users, and for whatever has to be compiled with the patched std.

pub mod assembly;
mod check;
pub mod link;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use self::assembly::Assembly;
use crate::base::project::display;
use crate::session::Invocation;

/// Assemble build/toolchain: the release's programs with the patched std, for use with rustup.
///
/// Compiles the patched std, which takes a minute or two, and links the rest from the installed
/// release. When nothing changed, it does nothing. Then, in any project whose crates say
/// #![feature(tcp_keepalive)]:
///
///     cargo xtask toolchain --link
///     cargo +tcp-keepalive run
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct BuildToolchain {
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
}

impl BuildToolchain {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let base = on.base()?;
        let name = |given: Option<String>| given.unwrap_or_else(|| link::default_name(&base));
        if let Some(given) = self.unlink {
            link::unlink(&name(given), &assembly::directory(&on.project, &base))?;
            return Ok(ExitCode::SUCCESS);
        }
        // A name that cannot be one is told before std is compiled.
        let link_name = self.link.map(name);
        if let Some(name) = &link_name {
            link::require_name(name)?;
        }
        let (session, _lock) = on.open("toolchain")?;
        let assembly = Assembly::patched(&session)?;
        let news = if assembly.bring_up_to_date(&self.targets)? { "ready" } else { "up to date" };
        println!("{} is {news}", display(&assembly.directory));
        if let Some(name) = link_name {
            link::link(&name, &assembly.directory)?;
        }
        if self.check {
            check::run(&session, &assembly.directory)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
