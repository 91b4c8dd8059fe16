//! Proving that the series is whole, applies, and is fit to submit.
//!
//! All of it happens in build/verify, a linked work tree of build/rust, so that nobody's work in
//! build/rust is in the way or at risk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::Base;
use crate::base::archive;
use crate::base::project::{Project, cache_dir, display};
use crate::compiler::Compiler;
use crate::evidence::fences;
use crate::run::command::CommandExt;
use crate::run::git::Git;
use crate::run::lock;
use crate::say::checks::Checks;
use crate::say::progress::Step;
use crate::series::mirror;
use crate::series::patches::{self, Fit, Series};
use crate::series::prepare;
use crate::series::tree::Tree;
use crate::session::Invocation;
use crate::upstream::bootstrap::{Bootstrap, Lane};

/// Prove that patches/, library/ and tests/ agree, apply cleanly and are fit to submit.
///
/// Works in a checkout of its own, build/verify; build/rust is not touched.
#[derive(Args)]
pub struct Verify {
    /// Also build std and run the series' tests after each single patch (slow).
    #[arg(long)]
    each: bool,
}

impl Verify {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let base = on.base()?;
        let _lock = lock::acquire(&on.project.tree_lock(&base), "verify")?;
        verify(&on.project, &base, self.each)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs all checks, tells of each, and fails if one of them does.
fn verify(project: &Project, base: &Base, each: bool) -> Result<()> {
    let toolchain = Compiler::find(base)?;
    let tree = prepare::with_base(project, base, None, &toolchain)?;
    let series = Series::of(project, base);
    let mut checks = Checks::new("verify", "the series is not as it should be");
    if let Some(name) = &base.series_of {
        let home = prepare::with_base(project, &project.base(Some(name))?, None, &toolchain)?;
        fits(&series, &tree, &home, &mut checks)?;
        return checks.finish();
    }
    checks.add("the archives in the cache have their hashes", archives(base));
    checks.add("each patch has a subject, a body and an author", descriptions(&series));

    let base_commit = tree.state()?.base;
    let tip = series.apply(&tree.git, &base_commit);
    let applied = tip.as_ref().map(drop).map_err(|error| anyhow::anyhow!("{error:#}"));
    checks.add("the patches apply to the pristine base, in order", applied);
    // Nothing of the rest can be told without the series.
    if let Ok(tip) = tip {
        let review =
            Review { project, base, series: &series, toolchain: &toolchain, git: &tree.git };
        review.run(&base_commit, &tip, each, &mut checks)?;
    }
    checks.finish()
}

/// Whether each patch of a series applies to another base than its `home`.
fn fits(series: &Series, tree: &Tree, home: &Tree, checks: &mut Checks) -> Result<()> {
    // A merge needs the files that the patches were made for.
    let path = home.src.to_str().context("the path of this repository is not UTF-8")?;
    tree.git.run(&["fetch", "--quiet", path, "+refs/tags/base:refs/xtask/home"])?;
    for (patch, fit) in series.fit(&tree.git, &tree.state()?.base)? {
        let name = patch.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match fit {
            Fit::Plain => checks.add(&format!("{name} applies"), Ok(())),
            Fit::Merged => checks.add(&format!("{name} applies with git am --3way"), Ok(())),
            Fit::Not(reasons) => checks.add(&format!("{name} applies"), none_of(reasons)),
        }
    }
    Ok(())
}

fn archives(base: &Base) -> Result<()> {
    for archive in &base.archive {
        let path = cache_dir()?.join(&archive.file);
        if path.exists() && !archive::is_intact(&path, archive)? {
            bail!("{} was damaged", archive.file);
        }
    }
    Ok(())
}

/// Reads the headers and the message as `git am` would.
fn descriptions(series: &Series) -> Result<()> {
    for patch in series.patches()? {
        let name = patch.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let info = Command::new("git")
            .args(["mailinfo", "--encoding=UTF-8", "/dev/stdout", "/dev/null"])
            .stdin(Stdio::from(fs::File::open(&patch)?.into_parts().0))
            .read()?;
        // mailinfo writes the message first, and the headers after it.
        let header = |field: &str| {
            let prefix = format!("{field}: ");
            info.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("").to_owned()
        };
        let body = info.lines().take_while(|line| !line.starts_with("Author: "));
        if body.filter(|line| !line.trim().is_empty()).count() == 0 {
            bail!("{name} has no body that says why");
        }
        if header("Subject").is_empty() {
            bail!("{name} has no subject");
        }
        let (author, email) = (header("Author"), header("Email"));
        let domain = email.split_once('@').map_or("", |(_, domain)| domain);
        if author.is_empty() || !domain.contains('.') {
            bail!("{name} has no plausible author: {author:?} <{email}>");
        }
    }
    let letters = series.cover_letters()?;
    if letters.is_empty() {
        bail!("{} has no cover letter", display(&series.dir));
    }
    for letter in letters {
        if fs::read_to_string(&letter)?.trim().is_empty() {
            bail!("{} is empty", display(&letter));
        }
    }
    Ok(())
}

/// The checks that need the series applied.
struct Review<'a> {
    project: &'a Project,
    base: &'a Base,
    series: &'a Series,
    toolchain: &'a Compiler,
    git: &'a Git,
}

