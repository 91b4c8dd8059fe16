//! build/rust: a git repository with the base as one commit and then a commit for each patch.
//!
//! People work in it. Whatever is there and not in the patches is theirs: the tool moves the tree
//! only where nothing of it goes out of reach, and otherwise says what is there, how to keep it and
//! how to drop it.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::base::project::{Project, display, quoted};
use crate::run::command::CommandExt;
use crate::run::git::{self, Git};
use crate::run::kill_point::kill_point;
use crate::run::ownership::{self, Files, Replacement};
use crate::say::progress::Step;
use crate::series::patches::{self, Misfit, Series};

pub struct Tree {
    pub src: PathBuf,
    pub git: Git,
    /// How commands for it name its base: ` --base NAME`, or nothing for the default one.
    option: String,
}

/// What the tool last did to the tree; kept in its git directory.
#[derive(Clone, Serialize, Deserialize)]
pub struct State {
    /// The commit that holds the base.
    pub base: String,
    /// The tip of the series as patches/ had it when it was last applied or exported.
    pub series: String,
    /// The digest of patches/ at that time.
    pub digest: String,
    /// The commit that was being exported when the tool was last interrupted, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporting: Option<String>,
}

/// What git can be in the middle of: the file in its directory that tells, a name, and the command that
/// calls it off.
const UNDER_WAY: [(&str, &str, &str); 8] = [
    ("rebase-merge", "a rebase", "rebase --abort"),
    ("rebase-apply/applying", "a git am", "am --abort"),
    ("rebase-apply", "a rebase", "rebase --abort"),
    ("MERGE_HEAD", "a merge", "merge --abort"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "cherry-pick --abort"),
    ("REVERT_HEAD", "a revert", "revert --abort"),
    ("sequencer", "a cherry-pick", "cherry-pick --abort"),
    ("BISECT_LOG", "a bisection", "bisect reset"),
];

impl Tree {
    pub fn of(project: &Project, base: &Base) -> Tree {
        let option = if base.default { String::new() } else { format!(" --base {}", base.name) };
        Tree { option, ..Tree::at(&project.build_of(base, "rust")) }
    }

    pub fn at(src: &Path) -> Tree {
        Tree { src: src.to_owned(), git: Git::at(src), option: String::new() }
    }

    /// `cargo xtask WHAT` for this tree's base, to be typed.
    pub fn xtask(&self, what: &str) -> String {
        format!("cargo xtask {what}{}", self.option)
    }

    /// `git ARGS` in this tree, to be typed.
    pub fn typed(&self, args: &str) -> String {
        format!("git -C {} {args}", quoted(&self.src))
    }

    /// Whether the tree has been made. It appears under its name only when it is whole.
    pub fn exists(&self) -> bool {
        self.src.exists()
    }

    /// Stops unless the tree has been made.
    pub fn require(&self) -> Result<()> {
        if !self.exists() {
            let make = self.xtask("prepare");
            bail!("{} is not there yet; `{make}` makes it", display(&self.src));
        }
        Ok(())
    }

    fn state_file(&self) -> PathBuf {
        self.src.join(".git/xtask.toml")
    }

    pub fn state(&self) -> Result<State> {
        let text = fs::read_to_string(self.state_file()).with_context(|| {
            format!("{} was not made by `cargo xtask prepare`", display(&self.src))
        })?;
        Ok(toml::from_str(&text)?)
    }

    pub fn write_state(&self, state: &State) -> Result<()> {
        // So that git keeps the commits by which the tool knows its own patches again.
        self.git.run(&["update-ref", "refs/xtask/series", &state.series])?;
        ownership::write(&self.state_file(), toml::to_string(state)?.as_bytes())
    }

    /// The branch that is checked out, if one is.
    pub fn branch(&self) -> Result<Option<String>> {
        let answer = self.git.command(&["symbolic-ref", "--quiet", "--short", "HEAD"]).answer()?;
        let name = String::from_utf8_lossy(&answer.stdout).trim_end().to_owned();
        Ok(answer.status.success().then_some(name))
    }

    /// What git is in the middle of, if it is, and what calls it off.
    pub fn under_way(&self) -> Option<(&'static str, &'static str)> {
        let found = UNDER_WAY.iter().find(|(file, ..)| self.src.join(".git").join(file).exists());
        found.map(|(_, name, abort)| (*name, *abort))
    }

