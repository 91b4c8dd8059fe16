//! A made-up project with a base of a few files and a stand-in for rustup, so that what the tool
//! does takes milliseconds. Its path has a space and a letter that is not ASCII.

// Each test file uses a part of it; and these are the programs of tests, not of the tool.
#![allow(dead_code, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use assert_cmd::assert::Assert;

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process_group};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use walkdir::WalkDir;
use xtask::run::command::{CommandExt as _, Finished};

pub const COMMIT: &str = "59807616e1fa2540724bfbac14d7976d7e4a3860";
pub const ARCHIVE: &str = "rustc-src.tar.xz";

/// How long a program of a test may run before it is ended, and the test fails.
const LIMIT: Duration = Duration::from_secs(60);

/// Upstream's x.py, as far as these tests go. It says what it would do, and how it was called and what it got
/// of git's variables; compiles a library that holds what its source does; waits while the file called `HOLD`
/// is there, and exits with the code that it is told.
const X_PY: &str = r#"
import os, sys, time
args = sys.argv[1:]
source = open("library/std/src/lib.rs").read()
out = os.path.join(os.path.dirname(os.environ["RUST_BOOTSTRAP_CONFIG"]), "{host}")
if args[0] == "--dry-run":
    before = args[:args.index("--")] if "--" in args else args
    for suite in ("ui", "codegen-llvm"):
        if "test" in before and any(os.path.abspath(arg).startswith(os.path.abspath("tests/" + suite)) for arg in before):
            print(f"Testing stage2 with compiletest suite={suite} mode={suite} ({host})")
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
print("the std in the sysroot:", [open(os.path.join(libraries, name)).read() for name in sorted(os.listdir(libraries)) if name.endswith(".rlib")])
print("x.py ran in", os.getcwd(), "with", args, flush=True)
print("git's variables:", [name for name in os.environ if name.startswith("GIT_")], flush=True)
started = time.monotonic()
while os.path.exists(os.environ.get("HOLD", "")) and time.monotonic() < started + 60:
    time.sleep(0.01)
sys.exit(int(os.environ.get("EXIT_CODE", "0")))
"#;

pub const HOST: &str = "x86_64-unknown-linux-gnu";
/// A compiler that tells of itself, and does `{compile}` to compile.
const RUSTC: &str = r#"
while [ $# -gt 0 ]; do
    if [ "$1" = -o ]; then {compile}; exit; fi
    shift
done
echo 'commit-hash: {commit}'; echo 'host: {host}'; echo 'LLVM version: 22.1.2'
"#;

/// For the compiler: a file that says so is all that comes out.
const COMPILE: &str = r#"echo "compiled $STD_DIGEST" > "$2""#;

const RUSTUP: &str = r#"
case "$1 $2" in
    'which --toolchain') echo '{rustc}';;
    'show home') echo '{home}';;
    'toolchain link') ln -s "$4" '{home}'/toolchains/"$3";;
    'toolchain uninstall') rm -r '{home}'/toolchains/"$3";;
    *) echo "rustup was called with $*" >&2; exit 1;;
esac
"#;

pub struct Fixture {
    dir: TempDir,
    pub archive: Vec<u8>,
}

impl Fixture {
    /// A project whose archive is in the cache, so that no network is needed.
    pub fn new() -> Fixture {
        let fixture = Fixture::without_cache("http://127.0.0.1:1/unreachable");
        fs::create_dir_all(fixture.cache()).unwrap();
        fs::write(fixture.cache().join(ARCHIVE), &fixture.archive).unwrap();
        fixture
    }

    /// The same, with build/rust.
    pub fn prepared() -> Fixture {
        let fixture = Fixture::new();
        fixture.run(&["prepare"]).success();
        fixture
    }

