//! Puts a project into states that people get into, and runs the tool there: each state alone with each
//! command, and then several at random, with the tool killed now and then, and its advice followed. Whatever
//! happens, every byte that somebody had before can still be reached: in a file, or from a commit, a stash
//! or a branch. Only an option that says so drops something.
//!
//! `XTASK_ROUNDS` says how many random rounds there are, `XTASK_SEED` from which number they are made up. A
//! round that fails says with which of them it comes again.

// What is started here is the tests' own.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use assert_cmd::assert::Assert;
use fs_err as fs;
use support::{Fixture, advice};

/// What somebody does. `TOKEN` stands for bytes that are theirs, another one each time; `$OUT` is a
/// directory outside of the project, and `fails` runs what has to fail.
const STATES: &[&[&str]] = &[
    // In the files of build/rust.
    &[
        "echo TOKEN >library/std/src/lib.rs",
        "echo TOKEN >library/std/src/lines.rs; git add .; echo TOKEN >library/std/src/lines.rs",
        "echo TOKEN >untracked",
        "echo TOKEN >added; git add -N added",
        "mkdir -p nested; git -C nested init -q; echo TOKEN >nested/file",
        "git init -q nested; cd nested; echo TOKEN >file; git add .; git commit -qm TOKEN; cd ..; \
         git add . 2>/dev/null; git commit -qm 'Nested TOKEN'",
        "echo mine.txt >>.git/info/exclude; echo TOKEN >mine.txt",
        "echo TOKEN >bootstrap.toml",
        "git update-index --assume-unchanged library/std/src/lib.rs; echo TOKEN >library/std/src/lib.rs",
        "git update-index --skip-worktree library/std/src/lines.rs; echo TOKEN >library/std/src/lines.rs",
        "rm -r library/std/src; mkdir $OUT/src; echo TOKEN >$OUT/src/lib.rs; ln -s $OUT/src library/std/src",
    ],
    // In its commits.
    &[
        "echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'",
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'",
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; \"$XTASK\" export",
        "echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'; \"$XTASK\" export; \
         git -C ../.. checkout -q .; git -C ../.. clean -qfd",
        "echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'; \"$XTASK\" export; \
         rm ../../patches/1.95/*.patch",
        "export GIT_COMMITTER_EMAIL=maintainers@tcp-keepalive.example; echo TOKEN >>library/std/src/lines.rs; \
         git commit -qam 'Change TOKEN'; \"$XTASK\" export; git -C ../.. checkout -q .; git -C ../.. clean -qfd",
        "export GIT_COMMITTER_EMAIL=maintainers@tcp-keepalive.example; git checkout -q --detach; \
         echo TOKEN >detached; git add .; git commit -qm 'Detached TOKEN'",
        "echo TOKEN >l; git add l; git commit -qm 'Add TOKEN' -m '---' -m 'TOKEN'",
        "git commit -q --allow-empty -m 'Nothing TOKEN'",
        "git switch -qc other; echo TOKEN >other; git add .; git commit -qm 'Other TOKEN'",
        "git checkout -q --detach; echo TOKEN >detached; git add .; git commit -qm 'Detached TOKEN'",
        "echo TOKEN >tagged; git add .; git commit -qm TOKEN; git tag tagged; git reset -q --hard HEAD~1",
        "git switch -qc side base; echo TOKEN >side; git add .; git commit -qm 'Side TOKEN'; \
         git switch -q series; git merge -q --no-ff side -m 'Merge TOKEN'",
        "git branch --move series mine",
        "git branch --move series mine; git branch series/v1; echo TOKEN >l; git add l; git commit -qm 'Add TOKEN'",
        "git tag series; echo TOKEN >l; git add l; git commit -qm 'Add TOKEN'",
        "git branch kept; git reset -q --hard base",
    ],
    // Beside them.
    &[
        "echo TOKEN >library/std/src/lines.rs; git stash -q; echo TOKEN >new; git stash -qu",
        "git worktree add -q --detach $OUT/linked; echo TOKEN >$OUT/linked/file",
        "git worktree add -q --detach ../wip; cd ../wip; echo TOKEN >file; git add .; git commit -qm TOKEN",
        "git worktree add -q --detach $OUT/gone; cd $OUT/gone; echo TOKEN >file; git add .; \
         git commit -qm TOKEN; mv $OUT/gone $OUT/unplugged",
        "git worktree add -q --detach ../wip; cd ../wip; echo TOKEN >>library/std/src/lines.rs; \
         git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi --autostash base",
        "git worktree add -q --detach ../wip base; cd ../wip; echo else >library/std/src/lib.rs; \
         git commit -qam Else; git format-patch --stdout -1 series~1 | sed s/^+hello.*/+TOKEN/ >$OUT/mail; \
         git am <$OUT/mail && exit 1; rm $OUT/mail",
        "git worktree add -q --detach ../wip; cd ../wip; git read-tree base; echo TOKEN >other; git add other; \
         c=$(git commit-tree -p base -m TOKEN $(git write-tree)); rm other; git reset -q --hard; \
         git merge -q --no-commit --no-ff $c",
        "git checkout -q --detach; git worktree add -q ../wip series; cd ../wip; echo TOKEN >file; git add .; \
         git commit -qm TOKEN",
    ],
    // In the middle of something.
    &[
        "git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi base; echo TOKEN >>library/std/src/lines.rs",
        "echo TOKEN >>library/std/src/lines.rs; \
         git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi --autostash base",
        "git branch before; git format-patch -qo $OUT -1 series~1; git reset -q --hard base; \
         echo TOKEN >library/std/src/lib.rs; git commit -qam 'Another TOKEN'; fails git am $OUT/0001-*.patch",
        "c=$(git commit-tree -p base -m 'Unnamed TOKEN' base:); git merge -q --no-commit --no-ff $c",
        "git switch -qc left base; echo TOKEN >library/std/src/lib.rs; git commit -qam 'Left TOKEN'; \
         git switch -q series; fails git merge -q left",
        "git switch -qc left2 base; echo TOKEN >library/std/src/lib.rs; git commit -qam 'Left TOKEN'; \
         git switch -q series; fails git cherry-pick left2",
        "git bisect start; git bisect bad",
        ": >.git/index.lock",
    ],
    // How git is set up.
    &[
        "git config status.showUntrackedFiles no; echo TOKEN >unseen",
        "git config diff.noprefix true; git config core.excludesFile $OUT/ignored; \
         echo hidden >$OUT/ignored; echo TOKEN >hidden",
        "printf '#!/bin/sh\\nrm -rf library tests' >.git/hooks/post-checkout; chmod +x .git/hooks/*; \
         cp .git/hooks/post-checkout .git/hooks/pre-applypatch; cp .git/hooks/post-checkout .git/hooks/post-commit",
        "git tag -d base",
        "printf '#!/bin/sh\\n# TOKEN' >.git/hooks/pre-commit",
        "git notes add -m TOKEN; git update-ref refs/mine/blob $(echo TOKEN | git hash-object -w --stdin)",
        ": >.git/HEAD; echo TOKEN >mine",
    ],
    // In patches/.
    &[
        "sed -i 's/^---$/---\\nTOKEN/' ../../patches/1.95/0001-*",
        "sed -i 's/^+hello.*/+TOKEN/' ../../patches/1.95/0001-*",
        "sed 's/^Subject:.*/Subject: [PATCH] TOKEN/' ../../patches/1.95/0001-* >../../patches/1.95/0002-mine.patch",
        "echo TOKEN >../../patches/1.95/0000-notes.md; echo TOKEN >../../patches/1.95/notes.txt",
        "echo TOKEN >../../patches/1.95/0000-cover-letter.patch",
        "mkfifo ../../patches/1.95/0003-x.patch",
        "mkdir ../../patches/1.95/0003-x.patch; echo TOKEN >../../patches/1.95/0003-x.patch/file",
        "mv ../../patches/1.95 $OUT/patches; echo TOKEN >$OUT/patches/letter; ln -s $OUT/patches ../../patches/1.95",
        "rm ../../patches/1.95/0001-*",
    ],
    // In library/ and tests/.
    &[
        "mkdir -p ../../tests; echo TOKEN >../../tests/my-notes.txt",
        "mkdir -p ../../library/std/tests; echo TOKEN >../../library/std/tests/mine.rs",
        "for file in ../../tests/ui/std/*; do echo TOKEN >$file; done",
        "rm ../../tests/ui/std/*; mkdir ../../tests/ui/std/of-the-series.rs; \
         echo TOKEN >../../tests/ui/std/of-the-series.rs/file",
        "mkdir $OUT/linked-to; echo TOKEN >$OUT/linked-to/file; mkdir -p ../../tests; ln -s $OUT/linked-to ../../tests/out",
        "mv ../../tests $OUT/tests; echo TOKEN >$OUT/tests/file; ln -s $OUT/tests ../../tests",
        "rm -rf ../../tests; echo TOKEN >../../tests",
    ],
    // In build/ and in the cache.
    &[
        "echo TOKEN >../notes; mkdir ../rust-backup; echo TOKEN >../rust-backup/file",
        "mkdir -p ../evidence/x; git init -q ../evidence/x; echo TOKEN >../evidence/x/file",
        "cd ..; mv rust $OUT/rust; ln -s $OUT/rust rust; cd rust; echo TOKEN >moved; git add .; git commit -qm TOKEN",
        "echo TOKEN >$OUT/precious; rm -f ../rust.lock; ln -s $OUT/precious ../rust.lock",
        "echo TOKEN >lock; mkdir -p ../mine; echo TOKEN >../mine/lock",
        "rm -rf .git; echo TOKEN >library/std/src/lib.rs",
        "echo TOKEN >$CACHE/mine",
        "echo TOKEN >$CACHE/rustc-src.tar.xz",
    ],
    // A tool that was killed.
    &[
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; \
         fails env XTASK_KILL_AT='writing a file 2' \"$XTASK\" export",
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; \
         fails env XTASK_KILL_AT='between files and state' \"$XTASK\" export",
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; \"$XTASK\" export; \
         echo TOKEN >../../tests/mine; fails env XTASK_KILL_AT='moving away' \"$XTASK\" export",
        "sed -i s/hello,/hullo,/ ../../patches/1.95/0001-*; fails env XTASK_KILL_AT='before the move' \"$XTASK\" prepare",
        "sed -i s/hello,/hallo,/ ../../patches/1.95/0001-*; fails env XTASK_KILL_AT='after the move' \"$XTASK\" prepare",
        "echo TOKEN >mine; fails env XTASK_KILL_AT='moving away' \"$XTASK\" clean",
    ],
    // Another base.
    &[
        "cd ../rust-1.96; echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'",
        "cd ../rust-1.96; echo TOKEN >>library/std/src/lines.rs; git stash -q",
        "sed -i s/hello,/hi,/ ../../patches/1.96/0001-*",
    ],
];

