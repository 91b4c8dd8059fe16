//! Writes the commits of build/rust to patches/, library/ and tests/.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::base::Base;
use crate::base::project::{Project, display, quoted};
use crate::run::kill_point::kill_point;
use crate::run::lock;
use crate::series::mirror;
use crate::series::patches::{self, Series};
use crate::series::tree::{State, Tree};

/// Write the commits of build/rust to patches/, and the files they add to library/ and tests/.
///
/// Commit first: export takes the commits of the branch `series`, not uncommitted changes. Its inverse is
/// prepare. Where it finds something that it did not write itself, it stops.
#[derive(Args)]
pub struct Export {
    /// Overwrite and remove patches that no export wrote.
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
    tree.adopt(&series)?;
    let mut state = tree.state()?;
    let tip = exportable(&tree, &state)?;

    let mut patches = series.replacement(&tree.git, &state.base, &state.written())?;
    patches.new = patches::exported_and_applied(&tree.git, &state.base, &tip)?;
    if !overwrite {
        check_patches(&tree, &series, &state, &patches.foreign())?;
    }
    let mut mirror = None;
    // The files of the others are in their patches alone.
    if base.default {
        let written = state.written();
        let replacement = mirror::replacement(project, &tree.git, &state.base, &written, &tip)?;
        check_mirror(&tree, &replacement.foreign())?;
        mirror = Some(replacement);
    }

    // From here on, what is half written is known for the tool's own.
    state.exporting = Some(tip.clone());
    tree.write_state(&state)?;
    patches.make(overwrite)?;
    kill_point("between patches and mirror");
    if let Some(mirror) = mirror {
        mirror.make(false)?;
    }
    let digest = series.digest()?;
    tree.write_state(&State { series: tip, digest, exporting: None, ..state })?;
    for patch in series.patches()? {
        println!("{}", display(&patch));
    }
    Ok(())
}

/// The commit to export, if what is checked out is a series that patches can hold.
fn exportable(tree: &Tree, state: &State) -> Result<String> {
    let src = display(&tree.src);
    if let Some((name, abort)) = tree.under_way() {
        bail!(
            "in {src}, {name} is not finished. Finish it (`{}` says how), or call it off:\n  {}",
            tree.typed("status"),
            tree.typed(abort)
        );
    }
    tree.see_all()?;
    let branch = tree.branch()?;
    if branch.as_deref() != Some("series") {
        let mut back = tree.park(state, false)?;
        back.push(tree.typed("switch series"));
        bail!(
            "in {src}, {} is checked out; the branch `series` is what is exported. To go back to \
             it:\n  {}\nTo export what is checked out now:\n  {} &&\n  {}",
            branch.map_or("a commit without a branch".into(), |branch| format!("`{branch}`")),
            back.join(" &&\n  "),
            tree.typed("branch --move series former-series"),
            tree.typed("switch --create series"),
        );
    }
    let changes = tree.git.changes()?;
    if !changes.is_empty() {
        bail!(
            "{src} has uncommitted changes, which an export would leave out:\n{changes}\n\
             Commit them (with `--amend`, or with `--fixup COMMIT` and `git rebase -i --autosquash {}`). \
             To put them aside:\n  {}\nTo drop them:\n  {} &&\n  {}",
            &state.base[..12],
            tree.typed("stash push --include-untracked"),
            tree.typed("reset --hard"),
            tree.typed("clean -ffd"),
        );
    }
    let tip = tree.git.rev("HEAD")?;
    if !tree.git.says_yes(&["merge-base", "--is-ancestor", &state.base, &tip])? {
        bail!("what is checked out in {src} does not stand on the base, {}", state.base);
    }
    if tip == state.base {
        bail!("in {src}, no commit is on top of the base, so there is nothing to export");
    }
    let merges = tree.git.read(&[
        "log",
        "--merges",
        "--format=  %h %s",
        &format!("{}..{tip}", state.base),
    ])?;
    if !merges.is_empty() {
        // A rebase leaves the merges themselves out.
        let mut flatten: Vec<_> = tree.keep("HEAD")?.into_iter().collect();
        flatten.push(tree.typed(&format!("rebase {}", &state.base[..12])));
        bail!(
            "a series is linear, and in {src} there are merges:\n{merges}\nTo put their commits in a \
             row:\n  {}",
            flatten.join(" &&\n  ")
        );
    }
    Ok(tip)
}

fn check_patches(tree: &Tree, series: &Series, state: &State, foreign: &[&Path]) -> Result<()> {
    if foreign.is_empty() {
        return Ok(());
    }
    let dir = display(&series.dir);
    let list: String = foreign.iter().map(|path| format!("  {}\n", path.display())).collect();
    let overwrite = tree.xtask("export --overwrite");
    if series.digest()? == state.digest {
        bail!(
            "no export wrote these files in {dir}, and one would overwrite or remove them:\n{list}\
             What they change is in {src} already. To write them as an export does:\n  {overwrite}",
            src = display(&tree.src),
        );
    }
    bail!(
        "{dir} changed since it was last applied or exported, and an export would overwrite \
         that:\n{list}To take the change into {src}:\n  {}\nTo overwrite it:\n  {overwrite}",
        tree.xtask("prepare"),
        src = display(&tree.src),
    );
}

fn check_mirror(tree: &Tree, foreign: &[&Path]) -> Result<()> {
    if foreign.is_empty() {
        return Ok(());
    }
    let list: String = foreign.iter().map(|path| format!("  {}\n", path.display())).collect();
    let files: String = foreign.iter().map(|path| format!(" {}", quoted(path))).collect();
    bail!(
        "library/ and tests/ hold what the series did not put there, so nothing was written:\n{list}\
         To make it part of the series, take it into {src} and commit it there:\n  \
         tar -cf -{files} | tar -xf - -C {to}\nElse move it away, or drop it:\n  rm{files}",
        src = display(&tree.src),
        to = quoted(&tree.src),
    );
}
