//! Proves that the series is whole, applies, and is fit to submit.
//!
//! All of it happens in build/verify, a repository of its own, so that nobody's work in build/rust is in the
//! way or at risk.

mod fences;
mod links;
mod tidy;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::Base;
use crate::base::project::{Project, display};
use crate::compiler::Compiler;
use crate::run::command::CommandExt;
use crate::run::files::file_name;
use crate::run::git::Git;
use crate::run::lock;
use crate::say::checks::Checks;
use crate::series::checkout::checkout;
use crate::series::patches::Series;
use crate::series::prepare;
use crate::series::tree::Tree;
use crate::series::written;
use crate::session::Invocation;
use crate::upstream::bootstrap::{Bootstrap, Lane};

/// Prove that patches/, library/ and tests/ agree, apply cleanly and are fit to submit.
///
/// Works in a checkout of its own, build/verify; build/rust is not touched.
#[derive(Args)]
pub struct Verify {
    /// Check instead that in the documentation which `./x.py doc library/std` built, the links of both
    /// methods lead somewhere.
    #[arg(long)]
    links: bool,
}

impl Verify {
    pub fn run(self, on: Invocation) -> Result<ExitCode> {
        let base = on.base()?;
        if self.links {
            return check_links(on);
        }
        let _lock = lock::acquire(&on.project.tree_lock(&base), "verify")?;
        verify(&on.project, &base)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn check_links(on: Invocation) -> Result<ExitCode> {
    let (session, _lock) = on.open("verify --links")?;
    let doc = Bootstrap::of(&session, Lane::Prebuilt)?.documentation();
    let page = doc.join("std/net/struct.TcpStream.html");
    let broken = links::broken(&page, &["set_keepalive", "keepalive"])
        .context("`./x.py doc library/std` builds the documentation");
    let mut checks = Checks::new("verify", "the documentation is not as it should be");
    checks.add("each link of both methods leads somewhere", broken.and_then(none_of));
    checks.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Runs all checks, tells of each, and fails if one of them does.
fn verify(project: &Project, base: &Base) -> Result<()> {
    let compiler = Compiler::find(base)?;
    let tree = prepare::with_base(project, base, None, &compiler)?;
    let series = Series::of(project, base);
    let mut checks = Checks::new("verify", "the series is not as it should be");
    checks.add("the archives in the cache have their hashes", archives(base));
    checks.add("each patch has a subject, a body and an author", descriptions(&series, &tree.git));

    let base_commit = tree.state()?.base;
    let tip = series.apply(&tree.git, &base_commit);
    let applied = tip.as_ref().map(drop).map_err(|error| anyhow::anyhow!("{error:#}"));
    checks.add("the patches apply to the pristine base, in order", applied);
    // Nothing of the rest can be told without the series.
    if let Ok(tip) = tip {
        let review = Review { project, base, compiler: &compiler, git: &tree.git };
        review.run(&base_commit, &tip, &mut checks)?;
    }
    checks.finish()
}

fn archives(base: &Base) -> Result<()> {
    for archive in &base.archive {
        archive.is_cached()?;
    }
    Ok(())
}

/// Reads the headers and the message as `git am` would.
fn descriptions(series: &Series, git: &Git) -> Result<()> {
    for patch in series.patches()? {
        let name = file_name(&patch);
        let info = git
            .command(&["mailinfo", "--encoding=UTF-8", "/dev/stdout", "/dev/null"])
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
    compiler: &'a Compiler,
    git: &'a Git,
}

impl Review<'_> {
    fn run(&self, base: &str, tip: &str, checks: &mut Checks) -> Result<()> {
        let differences = self.differences(base, tip);
        checks.add(
            "patches/, library/ and tests/ are what export writes",
            differences.and_then(none_of),
        );

        let commits = self.git.read(&["rev-list", "--reverse", &format!("{base}..{tip}")])?;
        let commits: Vec<_> = commits.lines().collect();
        checks.add("each code fence in the documentation closes", self.fences(base, tip));

        let src = self.project.build_of(self.base, "verify");
        let tree = checkout(self.project, self.git, &src, tip)?;
        for commit in &commits {
            let subject = self.git.read(&["show", "--no-patch", "--format=%s", commit])?;
            tree.git.run(&["checkout", "--quiet", "--force", commit])?;
            checks.add(&format!("formatted by rustfmt: {subject}"), self.formatted(&tree, commit));
            let whitespace = self.git.run(&["diff", "--check", &format!("{commit}^"), commit]);
            checks.add(&format!("no whitespace error: {subject}"), whitespace);
        }
        let tidy = tidy::new_messages(self.project, self.base, self.compiler, &tree, base, tip);
        checks.add("tidy says nothing that it does not say at the base", tidy.and_then(none_of));
        Ok(())
    }

    /// So that an export after no change changes nothing, and no hash in a patch is a lie.
    fn differences(&self, base: &str, tip: &str) -> Result<Vec<String>> {
        let files = written::to_write(self.project, self.base, self.git, base, tip)?;
        Ok(written::differences(&files, &written::found(self.project, self.base)?))
    }

    /// The files of Rust that a commit has and another has not, or not so.
    fn changed(&self, from: &str, to: &str) -> Result<Vec<PathBuf>> {
        let diff = ["diff", "--no-renames", "--diff-filter=d", "--name-only", "-z", from, to];
        let mut changed = self.git.paths(&diff)?;
        changed.retain(|path| path.extension() == Some("rs".as_ref()));
        Ok(changed)
    }

    fn fences(&self, base: &str, tip: &str) -> Result<()> {
        let mut problems = Vec::new();
        for file in self.changed(base, tip)? {
            let source = self.git.text(tip, &file)?.unwrap_or_default();
            let name = file.display();
            let lines = fences::unclosed(std::str::from_utf8(&source)?);
            let lines = lines.with_context(|| name.to_string())?;
            problems.extend(lines.iter().map(|line| format!("{name}:{line} opens one for good")));
        }
        none_of(problems)
    }

    fn formatted(&self, tree: &Tree, commit: &str) -> Result<()> {
        for file in self.changed(&format!("{commit}^"), commit)? {
            // Upstream formats no ui tests: where code stands in them can be what is tested.
            if file.starts_with("tests/ui/") {
                continue;
            }
            let name = file.display().to_string();
            let source = fs::File::open(tree.src.join(&file))?.into_parts().0;
            // Through standard input, so that rustfmt does not go on to the file's modules.
            let mut rustfmt = Command::new(self.compiler.bin("rustfmt"));
            rustfmt.args(["--check", "--edition", "2024", "--config-path"]).arg(&tree.src);
            rustfmt.stdin(source).run().with_context(|| name)?;
        }
        Ok(())
    }
}

/// Fails with the list unless it is empty.
fn none_of(problems: Vec<String>) -> Result<()> {
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}