/// With what each state is tried alone, and what is typed before.
const ALONE: &[(&str, &str)] = &[
    ("", "prepare"),
    ("sed -i 's/^+hello.*/+hello, changed/' ../../patches/1.95/0001-*", "prepare"),
    ("", "export"),
    ("", "clean"),
];

const COMMANDS: &[&str] = &[
    "prepare",
    "prepare",
    "x test library/std",
    "export",
    "export",
    "export",
    "clean",
    "clean",
    "clean --saved",
    "prepare --base 1.96",
    "export --base 1.96",
];

const KILL_POINTS: &[&str] = &[
    "unpacked",
    "before it has its name",
    "before the move",
    "after the move",
    "writing a file",
    "writing a file 2",
    "writing a file 3",
    "removing a file",
    "between files and state",
    "moving away",
    "moving away 2",
    "removing what was made",
    "removing what was made 3",
];

/// What the tool says before the commands that are a way out.
const WAY_OUT: &str = "and make it anew";

/// Numbers that look random and are the same for the same seed: a linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Where each of somebody's tokens is found.
type Tokens = BTreeMap<String, BTreeSet<PathBuf>>;

fn collect(text: &[u8], place: &Path, tokens: &mut Tokens) {
    let text = String::from_utf8_lossy(text);
    for (start, _) in text.match_indices("userbyte") {
        let token = text[start..].chars().take(12).collect();
        tokens.entry(token).or_default().insert(place.to_owned());
    }
}

