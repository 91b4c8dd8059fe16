//! Puts a project into random states that people get into, runs the tool there, or kills it, and follows
//! its advice. Whatever happens, every byte that somebody had before can still be reached: in a file, or
//! from a commit, a stash or a branch. Only an option that says so drops something.
//!
//! `XTASK_ROUNDS` says how many rounds there are, `XTASK_SEED` from which number they are made up. A round
//! that fails says with which of them it comes again.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use assert_cmd::assert::Assert;
use fs_err as fs;
use support::{Fixture, advice};

/// What somebody does. `TOKEN` stands for bytes that are theirs, another one each time; `$OUT` is a
/// directory outside of the project. What does not work in a state is left out.
const STATES: &[&[&str]] = &[
    // In the files of build/rust.
    &[
        "echo TOKEN >library/std/src/lib.rs",
        "echo TOKEN >library/std/src/lines.rs; git add .; echo TOKEN >library/std/src/lines.rs",
        "echo TOKEN >untracked",
        "mkdir -p nested; git -C nested init -q; echo TOKEN >nested/file",
        "echo mine.txt >>.git/info/exclude; echo TOKEN >mine.txt",
        "echo TOKEN >bootstrap.toml",
        "echo '# TOKEN' >>bootstrap.toml",
        "git update-index --assume-unchanged library/std/src/lib.rs; echo TOKEN >library/std/src/lib.rs",
        "git update-index --skip-worktree library/std/src/lines.rs; echo TOKEN >library/std/src/lines.rs",
        "rm -r library/std/src; mkdir $OUT/src; echo TOKEN >$OUT/src/lib.rs; ln -s $OUT/src library/std/src",
    ],
    // In its commits.
    &[
        "echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'",
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'",
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; $XTASK export --overwrite",
        "echo TOKEN >l; git add l; git commit -qm 'Add TOKEN' -m '---' -m 'TOKEN'",
        "git commit -q --allow-empty -m 'Nothing TOKEN'",
        "git switch -qc other; echo TOKEN >other; git add .; git commit -qm 'Other TOKEN'",
        "git checkout -q --detach; echo TOKEN >detached; git add .; git commit -qm 'Detached TOKEN'",
        "echo TOKEN >tagged; git add .; git commit -qm TOKEN; git tag tagged; git reset -q --hard HEAD~1",
        "git switch -qc side base; echo TOKEN >side; git add .; git commit -qm 'Side TOKEN'; \
         git switch -q series; git merge -q --no-ff side -m 'Merge TOKEN'",
        "git branch --move series mine",
        "git branch kept; git reset -q --hard base",
    ],
    // Beside them.
    &[
        "echo TOKEN >library/std/src/lines.rs; git stash -q; echo TOKEN >new; git stash -qu",
        "git worktree add -q --detach $OUT/linked; echo TOKEN >$OUT/linked/file",
        "git worktree add -q --detach ../wip; cd ../wip; echo TOKEN >file; git add .; git commit -qm TOKEN",
        "git worktree add -q --detach $OUT/gone; cd $OUT/gone; echo TOKEN >file; git add .; \
         git commit -qm TOKEN; mv $OUT/gone $OUT/unplugged",
    ],
    // In the middle of something.
    &[
        "git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi base; echo TOKEN >>library/std/src/lines.rs",
        "git branch before; git format-patch -qo $OUT -1; git reset -q --hard base; \
         echo TOKEN >library/std/src/lib.rs; git commit -qam 'Another TOKEN'; git am $OUT/0001-*.patch",
        "git switch -qc left base; echo TOKEN >library/std/src/lib.rs; git commit -qam 'Left TOKEN'; \
         git switch -q series; git merge -q left",
        "git switch -qc left2 base; echo TOKEN >library/std/src/lib.rs; git commit -qam 'Left TOKEN'; \
         git switch -q series; git cherry-pick left2",
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
    ],
    // In patches/.
    &[
        "sed -i 's/^---$/---\\nTOKEN/' ../../patches/1.95/0001-*",
        "sed -i 's/^+hello.*/+TOKEN/' ../../patches/1.95/0001-*",
        "sed 's/^Subject:.*/Subject: [PATCH] TOKEN/' ../../patches/1.95/0001-* >../../patches/1.95/0002-mine.patch",
        "echo TOKEN >../../patches/1.95/0000-notes.md; echo TOKEN >../../patches/1.95/notes.txt",
        "mv ../../patches/1.95 $OUT/patches; echo TOKEN >$OUT/patches/letter; ln -s $OUT/patches ../../patches/1.95",
        "rm ../../patches/1.95/0001-*",
    ],
    // In library/ and tests/.
    &[
        "mkdir -p ../../tests; echo TOKEN >../../tests/my-notes.txt",
        "mkdir -p ../../library/std/tests; echo TOKEN >../../library/std/tests/mine.rs",
        "for file in ../../tests/ui/std/*; do echo TOKEN >$file; done",
        "mkdir $OUT/linked-to; echo TOKEN >$OUT/linked-to/file; mkdir -p ../../tests; ln -s $OUT/linked-to ../../tests/out",
        "mv ../../tests $OUT/tests; echo TOKEN >$OUT/tests/file; ln -s $OUT/tests ../../tests",
        "rm -rf ../../tests; echo TOKEN >../../tests",
    ],
    // In build/ and in the cache.
    &[
        "echo TOKEN >../notes; mkdir ../rust-backup; echo TOKEN >../rust-backup/file",
        "mv ../rust $OUT/rust; ln -s $OUT/rust ../rust; cd ../rust; echo TOKEN >moved; git add .; git commit -qm TOKEN",
        "echo TOKEN >$OUT/precious; rm -f ../rust.lock; ln -s $OUT/precious ../rust.lock",
        "echo TOKEN >../verify/scribble",
        "cd ../verify; echo TOKEN >library/std/src/lib.rs; git commit -qam 'In verify TOKEN'; echo TOKEN >untracked",
        "echo TOKEN >$CACHE/mine",
        "echo TOKEN >$CACHE/rustc-src.tar.xz",
    ],
    // A tool that was killed.
    &[
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; XTASK_KILL_AT='writing a file 2' $XTASK export",
        "echo TOKEN >tests/ui/std/TOKEN.rs; git add .; git commit -qm 'Add TOKEN'; \
         XTASK_KILL_AT='between patches and mirror' $XTASK export --overwrite",
        "sed -i s/hello,/hullo,/ ../../patches/1.95/0001-*; XTASK_KILL_AT='before the move' $XTASK prepare",
        "sed -i s/hello,/hallo,/ ../../patches/1.95/0001-*; XTASK_KILL_AT='after the move' $XTASK prepare",
    ],
    // Another base.
    &[
        "cd ../rust-1.96; echo TOKEN >>library/std/src/lines.rs; git commit -qam 'Change TOKEN'",
        "cd ../rust-1.96; echo TOKEN >>library/std/src/lines.rs; git stash -q",
        "sed -i s/hello,/hi,/ ../../patches/1.96/0001-*",
    ],
];

