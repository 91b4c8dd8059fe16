//! A made-up project with a base of a few files, and stand-ins for the compiler and rustup, so that the tool's work
//! takes milliseconds. The project's path has a space and a letter that is not ASCII.

// Each test file uses a part of this module, and starts and deletes what is its own.
#![allow(dead_code, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use assert_cmd::assert::Assert;
use fs_err as fs;
use tempfile::TempDir;

pub const COMMIT: &str = "59807616e1fa2540724bfbac14d7976d7e4a3860";
pub const HOST: &str = "x86_64-unknown-linux-gnu";

/// Two files of std. The patch changes the one line of the first.
pub const LIB: &str = "rust/library/std/src/lib.rs";
pub const OTHER: &str = "rust/library/std/src/lines.rs";

/// The time after which a program of a test is ended, and the test fails.
const LIMIT: Duration = Duration::from_secs(120);

/// A stand-in for upstream's x.py. It prints how it was called, lists the suites for `--dry-run`, compiles a library
/// that holds the source's text, and exits with `EXIT_CODE`.
const X_PY: &str = r#"
import os, sys
args = sys.argv[1:]
config = os.environ["RUST_BOOTSTRAP_CONFIG"]
source = open("library/std/src/lib.rs").read()
out = os.path.join(os.path.dirname(config), "{host}")
if args[0] == "--dry-run":
    ui = os.path.abspath("tests/ui")
    if any(os.path.abspath(arg).startswith(ui) for arg in args[:(args + ["--"]).index("--")]):
        print("Testing stage2 with compiletest suite=ui mode=ui ({host})")
    print("Testing stage2 {std} ({host})")
    sys.exit()
if args == ["build", "library"]:
    if "does not compile" in source:
        sys.exit("error: expected item")
    stamp = os.path.join(out, "stage1-std/{host}/dist/.libstd-stamp")
    os.makedirs(os.path.dirname(stamp), exist_ok=True)
    library = os.path.join(os.path.dirname(stamp), "libstd-1.rlib")
    open(library, "w").write("patched std: " + source)
    open(stamp, "w").write("t" + library + "\0")
    sys.exit()
libraries = os.path.join(out, "ci-rustc/lib/rustlib/{host}/lib")
names = [name for name in sorted(os.listdir(libraries)) if name.endswith(".rlib")]
print("x.py ran in", os.getcwd(), "with", args, "configured by", config)
print("the std in the sysroot:", [open(os.path.join(libraries, name)).read() for name in names])
print("git's variables:", [name for name in os.environ if name.startswith("GIT_")], flush=True)
sys.exit(int(os.environ.get("EXIT_CODE", "0")))
"#;

/// A stand-in for rustc, which "compiles" to a line of text.
const RUSTC: &str = r#"
case "$*" in
    '--print sysroot') cd "${0%/*}/.." && pwd; exit;;
    '--print target-list') echo '{host}'; exit;;
esac
while [ $# -gt 0 ]; do
    if [ "$1" = -o ]; then echo "compiled $STD_DIGEST" > "$2"; exit; fi
    shift
done
echo 'rustc 1.95.0'; echo 'commit-hash: {commit}'; echo 'host: {host}'; echo 'LLVM version: 22.1.2'
"#;

/// A stand-in for rustup. It has one toolchain, and keeps links.
const RUSTUP: &str = r#"
dir=$(cd "${0%/*}/.." && pwd)
case "$*" in
    'which --toolchain 1.95.0 rustc') echo "$dir/toolchain/bin/rustc";;
    'show home') echo "$dir/rustup";;
    'toolchain link '*) ln -s "$4" "$dir/rustup/toolchains/$3";;
    'toolchain uninstall '*) rm -r "$dir/rustup/toolchains/$3";;
    *) echo "rustup was called with $*" >&2; exit 1;;
esac
"#;

/// The beginning of base.toml.
const SOURCES: &str = r#"
default = "1.95"
[sources]
exclude = ["vendor"]
stubs = { ".gitmodules" = "", "src/llvm-project/llvm/.gitkeep" = "" }
"#;