struct Round {
    fixture: Fixture,
    outside: PathBuf,
    history: String,
    tokens: usize,
    /// How often it did what the tool had said to type.
    advised: usize,
}

impl Round {
    /// The tokens that can be reached from `dir` on: in files, and in commits. `refs` are those that the
    /// user knows of.
    fn reachable(&self, refs: &BTreeSet<String>) -> Tokens {
        let mut tokens = Tokens::new();
        let mut paths = vec![self.fixture.dir().to_owned()];
        while let Some(path) = paths.pop() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let is_temporary = [".rust.unfinished", "toolchain"].contains(&&*name);
            if is_temporary || name.starts_with(".xtask-unfinished-") {
                continue;
            }
            if metadata.is_dir() && name == ".git" {
                self.collect_objects(path.parent().unwrap(), refs, &mut tokens);
                for dir in of_work_trees(&path) {
                    paths.extend(["rebase-apply", "rebase-merge"].map(|name| dir.join(name)));
                }
                paths.push(path.join("hooks"));
            } else if metadata.is_dir() {
                paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if metadata.is_file() {
                collect(&fs::read(&path).unwrap(), &path, &mut tokens);
            }
        }
        tokens
    }

    /// What is in commits on top of the base, in the index and in stashes.
    fn collect_objects(&self, repository: &Path, refs: &BTreeSet<String>, tokens: &mut Tokens) {
        let git = repository.join(".git");
        if !fs::metadata(git.join("HEAD")).is_ok_and(|head| head.len() > 0) {
            return;
        }
        let mut list = git_at(repository);
        list.args(["rev-list", "--objects", "--no-object-names", "--indexed-objects"]);
        list.args(["--ignore-missing", "^base^{commit}"]).args(refs);
        let stashes = fs::read_to_string(git.join("logs/refs/stash")).unwrap_or_default();
        list.args(stashes.lines().filter_map(|line| line.split(' ').nth(1)));
        const UNDER_WAY: [&str; 4] =
            ["MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge/autostash", "rebase-apply/autostash"];
        for dir in of_work_trees(&git) {
            list.arg(dir.strip_prefix(&git).unwrap().join("HEAD"));
            for name in UNDER_WAY {
                list.args(fs::read_to_string(dir.join(name)).unwrap_or_default().lines());
            }
        }
        let mut listed = list.stdout(Stdio::piped()).spawn().unwrap();
        let mut objects = git_at(repository);
        objects.args(["cat-file", "--batch"]).stdin(listed.stdout.take().unwrap());
        collect(&objects.output().unwrap().stdout, &git, tokens);
        assert!(listed.wait().unwrap().success(), "{}", self.history);
    }

