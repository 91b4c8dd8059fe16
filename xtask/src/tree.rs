//! `rust/`: the clone of the store in which people work. It belongs to the person. The tool makes it once, and
//! moves its branch `series` to changed patches by one git command, which refuses to lose anything.
//!
//! git's references are the state, among them one of the tool's own, `refs/xtask/series`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Error, Result, anyhow, bail};
use fs_err as fs;

use crate::base::Base;
use crate::compiler::Compiler;
use crate::git::{Git, UPLOAD_PACK};
use crate::out::{Step, shown};
use crate::project::Project;
use crate::run::CommandExt;
use crate::store::Store;

/// The series that `patches/` held when the clone and `patches/` were last the same. A `git fetch` of the person's
/// moves `origin/series`, and not this reference.
const TAKEN_OVER: &str = "refs/xtask/series";
const ORIGIN_SERIES: &str = "refs/remotes/origin/series";
const ORIGIN_BASE: &str = "refs/remotes/origin/base";

/// The settings for upstream's own x.py, run in the clone. The person may change them.
const BOOTSTRAP_TOML: &str = "\
# Upstream's ./x.py uses this file when it runs in this directory. You may change it.
# std's own tests work: ./x.py test library/std
# The ui tests would use the std of the release. Run them with: cd .. && ./x.py{option} test tests/ui/std
include = [\"../build/{base}/prebuilt/bootstrap.toml\"]

[build]
# These two are in the included file, too, but the Python part of bootstrap does not read that.
rustc = {rustc}
cargo = {cargo}
";

/// Makes `cargo xtask` work in the clone's top directory.
const CARGO_CONFIG: &str = "\
[alias]
xtask = \"run --quiet --manifest-path ../xtask/Cargo.toml --{option}\"
";

pub struct Tree {
    pub src: PathBuf,
    pub git: Git,
    base: Base,
}

/// A base with its compiler, its store and a clone.
pub struct Prepared {
    pub project: Project,
    pub base: Base,
    pub compiler: Compiler,
    pub store: Store,
    pub tree: Tree,
    /// The directory for what is compiled from the clone's files.
    pub out: PathBuf,
    /// Whether the output of upstream's x.py is shown at once. Otherwise it is part of the error.
    pub show: bool,
}

impl Prepared {
    /// Makes what is missing of the store and the clone, and has both follow `patches/`.
    pub fn open(project: Project, base: Base, source: Option<&Path>) -> Result<Prepared> {
        let compiler = Compiler::find(&base)?;
        let store = Store::with_base(&project, &base, &compiler, source)?;
        let tree = Tree::at(&project, &base);
        let patches = project.patches(&base);
        if let Err(error) = store.apply_patches(&patches) {
            // The person mends the patches in the clone.
            tree.make(&project, &compiler, &store)?;
            let absolute = patches.display().to_string();
            bail!(
                "{error:#}\nApply the patches to the base in {0}, and resolve the conflict there:\n  git -C {0} \
                 switch -C series origin/base && git -C {0} am --3way {1}/0*.patch\nThen write the commits to \
                 patches/:\n  {2}",
                shown(&tree.src),
                shlex::try_quote(&absolute)?,
                base.command("cargo xtask export")
            );
        }
        if !tree.make(&project, &compiler, &store)? {
            let _lock = project.build.lock(&store.dir)?;
            tree.follow(&store)?;
        }
        let out = store.dir.clone();
        Ok(Prepared { project, base, compiler, store, tree, out, show: true })
    }

    /// Opens a base with a clone that belongs to the tool, in `build/<base>/apart/`. The clone's files are those
    /// of `patches/`, whatever there is in the clone in which people work.
    pub fn apart(project: Project, base: Base) -> Result<Prepared> {
        let compiler = Compiler::find(&base)?;
        let store = Store::open(&project, &base, &compiler)?;
        let out = store.dir.join("apart");
        fs::create_dir_all(&out)?;
        let src = out.join("rust");
        let tree = Tree { git: Git::at(&src), src, base: base.clone() };
        tree.make(&project, &compiler, &store)?;
        let _lock = project.build.lock(&out)?;
        let series = store.rev("series")?;
        if tree.git.rev("HEAD")? != series {
            tree.fetch(&store)?;
            // git writes the files that differ, so only what changed is compiled again.
            tree.git.run(&["reset", "--quiet", "--hard", &series])?;
            tree.take_over(&store)?;
        }
        Ok(Prepared { project, base, compiler, store, tree, out, show: false })
    }
}

impl Tree {
    pub fn at(project: &Project, base: &Base) -> Tree {
        let src = project.tree(base);
        Tree { git: Git::at(&src), src, base: base.clone() }
    }

    /// Clones the store, unless the clone is there. Returns whether it was made.
    fn make(&self, project: &Project, compiler: &Compiler, store: &Store) -> Result<bool> {
        if fs::symlink_metadata(&self.src).is_ok() {
            return self.require().map(|()| false);
        }
        let _lock = project.build.lock(&store.dir)?;
        if fs::symlink_metadata(&self.src).is_ok() {
            return Ok(false);
        }
        let _step =
            Step::start(format!("cloning Rust {} to {}", self.base.release, shown(&self.src)));
        let new = store.dir.join("clone");
        project.build.remove(&new)?;
        let mut clone = store.git.command(&["clone", "--quiet", "--template=", "--branch=series"]);
        clone.arg(UPLOAD_PACK).arg(&store.git.dir).arg(&new).run_quiet()?;
        let git = Git::at(&new);
        // The repository may be moved together with its clone.
        let origin = format!("../build/{}/store.git", self.base.name);
        git.run(&["remote", "set-url", "origin", &origin])?;
        git.run(&["update-ref", TAKEN_OVER, ORIGIN_SERIES])?;
        let option = if self.base.default { "" } else { &format!(" --base {}", self.base.name) };
        let program = |name: &str| format!("{:?}", compiler.bin(name).display().to_string());
        let text = |text: &str| {
            let text = text.replace("{base}", &self.base.name).replace("{option}", option);
            text.replace("{rustc}", &program("rustc")).replace("{cargo}", &program("cargo"))
        };
        fs::create_dir_all(new.join(".git/info"))?;
        fs::write(
            new.join(".git/info/exclude"),
            "/bootstrap.toml\n/.cargo/\n/build/\n__pycache__/\n",
        )?;
        fs::write(new.join("bootstrap.toml"), text(BOOTSTRAP_TOML))?;
        fs::create_dir_all(new.join(".cargo"))?;
        fs::write(new.join(".cargo/config.toml"), text(CARGO_CONFIG))?;
        // build/ may be on another disk, where a rename is refused.
        Command::new("mv").arg(&new).arg(&self.src).run_quiet()?;
        Ok(true)
    }

    /// Stops unless the clone was made by this tool.
    pub fn require(&self) -> Result<()> {
        if fs::symlink_metadata(&self.src).is_err() {
            bail!(
                "there is no {} yet. Make it with `{}`",
                shown(&self.src),
                self.base.command("cargo xtask prepare")
            );
        }
        let made = self.git.reference(TAKEN_OVER).is_ok_and(|reference| reference.is_some());
        if !made {
            bail!(
                "{0} is not a clone that this tool made: it has no reference refs/xtask/series. Move it away, and run \
                 the command again",
                shown(&self.src)
            );
        }
        Ok(())
    }

    /// Moves the branch `series` to the store's, if the patches changed and the branch has no commit that they
    /// lacked.
    fn follow(&self, store: &Store) -> Result<()> {
        let (new, old) = (store.rev("series")?, self.git.rev(TAKEN_OVER)?);
        if new == old {
            return Ok(());
        }
        let head = self.git.rev("HEAD")?;
        // The person may have rebased onto the new series.
        let mut contains = self.git.command(&["merge-base", "--is-ancestor", &new, "HEAD"]);
        if !contains.any_output()?.status.success() {
            if self.branch()?.as_deref() != Some("series") || head != old {
                return Err(self.refusal(&old, "")?);
            }
            self.fetch(store)?;
            if let Err(said) = self.switch_series(&new)? {
                return Err(self.refusal(&old, &said)?);
            }
        }
        self.take_over(store)
    }

    /// Gets the objects of the store's branch `series`, and no reference.
    fn fetch(&self, store: &Store) -> Result<()> {
        let options = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="];
        let mut fetch = self.git.command(&options);
        fetch.args([UPLOAD_PACK.as_ref(), store.git.dir.as_os_str(), "refs/heads/series".as_ref()]);
        fetch.run_quiet()
    }

    /// Records that the clone has the store's series.
    fn take_over(&self, store: &Store) -> Result<()> {
        let references = [(TAKEN_OVER, "series"), (ORIGIN_SERIES, "series"), (ORIGIN_BASE, "base")];
        for (reference, branch) in references {
            self.git.run(&["update-ref", reference, &store.rev(branch)?])?;
        }
        Ok(())
    }

    /// Moves the branch `series` and the files to a commit. git refuses where an edit, an untracked or an ignored
    /// file is in the way, and in the middle of a merge or a rebase. Then returns git's words.
    fn switch_series(&self, commit: &str) -> Result<std::result::Result<(), String>> {
        let args = ["switch", "--quiet", "--no-overwrite-ignore", "-C", "series", commit];
        let output = self.git.command(&args).any_output()?;
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said + "\n") })
    }

    /// Makes the clone's branch the exported series: its commits are those of the patches, as the round trip
    /// of the export proved.
    pub fn exported(&self, store: &Store) -> Result<()> {
        let new = store.rev("series")?;
        self.fetch(store)?;
        if self.branch()?.as_deref() == Some("series") && self.git.rev("HEAD")? != new {
            self.switch_series(&new)?.map_err(Error::msg)?;
        }
        self.take_over(store)
    }

    /// Returns the name of the branch that is checked out, if one is.
    pub fn branch(&self) -> Result<Option<String>> {
        let output = self.git.command(&["symbolic-ref", "--quiet", "HEAD"]).any_output()?;
        let name = String::from_utf8_lossy(&output.stdout);
        Ok(name.trim_end().strip_prefix("refs/heads/").map(str::to_owned))
    }

    /// Returns the output of `git status`.
    pub fn status(&self) -> Result<String> {
        self.git.stdout_of(&["-c", "advice.statusHints=false", "status"])
    }

    /// Returns the error for a clone that the tool does not move.
    fn refusal(&self, old: &str, said: &str) -> Result<Error> {
        let old = old.get(..12).context("a hash is longer")?;
        let commits =
            self.git.stdout_of(&["log", "--format=  commit %h %s", &format!("{old}..HEAD")])?;
        let commits = if commits.is_empty() { commits } else { commits + "\n" };
        Ok(anyhow!(
            "patches/{name} changed, and {src} holds work of its own, so nothing was changed in {src}:\n{said}{status}\n\
             {commits}Finish a merge or rebase that is under way there, and commit or stash other changes. Then move \
             your commits onto the changed patches:\n  git -C {src} fetch\n  git -C {src} rebase --onto \
             origin/series {old}\nOr replace patches/{name} by the commits of {src}:\n  {export}",
            name = self.base.name,
            src = shown(&self.src),
            status = self.status()?,
            export = self.base.command("cargo xtask export"),
        ))
    }
}