    /// Stops if git was told to overlook what changes in some files: nobody could tell then whether
    /// there is work in them.
    pub fn see_all(&self) -> Result<()> {
        let flagged = self.git.read(&["ls-files", "-v"])?;
        let is_hidden = |tag: char| tag.is_ascii_lowercase() || tag == 'S';
        let hidden: Vec<_> = flagged
            .lines()
            .filter(|line| line.starts_with(is_hidden))
            .map(|line| &line[2..])
            .collect();
        if hidden.is_empty() {
            return Ok(());
        }
        let files = hidden.iter().map(|file| quoted(Path::new(file))).collect::<Vec<_>>().join(" ");
        bail!(
            "in {}, git overlooks changes in {}. To have it look again:\n  {}",
            display(&self.src),
            hidden.join(", "),
            self.typed(&format!("update-index --no-assume-unchanged --no-skip-worktree {files}"))
        )
    }

    /// Commits below some of `tips` that are below none of `others`, a line each.
    pub fn commits(&self, tips: &[&str], others: &[&str]) -> Result<String> {
        let range = [tips, &["--not"], others].concat();
        let log = self.git.command(&["log", "--format=  commit %h %s"]).args(range).read()?;
        Ok(lines(&log, ""))
    }

    /// Moves the tree to what patches/ holds now, if that changed since the last time.
    pub fn follow(&self, series: &Series) -> Result<()> {
        let mut state = self.state()?;
        let digest = series.digest()?;
        if digest == state.digest {
            return Ok(());
        }
        let dir = display(&series.dir);
        if state.exporting.is_some() && self.replacement(series, &state)?.foreign().is_empty() {
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

    /// The error for patches that changed while there is work in the tree.
    fn work(
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
        if self.has_series()? && !self.commits(&["refs/heads/series"], &[&state.series])?.is_empty()
        {
            keep.push(self.typed(&format!("rebase --onto {tip} {old}")));
        }
        keep.push(self.xtask("prepare"));
        if is_on_series && !changes.is_empty() {
            keep.push(self.typed("stash pop"));
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

    /// The command that gives a commit the name of a branch of its own, unless it has it already.
    pub fn keep(&self, commit: &str) -> Result<Option<String>> {
        let hash = self.git.rev(commit)?;
        let name = format!("kept-{}", &hash[..12]);
        let is_kept = self.git.says_yes(&["merge-base", "--is-ancestor", &hash, &name])?;
        Ok((!is_kept).then(|| self.typed(&format!("branch {name} {}", &hash[..12]))))
    }

    fn has_series(&self) -> Result<bool> {
        self.git.says_yes(&["show-ref", "--verify", "--quiet", "refs/heads/series"])
    }

    /// The error for patches that do not apply.
    fn misfit(&self, series: &Series, misfit: Error, state: &State) -> Result<Error> {
        let base = &state.base[..12];
        let missing = self.provide_blobs(series)?;
        let mut resolve = Vec::new();
        if let Some((_, abort)) = self.under_way() {
            resolve.push(self.typed(abort));
        }
        resolve.extend(self.park(state, !self.git.changes()?.is_empty())?);
        if self.has_series()? && !self.commits(&["refs/heads/series"], &[&state.series])?.is_empty()
        {
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
        let mut others = Vec::new();
        for entry in fs::read_dir(build)? {
            let entry = entry?;
            let is_tree = entry.file_name().to_string_lossy().starts_with("rust");
            if is_tree && entry.path() != self.src && entry.path().join(".git").is_dir() {
                others.push(Git::at(&entry.path()));
            }
        }
        let mut missing = false;
        for blob in series.blobs()? {
            if blob.bytes().all(|byte| byte == b'0') || has(&self.git, &blob)? {
                continue;
            }
            let mut text = None;
            for other in &others {
                if has(other, &blob)? {
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

    /// patches/, to be replaced by what `state` was exporting, or by nothing that is known yet.
    pub fn replacement<'s>(&self, series: &'s Series, state: &State) -> Result<Replacement<'s>> {
        let mut written = Vec::new();
        for tip in [Some(&state.series), state.exporting.as_ref()].into_iter().flatten() {
            written.push(patches::exported(&self.git, &state.base, tip)?);
        }
        Ok(Replacement { root: &series.dir, found: series.found()?, written, new: Files::new() })
    }
}

/// Each line with `before` in front of it and its end.
fn lines(text: &str, before: &str) -> String {
    text.lines().map(|line| format!("{before}{line}\n")).collect()
}