/// The archives of both bases. One line of library/std/src/lines.rs differs.
static ARCHIVES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    ["five", "cinq"].map(|fifth| {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("x.py", X_PY.replace("{host}", HOST).as_str()),
            ("library/std/src/lib.rs", "hello\n"),
            ("library/std/src/lines.rs", &format!("one\ntwo\nthree\nfour\n{fifth}\nsix\n")),
            ("library/std/tests/old.rs", "hello\n"),
            ("tests/ui/std/old.rs", "fn main() {}\n"),
            ("vendor/left-out", "not wanted"),
        ] {
            write(&dir.path().join("src").join(file), text);
        }
        let mut tar = Command::new("tar");
        tar.args(["--create", "--xz", "--file=-", "--directory"]).arg(dir.path()).arg("src");
        finish(tar).success().get_output().stdout.clone()
    })
});

/// The settings of the person's git.
const GITCONFIG: &str = "[user]\nname = Worker\nemail = worker@project.example\n[core]\neditor = true\n\
                         [maintenance]\nauto = false\n";

/// The variables and functions of a person's scripts: two files of rust/, a commit of one file, a command that has to
/// fail, a rebase that stops at its first commit, a program on the PATH, and a repository of the project.
const SHELL: &str = r#"
LIB=library/std/src/lib.rs OTHER=library/std/src/lines.rs
save() { echo "$2" >>"$1"; git add . 2>/dev/null; git commit -qm "Say $2"; }
fails() { if "$@"; then exit 1; fi; }
stop_in_rebase() { git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi "$@"; }
stand_in() { printf '#!/bin/sh\n%s\n' "$2" >../bin/$1; chmod +x ../bin/$1; }
track() { printf '/build/\n/rust*/\n' >.gitignore; git init -q --template=; git add .; }
"#;

pub struct Fixture {
    /// The directory that holds everything: the project, the cache, the toolchain, and the directories `bin` (which is
    /// first on the PATH), `home`, `outside`, `rustup` and `server`.
    pub dir: PathBuf,
    pub root: PathBuf,
    pub tree: PathBuf,
    pub cache: PathBuf,
    /// The stand-in for the user's toolchain.
    pub toolchain: PathBuf,
    _temporary: TempDir,
    /// The project that this one is a copy of.
    _template: Option<Arc<Fixture>>,
}

/// A project that is made once, and copied. It is removed after its last copy.
pub struct Template(Mutex<Weak<Fixture>>);

impl Template {
    pub const fn new() -> Template {
        Template(Mutex::new(Weak::new()))
    }

    pub fn get(&self, make: fn() -> Fixture) -> Arc<Fixture> {
        let mut made = self.0.lock().unwrap();
        let template = made.upgrade().unwrap_or_else(|| Arc::new(make()));
        *made = Arc::downgrade(&template);
        template
    }

    pub fn copy(&self, make: fn() -> Fixture) -> Fixture {
        let template = self.get(make);
        Fixture { _template: Some(template.clone()), ..template.copy() }
    }
}

/// Makes a temporary directory, if programs can run there.
pub fn directory_in(parent: &str) -> Option<TempDir> {
    let dir = tempfile::tempdir_in(parent).ok()?;
    let script = dir.path().join("script");
    write_script(&script, "");
    Command::new(&script).status().ok()?;
    fs::remove_file(script).unwrap();
    Some(dir)
}

/// The directory for projects. Without TMPDIR, it is in memory if possible: file systems on disks take a large part of
/// the tests' processor time.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let is_free = std::env::var_os("TMPDIR").is_none();
    let is_in_memory = is_free && directory_in("/dev/shm").is_some();
    if is_in_memory { "/dev/shm".into() } else { std::env::temp_dir() }
});

static PREPARED: Template = Template::new();

impl Fixture {
    fn empty() -> Fixture {
        let temporary = tempfile::tempdir_in(&*DIRECTORY).unwrap();
        let dir = temporary.path().to_owned();
        let root = dir.join("a checkout in Köln");
        Fixture {
            tree: root.join("rust"),
            cache: dir.join("cache/rust-tcp-keepalive"),
            toolchain: dir.join("toolchain"),
            root,
            dir,
            _temporary: temporary,
            _template: None,
        }
    }

