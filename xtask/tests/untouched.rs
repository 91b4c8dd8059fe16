//! Puts a project into states that people get into, and runs the commands there. A command that refuses has changed
//! nothing outside of build/: no byte of rust/ (files, index, references, stashes), patches/, library/ and tests/, the
//! cache, rustup's directory or the toolchain. A command that succeeds has changed what it says, and nothing else.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::{Entry, Fixture, Snapshot, finish, snapshot, stderr_of, stdout_of, write_script};

/// Scripts of a person who works in rust/. `TOKEN` stands for bytes that are nowhere else, `$OUT` is a directory
/// outside of the project, and `fails` runs a command that has to fail.
const STATES: &[&str] = &[
    "true",
    // In the files of rust/.
    "echo TOKEN >library/std/src/lib.rs",
    "echo TOKEN >library/std/src/lines.rs; git add .; echo TOKEN >library/std/src/lines.rs",
    "echo TOKEN >untracked",
    "echo TOKEN >added; git add -N added",
    "mkdir -p nested; git -C nested init -q; echo TOKEN >nested/file",
    "git init -q nested; cd nested; echo TOKEN >file; git add .; git commit -qm TOKEN; cd ..; \
     git add . 2>/dev/null; git commit -qm 'Nested TOKEN'",
    "echo mine.txt >>.git/info/exclude; echo TOKEN >mine.txt",
    "echo TOKEN >bootstrap.toml; echo TOKEN >.cargo/config.toml; mkdir build; echo TOKEN >build/file",
    "git update-index --assume-unchanged library/std/src/lib.rs; echo TOKEN >library/std/src/lib.rs",
    "git update-index --skip-worktree library/std/src/lines.rs; echo TOKEN >library/std/src/lines.rs",
    "git update-index --skip-worktree library/std/src/lib.rs; echo TOKEN >library/std/src/lib.rs",
    "rm -r library/std/src; mkdir $OUT/src; echo TOKEN >$OUT/src/lib.rs; ln -s $OUT/src library/std/src",
    "rm library/std/src/lib.rs; mkdir library/std/src/lib.rs; echo TOKEN >library/std/src/lib.rs/file",
    // In its commits.
    "echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'",
    "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'",
    "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; cargo xtask export",
    "echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'; cargo xtask export; \
     git -C .. checkout -q .; git -C .. clean -qfd",
    "echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'; cargo xtask export; \
     rm ../patches/1.95/*.patch",
    "export GIT_COMMITTER_EMAIL=maintainers@tcp-keepalive.example; echo TOKEN >>library/std/src/lines.rs; \
     git commit -qam 'Change TOKEN'; cargo xtask export; git -C .. checkout -q .; git -C .. clean -qfd",
    "export GIT_COMMITTER_EMAIL=maintainers@tcp-keepalive.example; git checkout -q --detach; \
     echo TOKEN >detached; git add .; git commit -qm 'Detached TOKEN'",
    "echo TOKEN >l; git add l; git commit -qm 'Add TOKEN' -m '---' -m 'TOKEN'",
    "git commit -q --allow-empty -m 'Nothing TOKEN'",
    "git commit -q --amend -m 'Amended TOKEN'",
    "git switch -qc other; echo TOKEN >other; git add .; git commit -qm 'Other TOKEN'",
    "git checkout -q --detach; echo TOKEN >detached; git add .; git commit -qm 'Detached TOKEN'",
    "echo TOKEN >tagged; git add .; git commit -qm TOKEN; git tag tagged; git reset -q --hard HEAD~1",
    "git switch -qc side origin/base; echo TOKEN >side; git add .; git commit -qm 'Side TOKEN'; \
     git switch -q series; git merge -q --no-ff side -m 'Merge TOKEN'",
    "git branch --move series mine",
    "git branch --move series mine; git branch series/v1; echo TOKEN >l; git add l; git commit -qm 'Add TOKEN'",
    "git tag series; echo TOKEN >l; git add l; git commit -qm 'Add TOKEN'",
    "git branch kept; git reset -q --hard origin/base",
    "git switch -q --orphan empty",
    // Beside them.
    "echo TOKEN >library/std/src/lines.rs; git stash -q; echo TOKEN >new; git stash -qu",
    "git worktree add -q --detach $OUT/linked; echo TOKEN >$OUT/linked/file",
    "git worktree add -q --detach ../wip; cd ../wip; echo TOKEN >file; git add .; git commit -qm TOKEN",
    "git worktree add -q --detach $OUT/gone; cd $OUT/gone; echo TOKEN >file; git add .; \
     git commit -qm TOKEN; mv $OUT/gone $OUT/unplugged",
    "git worktree add -q --detach ../wip; cd ../wip; echo TOKEN >>library/std/src/lines.rs; \
     git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi --autostash origin/base",
    "git worktree add -q --detach ../wip origin/base; cd ../wip; echo else >library/std/src/lib.rs; \
     git commit -qam Else; git format-patch --stdout -1 series~1 | sed s/^+hello.*/+TOKEN/ >$OUT/mail; \
     fails git am <$OUT/mail; rm $OUT/mail",
    "git worktree add -q --detach ../wip; cd ../wip; git read-tree origin/base; echo TOKEN >other; git add other; \
     c=$(git commit-tree -p origin/base -m TOKEN $(git write-tree)); rm other; git reset -q --hard; \
     git merge -q --no-commit --no-ff $c",
    "git checkout -q --detach; git worktree add -q ../wip series; cd ../wip; echo TOKEN >file; git add .; \
     git commit -qm TOKEN",
    // In the middle of something.
    "git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi origin/base; echo TOKEN >>library/std/src/lines.rs",
    "echo TOKEN >>library/std/src/lines.rs; \
     git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi --autostash origin/base",
    "git branch before; git format-patch -qo $OUT -1 series~1; git reset -q --hard origin/base; \
     echo TOKEN >library/std/src/lib.rs; git commit -qam 'Another TOKEN'; fails git am $OUT/0001-*.patch",
    "c=$(git commit-tree -p origin/base -m 'Unnamed TOKEN' origin/base:); git merge -q --no-commit --no-ff $c",
    "git switch -qc left origin/base; echo TOKEN >library/std/src/lib.rs; git commit -qam 'Left TOKEN'; \
     git switch -q series; fails git merge -q left",
    "git switch -qc left2 origin/base; echo TOKEN >library/std/src/lib.rs; git commit -qam 'Left TOKEN'; \
     git switch -q series; fails git cherry-pick left2",
    "git bisect start; git bisect bad",
    ": >.git/index.lock",
    // How git is set up.
    "git config status.showUntrackedFiles no; echo TOKEN >unseen",
    "git config diff.noprefix true; git config core.excludesFile $OUT/ignored; \
     echo hidden >$OUT/ignored; echo TOKEN >hidden",
    "mkdir .git/hooks; printf '#!/bin/sh\\nrm -rf library tests' >.git/hooks/post-checkout; chmod +x .git/hooks/*; \
     for hook in pre-applypatch post-commit reference-transaction; do cp .git/hooks/post-checkout .git/hooks/$hook; done",
    "git update-ref -d refs/remotes/origin/base",
    "git remote remove origin",
    "mkdir .git/hooks; printf '#!/bin/sh\\n# TOKEN' >.git/hooks/pre-commit",
    "git notes add -m TOKEN; git update-ref refs/mine/blob $(echo TOKEN | git hash-object -w --stdin)",
    ": >.git/HEAD; echo TOKEN >mine",
    "git status -s; git sparse-checkout set --no-cone /x.py /library/",
    // In patches/.
    "sed -i 's/^---$/---\\nTOKEN/' ../patches/1.95/0001-*",
    "sed -i 's/^+hello.*/+TOKEN/' ../patches/1.95/0001-*",
    "sed 's/^Subject:.*/Subject: [PATCH] TOKEN/' ../patches/1.95/0001-* >../patches/1.95/0002-mine.patch",
    "cp ../patches/1.95/0002-* ../patches/1.95/0009-my-backup.patch",
    "echo TOKEN >../patches/1.95/0000-notes.md; echo TOKEN >../patches/1.95/notes.txt",
    "echo TOKEN >../patches/1.95/0000-cover-letter.patch",
    "mkfifo ../patches/1.95/0003-x.patch",
    "mkdir ../patches/1.95/0003-x.patch; echo TOKEN >../patches/1.95/0003-x.patch/file",
    "mv ../patches/1.95 $OUT/patches; echo TOKEN >$OUT/patches/letter; ln -s $OUT/patches ../patches/1.95",
    "rm ../patches/1.95/0001-*",
    // In library/ and tests/.
    "mkdir -p ../tests; echo TOKEN >../tests/my-notes.txt",
    "mkdir -p ../library/std/tests; echo TOKEN >../library/std/tests/mine.rs",
    "for file in ../tests/ui/std/*; do echo TOKEN >$file; done",
    "cp ../tests/ui/std/of-the-series.rs ../tests/ui/std/copy.rs",
    "rm ../tests/ui/std/*; mkdir ../tests/ui/std/of-the-series.rs; \
     echo TOKEN >../tests/ui/std/of-the-series.rs/file",
    "mkdir $OUT/linked-to; echo TOKEN >$OUT/linked-to/file; mkdir -p ../tests; ln -s $OUT/linked-to ../tests/out",
    "mv ../tests $OUT/tests; echo TOKEN >$OUT/tests/file; ln -s $OUT/tests ../tests",
    "rm -rf ../tests; echo TOKEN >../tests",
    "rm -rf ../.git; echo TOKEN >../tests/mine",
    // Beside rust/, and in the cache.
    "echo TOKEN >../notes; mkdir ../rust-backup; echo TOKEN >../rust-backup/file",
    "mkdir -p ../evidence/x; git init -q ../evidence/x; echo TOKEN >../evidence/x/file",
    "cd ..; mv rust $OUT/rust; ln -s $OUT/rust rust; cd rust; echo TOKEN >moved; git add .; git commit -qm TOKEN",
    "echo TOKEN >$OUT/precious; ln -sf $OUT/precious ../build/1.95/.lock; ln -sf $OUT/precious $CACHE/.lock",
    "echo TOKEN >lock; mkdir -p ../mine; echo TOKEN >../mine/lock",
    "rm -rf .git; echo TOKEN >library/std/src/lib.rs",
    "cd ..; rm -rf rust; echo TOKEN >rust",
    "cd ..; rm -rf rust; ln -s $OUT/missing rust",
    "echo TOKEN >$CACHE/mine",
    "echo TOKEN >$CACHE/rustc-src.tar.xz; rm -rf ../build",
    "rm -rf ../build; echo TOKEN >library/std/src/lib.rs",
    // An export was killed after it wrote its files.
    "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; cp -a ../build $OUT; cp -a . $OUT/rust; \
     cargo xtask export; cd ..; rm -rf build rust; mv $OUT/build $OUT/rust .",
    // Another base.
    "cd ../rust-1.96; echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'",
    "cd ../rust-1.96; echo TOKEN >>library/std/src/lines.rs; git stash -q",
    "sed -i s/hello,/hi,/ ../patches/1.96/0001-*",
];

