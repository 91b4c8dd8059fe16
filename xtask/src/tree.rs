//! The clones of the store: the user's clone, `rust/` or `rust-1.98/`, and the tool's own clone for trials. When the
//! patches change, the tool moves the branch `series` of the user's clone with `git switch`, which refuses to overwrite
//! the user's changes.
//!
//! The state is in git's references, among them the tool's own `refs/xtask/series`.

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
use crate::store::{Store, series_in};

/// The store's series that the clone had last. The user's `git fetch` moves `origin/series`, but not this reference.
const LAST_SERIES: &str = "refs/xtask/series";
const ORIGIN_SERIES: &str = "refs/remotes/origin/series";
const ORIGIN_BASE: &str = "refs/remotes/origin/base";

/// The settings for upstream's own x.py in the clone. The user may change them.
const BOOTSTRAP_TOML: &str = "\
# Upstream's ./x.py uses this file when it runs in this directory. You may change it.
# std's own tests work: ./x.py test library/std
# The ui tests would use the std of the release. Run them with: cd .. && ./x.py{option} test tests/ui/std
include = [\"../build/{base}/prebuilt/bootstrap.toml\"]

[build]
# The included file has these two settings, too, but bootstrap.py does not read that file.
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
    /// The directory for builds of the clone's files.
    pub out: PathBuf,
    /// Shows the output of upstream's x.py while it runs. If false, the output is part of the error.
    pub show: bool,
}

impl Prepared {
    /// Creates the store and the clone if they are missing, and updates both if `patches/` changed.
    pub fn open(project: Project, base: Base, source: Option<&Path>) -> Result<Prepared> {
        let compiler = Compiler::find(&base)?;
        let store = Store::with_base(&project, &base, &compiler, source)?;
        let tree = Tree::at(&project, &base);
        let patches = project.patches(&base);
        series_in(&patches)?;
        if let Err(error) = store.apply_patches(&patches) {
            // The user resolves the conflict in the clone.
            tree.clone_if_missing(&project, &compiler, &store)?;
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
        if !tree.clone_if_missing(&project, &compiler, &store)? {
            let _lock = project.build.lock(&store.dir)?;
            tree.follow(&store)?;
        }
        let out = store.dir.clone();
        Ok(Prepared { project, base, compiler, store, tree, out, show: true })
    }

    /// Opens a base with the tool's own clone, in `build/<base>/apart/`. The clone has the base with
    /// the patches in `patches/`, whatever the user's clone contains.
    pub fn apart(project: Project, base: Base) -> Result<Prepared> {
        let compiler = Compiler::find(&base)?;
        let store = Store::open(&project, &base, &compiler)?;
        let out = store.dir.join("apart");
        fs::create_dir_all(&out)?;
        let src = out.join("rust");
        let tree = Tree { git: Git::at(&src), src, base: base.clone() };
        tree.clone_if_missing(&project, &compiler, &store)?;
        let _lock = project.build.lock(&out)?;
        let series = store.git.rev("series")?;
        if tree.git.rev("HEAD")? != series {
            tree.fetch(&store)?;
            // git writes only files that differ, so cargo compiles only what changed.
            tree.git.run(&["reset", "--quiet", "--hard", &series])?;
            tree.record_series(&store)?;
        }
        Ok(Prepared { project, base, compiler, store, tree, out, show: false })
    }
}

impl Tree {
    pub fn at(project: &Project, base: &Base) -> Tree {
        let src = project.tree(base);
        Tree { git: Git::at(&src), src, base: base.clone() }
    }

    /// Clones the store, unless the clone exists. Returns whether it cloned.
    fn clone_if_missing(
        &self,
        project: &Project,
        compiler: &Compiler,
        store: &Store,
    ) -> Result<bool> {
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
        // A relative path: the project may be moved with its clone.
        let origin = format!("../build/{}/store.git", self.base.name);
        git.run(&["remote", "set-url", "origin", &origin])?;
        git.run(&["update-ref", LAST_SERIES, ORIGIN_SERIES])?;
        let program = |name: &str| format!("{:?}", compiler.bin(name).display().to_string());
        let text = |text: &str| {
            let text =
                text.replace("{base}", &self.base.name).replace("{option}", &self.base.option());
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
        // build/ may be on another file system, and a rename from one file system to another is an error.
        Command::new("mv").arg(&new).arg(&self.src).run_quiet()?;
        Ok(true)
    }

    /// Returns an error unless the clone exists and this tool created it.
    pub fn require(&self) -> Result<()> {
        if fs::symlink_metadata(&self.src).is_err() {
            bail!(
                "the clone {} does not exist. Create it with `{}`",
                shown(&self.src),
                self.base.command("cargo xtask prepare")
            );
        }
        let why = match self.git.reference(LAST_SERIES) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => format!("it has no reference {LAST_SERIES}"),
            Err(error) => format!("{error:#}"),
        };
        bail!(
            "{0} is not a clone that this tool made: {why}\nMove {0} away, and run the command again",
            shown(&self.src)
        )
    }

