//! Tells what is left to submit: applies the patch of each pull request to a checkout of rust-lang/rust.
//!
//! This happens in repositories under build/ that read the checkout's objects. A linked work tree would
//! register itself in the checkout, leave objects there, and run its hooks; so, nothing is written there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;
use serde::Deserialize;

use crate::base::project::display;
use crate::run::command::CommandExt;
use crate::run::files::file_name;
use crate::run::git::Git;
use crate::series::patches::{Scratch, Series};
use crate::series::tree::Tree;
use crate::session::Invocation;

/// In a series that is submitted: its pull requests.
const TABLE: &str = "pull-requests.toml";

/// See whether each pull request of the series still applies to a checkout of rust-lang/rust.
///
/// What counts is the commit that is checked out. Nothing in the checkout changes. Exit code 0 if all
/// pull requests apply, 1 otherwise.
#[derive(Args)]
pub struct Rehearse {
    /// A clone of rust-lang/rust, shallow or not, clean or not.
    checkout: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    /// The number of the patch that goes below the others where it is missing.
    below: String,
    pull_request: Vec<PullRequest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PullRequest {
    name: String,
    /// The patch's number.
    patch: String,
    /// The file with what to say of it.
    #[cfg_attr(not(test), expect(dead_code, reason = "CONTRIBUTING.md is compared with it"))]
    text: String,
    /// The pull requests that have to be merged before.
    #[serde(default)]
    needs: Vec<String>,
    /// What else has to come before.
    #[cfg_attr(not(test), expect(dead_code, reason = "CONTRIBUTING.md is compared with it"))]
    condition: Option<String>,
    /// A file that the patch changes only where it exists.
    optional: Option<String>,
}

impl Table {
    fn read(series: &Series) -> Result<Table> {
        let path = series.dir.join(TABLE);
        toml::from_str(&fs::read_to_string(&path)?).with_context(|| display(&path).to_string())
    }
}

impl Rehearse {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let Invocation { project, base } = on;
        let mut bases = project.bases().into_iter();
        let base = match base {
            Some(name) => project.base(Some(&name))?,
            None => bases
                .find(|base| Series::of(&project, base).dir.join(TABLE).exists())
                .with_context(|| format!("no series has a {TABLE}"))?,
        };
        let series = Series::of(&project, &base);
        let table = Table::read(&series)?;
        let patches = series.patches()?;
        let patch = |number: &str| {
            let patch = patches.iter().find(|patch| file_name(patch).starts_with(number));
            patch.with_context(|| format!("{} has no patch {number}", display(&series.dir)))
        };

        let checkout = Git::at(&self.checkout);
        let Ok(start) = checkout.rev("HEAD") else {
            bail!("in {}, git finds no commit that is checked out", display(&self.checkout));
        };
        let tree = Tree::of(&project, &base);
        let stage = || Stage::set(&checkout, &tree, &start);

        let lowest = patch(&table.below)?;
        let (applies, verdict) = {
            let stage = stage()?;
            println!("{}", stage.facts()?);
            stage.apply(lowest, None)?
        };
        println!("patch {}: {verdict}\n", table.below);
        let below = applies.then_some(lowest);
        let mut applying = BTreeMap::new();
        let count = table.pull_request.len();
        for PullRequest { name, patch: number, needs, optional, .. } in table.pull_request {
            let stage = stage()?;
            for patch in
                below.into_iter().chain(needs.iter().filter_map(|n| applying.get(n).copied()))
            {
                stage.apply(patch, None)?;
            }
            let patch = patch(&number)?;
            let (applies, verdict) = stage.apply(patch, optional.as_deref())?;
            println!("{name:<16}{verdict}");
            if applies {
                applying.insert(name, patch);
            }
        }
        Ok(ExitCode::from(u8::from(applying.len() < count)))
    }
}

/// Whether a patch applies, and what becomes of it in words.
type Verdict = (bool, String);

/// A repository in which patches are applied to the commit that is checked out in another.
struct Stage<'a> {
    scratch: Scratch,
    start: &'a str,
    tree: &'a Tree,
    /// The commits whose parents a shallow checkout lacks.
    shallow: String,
}

