//! Puts a project into states that people get into, and runs the commands there. A command that refuses has changed
//! nothing outside of build/: no byte of rust/ (files, index, references, stashes), patches/, library/ and tests/, the
//! cache, rustup's directory or the toolchain. A command that succeeds has changed what it says, and nothing else.
//!
//! A state is a script of a person who works in rust/. `TOKEN` stands for bytes that are nowhere else.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::path::Path;

use support::{
    Entry, Fixture, Snapshot, Template, finish, snapshot, stderr_of, stdout_of, write_script,
};

#[test]
fn edits_in_the_clone_stay() {
    assert_untouched(&[
        "true",
        "echo TOKEN >$LIB",
        "echo TOKEN >$OTHER; git add .; echo TOKEN >$OTHER",
        "echo TOKEN >untracked",
        "echo TOKEN >added; git add -N added",
        "mkdir nested; git -C nested init -q; echo TOKEN >nested/file",
        "git init -q nested; cd nested; save file TOKEN; cd ..; save nested-is-committed TOKEN",
        "echo mine.txt >>.git/info/exclude; echo TOKEN >mine.txt",
        "git switch -qc other; save mine.rs theirs; git format-patch -q --start-number=3 -o ../patches/1.95 -1; \
         git switch -q series; echo mine.rs >>.git/info/exclude; echo TOKEN >mine.rs",
        "echo TOKEN >bootstrap.toml; echo TOKEN >.cargo/config.toml; mkdir build; echo TOKEN >build/file",
        "git update-index --assume-unchanged $LIB; echo TOKEN >$LIB",
        "git update-index --skip-worktree $OTHER; echo TOKEN >$OTHER",
        "git update-index --skip-worktree $LIB; echo TOKEN >$LIB",
        "mkdir $OUT/src; echo TOKEN >$OUT/src/lib.rs; rm -r library/std/src; ln -s $OUT/src ${LIB%/*}",
        "rm $LIB; mkdir $LIB; echo TOKEN >$LIB/file",
    ]);
}

#[test]
fn commits_in_the_clone_stay() {
    assert_untouched(&[
        "save $OTHER TOKEN",
        "save tests/ui/std/TOKEN.rs TOKEN",
        "save tests/ui/std/TOKEN.rs TOKEN; cargo xtask export",
        "save $OTHER TOKEN; cargo xtask export; git -C .. checkout -q .; git -C .. clean -qfd",
        "save $OTHER TOKEN; cargo xtask export; rm ../patches/1.95/*.patch",
        "export GIT_COMMITTER_EMAIL=maintainers@tcp-keepalive.example; save $OTHER TOKEN; cargo xtask export; \
         git -C .. checkout -q .; git -C .. clean -qfd",
        "export GIT_COMMITTER_EMAIL=maintainers@tcp-keepalive.example; git checkout -q --detach; save detached TOKEN",
        "echo TOKEN >new; git add new; git commit -qm 'Add TOKEN' -m '---' -m 'TOKEN'",
        "git commit -q --allow-empty -m 'Nothing TOKEN'",
        "git commit -q --amend -m 'Amended TOKEN'",
        "git switch -qc other; save other TOKEN",
        "git checkout -q --detach; save detached TOKEN",
        "save tagged TOKEN; git tag tagged; git reset -q --hard HEAD~1",
        "git switch -qc side origin/base; save side TOKEN; git switch -q series; git merge -q --no-ff side -m 'Merge TOKEN'",
        "git branch --move series mine",
        "git branch --move series mine; git branch series/v1; save new TOKEN",
        "git tag series; save new TOKEN",
        "git branch kept; git reset -q --hard origin/base",
        "git switch -q --orphan empty",
    ]);
}

