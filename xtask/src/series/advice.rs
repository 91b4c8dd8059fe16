//! Says how to keep what is in build/rust, and how to drop it, where the tool stops for it. The tests type
//! each of these commands, to the word, in the state that they are printed for.

use std::io::{Seek, Write};

use anyhow::{Context, Error, Result, anyhow};

use crate::base::project::display;
use crate::run::command::CommandExt;
use crate::run::files::{entries, file_name};
use crate::run::git::Git;
use crate::series::patches::Series;
use crate::series::tree::{State, Tree, lines};

impl Tree {
    /// The error for patches that changed while there is work in the tree.
    pub fn work(
        &self,
        series: &Series,
        state: &State,
        tip: &str,
        commits: &str,
        changes: &str,
    ) -> Result<Error> {
        let (dir, src) = (display(&series.dir), display(&self.src));
        let old = &state.series[..12];
        let mut work = commits.to_owned() + &lines(changes, "  changed ");
        let mut drop = vec![self.typed(&format!("checkout -f -B series {old}"))];
        if changes.lines().any(|line| line.starts_with("??")) {
            drop.push(self.typed("clean -ffd"));
        }
        let mut keep = self.park(state, !changes.is_empty())?;
        let is_on_series = self.branch()?.as_deref() == Some("series");
        if !is_on_series {
            let create = format!("switch --create series {old}");
            keep.push(self.typed(if self.has_series()? { "switch series" } else { &create }));
        }
        if self.is_ahead(state, &[])? {
            if self.is_ahead(state, &["--merges"])? {
                // A rebase leaves the merges themselves out.
                keep.extend(self.keep("refs/heads/series")?);
            }
            keep.push(self.typed(&format!("rebase --onto {tip} {old}")));
        }
        keep.push(self.xtask("prepare"));
        if is_on_series && !changes.is_empty() {
            // What is staged and what is not comes back apart.
            keep.push(self.typed("stash pop --index"));
        }
        let mut how_to_keep = format!("To keep that work:\n  {}", keep.join(" &&\n  "));
        if let Some((name, abort)) = self.under_way() {
            work = format!("  {name} that is not finished\n{work}");
            drop.insert(0, self.typed(abort));
            how_to_keep = format!(
                "To keep that work, finish {name} (`{}` says how), and run this again.",
                self.typed("status")
            );
        }
        Ok(anyhow!(
            "{dir} changed, but {src} holds work that it lacks, so nothing was touched:\n{work}\
             {how_to_keep}\nTo drop it:\n  {}",
            drop.join(" &&\n  ")
        ))
    }

    /// Commands that put uncommitted changes aside and give a name to commits that have none.
    pub fn park(&self, state: &State, is_changed: bool) -> Result<Vec<String>> {
        let mut commands = Vec::new();
        if is_changed {
            let stash = "stash push --include-untracked -m 'before the new patches'";
            commands.push(self.typed(stash));
        }
        if self.branch()?.is_none() && !self.commits(&["HEAD"], &[&state.series])?.is_empty() {
            commands.extend(self.keep("HEAD")?);
        }
        Ok(commands)
    }

    /// Whether the branch of the series has commits that were not exported.
    fn is_ahead(&self, state: &State, which: &[&str]) -> Result<bool> {
        let tips = [which, &["refs/heads/series"]].concat();
        Ok(self.has_series()? && !self.commits(&tips, &[&state.series])?.is_empty())
    }

    /// The command that gives a commit the name of a branch of its own, unless it has it already.
    pub fn keep(&self, commit: &str) -> Result<Option<String>> {
        let hash = self.git.rev(commit)?;
        let name = format!("kept-{}", &hash[..12]);
        let is_kept = self.git.says_yes(&["merge-base", "--is-ancestor", &hash, &name])?;
        Ok((!is_kept).then(|| self.typed(&format!("branch {name} {}", &hash[..12]))))
    }

    /// The error for patches that do not apply.
    pub fn misfit(&self, series: &Series, misfit: Error, state: &State) -> Result<Error> {
        let base = &state.base[..12];
        let missing = self.provide_blobs(series)?;
        if let Some((name, abort)) = self.under_way() {
            return Ok(anyhow!(
                "{misfit}\nBefore that can be resolved, finish {name} in {} (`{}` says how), or call it \
                 off:\n  {}",
                display(&self.src),
                self.typed("status"),
                self.typed(abort)
            ));
        }
        let mut resolve = self.park(state, !self.git.changes()?.is_empty())?;
        if self.is_ahead(state, &[])? {
            resolve.extend(self.keep("refs/heads/series")?);
        }
        resolve.push(self.typed(&format!("checkout -B series {base}")));
        // git looks for a relative path in the tree.
        let dir = series.dir.display().to_string();
        resolve.push(self.typed(&format!("am --3way {}/*.patch", shlex::try_quote(&dir)?)));
        let note = if missing {
            "\nThe files that they were made for are in no tree here, so git may not be able to merge: \
             first prepare the base that they were made for, with `cargo xtask prepare --base NAME`."
        } else {
            ""
        };
        Ok(anyhow!(
            "{misfit}{note}\nTo resolve it, apply the series with a merge:\n  {}\nWhere it stops: edit, \
             `git add`, `git am --continue`. Then write it down:\n  {}",
            resolve.join(" &&\n  "),
            self.xtask("export --overwrite")
        ))
    }

    /// Gets the files that the patches were made for from the trees of other bases, so that git can merge.
    /// Whether some are missing.
    fn provide_blobs(&self, series: &Series) -> Result<bool> {
        let has = |git: &Git, blob: &str| git.says_yes(&["cat-file", "-e", blob]);
        let build = self.src.parent().context("a tree has a parent directory")?;
        let mut others = entries(build)?;
        others.retain(|path| file_name(path).starts_with("rust") && path.join(".git").is_dir());
        others.retain(|path| *path != self.src);
        let mut missing = false;
        for blob in series.blobs()? {
            if blob.bytes().all(|byte| byte == b'0') || has(&self.git, &blob)? {
                continue;
            }
            let mut text = None;
            for other in &others {
                let other = Git::at(other);
                if has(&other, &blob)? {
                    text = Some(other.command(&["cat-file", "blob", &blob]).run()?.stdout);
                }
            }
            let Some(text) = text else {
                missing = true;
                continue;
            };
            let mut file = tempfile::tempfile()?;
            file.write_all(&text)?;
            file.rewind()?;
            self.git.command(&["hash-object", "-w", "--stdin"]).stdin(file).run()?;
        }
        Ok(missing)
    }
}