    /// A project whose archive is at `url` alone.
    pub fn without_cache(url: &str) -> Fixture {
        let fixture = Fixture { archive: archive(LINES), dir: directory() };
        fs::create_dir_all(fixture.root()).unwrap();
        let sha256 = sha256(&fixture.archive);
        fs::write(
            fixture.root().join("base.toml"),
            format!(
                r#"
                default = "1.95"
                [mend]
                leave-out = ["vendor"]
                files = {{ ".gitmodules" = "", "src/llvm-project/llvm/.gitkeep" = "" }}
                [base."1.95"]
                release = "1.95.0"
                commit = "{COMMIT}"
                date = "2026-04-14T00:00:00Z"
                compiler = [{{ rustup = "1.95.0" }}]
                [[base."1.95".archive]]
                file = "{ARCHIVE}"
                sha256 = "{sha256}"
                url = "{url}"
                root = "rustc-1.95.0-src"
                "#
            ),
        )
        .unwrap();
        fs::write(fixture.root().join("x.py-config.toml"), "change-id = \"ignore\"\n").unwrap();
        fixture.write_toolchain(COMMIT);
        write_script(&fixture.bin().join("cargo"), "shift; exec \"$XTASK\" \"$@\"");
        fixture.write_patch("0001-first.patch", "hello", "hello, patched");
        fixture
    }

    /// A second base, 1.96, in whose copy of library/std/src/lines.rs a line is another.
    pub fn add_base(&self) {
        let archive = archive(&LINES.replace("five", "cinq"));
        fs::write(self.cache().join("next.tar.xz"), &archive).unwrap();
        let file = self.root().join("base.toml");
        let first = fs::read_to_string(&file).unwrap();
        let second = first.replace("1.95\"", "1.96\"").replace(ARCHIVE, "next.tar.xz");
        let second = second.replace(&sha256(&self.archive), &sha256(&archive));
        let (_, second) = second.split_once("[base.").unwrap();
        fs::write(&file, format!("{first}[base.{second}")).unwrap();
    }

    /// The same project in another place, with the same stand-ins.
    pub fn copy(&self) -> Fixture {
        let fixture = Fixture { dir: directory(), archive: self.archive.clone() };
        let mut copy = Command::new("cp");
        copy.args(["-a", "--"]).arg(self.dir().join(".")).arg(fixture.dir());
        finish(copy).success();
        fixture
    }

