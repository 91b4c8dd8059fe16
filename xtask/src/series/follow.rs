//! Moves build/rust to changed patches, if nothing of anyone's goes out of reach by that.

use anyhow::{Result, bail};
use fs_err as fs;

use crate::base::project::display;
use crate::run::command::CommandExt;
use crate::run::git;
use crate::run::kill_point::kill_point;
use crate::say::progress::Step;
use crate::series::patches::{Misfit, Series};
use crate::series::tree::{State, Tree};

impl Tree {
    /// Moves the tree to what patches/ holds now, if that changed since the last time.
    pub fn follow(&self, series: &Series) -> Result<()> {
        let mut state = self.state()?;
        let digest = series.digest()?;
        if digest == state.digest {
            return Ok(());
        }
        let dir = display(&series.dir);
        if state.exporting.is_some()
            && series.replacement(&self.git, &state.base, &state.written())?.foreign().is_empty()
        {
            bail!("an export to {dir} was interrupted; `{}` completes it", self.xtask("export"));
        }
        let step = Step::start(format!("applying {dir}"));
        let tip = series.apply(&self.git, &state.base);
        step.done();
        self.see_all()?;
        let tip = match tip {
            Err(error) if error.is::<Misfit>() => return Err(self.misfit(series, error, &state)?),
            tip => tip?,
        };
        if self.has_adopted(&tip, &digest, &state)? {
            return Ok(());
        }
        let tips: &[&str] =
            if self.has_series()? { &["HEAD", "refs/heads/series"] } else { &["HEAD"] };
        let commits = self.commits(tips, &[&state.series, &state.base])?;
        let changes = self.git.changes()?;
        let is_trace = changes.is_empty() || self.is_between(&state.series, &tip)?;
        if self.under_way().is_some() || !commits.is_empty() || !is_trace {
            return Err(self.work(series, &state, &tip, &commits, &changes)?);
        }

        self.keep_exported(&state)?;
        kill_point("before the move");
        let mut checkout = self.git.command(&["checkout", "--quiet", "--no-overwrite-ignore"]);
        if !changes.is_empty() {
            checkout.arg("--force");
        }
        checkout.args(["-B", "series", &tip]).run()?;
        kill_point("after the move");
        state.series = tip;
        state.digest = digest;
        state.exporting = None;
        self.write_state(&state)
    }

    /// Takes note of it if someone moved the tree to changed patches by hand, and maybe put more on top.
    pub fn adopt(&self, series: &Series) -> Result<()> {
        let (state, digest) = (self.state()?, series.digest()?);
        if digest != state.digest {
            match series.apply(&self.git, &state.base) {
                Err(error) if error.is::<Misfit>() => {}
                tip => drop(self.has_adopted(&tip?, &digest, &state)?),
            }
        }
        Ok(())
    }

    /// The patches with the digest `digest` give the commit `tip`.
    fn has_adopted(&self, tip: &str, digest: &str, state: &State) -> Result<bool> {
        let adopted = self.git.says_yes(&["merge-base", "--is-ancestor", tip, "HEAD"])?;
        if adopted {
            let (base, digest) = (state.base.clone(), digest.to_owned());
            self.write_state(&State { base, series: tip.to_owned(), digest, exporting: None })?;
        }
        Ok(adopted)
    }

    /// Whether everything that git sees as changed is, file by file, as it is in one of two commits: then
    /// a move from one to the other was interrupted, and nothing of it can be lost.
    pub fn is_between(&self, old: &str, new: &str) -> Result<bool> {
        let index_is =
            |commit| self.git.says_yes(&["diff-index", "--cached", "--quiet", commit, "--"]);
        if !index_is(old)? && !index_is(new)? {
            return Ok(false);
        }
        let moved = self.git.paths(&["diff", "--no-renames", "--name-only", "-z", old, new])?;
        let status = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"];
        for entry in self.git.paths(&status)? {
            // Two letters and a space come before the path.
            let path = entry.as_os_str().as_encoded_bytes().get(3..).unwrap_or_default();
            if !moved.iter().any(|moved| moved.as_os_str().as_encoded_bytes() == path) {
                return Ok(false);
            }
        }
        for path in moved {
            let file = self.src.join(&path);
            let Ok(metadata) = fs::symlink_metadata(&file) else { continue };
            if !metadata.is_file() {
                return Ok(false);
            }
            let text = Some(fs::read(file)?);
            if text != self.git.text(old, &path)? && text != self.git.text(new, &path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps commits of someone's that were exported and are not in patches/ any more under the name of
    /// a branch. Those that the tool made of patches, it can make again.
    fn keep_exported(&self, state: &State) -> Result<()> {
        let range = format!("{}..{}", state.base, state.series);
        let committers = self.git.read(&["log", "--format=%ce", &range])?;
        if committers.lines().any(|committer| committer != git::EMAIL) {
            let branch = format!("series-{}", &state.series[..12]);
            if !self.git.says_yes(&["merge-base", "--is-ancestor", &state.series, &branch])? {
                self.git.run(&["branch", &branch, &state.series])?;
            }
            eprintln!(
                "note: what was last exported from {} is not what patches/ holds now. Its commits are \
                 kept there as the branch {branch}",
                display(&self.src)
            );
        }
        Ok(())
    }
}
