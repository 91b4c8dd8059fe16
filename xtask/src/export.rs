//! Writes the commits of the clone to `patches/`, and the files that they add to `library/` and `tests/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use fs_err as fs;

use crate::base::Base;
use crate::compiler::Compiler;
use crate::git::{Git, UPLOAD_PACK};
use crate::out::shown;
use crate::owned::{Owned, UNFINISHED, entries, file_name};
use crate::project::Project;
use crate::run::CommandExt;
use crate::store::{Store, patches_in};
use crate::tree::Tree;

/// Write the commits of rust/ to patches/, and the files that they add to library/ and tests/.
///
/// Commit in rust/ first: export writes the commits of the branch that is checked out. It replaces or removes a file
/// only if git has that file's contents at its path, in the index or at HEAD, or if the file is as the last export
/// wrote it. Otherwise it writes nothing and names the files: `git add` them, and run export again.
#[derive(Args)]
pub struct Export {}

/// File contents by path, relative to the project's directory. `None` means that the path is no regular file.
pub type Files = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// The directories with the files that the default series adds.
const MIRRORS: [&str; 2] = ["library", "tests"];

impl Export {
    pub fn run(self, project: &Project, base: &Base) -> Result<ExitCode> {
        let tree = Tree::at(project, base);
        tree.require()?;
        let store = Store::with_base(project, base, &Compiler::find(base)?, None)?;
        let old = store.git.rev("series")?;
        let head = exportable_head(&tree)?;
        store
            .git
            .command(&["fetch", "--quiet", "--no-tags", UPLOAD_PACK])
            .arg(&tree.src)
            .arg("HEAD")
            .run_quiet()?;
        let (files, tip) = round_trip(project, base, &store, &head)?;
        let known = if old == store.git.rev("base")? {
            Files::new()
        } else {
            exported_files(project, base, &store, &old)?
        };
        write(project, base, &files, &known)?;
        store.git.run(&["update-ref", "refs/heads/series", &tip])?;
        tree.switch_to_exported(&store)?;
        for path in files.keys().filter(|path| path.starts_with("patches")) {
            println!("{}", shown(&project.root.join(path)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the commit that is checked out, or an error if the clone's state cannot be exported.
fn exportable_head(tree: &Tree) -> Result<String> {
    let src = shown(&tree.src);
    let Some(branch) = tree.branch()? else {
        bail!(
            "in {src}, no branch is checked out. Finish a rebase that is under way, or switch to the branch to \
             export:\n{}",
            tree.status()?
        );
    };
    let operations = "MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD rebase-apply rebase-merge BISECT_LOG";
    let args = operations.split(' ').flat_map(|name| ["--git-path", name]);
    let paths = tree.git.command(&["rev-parse"]).args(args).stdout_of()?;
    if paths.lines().any(|path| tree.src.join(path).exists()) {
        bail!("{src} is in the middle of an operation. Finish or abort it:\n{}", tree.status()?);
    }
    let changes = tree.git.stdout_of(&["status", "--porcelain", "--ignore-submodules=none"])?;
    if !changes.is_empty() {
        bail!("{src} has changes that are not committed. Commit or stash them:\n{changes}");
    }
    let hidden = tree.git.stdout_of(&["ls-files", "-v"])?;
    let is_hidden = |tag: char| tag.is_ascii_lowercase() || tag == 'S';
    if let Some(line) = hidden.lines().find(|line| line.starts_with(is_hidden)) {
        bail!(
            "in {src}, `git update-index` hides changes of {0}. Undo that first:\n  git -C {src} update-index \
             --no-assume-unchanged {0}\n  git -C {src} update-index --no-skip-worktree {0}",
            &line[2..]
        );
    }
    let subjects = tree.git.stdout_of(&["log", "--format=%s", "refs/remotes/origin/base..HEAD"])?;
    if let Some(subject) = subjects.lines().find(|subject| {
        ["fixup!", "squash!", "amend!"].iter().any(|mark| subject.starts_with(mark))
    }) {
        bail!(
            "in {src}, the commit {subject:?} must be squashed into the commit that it names:\n  git -C {src} rebase \
             --interactive --autosquash origin/base"
        );
    }
    if branch != "series" {
        eprintln!("note: exporting the branch {branch} instead of series");
    }
    tree.git.rev("HEAD")
}

/// Returns the files that an export of the commits up to `head` writes. Applies the patches to the base, checks that
/// this gives equal commits, and returns the last of them, too.
fn round_trip(
    project: &Project,
    base: &Base,
    store: &Store,
    head: &str,
) -> Result<(Files, String)> {
    if store.git.stdout_of(&["merge-base", "base", head])? != store.git.rev("base")?
        || head == store.git.rev("base")?
    {
        bail!("the branch has no commit on top of the base, so there is nothing to export");
    }
    let files = exported_files(project, base, store, head)?;
    let dir = store.dir.join("exported");
    project.build.make(&dir, |new| store.format(head, new))?;
    let tip = store.applied(&dir).context(WHY)?;
    project.build.remove(&dir)?;
    let commits = |tip: &str| -> Result<Vec<String>> {
        let format = "--format=%s%n%T%n%an <%ae> %ad%n%B%x00";
        let log = ["log", "--reverse", "--date=raw", format, &format!("base..{tip}")];
        let log = store.git.stdout_of(&log)?;
        Ok(log.split_terminator('\0').map(|commit| commit.trim_start().to_owned()).collect())
    };
    let (ours, theirs) = (commits(head)?, commits(&tip)?);
    if ours != theirs {
        let same = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
        let subject =
            ours.get(same).and_then(|commit| commit.lines().next()).unwrap_or("the last commit");
        bail!(
            "{WHY}. Change the commit {subject:?}: `git am` makes a different commit from its patch, or none"
        );
    }
    Ok((files, tip))
}

const WHY: &str = "the commits cannot be written as patches, so nothing was written. A patch can hold no merge, no \
    commit without a change, no carriage return at the end of a line, no line `---` and no diff in a message, and no \
    words in brackets at the beginning of a subject";

/// Returns the files that an export of the store's commits up to `tip` writes.
pub fn exported_files(project: &Project, base: &Base, store: &Store, tip: &str) -> Result<Files> {
    let _lock = project.build.lock(&store.dir)?;
    let mut files = Files::new();
    let dir = store.dir.join("patches");
    project.build.make(&dir, |new| {
        store.format(tip, new)?;
        for patch in entries(new)? {
            let path =
                Path::new("patches").join(&base.name).join(patch.file_name().context("no name")?);
            files.insert(path, Some(fs::read(&patch)?));
        }
        Ok(())
    })?;
    project.build.remove(&dir)?;
    let list = ["log", "--format=", "--no-renames", "--raw"];
    let raw = store.git.stdout_of(&[&list[..], &[&format!("base..{tip}")]].concat())?;
    if let Some(line) = raw.lines().find(|line| line.get(8..14) == Some("160000")) {
        let path = line.split('\t').next_back().unwrap_or_default();
        bail!(
            "{path} is a repository of its own, which no patch can hold. Remove it from the commits"
        );
    }
    if base.default {
        let diff = ["diff", "--no-renames", "--diff-filter=A", "--raw", "-z", "base", tip, "--"];
        for pair in store.git.paths(&[&diff[..], &MIRRORS].concat())?.chunks_exact(2) {
            let [raw, path] = pair else { continue };
            if raw.to_string_lossy().get(8..14) != Some("100644") {
                bail!(
                    "{} is a symbolic link or executable. Only other files can be exported to library/ and tests/",
                    path.display()
                );
            }
            files.insert(path.clone(), store.git.blob(tip, path)?);
        }
    }
    Ok(files)
}

/// Returns the files that an export would replace or remove. Does not follow links.
pub fn found_files(project: &Project, base: &Base) -> Result<Files> {
    let mut paths = patches_in(&project.patches(base))?;
    if base.default {
        let mut directories: Vec<_> = MIRRORS.iter().map(|dir| project.root.join(dir)).collect();
        while let Some(path) = directories.pop() {
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => directories.extend(entries(&path)?),
                Ok(_) if file_name(&path).ends_with(UNFINISHED) => {}
                Ok(_) => paths.push(path),
                Err(_) => {}
            }
        }
    }
    let mut found = Files::new();
    for path in paths {
        let text = fs::symlink_metadata(&path)?.is_file().then(|| fs::read(&path)).transpose()?;
        found.insert(path.strip_prefix(&project.root)?.to_owned(), text);
    }
    Ok(found)
}

/// Replaces the files of the last export. Writes nothing if it would replace or remove a file whose contents are
/// neither in git nor in `last`, the last export.
fn write(project: &Project, base: &Base, files: &Files, last: &Files) -> Result<()> {
    let root = &project.root;
    let repository = Git::at(root);
    let has_git = root.join(".git").exists();
    let found = found_files(project, base)?;
    let is_known = |path: &PathBuf, text: &Option<Vec<u8>>| -> Result<bool> {
        if text.is_none() {
            return Ok(false);
        }
        if files.get(path) == Some(text) || last.get(path) == Some(text) {
            return Ok(true);
        }
        // The empty name stands for the index.
        let is_at = |commit: &str| Ok::<_, anyhow::Error>(repository.blob(commit, path)? == *text);
        Ok(has_git && (is_at("")? || is_at("HEAD")?))
    };
    let mut unknown = Vec::new();
    for (path, text) in &found {
        if !is_known(path, text)? {
            unknown.push(shown(&root.join(path)));
        }
    }
    // A link or a directory at a file's path, and a link or a file at a parent directory's path.
    for path in files.keys() {
        let ancestors = path.ancestors().filter(|path| !path.as_os_str().is_empty());
        for ancestor in ancestors {
            let Ok(metadata) = fs::symlink_metadata(root.join(ancestor)) else { continue };
            let is_right = if ancestor == path { metadata.is_file() } else { metadata.is_dir() };
            if !is_right {
                unknown.push(shown(&root.join(ancestor)));
            }
        }
    }
    if !unknown.is_empty() {
        unknown.sort();
        unknown.dedup();
        let keep = if has_git { "`git add` each file, or remove it" } else { "Move them away" };
        bail!(
            "nothing was written: export would replace or remove these, and git does not have their contents:\n  \
             {}\n{keep}, and run the command again. Move links and directories away",
            unknown.join("\n  ")
        );
    }
    // Write before removing: an interruption leaves too many files rather than too few.
    for (path, text) in files.iter().filter(|(path, text)| found.get(*path) != Some(*text)) {
        let top = path.iter().next().context("a path has a first component")?;
        let owned = Owned { root: root.join(top) };
        fs::create_dir_all(&owned.root)?;
        owned.write(&root.join(path), text.as_deref().unwrap_or_default())?;
    }
    for path in found.keys().filter(|path| !files.contains_key(*path)) {
        let top = path.iter().next().context("a path has a first component")?;
        Owned { root: root.join(top) }.remove(&root.join(path))?;
    }
    Ok(())
}

/// Returns a line for each path whose contents differ.
pub fn differences(exported: &Files, found: &Files) -> Vec<String> {
    let all: BTreeSet<_> = exported.keys().chain(found.keys()).collect();
    let differ = all.into_iter().filter(|path| exported.get(*path) != found.get(*path));
    differ.map(|path| format!("{} differs", path.display())).collect()
}