impl Review<'_> {
    fn run(&self, base: &str, tip: &str, each: bool, checks: &mut Checks) -> Result<()> {
        checks.add("patches/ is what export writes", self.canonical(base, tip));
        // The files of the others are in their patches alone.
        if self.base.default {
            let differences = mirror::differences(self.project, self.git, base, tip)?;
            checks.add("library/ and tests/ are what the series adds", none_of(differences));
        }

        let commits = self.git.read(&["rev-list", "--reverse", &format!("{base}..{tip}")])?;
        let commits: Vec<_> = commits.lines().collect();
        checks.add("each code fence in the documentation closes", self.fences(base, tip));

        let tree = self.checkout(tip)?;
        for commit in &commits {
            let subject = self.git.read(&["show", "--no-patch", "--format=%s", commit])?;
            tree.git.run(&["checkout", "--quiet", "--force", commit])?;
            checks.add(&format!("formatted by rustfmt: {subject}"), self.formatted(&tree, commit));
            let whitespace = self.git.run(&["diff", "--check", &format!("{commit}^"), commit]);
            checks.add(&format!("no whitespace error: {subject}"), whitespace);
        }
        if tree.has_x_py() {
            let tidy = self.tidy(&tree, base, tip);
            checks.add("tidy says nothing that it does not say at the base", tidy);
        } else {
            checks.skip("tidy, and the tests: this base has std's sources alone");
        }
        if each && tree.has_x_py() {
            for commit in &commits {
                let subject = self.git.read(&["show", "--no-patch", "--format=%s", commit])?;
                tree.git.run(&["checkout", "--quiet", "--force", commit])?;
                let name = format!("builds and passes: {subject}");
                checks.add(&name, self.builds_and_passes(&tree, base));
            }
        }
        Ok(())
    }

    /// So that an export after no change changes nothing, and no hash in a patch is a lie.
    fn canonical(&self, base: &str, tip: &str) -> Result<()> {
        let exported = tempfile::tempdir()?;
        patches::format_patches(self.git, base, tip, exported.path())?;
        let exported = Series { dir: exported.path().to_owned() };
        let contents = |series: &Series| -> Result<Vec<(PathBuf, Vec<u8>)>> {
            let patches = series.patches()?;
            patches
                .iter()
                .map(|p| Ok((p.file_name().unwrap_or_default().into(), fs::read(p)?)))
                .collect()
        };
        if contents(&exported)? != contents(self.series)? {
            bail!("`cargo xtask prepare && cargo xtask export` rewrites it; commit the result");
        }
        Ok(())
    }

    fn fences(&self, base: &str, tip: &str) -> Result<()> {
        let changed = self.git.read(&["diff", "--diff-filter=d", "--name-only", base, tip])?;
        let mut problems = Vec::new();
        for file in changed.lines().filter(|file| file.ends_with(".rs")) {
            let source = self.git.read(&["show", &format!("{tip}:{file}")])?;
            let lines = fences::unclosed(&source);
            problems.extend(lines.iter().map(|line| format!("{file}:{line} opens one for good")));
        }
        none_of(problems)
    }

    /// build/verify, at `commit`.
    fn checkout(&self, commit: &str) -> Result<Tree> {
        let tree = Tree::at(&self.project.build_of(self.base, "verify"));
        let ready = tree.exists() && tree.git.rev("HEAD").is_ok() && tree.git.changes().is_ok();
        if ready {
            tree.git.run(&["checkout", "--quiet", "--force", "--detach", commit])?;
            tree.git.run(&["clean", "--quiet", "-ffd"])?;
            return Ok(tree);
        }
        let step = Step::start(format!("checking the series out to {}", display(&tree.src)));
        if tree.exists() {
            fs::remove_dir_all(&tree.src)?;
        }
        self.git.run(&["worktree", "prune"])?;
        let path = tree.src.to_str().context("the path of this repository is not UTF-8")?;
        self.git.run(&["worktree", "add", "--quiet", "--force", "--detach", path, commit])?;
        step.done();
        Ok(tree)
    }

    fn formatted(&self, tree: &Tree, commit: &str) -> Result<()> {
        let parent = format!("{commit}^");
        let changed =
            self.git.read(&["diff", "--diff-filter=d", "--name-only", &parent, commit])?;
        // Upstream formats no ui tests: where code stands in them can be what is tested.
        let files =
            changed.lines().filter(|file| file.ends_with(".rs") && !file.starts_with("tests/ui/"));
        for file in files {
            // Through standard input, so that rustfmt does not go on to the file's modules.
            let source = fs::File::open(tree.src.join(file))?.into_parts().0;
            let mut rustfmt = Command::new(self.toolchain.bin("rustfmt"));
            rustfmt.args(["--check", "--edition", "2024", "--config-path"]).arg(&tree.src);
            rustfmt.stdin(source).run().with_context(|| file.to_owned())?;
        }
        Ok(())
    }

    fn tidy(&self, tree: &Tree, base: &str, tip: &str) -> Result<()> {
        let step = Step::start("running tidy at the base and with the series");
        let at = |commit: &str| -> Result<BTreeSet<String>> {
            tree.git.run(&["checkout", "--quiet", "--force", commit])?;
            self.messages_of_tidy(tree)
        };
        // The base never changes, and neither does what tidy says of it.
        let remembered = self.project.build().join(format!("tidy/messages-{base}"));
        let before = match fs::read_to_string(&remembered) {
            Ok(messages) => messages.lines().map(str::to_owned).collect(),
            Err(_) => {
                let messages = at(base)?;
                let lines: Vec<_> = messages.iter().map(String::as_str).collect();
                fs::write(&remembered, lines.join("\n"))?;
                messages
            }
        };
        let after = at(tip)?;
        step.done();
        none_of(new_messages(&before, &after)?)
    }

    fn messages_of_tidy(&self, tree: &Tree) -> Result<BTreeSet<String>> {
        let target = self.project.build().join("tidy");
        let mut build = self.toolchain.cargo();
        build
            .args(["build", "--quiet", "--package", "tidy", "--target-dir"])
            .arg(&target)
            .current_dir(&tree.src)
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .run()?;
        let output = Command::new(target.join("debug/rust-tidy"))
            .arg(format!("--root-path={}", tree.src.display()))
            .arg(format!("--cargo-path={}", self.toolchain.bin("cargo").display()))
            .arg(format!("--output-dir={}", target.display()))
            // All checks at once: tidy starts no further ones after one has panicked, as `deps`
            // does where it cannot reach the repositories that it wants.
            .args(["--concurrency=1000", "--npm-path=yarn", "--verbose"])
            .current_dir(&tree.src)
            .env("RUSTC", self.toolchain.bin("rustc"))
            .env("CARGO_NET_RETRY", "0")
            .env("NO_COLOR", "1")
            .answer()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(messages_in(&String::from_utf8_lossy(&said), &tree.src))
    }

    fn builds_and_passes(&self, tree: &Tree, base: &str) -> Result<()> {
        let Review { project, toolchain, .. } = self;
        let bootstrap =
            Bootstrap::at(project, &tree.src, base.to_owned(), Lane::Prebuilt, toolchain)?;
        bootstrap.configure()?;
        bootstrap.provide_patched_std()?;
        let suites = ["test", "library/std", "tests/ui/std"];
        let status = bootstrap.x_py().args(suites).stdin(Stdio::null()).show()?;
        if !status.success() {
            bail!("`x.py {}` failed in {}", suites.join(" "), display(&tree.src));
        }
        Ok(())
    }
}