impl Stage<'_> {
    fn set<'a>(checkout: &Git, tree: &'a Tree, start: &'a str) -> Result<Stage<'a>> {
        // The tree has the files that the patches were made for. Without them, git tries no merge.
        let tree_if_there = Some(&tree.git).filter(|git| git.dir.exists());
        let scratch = Scratch::apart(std::iter::once(checkout).chain(tree_if_there))?;
        let shallow = fs::read_to_string(checkout.path("shallow")?).unwrap_or_default();
        fs::write(scratch.git.path("shallow")?, &shallow)?;
        scratch.git.run(&["update-ref", "HEAD", start])?;
        scratch.git.run(&["read-tree", "HEAD"])?;
        Ok(Stage { scratch, start, tree, shallow })
    }

    /// What decides everything else.
    fn facts(&self) -> Result<String> {
        let text = |path: &str| {
            let text = self.scratch.git.text(self.start, Path::new(path))?;
            let text = text.with_context(|| {
                format!("{} has no {path}: is it of rust-lang/rust?", self.start)
            })?;
            Ok::<_, anyhow::Error>(String::from_utf8(text)?)
        };
        let source = text("library/std/src/net/tcp.rs")?;
        let methods =
            ["set_keepalive", "keepalive"].map(|m| format!("{m}: {}", stability(&source, m)));
        let libc =
            of_libc(&text("library/std/Cargo.toml")?).context("std has no dependency on libc")?;
        Ok(format!(
            "{}\n{}\n{libc}",
            self.describe(&["--no-walk", self.start])?,
            methods.join("\n")
        ))
    }

    /// Commits a patch on top of what is there, without its changes in `optional` if that is missing.
    fn apply(&self, patch: &Path, optional: Option<&str>) -> Result<Verdict> {
        let git = &self.scratch.git;
        let before = git.rev("HEAD")?;
        let missing =
            optional.filter(|path| matches!(git.text(&before, Path::new(path)), Ok(None)));
        let with_patch = |args: &[&str]| {
            let mut command = git.command(args);
            command.args(missing.map(|path| format!("--exclude={path}"))).arg(patch);
            command.env("GIT_EDITOR", "true").answer()
        };
        // A merge would find that out as well, but needs the file that the patch was made for.
        if with_patch(&["apply", "--cached", "--check", "--reverse"])?.status.success() {
            return Ok((false, "already there".into()));
        }
        // A merge wants the files in the work tree. Those that are not there, the patch adds.
        let files = git.command(&["apply", "--numstat", "-z"]).arg(patch).read()?;
        let files = files.split('\0').filter_map(|line| line.split('\t').nth(2));
        git.command(&["checkout-index", "--quiet", "--force", "--"]).args(files).answer()?;
        let output = with_patch(&["am", "--3way"])?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if !output.status.success() {
            let errors = with_patch(&["apply", "--cached", "--check"])?.stderr;
            let places = self.conflicts(&said, &String::from_utf8_lossy(&errors))?;
            return Ok((false, format!("conflicts {places}")));
        }
        Ok(match git.rev("HEAD")? == before {
            true => (false, "already there".into()),
            false if said.contains("Falling back") => (true, "applies with a merge".into()),
            false => (true, "applies".into()),
        })
    }

    /// Which files conflict, and with which commits.
    fn conflicts(&self, said: &str, errors: &str) -> Result<String> {
        let unmerged = self.scratch.git.read(&["diff", "--name-only", "--diff-filter=U"])?;
        let mut files: Vec<_> = unmerged.lines().collect();
        if files.is_empty() {
            // `error: library/std/src/net/tcp.rs: patch does not apply`
            let named = errors.lines().filter_map(|l| l.strip_prefix("error: ")?.split_once(": "));
            files = named.map(|(file, _)| file).filter(|file| *file != "patch failed").collect();
        }
        let mut places = Vec::new();
        for file in files {
            let commits = self.commits_in_conflict(file)?;
            places.push(if commits.is_empty() {
                let commit = self.describe(&[self.start, "--", file])?;
                format!("in {file}, which was last changed by {commit}")
            } else {
                let mut newest = vec!["--no-walk"];
                newest.extend(commits.iter().map(String::as_str));
                format!("in {file}, on lines last touched by {}", self.describe(&newest)?)
            });
        }
        if said.contains("lacks") {
            let prepare = self.tree.xtask("prepare");
            places.push(format!("without a merge, for which `{prepare}` has to be run first"));
        }
        Ok(places.join("; "))
    }

    /// The commits that those lines of the checkout's are from that git could not merge with the patch.
    fn commits_in_conflict(&self, file: &str) -> Result<Vec<String>> {
        let git = &self.scratch.git;
        let merged = fs::read_to_string(git.dir.join(file)).unwrap_or_default();
        let blame = git.command(&["blame", "--line-porcelain", self.start, "--", file]).answer()?;
        let blame = String::from_utf8_lossy(&blame.stdout);
        let (mut lines, mut commit) = (Vec::new(), "");
        for line in blame.lines() {
            match (line.strip_prefix('\t'), line.split_once(' ')) {
                (Some(text), _) => lines.push((text, commit)),
                (None, Some((hash, _))) if hash.len() == self.start.len() => commit = hash,
                _ => {}
            }
        }
        let conflicts =
            merged.split("\n<<<<<<< ").skip(1).filter_map(|rest| rest.split_once("\n======="));
        let ours = conflicts.flat_map(|(ours, _)| {
            let ours: Vec<_> = ours.lines().skip(1).collect();
            let is_here =
                |w: &&[(&str, &str)]| w.iter().map(|line| line.0).eq(ours.iter().copied());
            lines.windows(ours.len().max(1)).find(is_here).unwrap_or_default()
        });
        Ok(ours.map(|(_, commit)| (*commit).to_owned()).collect())
    }

    /// The newest of the commits that `git log` finds.
    fn describe(&self, which: &[&str]) -> Result<String> {
        let log = ["log", "-1", "--abbrev=12", "--format=%h (%cs, %s)"];
        let commit = self.scratch.git.read(&[&log, which].concat())?;
        let hash = commit.split(' ').next().unwrap_or_default();
        let is_oldest = self.shallow.lines().any(|line| line.starts_with(hash));
        Ok(commit.clone() + if is_oldest { ", the oldest in this shallow clone" } else { "" })
    }
}