#[test]
fn stashes_worktrees_operations_and_settings_of_the_clone_stay() {
    assert_untouched(&[
        "echo TOKEN >$OTHER; git stash -q; echo TOKEN >new; git stash -qu",
        "git worktree add -q --detach $OUT/linked; echo TOKEN >$OUT/linked/file",
        "git worktree add -q --detach ../wip; cd ../wip; save file TOKEN",
        "git worktree add -q --detach $OUT/gone; cd $OUT/gone; save file TOKEN; mv $OUT/gone $OUT/unplugged",
        "git worktree add -q --detach ../wip; cd ../wip; echo TOKEN >>$OTHER; stop_in_rebase --autostash origin/base",
        "git worktree add -q --detach ../wip origin/base; cd ../wip; echo else >$LIB; git commit -qam Else; \
         git format-patch --stdout -1 series~1 | sed s/^+hello.*/+TOKEN/ >$OUT/mail; fails git am <$OUT/mail; rm $OUT/mail",
        "git worktree add -q --detach ../wip; cd ../wip; git read-tree origin/base; echo TOKEN >other; git add other; \
         c=$(git commit-tree -p origin/base -m TOKEN $(git write-tree)); rm other; git reset -q --hard; \
         git merge -q --no-commit --no-ff $c",
        "git checkout -q --detach; git worktree add -q ../wip series; cd ../wip; save file TOKEN",
        // In the middle of something.
        "stop_in_rebase origin/base; echo TOKEN >>$OTHER",
        "echo TOKEN >>$OTHER; stop_in_rebase --autostash origin/base",
        "git branch before; git format-patch -qo $OUT -1 series~1; git reset -q --hard origin/base; \
         echo TOKEN >$LIB; git commit -qam 'Another TOKEN'; fails git am $OUT/0001-*.patch",
        "c=$(git commit-tree -p origin/base -m 'Unnamed TOKEN' origin/base:); git merge -q --no-commit --no-ff $c",
        "git switch -qc left origin/base; echo TOKEN >$LIB; git commit -qam 'Left TOKEN'; git switch -q series; \
         fails git merge -q left",
        "git switch -qc left2 origin/base; echo TOKEN >$LIB; git commit -qam 'Left TOKEN'; git switch -q series; \
         fails git cherry-pick left2",
        "git bisect start; git bisect bad",
        ": >.git/index.lock",
        // Settings, hooks and references.
        "git config status.showUntrackedFiles no; echo TOKEN >unseen",
        "git config diff.noprefix true; git config core.excludesFile $OUT/ignored; echo hidden >$OUT/ignored; \
         echo TOKEN >hidden",
        "mkdir .git/hooks; cd .git/hooks; printf '#!/bin/sh\\nrm -rf library tests' >post-checkout; chmod +x *; \
         for hook in pre-applypatch post-commit reference-transaction; do cp post-checkout $hook; done",
        "git update-ref -d refs/remotes/origin/base",
        "git remote remove origin",
        "mkdir .git/hooks; printf '#!/bin/sh\\n# TOKEN' >.git/hooks/pre-commit",
        "git notes add -m TOKEN; git update-ref refs/mine/blob $(echo TOKEN | git hash-object -w --stdin)",
        ": >.git/HEAD; echo TOKEN >mine",
        "git status -s; git sparse-checkout set --no-cone /x.py /library/",
    ]);
}