    /// Everything is in it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("a checkout in Köln")
    }

    pub fn tree(&self) -> PathBuf {
        self.root().join("build/rust")
    }

    pub fn patches(&self) -> PathBuf {
        self.root().join("patches/1.95")
    }

    /// Where the tool keeps archives.
    pub fn cache(&self) -> PathBuf {
        self.dir.path().join("cache/rust-tcp-keepalive")
    }

    /// Where the stand-in for rustup is.
    pub fn bin(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// A patch that changes the line of library/std/src/lib.rs.
    pub fn write_patch(&self, name: &str, from: &str, to: &str) {
        let file = "library/std/src/lib.rs";
        fs::create_dir_all(self.patches()).unwrap();
        let text = format!(
            "From {zero} Mon Sep 17 00:00:00 2001\n\
             From: Somebody <somebody@project.example>\n\
             Date: Tue, 14 Apr 2026 12:00:00 +0000\n\
             Subject: [PATCH] std: Say `{to}`\n\n\
             It was `{from}` before.\n\
             ---\n \
             {file} | 2 +-\n \
             1 file changed, 1 insertion(+), 1 deletion(-)\n\n\
             diff --git a/{file} b/{file}\n\
             --- a/{file}\n\
             +++ b/{file}\n\
             @@ -1 +1 @@\n\
             -{from}\n\
             +{to}\n",
            zero = "0".repeat(40),
        );
        fs::write(self.patches().join(name), text).unwrap();
    }

    /// Where the stand-in for a toolchain is.
    pub fn toolchain(&self) -> PathBuf {
        self.dir.path().join("toolchain")
    }

    /// Where the stand-in for rustup keeps its toolchains.
    pub fn rustup_toolchains(&self) -> PathBuf {
        self.dir.path().join("rustup/toolchains")
    }

    /// A toolchain that says it was built from `commit`, and a rustup that knows it, and links.
    pub fn write_toolchain(&self, commit: &str) {
        let toolchain = self.toolchain();
        let rustlib = toolchain.join("lib/rustlib");
        let libdir = rustlib.join(HOST).join("lib");
        fs::create_dir_all(&libdir).unwrap();
        fs::write(libdir.join("libstd-0.rlib"), "released std").unwrap();
        fs::write(libdir.join("librt.asan.a"), "a run-time library").unwrap();
        fs::write(toolchain.join("lib/librustc_driver.so"), "the compiler itself").unwrap();
        fs::write(rustlib.join("components"), "what rustup installed").unwrap();
        fs::create_dir_all(toolchain.join("share/doc")).unwrap();
        fs::write(toolchain.join("share/doc/index.html"), "documentation").unwrap();
        write_script(&toolchain.join("bin/rustc"), &compiler_script(commit, COMPILE));
        for program in ["cargo", "rustdoc", "rustfmt", "clippy-driver"] {
            write_script(&toolchain.join("bin").join(program), "");
        }
        fs::create_dir_all(self.rustup_toolchains()).unwrap();
        let script = RUSTUP
            .replace("{rustc}", &toolchain.join("bin/rustc").display().to_string())
            .replace("{home}", &self.dir.path().join("rustup").display().to_string());
        write_script(&self.bin().join("rustup"), &script);
    }

    /// The search path, with the stand-ins first.
    pub fn path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = std::iter::once(self.bin());
        std::env::join_paths(own.chain(std::env::split_paths(&path))).unwrap()
    }

    pub fn xtask(&self, args: &[&str]) -> Command {
        let mut xtask = self.command(env!("CARGO_BIN_EXE_xtask"));
        xtask.args(args);
        xtask
    }

    /// A program, started in the project, that finds the stand-ins.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.root())
            .env("XTASK_ROOT", self.root())
            .env("XDG_CACHE_HOME", self.dir.path().join("cache"))
            .env("TMPDIR", &*PLACE)
            .env("PATH", self.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Assert {
        finish(self.xtask(args))
    }

    /// Runs the tool, which ends itself at a kill point as `kill -9` would end it.
    pub fn kill_at(&self, point: &str, args: &[&str]) {
        let mut command = self.xtask(args);
        command.env("XTASK_KILL_AT", point);
        let assert = finish(command);
        let status = assert.get_output().status;
        assert_eq!(status.signal(), Some(9), "{point} was not reached: {assert}");
    }

    /// A script, run by somebody who works in the project. `cargo xtask` is the tool.
    pub fn shell(&self, script: &str) -> Assert {
        let mut shell = self.command("sh");
        shell.args(["-ec", script]).env("XTASK", env!("CARGO_BIN_EXE_xtask"));
        forget_variables_of_git(&mut shell);
        // They have a name of their own, and an editor that leaves all as it is.
        for role in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{role}_NAME"), "Worker");
            shell.env(format!("GIT_{role}_EMAIL"), "worker@project.example");
        }
        shell.env("GIT_EDITOR", "true").env("GIT_CONFIG_GLOBAL", "/dev/null");
        finish(shell)
    }

    /// The files in build/saved/, with their texts, by their paths in the project.
    pub fn saved(&self) -> BTreeMap<PathBuf, String> {
        let saved = self.root().join("build/saved");
        let files = WalkDir::new(&saved).into_iter().filter_map(Result::ok);
        let files = files.filter(|file| file.file_type().is_file()).map(|file| {
            let path = file.path().strip_prefix(&saved).unwrap().iter().skip(1).collect();
            (path, String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned())
        });
        files.collect()
    }

    /// `git ARGS` in build/rust, by somebody who works there.
    pub fn git(&self, args: &[&str]) -> String {
        let words: Vec<_> = args.iter().map(|arg| shlex::try_quote(arg).unwrap()).collect();
        let assert = self.shell(&format!("git -C build/rust {}", words.join(" "))).success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap().trim_end().to_owned()
    }

    /// The one line that the made-up std consists of.
    pub fn std_line(&self) -> String {
        fs::read_to_string(self.tree().join("library/std/src/lib.rs")).unwrap()
    }
}

/// Where directories for tests are made: in memory where programs may run there, since most of the time that
/// these tests take, some disks remove directories.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let runs_programs = |dir: TempDir| {
        let program = dir.path().join("program");
        write_script(&program, "");
        Command::new(&program).status().is_ok()
    };
    let in_memory = tempfile::tempdir_in("/dev/shm").is_ok_and(runs_programs);
    if in_memory { "/dev/shm".into() } else { std::env::temp_dir() }
});

fn directory() -> TempDir {
    tempfile::tempdir_in(&*PLACE).unwrap()
}

/// Where a hook of git's runs the tests, git would work in the repository of whoever runs them.
pub fn forget_variables_of_git(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
}

