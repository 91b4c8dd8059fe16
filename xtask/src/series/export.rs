//! Writes the commits of build/rust to patches/, library/ and tests/.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::run::lock;
use crate::series::mirror;
use crate::series::patches::{self, Series};
use crate::series::tree::Tree;

/// Write the commits of build/rust to patches/, and the files they add to library/ and tests/.
///
/// Commit first: export takes commits, not uncommitted changes. Its inverse is prepare.
#[derive(Args)]
pub struct Export {
    /// Overwrite patches that changed since they were last applied or exported.
    #[arg(long)]
    overwrite: bool,
}

impl Export {
    pub fn run(self, project: &Project, base: &Base) -> Result<ExitCode> {
        let _lock = lock::acquire(&project.tree_lock(base), "export")?;
        export(project, base, self.overwrite)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the commits of build/rust to patches/, and the files that they add to library/ and tests/.
fn export(project: &Project, base: &Base, overwrite: bool) -> Result<()> {
    let tree = Tree::of(project, base);
    tree.require()?;
    let series = Series::of(project, base);
    let mut state = tree.state()?;
    let src = display(&tree.src);

    let changes = tree.git.changes()?;
    if !changes.is_empty() {
        bail!(
            "{src} has uncommitted changes, which an export would leave out:\n{changes}\n\
             Commit them (`git commit --amend`, or `git commit --fixup` and `git rebase -i \
             --autosquash {}`), or drop them with `git restore .`",
            &state.base[..12]
        );
    }
    if tree.git.run(&["merge-base", "--is-ancestor", &state.base, "HEAD"]).is_err() {
        bail!("what is checked out in {src} does not stand on the base, {}", state.base);
    }
    if !overwrite && series.digest()? != state.digest {
        bail!(
            "{dir} changed since it was last applied or exported, and an export would overwrite \
             that. To take the change into {src}: `cargo xtask prepare`. To overwrite it: \
             `cargo xtask export --overwrite`",
            dir = display(&series.dir)
        );
    }

    let tip = tree.git.rev("HEAD")?;
    let new = tempfile::Builder::new().prefix(".export-").tempdir_in(project.build())?;
    patches::format_patches(&tree.git, &state.base, &tip, new.path())?;
    replace_patches(&series, new.path())?;
    if base.default {
        mirror::write(project, &tree.git, &state.base, &tip)?;
    }
    state.series = tip;
    state.digest = series.digest()?;
    tree.write_state(&state)?;
    for patch in series.patches()? {
        println!("{}", display(&patch));
    }
    Ok(())
}

fn replace_patches(series: &Series, new: &Path) -> Result<()> {
    fs::create_dir_all(&series.dir)?;
    let new = Series { dir: new.to_owned() }.patches()?;
    // First the new ones, so that an interruption leaves too many rather than too few.
    for patch in &new {
        let name = patch.file_name().expect("a patch has a name");
        fs::copy(patch, series.dir.join(name))?;
    }
    for old in series.patches()? {
        if !new.iter().any(|patch| patch.file_name() == old.file_name()) {
            fs::remove_file(old)?;
        }
    }
    Ok(())
}