#[test]
fn files_in_patches_library_and_tests_stay() {
    assert_untouched(&[
        "sed -i 's/^---$/---\\nTOKEN/' ../patches/1.95/0001-*",
        "sed -i 's/^+hello.*/+TOKEN/' ../patches/1.95/0001-*",
        "cd ../patches/1.95; sed 's/^Subject:.*/Subject: [PATCH] TOKEN/' 0001-* >0002-mine.patch",
        "cd ../patches/1.95; cp 0002-* 0009-my-backup.patch",
        "echo TOKEN >../patches/1.95/0000-notes.md; echo TOKEN >../patches/1.95/notes.txt",
        "echo TOKEN >../patches/1.95/0000-cover-letter.patch",
        "mkfifo ../patches/1.95/0003-x.patch",
        "mkdir ../patches/1.95/0003-x.patch; echo TOKEN >../patches/1.95/0003-x.patch/file",
        "mv ../patches/1.95 $OUT/patches; echo TOKEN >$OUT/patches/letter; ln -s $OUT/patches ../patches/1.95",
        "rm ../patches/1.95/0001-*",
        "echo TOKEN >../tests/my-notes.txt",
        "mkdir -p ../library/std/tests; echo TOKEN >../library/std/tests/mine.rs",
        "for file in ../tests/ui/std/*; do echo TOKEN >$file; done",
        "cp ../tests/ui/std/of-the-series.rs ../tests/ui/std/copy.rs",
        "cd ../tests/ui/std; rm *; mkdir of-the-series.rs; echo TOKEN >of-the-series.rs/file",
        "mkdir $OUT/linked-to; echo TOKEN >$OUT/linked-to/file; ln -s $OUT/linked-to ../tests/out",
        "mv ../tests $OUT/tests; echo TOKEN >$OUT/tests/file; ln -s $OUT/tests ../tests",
        "rm -rf ../tests; echo TOKEN >../tests",
        "rm -rf ../.git; echo TOKEN >../tests/mine",
    ]);
}

#[test]
fn files_beside_the_clone_and_in_the_cache_stay() {
    assert_untouched(&[
        "echo TOKEN >../notes; mkdir ../rust-backup; echo TOKEN >../rust-backup/file",
        "mkdir -p ../evidence/x; git init -q ../evidence/x; echo TOKEN >../evidence/x/file",
        "cd ..; mv rust $OUT/rust; ln -s $OUT/rust rust; cd rust; save moved TOKEN",
        "echo TOKEN >$OUT/precious; ln -sf $OUT/precious ../build/1.95/.lock; ln -sf $OUT/precious $CACHE/.lock",
        "echo TOKEN >lock; mkdir -p ../mine; echo TOKEN >../mine/lock",
        "rm -rf .git; echo TOKEN >$LIB",
        "cd ..; rm -rf rust; echo TOKEN >rust",
        "cd ..; rm -rf rust; ln -s $OUT/missing rust",
        "echo TOKEN >$CACHE/mine",
        "echo TOKEN >$CACHE/1.95.tar.xz; rm -rf ../build",
        "rm -rf ../build; echo TOKEN >$LIB",
        // An export was killed after it wrote its files.
        "save tests/ui/std/TOKEN.rs TOKEN; cp -a ../build $OUT; cp -a . $OUT/rust; cargo xtask export; cd ..; \
         rm -rf build rust; mv $OUT/build $OUT/rust .",
        // Another base.
        "cd ../rust-1.96; save $OTHER TOKEN",
        "cd ../rust-1.96; echo TOKEN >>$OTHER; git stash -q",
        "sed -i s/hello,/hi,/ ../patches/1.96/0001-*",
        "sed -i s/2026-04-14/2026-04-15/ ../base.toml; save $OTHER TOKEN",
    ]);
}

/// The commands that run in each state, in a project of its own for each line: with the patches of the state, and after
/// a script that changes the patches, if there are any.
const ROUNDS: [(&str, &[&str]); 2] = [
    ("true", &["x test library/std", "toolchain --link", "test", "export --base 1.96", "export"]),
    (
        "sed -i 's/^+hello.*/+hello, changed/' patches/1.9*/0001-* || true",
        &["prepare", "prepare --base 1.96"],
    ),
];

/// Returns whether a command is run in a state: some are run only where their files or their base matter.
fn is_run_in(state: &str, command: &str) -> bool {
    match command {
        "toolchain --link" | "test" => state.contains("LIB"),
        _ => !command.contains("1.96") || state.contains("1.96"),
    }
}

/// The references of the tool, below .git/.
const OF_TOOL: [&str; 4] =
    ["refs/xtask", "logs/refs/xtask", "refs/remotes/origin", "logs/refs/remotes/origin"];