    /// Somebody types `script` in build/rust. Returns whether all of it works.
    fn type_in_tree(&mut self, script: &str) -> bool {
        let mut typed = String::new();
        for (number, part) in script.split("TOKEN").enumerate() {
            if number > 0 {
                self.tokens += 1;
                typed += &format!("userbyte{:04}", self.tokens);
            }
            typed += part;
        }
        let (out, cache) = (self.outside.display(), self.fixture.cache());
        let script = format!(
            "OUT='{out}'; CACHE='{}'; export OUT CACHE; fails() {{ if \"$@\"; then exit 1; fi; }}; \
             cd build/rust || exit 0; {typed}",
            cache.display()
        );
        let assert = self.fixture.shell(&script);
        self.history += &format!("$ {typed}\n");
        let output = assert.get_output();
        if !output.status.success() {
            self.history += &String::from_utf8_lossy(&output.stderr);
        }
        output.status.success()
    }

    /// Runs the tool, and maybe what it says to type, and sees that nothing is lost by either.
    fn run(&mut self, command: &str, kill_at: Option<&str>) {
        let mut xtask = self.fixture.xtask(&command.split(' ').collect::<Vec<_>>());
        let mut line = format!("cargo xtask {command}");
        if let Some(point) = kill_at {
            xtask.env("XTASK_KILL_AT", point);
            line += &format!(" # to be killed at {point:?}");
        }
        let assert = self.check(&line, |_| support::finish(xtask));
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(!told.contains("panicked"), "{}", self.history);
        if told.contains(WAY_OUT) {
            self.advised += 1;
            let script = advice(&assert, WAY_OUT);
            self.check(&script, |fixture| fixture.shell(&script));
        }
    }

    /// Runs something, and fails if a token is out of reach then, and `line` says nothing that drops it.
    fn check(&mut self, line: &str, run: impl FnOnce(&Fixture) -> Assert) -> Assert {
        let mut known = self.refs();
        let before = self.reachable(&known);
        let assert = run(&self.fixture);
        let output = assert.get_output();
        let said = [&*output.stdout, &*output.stderr].concat();
        self.history += &format!("$ {line}\n{}", String::from_utf8_lossy(&said));
        // A new name counts if the tool, or its advice, has said it.
        for name in self.refs() {
            let short = name.rsplit('/').next().unwrap();
            if name.starts_with("refs/stash") || self.history.contains(short) {
                known.insert(name);
            }
        }
        let after = self.reachable(&known);
        let saved = self.fixture.root().join("build/saved");
        for (token, places) in before {
            let dropped =
                line.contains("--saved") && places.iter().all(|place| place.starts_with(&saved));
            assert!(
                dropped || after.contains_key(&token),
                "{token} was in {places:?}, and is lost:\n{}",
                self.history
            );
        }
        assert
    }