/// Starts a program whose output the test reads. It is ended, with all that it started, when it takes too
/// long.
pub fn start(mut command: Command) -> Child {
    let child = for_ctrl_c(&mut command).process_group(0).spawn().unwrap();
    let group = Pid::from_child(&child);
    thread::spawn(move || {
        thread::sleep(LIMIT);
        // A group that has ended by itself is no error, and this process is rarely still there.
        let _ = kill_process_group(group, Signal::KILL);
    });
    child
}

/// Starts a program that has to wait for another, which is at work with `what`, and says so. The reader of its
/// standard error is to be kept: without one, the next line that it writes would end it.
pub fn start_waiting(mut command: Command, what: &str) -> (Child, BufReader<ChildStderr>) {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = start(command);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let expected = format!("waiting for another invocation to finish: {what}");
    assert!(line.starts_with(&expected), "{line}");
    (child, said)
}

/// Lets Ctrl-C end the program: a shell that starts the tests in the background, as some CI systems do, has it
/// ignored.
fn for_ctrl_c(command: &mut Command) -> &mut Command {
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        })
    }
}

/// Runs a program to its end, and ends it with all that it started when it takes too long.
pub fn finish(mut command: Command) -> Assert {
    let Finished { status, stdout, stderr } = for_ctrl_c(&mut command).run_within(LIMIT).unwrap();
    Assert::new(Output { status, stdout: stdout.into(), stderr: stderr.into() })
}

/// The commands that the tool told to type: the indented lines below the one with `heading`.
pub fn advice(said: &Assert, heading: &str) -> String {
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    let below = said.lines().skip_while(|line| !line.contains(heading)).skip(1);
    let commands: Vec<_> = below.map_while(|line| line.strip_prefix("  ")).collect();
    assert!(!commands.is_empty(), "no commands below {heading:?}: {said}");
    commands.join("\n")
}

/// A compiler that says it was built from `commit`, and compiles to the file `$2` by `compile`.
pub fn compiler_script(commit: &str, compile: &str) -> String {
    let script = RUSTC.replace("{commit}", commit).replace("{host}", HOST);
    script.replace("{compile}", compile)
}

pub fn write_script(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // By a process of its own. From this one, a program that another thread starts meanwhile might take along
    // the open file, and no file is executed that somebody may write to.
    let mut tee = assert_cmd::Command::new("tee");
    tee.arg(path).write_stdin(format!("#!/bin/sh\n{script}\n")).assert().success();
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file in which what stands around a change can change, too.
pub const LINES: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n";

/// The archive of a base. The padding makes it larger than what one read returns.
pub fn archive(lines: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut state = 1_u32;
    let padding: String = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (state >> 24) as u8 % 26)
        })
        .collect();
    for (name, text) in [
        ("x.py", X_PY.replace("{host}", HOST).as_str()),
        ("library/std/src/lib.rs", "hello\n"),
        ("library/std/src/lines.rs", lines),
        (
            "library/std/src/sys/net/connection/socket/unix.rs",
            "pub fn set_keepalive() {\n}\npub fn keepalive() {\n}\n",
        ),
        ("library/std/tests/old.rs", "hello\n"),
        ("tests/ui/std/old.rs", "fn main() {}\n"),
        ("vendor/left-out", "not wanted"),
        ("padding", &padding),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let path = format!("rustc-1.95.0-src/{name}");
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let mut xz = assert_cmd::Command::new("xz");
    let packed = xz.arg("-0").write_stdin(builder.into_inner().unwrap()).assert().success();
    packed.get_output().stdout.clone()
}

/// A web server with one file, whose address is returned. It sends no more than `limits[n]` bytes of `body` in
/// answer to the n-th request.
pub fn serve(body: Vec<u8>, limits: Vec<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{ARCHIVE}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let (status, rest) = match request.starts_with(format!("GET /{ARCHIVE} ").as_bytes()) {
                true => ("200 OK", &body[..]),
                false => ("404 Not Found", &[][..]),
            };
            let limit = limits.get(n).copied().unwrap_or(usize::MAX).min(rest.len());
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", rest.len());
            // The client may be gone; that is what some tests are about.
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&rest[..limit]);
        }
    });
    url
}