/// The files of git that change when the tool moves the branch `series`.
const OF_SERIES: [&str; 4] =
    [".git/index", ".git/logs/HEAD", ".git/logs/refs/heads/series", ".git/refs/heads/series"];

/// Checks what the commands change in each state.
fn assert_untouched(states: &[&str]) {
    static TEMPLATE: Template = Template::new();
    let template = TEMPLATE.get(template);
    let mut refusals = 0;
    for state in states {
        for (change, commands) in ROUNDS {
            let mut session = Session::new(template.copy(), state, change);
            for command in commands.iter().filter(|command| is_run_in(state, command)) {
                refusals += usize::from(!session.run(command));
            }
        }
    }
    assert!(refusals * 4 >= states.len(), "hardly any command refuses: {refusals}");
}

/// A project, the person's script that brought it into its state, and the person's files.
struct Session {
    fixture: Fixture,
    state: String,
    files: Snapshot,
}

impl Session {
    /// Types a state's script in rust/, and then a script in the project.
    fn new(fixture: Fixture, state: &str, change: &str) -> Session {
        let mut state = format!("(cd rust; {state}); {change}");
        for number in 1..=state.matches("TOKEN").count() {
            state = state.replacen("TOKEN", &format!("userbyte{number:04}"), 1);
        }
        fixture.shell(&state).success();
        let files = files_of_the_person(&fixture);
        Session { fixture, state, files }
    }

    /// Runs a command, checks what it changed, and returns whether it succeeds.
    fn run(&mut self, command: &str) -> bool {
        let (base, tree) =
            if command.contains("1.96") { ("1.96", "rust-1.96") } else { ("1.95", "rust") };
        let tree = self.fixture.root.join(tree);
        // The clone may be behind a link.
        let tree = tree.canonicalize().unwrap_or(tree);
        let refs = self.git(&tree, "show-ref --head").unwrap_or_default();
        let rev = |name| refs.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' '));
        let [head, series, last] = ["HEAD", "refs/heads/series", "refs/xtask/series"].map(rev);
        // The branch has no commit of its own.
        let may_move = head.is_some() && head == last && head == series;

        let assert = self.fixture.run(command);
        let (said, code) = (stderr_of(&assert), assert.get_output().status.code());
        let case = format!("{command}, after: {}", self.state);
        assert!(!said.contains("panicked") && code.is_some(), "{case}");
        let after = files_of_the_person(&self.fixture);
        let before = std::mem::replace(&mut self.files, after);
        let after = &self.files;
        let all = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
        // New objects harm nothing.
        let is_new_object = |path: &Path| is_object(path) && after.contains_key(path);
        let changed = all.filter(|path| before.get(*path) != after.get(*path));
        let changed: Vec<_> = changed.filter(|path| !is_new_object(path)).collect();
        if code != Some(0) {
            assert!(changed.is_empty(), "{changed:?} changed by a refusal: {case}");
            return false;
        }
        let is_export = command.starts_with("export");
        for path in changed {
            let old = before.get(path).map(|entry| String::from_utf8_lossy(&entry.contents));
            let old = old.as_deref().map(str::trim_end);
            let is_right = if let Ok(inside) = path.strip_prefix(&tree) {
                let text = inside.to_str().unwrap();
                match inside.strip_prefix(".git") {
                    Ok(_) if OF_SERIES.contains(&text) => is_export || may_move,
                    Ok(file) => {
                        let is_of_tool = OF_TOOL.iter().any(|prefix| file.starts_with(prefix));
                        is_of_tool || file.ends_with("refs/remotes")
                    }
                    // The file has no edit.
                    Err(_) => {
                        let show = format!("show {}:{text}", head.unwrap_or("none"));
                        !is_export && may_move && self.git(&tree, &show).as_deref() == old
                    }
                }
            } else if command == "toolchain --link" {
                path.ends_with("rustup/toolchains/tcp-keepalive") && old.is_none()
            } else {
                is_export && self.may_export_change(path, base, old)
            };
            assert!(is_right, "{} changed: {case}", path.display());
        }
        if is_export {
            let log = |tip| {
                self.git(&tree, &format!("log --format=%T%an%ae%ad%B origin/base..{tip}")).unwrap()
            };
            assert!(log(head.unwrap()) == log("HEAD"), "{case}");
        }
        true
    }

    /// Returns whether an export may have changed a file: the project's git, or the series, still has its old contents.
    fn may_export_change(&self, path: &Path, base: &str, old: Option<&str>) -> bool {
        let Ok(path) = path.strip_prefix(&self.fixture.root) else { return false };
        let is_patch = path.starts_with(format!("patches/{base}"))
            && path.extension() == Some("patch".as_ref());
        let is_mirrored =
            base == "1.95" && (path.starts_with("library") || path.starts_with("tests"));
        let is_in_git = |commit: &str| {
            let show = format!("show {commit}:{}", path.display());
            self.git(&self.fixture.root, &show).as_deref() == old
        };
        let is_in_series = |old: &str| {
            let mut tokens = old.match_indices("userbyte").map(|(start, _)| &old[start..][..12]);
            let log = self.git(&self.fixture.tree, "log -p --format=%B").unwrap_or_default();
            old.contains("userbyte") && tokens.all(|token| log.contains(token))
        };
        (is_patch || is_mirrored)
            && old.is_none_or(|old| is_in_git("") || is_in_git("HEAD") || is_in_series(old))
    }

    /// Returns git's output in a repository, if it succeeds.
    fn git(&self, repository: &Path, args: &str) -> Option<String> {
        let mut git = self.fixture.command("git");
        git.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
        git.arg("-C").arg(repository).args(args.split(' '));
        let assert = finish(git);
        assert.get_output().status.success().then(|| stdout_of(&assert))
    }
}