/// The commands with a part of the states for which they are run: one after the other as long as `patches/` is as it
/// was, and then, in a project of its own, after a change of the patches.
const COMMANDS: [&[(&str, &str)]; 2] = [
    &[
        ("x test library/std", ""),
        ("toolchain --link", "std/src/lib.rs"),
        ("test", "std/src/lib.rs"),
        ("export --base 1.96", "1.96"),
        ("export", ""),
    ],
    &[("prepare", ""), ("prepare --base 1.96", "1.96")],
];

const CHANGE: &str = "sed -i 's/^+hello.*/+hello, changed/' ../patches/1.9*/0001-*";

/// The files of git that change where the tool moves the branch `series`.
const OF_SERIES: [&str; 3] = [".git/index", ".git/logs/HEAD", ".git/logs/refs/heads/series"];

struct Round {
    fixture: Fixture,
    history: String,
    tokens: usize,
    refusals: usize,
}

impl Round {
    /// Runs a script in rust/.
    fn type_in_tree(&mut self, script: &str) -> bool {
        let mut parts = script.split("TOKEN");
        let mut typed = parts.next().unwrap().to_owned();
        for part in parts {
            self.tokens += 1;
            typed += &format!("userbyte{:04}{part}", self.tokens);
        }
        let fails = "fails() { if \"$@\"; then exit 1; fi; }";
        let assert = self.fixture.shell(&format!("{fails}; cd rust; {typed}"));
        self.history += &format!("$ {typed}\n{}", stderr_of(&assert));
        assert.get_output().status.success()
    }