    /// The names that git knows in the trees.
    fn refs(&self) -> BTreeSet<String> {
        let trees = ["rust", "rust-1.96"].map(|name| self.fixture.root().join("build").join(name));
        let mut refs = BTreeSet::new();
        for tree in trees.iter().filter(|tree| tree.exists()) {
            let mut list = git_at(tree);
            let listed = list.args(["for-each-ref", "--format=%(refname)"]).output().unwrap();
            refs.extend(String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned));
        }
        refs
    }
}

/// Where git keeps what is about one work tree: about each linked one, and its own.
fn of_work_trees(git: &Path) -> impl Iterator<Item = PathBuf> {
    let linked = fs::read_dir(git.join("worktrees")).into_iter().flatten();
    linked.map(|entry| entry.unwrap().path()).chain([git.to_owned()])
}

/// git, as somebody would use it there.
fn git_at(repository: &Path) -> Command {
    let mut git = Command::new("git");
    support::forget_variables_of_git(git.arg("-C").arg(repository).stderr(Stdio::null()));
    git
}

/// Somebody's copy of the project, as it was left.
fn begin(template: &Fixture) -> Round {
    let fixture = template.copy();
    let outside = fixture.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    Round { fixture, outside, history: String::new(), tokens: 0, advised: 0 }
}

fn play(template: &Fixture, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut round = begin(template);
    // Often one alone: with several, most commands stop at the first.
    for number in 0..[1, 1, 1, 2, 3][numbers.below(5)] {
        let kind = STATES[numbers.below(STATES.len())];
        let worked = round.type_in_tree(numbers.one_of(kind));
        assert!(worked || number > 0, "{}", round.history);
    }
    for _ in 0..=numbers.below(3) {
        let command = numbers.one_of(COMMANDS);
        let kill_at = (numbers.below(5) < 2).then(|| numbers.one_of(KILL_POINTS));
        round.run(command, kill_at);
    }
    if std::env::var_os("XTASK_SHOW").is_some() {
        println!("{}", round.history);
    }
}

/// A project with two bases, whose patches are committed as an export writes them.
fn template() -> Fixture {
    let template = Fixture::prepared();
    fs::write(template.tree().join("tests/ui/std/of-the-series.rs"), "fn main() {}\n").unwrap();
    template.git(&["add", "."]);
    template.git(&["commit", "--quiet", "-m", "Add a ui test\n\nThere was none."]);
    template.run(&["export"]).success();
    template.add_base();
    let commit = "mkdir patches/1.96 && cp patches/1.95/*.patch patches/1.96 && rm -rf build/saved && \
                  echo /build/ >.gitignore && git init -q && git add . && git commit -qm Project";
    template.shell(commit).success();
    template.run(&["prepare", "--base", "1.96"]).success();
    template
}

/// Has `play` run for each number below `count`, side by side, and fails with those that fail.
fn for_each(count: usize, play: impl Fn(usize) + Sync) -> Vec<usize> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let play_on = || {
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= count {
                break;
            }
            // Each says what it found; the others go on.
            if catch_unwind(AssertUnwindSafe(|| play(number))).is_err() {
                failed.lock().unwrap().push(number);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play_on);
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn no_command_loses_anything_in_any_state() {
    let template = template();
    let states: Vec<_> = STATES.iter().flat_map(|kind| kind.iter()).collect();
    let advised = AtomicUsize::new(0);
    let failed = for_each(states.len() * ALONE.len(), |number| {
        let mut round = begin(&template);
        let (before, command) = ALONE[number % ALONE.len()];
        assert!(round.type_in_tree(states[number / ALONE.len()]), "{}", round.history);
        round.type_in_tree(before);
        round.run(command, None);
        advised.fetch_add(round.advised, Ordering::SeqCst);
    });
    assert!(failed.is_empty(), "{} of {} fail", failed.len(), states.len() * ALONE.len());
    // Where the tool's words are others, the test must not go on without them.
    assert!(advised.into_inner() >= states.len() / 4, "hardly any advice was found, and followed");
}

#[test]
fn nothing_is_lost_at_random() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let rounds = number("XTASK_ROUNDS").unwrap_or(20);
    let seed = number("XTASK_SEED").unwrap_or_else(|| {
        u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos())
    });
    println!("{rounds} rounds from XTASK_SEED={seed} on");
    let template = template();
    let failed = for_each(usize::try_from(rounds).unwrap(), |n| play(&template, seed + n as u64));
    assert!(
        failed.is_empty(),
        "{} of {rounds} rounds fail. One of them again: \
         XTASK_ROUNDS=1 XTASK_SEED={} cargo test --package xtask --test nothing_is_lost",
        failed.len(),
        seed + failed[0] as u64
    );
}