/// What a source says of a method's stability.
fn stability(source: &str, method: &str) -> String {
    const FEATURE: &str = "feature = \"tcp_keepalive\"";
    let Some((before, _)) = source.split_once(&format!("pub fn {method}(")) else {
        let name = |rest: &str| Some(rest.split_once("pub fn ")?.1.split_once('(')?.0.to_owned());
        let gated: Vec<_> = source.split(FEATURE).skip(1).filter_map(name).collect();
        let renamed = || format!("renamed; the feature `tcp_keepalive` has {}", gated.join(", "));
        return if gated.is_empty() { "gone".into() } else { renamed() };
    };
    let below_docs = before.rsplit_once("///").and_then(|(_, last)| last.split_once('\n'));
    let attributes = below_docs.map_or(before, |(_, attributes)| attributes);
    let value = |key: &str| attributes.split_once(key)?.1.split('"').nth(1);
    match (value("since"), value("feature")) {
        (Some(since), _) => format!("stable since {since}"),
        (None, Some(feature)) => format!("unstable, feature `{feature}`"),
        (None, None) => "there, without a word on its stability".into(),
    }
}

/// What a manifest says of `libc`, as NuttX needs it.
fn of_libc(manifest: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.starts_with("libc = "))?;
    let version = line.split_once("version = ")?.1.split('"').nth(1)?;
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    let has = if numbers >= vec![0, 2, 189] { "has" } else { "may lack (0.2.189 has)" };
    Some(format!("libc {version}: {has} SO_KEEPALIVE for NuttX"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_the_methods_is_read() {
        let now = "#[unstable(feature = \"tcp_keepalive\", issue = \"155889\")]\n    pub fn keepalive(&self)";
        let source = |from, to| format!("/// since = \"1.0.0\"\n    {}", now.replace(from, to));
        assert_eq!(stability(&source("", ""), "keepalive"), "unstable, feature `tcp_keepalive`");
        let stable = "stable(feature = \"tcp_keepalive\", since = \"1.99.0\")";
        let stable = source("unstable(feature = \"tcp_keepalive\", issue = \"155889\")", stable);
        assert_eq!(stability(&stable, "keepalive"), "stable since 1.99.0");
        let renamed = stability(&source("fn keepalive", "fn so_keepalive"), "keepalive");
        assert_eq!(renamed, "renamed; the feature `tcp_keepalive` has so_keepalive");
        assert_eq!(stability("pub fn nodelay(&self)", "keepalive"), "gone");
    }

    #[test]
    fn libc_that_has_the_constant_is_known() {
        for (version, has) in [("0.2.185", "may lack"), ("0.2.189", "has"), ("0.3", "has")] {
            let manifest = format!("[dependencies]\nlibc = {{ version = \"{version}\" }}\n");
            let said = of_libc(&manifest).unwrap();
            assert!(said.starts_with(&format!("libc {version}: {has} ")), "{said}");
        }
    }

    /// The table for people is the one that this command works with.
    #[test]
    fn contributing_has_the_same_pull_requests() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let series = Series { dir: root.join("patches/1.98") };
        let table = Table::read(&series).unwrap();
        let guide = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
        let mut numbers = vec![table.below];
        for PullRequest { name, patch, text, mut needs, condition, .. } in table.pull_request {
            assert!(series.dir.join(&text).exists(), "{text}");
            needs.extend(condition);
            let needs = if needs.is_empty() { "–".into() } else { needs.join("; ") };
            let row = format!("| {name} | {patch} | `{text}` | {needs} |\n");
            assert!(guide.contains(&row), "CONTRIBUTING.md lacks {row}");
            assert!(guide.contains(&format!("$P/{patch}-*.patch")), "no recipe for {patch}");
            numbers.push(patch);
        }
        let patches = series.patches().unwrap();
        assert!(patches.iter().map(|patch| file_name(patch)[..4].to_owned()).eq(numbers));
    }
}