/// Returns everything except build/ and the lock in the cache. In a repository, contents count, and times and modes do
/// not. Objects are named by their contents.
fn files_of_the_person(fixture: &Fixture) -> Snapshot {
    let Fixture { dir, root, cache, .. } = fixture;
    let mut files = snapshot(dir, &[root.join("build"), cache.join(".lock")]);
    for (path, entry) in &mut files {
        if is_object(path) {
            *entry = Entry::default();
        } else if path.to_str().unwrap().contains("/.git/") {
            (entry.mode, entry.changed) = Default::default();
        }
    }
    files
}

fn is_object(path: &Path) -> bool {
    path.to_str().unwrap().contains("/.git/objects")
}

/// Returns a project with two bases, whose patches are committed as an export writes them, and a stand-in for cargo
/// that finds one test. It has few files, since they are copied for each round: a pack in each repository, and no
/// toolchain, which the commands make anew in each copy.
fn template() -> Fixture {
    let template = Fixture::prepared();
    let cargo = "[ $1 != fetch ] || exit 0\n\
         for word; do case \"$last\" in --target-dir) out=$word;; --target) target=$word;; esac; last=$word; done\n\
         mkdir -p \"$out/$target\"; touch \"$out/$target/libstd.rlib\"\n\
         printf '{\"filenames\": [\"%s\"], \"target\": {\"name\": \"std\"}, \"executable\": \"%s\"}\\n' \
         \"$out/$target/libstd.rlib\" \"${0%/*}/a-test\"";
    write_script(&template.toolchain.join("bin/cargo"), cargo);
    write_script(&template.toolchain.join("bin/a-test"), "echo 'a: test'");
    template.commit("tests/ui/std/of-the-series.rs", "fn main() {}\n", "Add a ui test");
    let commit = "track; cargo xtask export; mkdir patches/1.96; cp patches/1.95/*.patch patches/1.96; \
                  cargo xtask prepare --base 1.96; git add .; git commit -qm Project; \
                  for git in . rust* build/*/store.git; do git -C $git repack -adq; done; \
                  rm -r build/*/prebuilt";
    template.shell(commit).success();
    template
}
