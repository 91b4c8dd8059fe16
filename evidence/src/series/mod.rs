//! Looks a series over, as it is in patches/: that it is whole, applies, agrees with what is beside it, and
//! is fit to be submitted. What is in build/rust besides is in nobody's way.

mod fences;
pub mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use xtask::base::Base;
use xtask::base::project::display;
use xtask::compiler::Compiler;
use xtask::run::command::CommandExt;
use xtask::run::git::Git;
use xtask::run::lock;
use xtask::series::patches::Series;
use xtask::series::{prepare, written};

use crate::suite;

pub type Check = fn(&Base) -> Result<String>;

/// What is checked of each series, by name.
pub const CHECKS: [(&str, Check); 7] = [
    ("the archives in the cache are whole", archives),
    ("each patch says what and why", descriptions),
    ("the patches apply in order", |base| Applied::of(base).map(|_| String::new())),
    ("patches, library and tests are what an export writes", exported),
    ("each code fence closes", code_fences),
    ("each patch is formatted", formatted),
    ("tidy has nothing to say", tidy::check),
];

fn archives(base: &Base) -> Result<String> {
    for archive in &base.archive {
        archive.is_cached()?;
    }
    Ok(String::new())
}

/// Each commit has a subject, a body and an author; and beside the patches is what to say of them.
fn descriptions(base: &Base) -> Result<String> {
    let series = Applied::of(base)?;
    for commit in series.commits()? {
        let show = ["show", "--no-patch", "--format=%ae%n%an%n%s%n%b", &commit];
        let said = series.git.read(&show)?;
        let is_plausible = |email: &str| email.split_once('@').is_some_and(|a| a.1.contains('.'));
        let parts: Vec<_> = said.splitn(4, '\n').filter(|part| !part.trim().is_empty()).collect();
        if parts.len() < 4 || !is_plausible(parts[0]) {
            bail!("a patch lacks an author, a subject, or a body that says why:\n{said}");
        }
    }
    let series = Series::of(&suite::project()?, base);
    let letters = series.cover_letters()?;
    let read = |letter: &PathBuf| Ok(fs::read_to_string(letter)?.trim().to_owned());
    let texts = letters.iter().map(read).collect::<Result<Vec<_>>>()?;
    if texts.is_empty() || texts.contains(&String::new()) {
        bail!("{} has no cover letter, or one with nothing in it", display(&series.dir));
    }
    Ok(String::new())
}

/// So that an export after no change changes nothing, and no hash in a patch is a lie.
fn exported(base: &Base) -> Result<String> {
    let (Applied { git, from, tip, .. }, project) = (Applied::of(base)?, suite::project()?);
    let exported = written::to_write(&project, base, &git, &from, &tip)?;
    let differences = written::differences(&exported, &written::found(&project, base)?);
    if !differences.is_empty() {
        let (differences, option) = (differences.join("\n"), base.option());
        bail!(
            "{differences}\nTo have all of it written anew: `cargo xtask prepare{option}`, then \
             `cargo xtask export{option}`"
        );
    }
    Ok(String::new())
}

fn code_fences(base: &Base) -> Result<String> {
    let series = Applied::of(base)?;
    for path in series.sources(&series.from, &series.tip)? {
        let source = series.text(&series.tip, &path)?;
        if let Some(line) = fences::unclosed(&String::from_utf8_lossy(&source)).first() {
            bail!("the code fence at {}:{line} is not closed", path.display());
        }
    }
    Ok(String::new())
}

fn formatted(base: &Base) -> Result<String> {
    let series = Applied::of(base)?;
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("rustfmt.toml"), series.text(&series.tip, "rustfmt.toml".as_ref())?)?;
    let source = dir.path().join("source");
    for commit in series.commits()? {
        let parent = format!("{commit}^");
        // Spaces at the end of a line, and the like, in any file.
        series.git.run(&["diff", "--check", &parent, &commit])?;
        for path in series.sources(&parent, &commit)? {
            // Upstream formats no ui tests: where code stands in them can be what is tested.
            if path.starts_with("tests/ui") {
                continue;
            }
            fs::write(&source, series.text(&commit, &path)?)?;
            let mut rustfmt = Command::new(series.compiler.bin("rustfmt"));
            rustfmt.args(["--check", "--edition", "2024", "--config-path"]).arg(dir.path());
            // Through standard input, so that rustfmt does not go on to the file's modules.
            rustfmt.stdin(Stdio::from(fs::File::open(&source)?.into_parts().0));
            // Of standard input, it has no exit code that tells.
            let differences = rustfmt.args(["--color", "never"]).read()?;
            if !differences.is_empty() {
                bail!("{} is not formatted at {commit}:\n{differences}", path.display());
            }
        }
    }
    Ok(String::new())
}

/// The patches as commits on top of the base, which no branch and no work tree of build/rust has.
pub struct Applied {
    compiler: Compiler,
    git: Git,
    name: String,
    /// The commits of the base, and of the last patch.
    from: String,
    tip: String,
}

impl Applied {
    fn of(base: &Base) -> Result<Applied> {
        let project = suite::project()?;
        let _lock = lock::acquire(&project.tree_lock(base), "applying the series")?;
        let compiler = Compiler::find(base)?;
        let tree = prepare::with_base(&project, base, None, &compiler)?;
        let from = tree.state()?.base;
        let tip = Series::of(&project, base).apply(&tree.git, &from)?;
        Ok(Applied { compiler, git: tree.git, name: base.name.clone(), from, tip })
    }

    fn commits(&self) -> Result<Vec<String>> {
        let range = format!("{}..{}", self.from, self.tip);
        let commits = self.git.read(&["rev-list", "--reverse", &range])?;
        Ok(commits.lines().map(str::to_owned).collect())
    }

    /// The files that differ between two commits, and are in the second one.
    fn changed(&self, from: &str, to: &str) -> Result<Vec<PathBuf>> {
        self.git.paths(&["diff", "--diff-filter=d", "--name-only", "-z", from, to])
    }

    /// Those of them with Rust in them.
    fn sources(&self, from: &str, to: &str) -> Result<Vec<PathBuf>> {
        let mut changed = self.changed(from, to)?;
        changed.retain(|path| path.extension() == Some("rs".as_ref()));
        Ok(changed)
    }

    fn text(&self, commit: &str, path: &Path) -> Result<Vec<u8>> {
        let text = self.git.text(commit, path)?;
        text.with_context(|| format!("{} is not in {commit}", path.display()))
    }
}