/// tidy's messages without line numbers, which differ between the base and the series.
fn messages_in(output: &str, root: &Path) -> BTreeSet<String> {
    let root = format!("{}/", root.display());
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    output
        .lines()
        .filter(|line| line.starts_with("tidy"))
        .map(|line| {
            let line = line.replace(&root, "");
            line.split(':').filter(|part| !is_number(part)).collect::<Vec<_>>().join(":")
        })
        .collect()
}

/// The messages that are in `after` alone, and the checks that no longer end well. The latter so
/// that a tidy that breaks off does not pass for one that has nothing to say.
fn new_messages(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<Vec<String>> {
    let passed = |message: &&String| message.ends_with("]: OK");
    if !before.iter().any(|message| passed(&message)) {
        bail!("tidy reports no check that passes at the base; did it run?");
    }
    let new = after.difference(before).cloned();
    let lost = before.difference(after).filter(passed).map(|m| format!("no longer: {m}"));
    Ok(new.chain(lost).collect())
}

/// Fails with the list unless it is empty.
fn none_of(problems: Vec<String>) -> Result<()> {
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(output: &str) -> BTreeSet<String> {
        messages_in(output, Path::new("/tree"))
    }

    #[test]
    fn message_on_another_line_is_not_new() {
        let before = messages("tidy [a]: OK\ntidy [b]: /tree/lib.rs:12: TODO\n");
        let after = messages("tidy [a]: OK\ntidy [b]: /tree/lib.rs:15: TODO\nunrelated\n");
        assert_eq!(new_messages(&before, &after).unwrap(), [""; 0]);
    }

    #[test]
    fn new_message_is_reported() {
        let before = messages("tidy [a]: OK\n");
        let after = messages("tidy [a]: OK\ntidy [b]: /tree/lib.rs:15: trailing whitespace\n");
        let new = new_messages(&before, &after).unwrap();
        assert_eq!(new, ["tidy [b]: lib.rs: trailing whitespace"]);
    }

    #[test]
    fn check_that_no_longer_passes_is_reported() {
        let before = messages("tidy [a]: OK\ntidy [b]: OK\n");
        let after = messages("tidy [a]: OK\n");
        assert_eq!(new_messages(&before, &after).unwrap(), ["no longer: tidy [b]: OK"]);
    }

    #[test]
    fn tidy_that_did_not_run_is_an_error() {
        assert!(new_messages(&messages(""), &messages("")).is_err());
    }
}