    /// Moves the branch `series` to the store's series if the patches changed and HEAD does not contain the new series.
    /// Then it is an error if the user has commits of their own or is on another branch, or if git refuses.
    fn follow(&self, store: &Store) -> Result<()> {
        let (new, old) = (store.git.rev("series")?, self.git.rev(LAST_SERIES)?);
        if new == old {
            return Ok(());
        }
        let head = self.git.rev("HEAD")?;
        // The user may have rebased onto the new series.
        let mut contains = self.git.command(&["merge-base", "--is-ancestor", &new, "HEAD"]);
        if !contains.any_output()?.status.success() {
            if self.branch()?.as_deref() != Some("series") || head != old {
                return Err(self.refusal(&old, "")?);
            }
            self.fetch(store)?;
            if let Err(stderr) = self.switch_series(&new)? {
                return Err(self.refusal(&old, &stderr)?);
            }
        }
        self.record_series(store)
    }

    /// Fetches the objects of the store's branch `series`. Updates no reference.
    fn fetch(&self, store: &Store) -> Result<()> {
        let options = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="];
        let mut fetch = self.git.command(&options);
        fetch.args([UPLOAD_PACK.as_ref(), store.git.dir.as_os_str(), "refs/heads/series".as_ref()]);
        fetch.run_quiet()
    }

    /// Records that the clone has the store's series.
    fn record_series(&self, store: &Store) -> Result<()> {
        let references =
            [(LAST_SERIES, "series"), (ORIGIN_SERIES, "series"), (ORIGIN_BASE, "base")];
        for (reference, branch) in references {
            self.git.run(&["update-ref", reference, &store.git.rev(branch)?])?;
        }
        Ok(())
    }

    /// Moves the branch `series` and the files to a commit. git refuses if an edit, an untracked or an ignored file is
    /// in the way, and during a merge or a rebase. The inner error is git's message.
    fn switch_series(&self, commit: &str) -> Result<std::result::Result<(), String>> {
        let args = ["switch", "--quiet", "--no-overwrite-ignore", "-C", "series", commit];
        let output = self.git.command(&args).any_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(stderr + "\n") })
    }

    /// Moves the branch `series`, if it is checked out, to the exported series. The export checked that the exported
    /// commits have the files, authors and messages of the clone's commits.
    pub fn switch_to_exported(&self, store: &Store) -> Result<()> {
        let new = store.git.rev("series")?;
        self.fetch(store)?;
        if self.branch()?.as_deref() == Some("series") && self.git.rev("HEAD")? != new {
            self.switch_series(&new)?.map_err(Error::msg)?;
        }
        self.record_series(store)
    }

    /// Returns the name of the branch that is checked out, or `None` if HEAD is detached.
    pub fn branch(&self) -> Result<Option<String>> {
        let output = self.git.command(&["symbolic-ref", "--quiet", "HEAD"]).any_output()?;
        let name = String::from_utf8_lossy(&output.stdout);
        Ok(name.trim_end().strip_prefix("refs/heads/").map(str::to_owned))
    }

    /// Returns the output of `git status`.
    pub fn status(&self) -> Result<String> {
        self.git.stdout_of(&["-c", "advice.statusHints=false", "status"])
    }

    /// Returns the error that says why the clone was not updated, and what to type.
    fn refusal(&self, old: &str, stderr: &str) -> Result<Error> {
        let old = old.get(..12).context("the hash of the last series has fewer than 12 digits")?;
        let commits =
            self.git.stdout_of(&["log", "--format=  commit %h %s", &format!("{old}..HEAD")])?;
        let commits = if commits.is_empty() { commits } else { commits + "\n" };
        Ok(anyhow!(
            "patches/{name} changed, and {src} was not updated, because that could lose work:\n{stderr}{status}\n\
             {commits}Finish a merge or rebase that is under way there, and commit or stash other changes. Then move \
             your commits onto the changed patches:\n  git -C {src} fetch\n  git -C {src} rebase --onto \
             origin/series {old}\nOr replace patches/{name} with the commits of {src}:\n  {export}",
            name = self.base.name,
            src = shown(&self.src),
            status = self.status()?,
            export = self.base.command("cargo xtask export"),
        ))
    }
}