    /// Returns what is the person's: everything but build/ and the lock in the cache. In a repository, contents count
    /// and times do not, and objects are named by their contents.
    fn persons_files(&self) -> Snapshot {
        let Fixture { dir, root, cache, .. } = &self.fixture;
        let mut files = snapshot(dir, &[root.join("build"), cache.join(".lock")]);
        for (path, state) in &mut files {
            let text = path.to_str().unwrap();
            if text.contains("/.git/objects") {
                *state = Entry::default();
            } else if text.contains("/.git/") {
                (state.mode, state.changed) = Default::default();
            }
        }
        files
    }

    /// Runs a command, and checks what it changed.
    fn run(&mut self, command: &str) {
        let (base, tree) = match command.contains("1.96") {
            true => ("1.96", self.fixture.root.join("rust-1.96")),
            false => ("1.95", self.fixture.tree.clone()),
        };
        // The clone may be behind a link.
        let tree = tree.canonicalize().unwrap_or(tree);
        let rev = |name| self.git(&tree, &format!("rev-parse --verify --quiet {name}^{{commit}}"));
        let [head, series, origin] = ["HEAD", "refs/heads/series", "refs/xtask/series"].map(rev);
        let has_own = head.is_none() || head != origin || head != series;
        let before = self.persons_files();
        let assert = self.fixture.run(command);
        let (said, code) = (stderr_of(&assert), assert.get_output().status.code());
        self.history += &format!("$ cargo xtask {command}\n{}{said}", stdout_of(&assert));
        assert!(!said.contains("panicked") && code.is_some(), "{}", self.history);
        let after = self.persons_files();
        let all = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
        // New objects harm nothing.
        let changed = all.filter(|path| before.get(*path) != after.get(*path));
        let is_object = |path: &Path| path.to_str().unwrap().contains("/.git/objects");
        let changed = changed.filter(|path| !is_object(path) || !after.contains_key(*path));
        let changed: Vec<_> = changed.collect();
        let is_export = command.starts_with("export");
        if code != Some(0) {
            self.refusals += 1;
            assert!(changed.is_empty(), "{changed:?} changed by a refusal:\n{}", self.history);
        }
        for path in changed {
            let old = before.get(path).map(|state| String::from_utf8_lossy(&state.contents));
            let old = old.as_deref().map(str::trim_end);
            let is_right = if let Ok(inside) = path.strip_prefix(&tree) {
                let text = inside.to_str().unwrap();
                if text.contains("/refs/xtask") {
                    true // The tool's own.
                } else if text.contains("/refs/remotes") {
                    text.ends_with("remotes") || text.contains("origin")
                } else if inside.starts_with(".git") {
                    // The branch has no commit of its own, or is exported.
                    let is_moved = OF_SERIES.contains(&text) || text == ".git/refs/heads/series";
                    is_moved && (is_export || !has_own)
                } else {
                    // The file has no edit.
                    let show = format!("show {}:{text}", head.as_deref().unwrap_or("none"));
                    !is_export && !has_own && self.git(&tree, &show).as_deref() == old
                }
            } else if command == "toolchain --link" {
                path.ends_with("rustup/toolchains/tcp-keepalive") && old.is_none()
            } else {
                is_export && self.may_export_change(path, base, old)
            };
            assert!(is_right, "{} changed:\n{}", path.display(), self.history);
        }
        if is_export && code == Some(0) {
            let log = |tip: &str| {
                self.git(&tree, &format!("log --format=%T%an%ae%ad%B origin/base..{tip}")).unwrap()
            };
            assert!(log(head.as_deref().unwrap()) == log("HEAD"), "{}", self.history);
        }
    }