const COMMANDS: &[&str] = &[
    "prepare",
    "prepare",
    "x test library/std",
    "export",
    "export",
    "export",
    "export --overwrite",
    "verify",
    "clean",
    "clean",
    "clean --archives",
    "prepare --base 1.96",
    "export --base 1.96",
];

const KILL_POINTS: &[&str] = &[
    "unpacked",
    "before it has its name",
    "in the scratch repository",
    "before the move",
    "after the move",
    "writing a file",
    "writing a file 2",
    "writing a file 3",
    "removing a file",
    "between patches and mirror",
    "removing what was made",
    "removing what was made 3",
];

/// Advice that keeps what is there.
const KEEPING: &[&str] = &[
    "To keep that work:",
    "To resolve it",
    "move it away:",
    "To put them aside",
    "To go back to it",
    "To export what is checked out now",
    "To put their commits in a row",
    "To have it look again",
    "To make it part of the series",
    "To take the change into",
];

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
            let is_temporary = [".rust.scratch", ".rust.unfinished"].contains(&&*name);
            if is_temporary || name.starts_with(".xtask-unfinished-") || name == "toolchain" {
                continue;
            }
            if metadata.is_dir() && name == ".git" {
                self.collect_objects(path.parent().unwrap(), refs, &mut tokens);
                paths.extend(["rebase-apply", "rebase-merge", "hooks"].map(|name| path.join(name)));
            } else if metadata.is_dir() {
                paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if metadata.is_file() {
                collect(&fs::read(&path).unwrap(), &path, &mut tokens);
            }
        }
        tokens
    }

    fn collect_objects(&self, repository: &Path, refs: &BTreeSet<String>, tokens: &mut Tokens) {
        let unknown: String = self
            .refs_of(repository)
            .difference(refs)
            .map(|name| format!(" --exclude={name}"))
            .collect();
        let script = format!(
            "cd '{}'; not=$(git rev-parse -q --verify 'base^{{commit}}' | sed s/^/^/)
             git rev-list --objects --indexed-objects --exclude='refs/xtask/*'{unknown} --all $not \
                 $(git reflog show --format=%H refs/stash 2>/dev/null) | cut -d' ' -f1 |
             git cat-file --batch",
            repository.display()
        );
        let assert = self.fixture.shell(&script);
        collect(&assert.get_output().stdout, &repository.join(".git"), tokens);
    }

    fn refs_of(&self, repository: &Path) -> BTreeSet<String> {
        let script =
            format!("git -C '{}' for-each-ref --format='%(refname)'", repository.display());
        let assert = self.fixture.shell(&script);
        String::from_utf8_lossy(&assert.get_output().stdout).lines().map(str::to_owned).collect()
    }

    /// Somebody types `script` in build/rust, whatever comes of each command.
    fn type_in_tree(&mut self, script: &str) {
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
            "set +e; OUT='{out}'; CACHE='{}'; export OUT CACHE; cd build/rust || exit 0; {typed}",
            cache.display()
        );
        self.history += &format!("$ {typed}\n");
        self.fixture.shell(&script);
    }

    /// Runs the tool, and maybe what it says to type, and sees that nothing is lost by either.
    fn run(&mut self, numbers: &mut Numbers) {
        let command = numbers.one_of(COMMANDS);
        let mut xtask = self.fixture.xtask(&command.split(' ').collect::<Vec<_>>());
        let mut line = format!("cargo xtask {command}");
        if numbers.below(5) < 2 {
            let point = numbers.one_of(KILL_POINTS);
            xtask.env("XTASK_KILL_AT", point);
            line += &format!(" # to be killed at {point:?}");
        }
        let assert = self.check(&line, |_| support::finish(xtask));
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        if let Some(heading) = KEEPING.iter().find(|heading| told.contains(**heading)) {
            let script = advice(&assert, heading);
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
        let patches = [self.fixture.root().join("patches"), self.outside.join("patches")];
        let cache = [self.fixture.cache()];
        for (token, places) in before {
            let only_in = |directories: &[PathBuf]| {
                places.iter().all(|place| directories.iter().any(|dir| place.starts_with(dir)))
            };
            let dropped = line.contains("--overwrite") && only_in(&patches)
                || line.contains("--archives") && only_in(&cache);
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
        trees.iter().filter(|tree| tree.exists()).flat_map(|tree| self.refs_of(tree)).collect()
    }
}

fn play(template: &Fixture, seed: u64) {
    let mut numbers = Numbers(seed);
    let fixture = template.copy();
    let outside = fixture.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    // They know each other by their paths.
    let link = "cd build; in=$(echo rust/.git/worktrees/*); echo \"$PWD/verify/.git\" >\"$in/gitdir\"; \
                echo \"gitdir: $PWD/$in\" >verify/.git; git -C verify status >/dev/null";
    fixture.shell(link).success();
    let mut round = Round { fixture, outside, history: String::new(), tokens: 0 };
    // Often one alone: with several, most commands stop at the first.
    for _ in 0..[1, 1, 1, 2, 3][numbers.below(5)] {
        let kind = STATES[numbers.below(STATES.len())];
        let state = numbers.one_of(kind);
        round.type_in_tree(state);
    }
    for _ in 0..=numbers.below(3) {
        round.run(&mut numbers);
    }
    if std::env::var_os("XTASK_SHOW").is_some() {
        println!("{}", round.history);
    }
}

#[test]
fn nothing_is_lost() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let rounds = number("XTASK_ROUNDS").unwrap_or(20);
    let seed = number("XTASK_SEED").unwrap_or_else(|| {
        u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos())
    });
    println!("{rounds} rounds from XTASK_SEED={seed} on");
    let template = Fixture::new();
    template.run(&["prepare"]).success();
    fs::write(template.tree().join("tests/ui/std/of-the-series.rs"), "fn main() {}\n").unwrap();
    template.git(&["add", "."]);
    template.git(&["commit", "--quiet", "-m", "Add a ui test\n\nThere was none."]);
    template.run(&["export", "--overwrite"]).success();
    template.run(&["verify"]);
    template.add_base();
    template.shell("mkdir patches/1.96 && cp patches/1.95/*.patch patches/1.96").success();
    template.run(&["prepare", "--base", "1.96"]).success();
    let next = AtomicU64::new(seed);
    let failed = Mutex::new(Vec::new());
    let play_on = || {
        loop {
            let round = next.fetch_add(1, Ordering::SeqCst);
            if round >= seed + rounds {
                break;
            }
            // Each says what it found; the others go on.
            if catch_unwind(AssertUnwindSafe(|| play(&template, round))).is_err() {
                failed.lock().unwrap().push(round);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play_on);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {rounds} rounds fail. One of them again: \
         XTASK_ROUNDS=1 XTASK_SEED={} cargo test --package xtask --test nothing_is_lost",
        failed.len(),
        failed[0]
    );
}