    /// Returns a project on which no command was run.
    pub fn new() -> Fixture {
        let fixture = Fixture::empty();
        for directory in ["outside", "rustup/toolchains", "cache/rust-tcp-keepalive"] {
            fs::create_dir_all(fixture.dir.join(directory)).unwrap();
        }
        let mut base_toml = SOURCES.to_owned();
        for (base, archive) in ["1.95", "1.96"].into_iter().zip(&*ARCHIVES) {
            let file = fixture.dir.join(format!("server/{base}.tar.xz"));
            write(&file, archive);
            let sha256 = xtask::fetch::sha256(&file).unwrap();
            let server = file.parent().unwrap().display();
            base_toml += &format!(
                r#"
                [base."{base}"]
                release = "{base}.0"
                commit = "{COMMIT}"
                date = "2026-04-14T00:00:00Z"
                compiler = ["1.95.0"]
                [[base."{base}".archive]]
                file = "{base}.tar.xz"
                sha256 = "{sha256}"
                place.url = "file://{server}"
                root = "src"
                "#
            );
        }
        fixture.write("base.toml", &base_toml);
        let rustc = RUSTC.replace("{commit}", COMMIT).replace("{host}", HOST);
        for (file, text) in [
            ("home/.gitconfig", GITCONFIG),
            ("toolchain/lib/rustlib/{host}/lib/libstd-0.rlib", "released std"),
            ("toolchain/lib/rustlib/{host}/lib/librt.asan.a", "a run-time library"),
            ("toolchain/lib/rustlib/components", "what rustup installed"),
            ("toolchain/lib/librustc_driver.so", "the compiler itself"),
            ("toolchain/share/doc/index.html", "documentation"),
            ("toolchain/bin/rustc", rustc.as_str()),
            ("toolchain/bin/cargo", ""),
            ("toolchain/bin/rustdoc", ""),
            ("toolchain/bin/rustfmt", ""),
            ("toolchain/bin/clippy-driver", ""),
            ("bin/rustup", RUSTUP),
            // This machine's rustc is not asked.
            ("bin/rustc", "exit 1"),
            ("bin/cargo", "shift; exec \"$XTASK\" \"$@\""),
            // Without site-packages, Python starts in a quarter of the time.
            ("bin/python3", &format!("exec '{}' -S \"$@\"", *PYTHON)),
        ] {
            let path = fixture.dir.join(file.replace("{host}", HOST));
            if file.contains("bin/") { write_script(&path, text) } else { write(&path, text) }
        }
        fixture.write_patch("0001-first.patch", "hello", "hello, patched");
        fixture
    }

    /// Returns a project after `cargo xtask prepare`.
    pub fn prepared() -> Fixture {
        PREPARED.copy(|| {
            let fixture = Fixture::new();
            fixture.run("prepare").success();
            fixture
        })
    }

    /// Returns a copy of everything, with stand-ins of its own.
    pub fn copy(&self) -> Fixture {
        let fixture = Fixture::empty();
        let mut copy = Command::new("cp");
        copy.args(["-a", "--"]).arg(self.dir.join(".")).arg(&fixture.dir);
        finish(copy).success();
        fixture
    }