    /// Returns whether an export may have changed a path: git, or the series, still has what was there.
    fn may_export_change(&self, path: &Path, base: &str, old: Option<&str>) -> bool {
        let root = &self.fixture.root;
        let Ok(path) = path.strip_prefix(root) else { return false };
        let is_patch = path.starts_with(format!("patches/{base}"))
            && path.extension().is_some_and(|extension| extension == "patch");
        let is_mirrored =
            base == "1.95" && ["library", "tests"].iter().any(|d| path.starts_with(d));
        let Some(old) = old else { return is_patch || is_mirrored };
        let has = |commit: &str| {
            self.git(root, &format!("show {commit}:{}", path.display())).as_deref() == Some(old)
        };
        let mut tokens = old.match_indices("userbyte").map(|(start, _)| &old[start..start + 12]);
        let log = self.git(&self.fixture.tree, "log -p --format=%B").unwrap_or_default();
        let is_in_series = tokens.all(|token| log.contains(token));
        (is_patch || is_mirrored) && (has("") || has("HEAD") || is_in_series)
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

/// Returns a project with two bases, whose patches are committed as an export writes them, and a stand-in for cargo
/// that finds one test.
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
    template.add_base();
    let commit = "printf '/build/\\n/rust*/\\n' >.gitignore; git init -q; git add .; cargo xtask export; \
                  mkdir patches/1.96; cp patches/1.95/*.patch patches/1.96; git add .; git commit -qm Project";
    template.shell(commit).success();
    template.run("toolchain").success();
    template.run("prepare --base 1.96").success();
    template
}

#[test]
fn commands_change_only_what_they_say_in_every_state() {
    let template = template();
    let (next, refusals) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = Mutex::new(Vec::new());
    let play = |state: &str| {
        for (commands, change) in COMMANDS.iter().zip(["", CHANGE]) {
            let fixture = template.copy();
            let mut round = Round { fixture, history: String::new(), tokens: 0, refusals: 0 };
            assert!(round.type_in_tree(state), "{}", round.history);
            // There may be no patch to change.
            round.type_in_tree(change);
            for (command, _) in commands.iter().filter(|(_, part)| state.contains(part)) {
                round.run(command);
            }
            refusals.fetch_add(round.refusals, Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(state) = STATES.get(next.fetch_add(1, Ordering::SeqCst)) {
                    // After a failure, the other states are tried, too.
                    if catch_unwind(AssertUnwindSafe(|| play(state))).is_err() {
                        failed.lock().unwrap().push(*state);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} fail: {failed:#?}", failed.len(), STATES.len());
    assert!(refusals.into_inner() > STATES.len() / 2, "hardly any command refuses");
}
