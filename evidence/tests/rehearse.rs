//! `cargo xtask rehearse`, on checkouts with the base's own files, in which someone else was at work: it
//! tells what became of each pull request, and changes nothing.

use std::process::{Command, ExitCode, Output};

use anyhow::{Context, Result, ensure};
use evidence::suite::{self, Trial};
use fs_err as fs;
use tempfile::TempDir;
use xtask::base::Base;
use xtask::run::command::CommandExt;
use xtask::run::git::Git;

const TCP: &str = "library/std/src/net/tcp.rs";
const SGX: &str = "library/std/src/sys/net/connection/sgx.rs";
const TESTS: &str = "library/std/tests/tcp_keepalive.rs";

/// What others did: in a file, in place of a text (the whole of it if that is empty), another.
type Edit = (&'static str, &'static str, &'static str);

/// Near the lines that the patches change.
const NEARBY: [Edit; 3] = [
    (TCP, "self.0.set_keepalive(keepalive)", "self.0.set_keepalive(keepalive as _)"),
    (TCP, "/// This is useful for detecting dead peers", "/// This helps to detect dead peers"),
    (SGX, "pub fn set_nodelay(&self, _: bool)", "pub fn set_nodelay(&self, _nodelay: bool)"),
];
/// On them.
const ON_THEM: [Edit; 5] = [
    (TCP, "stream.set_keepalive(true).expect(\"set_keepalive call failed\");\n", "stream;\n"),
    (
        TCP,
        "    /// connections.\n    ///\n    /// The timing",
        "    /// links.\n    ///\n    /// The timing",
    ),
    (
        TCP,
        "#[unstable(feature = \"tcp_keepalive\", issue = \"155889\")]",
        "#[unstable(feature = \"tcp_keepalive\", issue = \"none\")]",
    ),
    (
        SGX,
        "sgx_ineffective(false)\n    }\n\n    pub fn set_nodelay",
        "Ok(true)\n    }\n\n    pub fn set_nodelay",
    ),
    (TESTS, "", "// Something else.\n"),
];

fn main() -> ExitCode {
    suite::main("rehearse", |project| {
        let base = project.base(Some("1.98"))?;
        let trial = |name, work: fn(&Base) -> Result<()>| {
            Trial::new(&base, name, move |base| work(base).map(|()| String::new()))
        };
        Ok(vec![
            trial("pull requests apply to the base", to_base),
            trial("with a merge, where lines nearby changed", with_merge),
            trial("not where they are there", already_there),
            trial("not where others changed the same lines", conflicts),
            trial("a checkout stays as it is", unchanged),
        ])
    })
}

fn to_base(base: &Base) -> Result<()> {
    let verdicts = ["applies"; 5];
    Checkout::at(base, "base")?.expect(0, &verdicts)
}

/// There is no way to merge a new file.
fn with_merge(base: &Base) -> Result<()> {
    let merge = "applies with a merge";
    Checkout::at(base, "base")?.edited(&NEARBY)?.expect(0, &[merge, merge, "applies", merge, merge])
}

fn already_there(base: &Base) -> Result<()> {
    let there = "already there";
    Checkout::at(base, "series~1")?.expect(1, &[there, there, there, there, "applies"])?;
    let stable = Checkout::at(base, "series")?.rehearse(base, &[])?;
    let said = String::from_utf8(stable.stdout)?;
    let states = ["stabilization   already there\n", "\nset_keepalive: stable since "];
    ensure!(states.iter().all(|state| said.contains(state)), "{said}");
    Ok(())
}

fn conflicts(base: &Base) -> Result<()> {
    let checkout = Checkout::at(base, "base")?.edited(&ON_THEM)?;
    let at = |file: &str| format!("conflicts in {file}, ");
    let (tcp, sgx, tests) = (at(TCP), at(SGX), at(TESTS));
    let verdicts = [&tcp, &tcp, &tests, &sgx, &tcp].map(String::as_str);
    checkout.expect(1, &verdicts)?;
    // As most will have it, since the whole takes long to fetch.
    let dir = tempfile::tempdir()?;
    let git = Git::at(dir.path());
    let from = format!("file://{}", checkout.git.dir.display());
    git.run(&["clone", "--quiet", "--depth=1", "--no-checkout", &from, "."])?;
    Checkout { base: base.clone(), git, _dir: dir }.expect(1, &verdicts)
}

fn unchanged(base: &Base) -> Result<()> {
    let checkout = Checkout::at(base, "series~1")?;
    let git = &checkout.git;
    for is_dirty in [false, true] {
        if is_dirty {
            let tcp = git.dir.join(TCP);
            fs::write(&tcp, "// put aside\n")?;
            git.run(&["stash"])?;
            fs::write(&tcp, "// staged\n")?;
            git.run(&["add", "--all"])?;
            fs::write(&tcp, "// changed\n")?;
            fs::write(git.dir.join("untracked"), "")?;
        }
        let before = checkout.state()?;
        let killed =
            checkout.rehearse(base, &[("XTASK_KILL_AT", "in the scratch repository 3")])?;
        ensure!(killed.status.code().is_none(), "it was not killed: {killed:?}");
        ensure!(before == checkout.state()?, "a killed run left something");
        let ended = checkout.rehearse(base, &[])?;
        ensure!(ended.status.code() == Some(1), "{ended:?}");
        ensure!(before == checkout.state()?, "a run left something");
    }
    Ok(())
}

/// A checkout of rust-lang/rust, as far as the patches are about it.
struct Checkout {
    base: Base,
    git: Git,
    _dir: TempDir,
}

impl Checkout {
    fn at(base: &Base, commit: &str) -> Result<Checkout> {
        let tree = suite::open(base)?.tree.git;
        let dir = tempfile::tempdir()?;
        let git = Git::at(dir.path());
        let from = tree.dir.to_str().context("the path is not UTF-8")?;
        git.run(&["clone", "--quiet", "--shared", "--no-checkout", from, "."])?;
        git.run(&["sparse-checkout", "set", "library/std"])?;
        let commit = if commit == "base" { commit.to_owned() } else { format!("origin/{commit}") };
        git.run(&["checkout", "--quiet", "-B", "work", &commit])?;
        Ok(Checkout { base: base.clone(), git, _dir: dir })
    }

    /// Has somebody else commit the edits.
    fn edited(self, edits: &[Edit]) -> Result<Checkout> {
        for (file, from, to) in edits {
            let path = self.git.dir.join(file);
            let text = fs::read_to_string(&path).unwrap_or_default();
            ensure!(text.contains(from), "{file} has no {from:?}");
            fs::write(
                &path,
                if from.is_empty() { (*to).to_owned() } else { text.replacen(from, to, 1) },
            )?;
        }
        self.git.run(&["add", "--all", "library"])?;
        self.git
            .command(&["commit", "--quiet", "-m", "Be faster"])
            .env("GIT_AUTHOR_NAME", "Somebody")
            .env("GIT_AUTHOR_EMAIL", "somebody@project.example")
            .run()?;
        Ok(self)
    }

    fn rehearse(&self, base: &Base, environment: &[(&str, &str)]) -> Result<Output> {
        let mut xtask = Command::new(env!("CARGO"));
        xtask.args([
            "run",
            "--quiet",
            "--package",
            "xtask",
            "--",
            "--base",
            &base.name,
            "rehearse",
        ]);
        xtask.arg(&self.git.dir).envs(environment.iter().copied()).answer()
    }

    /// Expects the exit code, and each pull request's verdict to begin so; of a conflict, that it names the
    /// commit of the edits.
    fn expect(&self, code: i32, verdicts: &[&str]) -> Result<()> {
        let output = self.rehearse(&self.base, &[])?;
        let said = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let (facts, rows) = said.split_once("\n\n").context(errors.into_owned())?;
        ensure!(facts.contains("\nset_keepalive: unstable, feature `tcp_keepalive`\n"), "{facts}");
        let rows: Vec<_> = rows.lines().map(|row| &row[16..]).collect();
        let is_so = |(row, verdict): (&&str, &&str)| match verdict.starts_with("conflicts") {
            true => row.starts_with(verdict) && row.contains(", Be faster)"),
            false => row == verdict,
        };
        ensure!(rows.len() == verdicts.len() && rows.iter().zip(verdicts).all(is_so), "{said}");
        ensure!(output.status.code() == Some(code), "{:?}", output.status);
        Ok(())
    }

    /// All that is in it, the repository too: names, sizes, times and modes.
    fn state(&self) -> Result<String> {
        Command::new("find").arg(&self.git.dir).args(["-printf", "%p %s %T@ %C@ %m %l\n"]).read()
    }
}