    /// Reads a file of the project.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Writes a file of the project. Creates its directory.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) {
        write(&self.root.join(path), text);
    }

    /// Writes a patch that changes the line of library/std/src/lib.rs.
    pub fn write_patch(&self, name: &str, from: &str, to: &str) {
        let file = "library/std/src/lib.rs";
        let text = format!(
            "From: Somebody <somebody@project.example>\nDate: Tue, 14 Apr 2026 12:00:00 +0000\n\
             Subject: [PATCH] std: Say `{to}`\n\nIt was `{from}` before.\n---\n\
             diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{from}\n+{to}\n"
        );
        self.write(Path::new("patches/1.95").join(name), &text);
    }

    /// Puts a script onto the PATH, in front of this machine's programs.
    pub fn stand_in(&self, program: &str, script: &str) {
        write_script(&self.dir.join("bin").join(program), script);
    }

    /// Puts a script onto the PATH that runs `first` if the arguments contain `pattern`, and then the real program.
    pub fn wrap(&self, program: &str, pattern: &str, first: &str) {
        let real = which::which(program).unwrap();
        let first = format!("case \" $* \" in *{pattern}*) {first};; esac");
        self.stand_in(program, &format!("{first}\nexec '{}' \"$@\"", real.display()));
    }

    /// Returns `xtask COMMAND`, started in the project as cargo starts it.
    pub fn xtask(&self, command: &str) -> Command {
        let mut xtask = self.command(env!("CARGO_BIN_EXE_xtask"));
        xtask.args(shlex::split(command).unwrap());
        xtask
    }

    /// Returns a command that runs in the project and finds the stand-ins.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let path = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(self.dir.join("bin")).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("CARGO_MANIFEST_DIR", self.root.join("xtask"))
            .env("XDG_CACHE_HOME", self.dir.join("cache"))
            .env("HOME", self.dir.join("home"))
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("XTASK", env!("CARGO_BIN_EXE_xtask"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
            // A hook of git may run the tests.
            command.env_remove(name);
        }
        command
    }

    /// Runs `xtask COMMAND`.
    pub fn run(&self, command: &str) -> Assert {
        shown(&format!("cargo xtask {command}"), finish(self.xtask(command)))
    }

    /// Runs a script of a person who works in the project. `cargo xtask` is the tool, `$OUT` a directory outside of
    /// the project, and `$CACHE` the tool's cache.
    pub fn shell(&self, script: &str) -> Assert {
        let mut shell = self.command("sh");
        shell
            .args(["-ec", &format!("{SHELL}{script}")])
            .env("OUT", self.dir.join("outside"))
            .env("CACHE", &self.cache);
        shell.env("GIT_CONFIG_GLOBAL", self.dir.join("home/.gitconfig"));
        shown(script, finish(shell))
    }

    /// Runs `git ARGS` in rust/ as a person, and returns its output.
    pub fn git(&self, args: &str) -> String {
        stdout_of(&self.shell(&format!("git -C rust {args}")).success())
    }

    /// Commits a file in rust/, as a person.
    pub fn commit(&self, file: &str, text: &str, subject: &str) {
        self.write(self.tree.join(file), text);
        let commit = format!("git add .; git commit -qm '{subject}' -m 'There was none.'");
        self.shell(&format!("cd rust; {commit}")).success();
    }
}

/// Python itself. The `python3` on the PATH may be a script, as pyenv's is.
pub static PYTHON: LazyLock<String> = LazyLock::new(|| {
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; print(sys.executable)"]);
    stdout_of(&finish(python).success())
});

/// Runs a program to its end.
pub fn finish(command: Command) -> Assert {
    assert_cmd::Command::from_std(command).timeout(LIMIT).assert()
}

/// Prints a command and its output. libtest shows that if the test fails.
fn shown(command: &str, said: Assert) -> Assert {
    println!("$ {command}\n{}\n{}", stdout_of(&said), stderr_of(&said));
    said
}

pub fn stdout_of(said: &Assert) -> String {
    String::from_utf8_lossy(&said.get_output().stdout).trim_end().to_owned()
}

pub fn stderr_of(said: &Assert) -> String {
    String::from_utf8_lossy(&said.get_output().stderr).into_owned()
}

/// Returns the commands that a message tells to type: indented lines that begin with a program's name.
pub fn advice(said: &Assert) -> Vec<String> {
    let programs = ["git ", "cargo ", "rm ", "rustup "];
    let message = stderr_of(said);
    let lines = message.lines().filter_map(|line| line.strip_prefix("  "));
    let lines = lines.filter(|line| programs.iter().any(|program| line.starts_with(program)));
    let commands: Vec<_> = lines.map(str::to_owned).collect();
    assert!(!commands.is_empty(), "no command is named: {message}");
    commands
}

/// A file, directory or link as it was. Directories and links have no time of change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    pub mode: u32,
    pub changed: (i64, i64),
    pub contents: Vec<u8>,
}

pub type Snapshot = BTreeMap<PathBuf, Entry>;

/// Returns everything below a directory by path, without the directories `except`. Links are not followed.
pub fn snapshot(directory: &Path, except: &[PathBuf]) -> Snapshot {
    let mut found = Snapshot::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mut entry = Entry { mode: metadata.mode(), ..Entry::default() };
            if except.contains(&path) {
                continue;
            } else if metadata.is_dir() {
                directories.push(path.clone());
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                entry.contents = target.into_os_string().into_encoded_bytes();
            } else if metadata.is_file() {
                entry.changed = (metadata.mtime(), metadata.mtime_nsec());
                entry.contents = fs::read(&path).unwrap();
            }
            found.insert(path, entry);
        }
    }
    found
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub fn write_script(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // A process of its own writes. A program that another thread starts meanwhile would inherit this process's open
    // file, and Linux runs no file that is open for writing.
    let mut tee = assert_cmd::Command::new("tee");
    tee.arg(path).write_stdin(format!("#!/bin/sh\n{script}\n")).assert().success();
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
