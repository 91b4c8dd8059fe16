//! Where the networks are: namespaces that hold everything that a run makes, and take it along
//! when they go.
//!
//! `unshare` starts the lab a second time, as the first process of a new process namespace. When
//! that process ends, for whatever reason, the kernel kills all others in there, and with the last
//! of them go the networks. It ends with this process too, because its standard input is a pipe
//! that nobody else holds: so also after Ctrl-C, a panic or `kill -9`.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fmt, fs, process, thread};

use anyhow::{Result, bail, ensure};
use nix::unistd::{User, geteuid};

use crate::bench;
use crate::network::{Family, Network};
use crate::report::Case;
use crate::scenarios::{self, Scenario};

/// The lab could not do its work on this machine, which says nothing about keepalive.
#[derive(Debug)]
pub struct NotRun(String);

impl NotRun {
    /// For a caller that must tell "not run" from "failed".
    pub const EXIT_CODE: u8 = 3;
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "not run: {}", self.0)
    }
}

impl std::error::Error for NotRun {}

/// The programs that a run needs, how to ask whether they are there, and their Debian packages.
const TOOLS: [(&str, &str, &str); 4] = [
    ("unshare", "--version", "util-linux"),
    ("nft", "--version", "nftables"),
    ("ss", "--version", "iproute2"),
    ("python3", "--version", "python3"),
];

/// How to get namespaces: as root, or as root of a user namespace.
const AS_ROOT: &[&str] = &[];
const AS_USER: &[&str] = &["--user", "--map-root-user"];

/// The settings by which kernels refuse user namespaces: file, refusing value, command to allow.
const REFUSALS: [(&str, &str, &str); 3] = [
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sysctl kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

/// A place to run in, known to be possible on this machine.
pub struct Sandbox {
    user: Option<User>,
    way: &'static [&'static str],
}

impl Sandbox {
    /// `user`, if given, is an ordinary user that root becomes for the run.
    pub fn new(user: Option<User>) -> Result<Self> {
        let missing = TOOLS.iter().filter(|(tool, version, _)| {
            let found = command(tool, user.as_ref()).arg(version).stdout(Stdio::null()).status();
            found.is_err()
        });
        let missing: Vec<String> =
            missing.map(|(tool, _, package)| format!("{tool} (package {package})")).collect();
        if !missing.is_empty() {
            bail!(NotRun(format!("this machine lacks {}", missing.join(", "))));
        }

        let is_root = geteuid().is_root() && user.is_none();
        let ways: &[_] = if is_root { &[AS_ROOT, AS_USER] } else { &[AS_USER] };
        let possible = ways.iter().find(|way| {
            let mut unshare = command("unshare", user.as_ref());
            unshare.args(**way).args(["--net", "--pid", "--fork", "true"]).stderr(Stdio::null());
            unshare.status().is_ok_and(|status| status.success())
        });
        match possible {
            Some(way) => Ok(Self { user, way }),
            None => bail!(NotRun(refusal(is_root))),
        }
    }

    /// Runs the scenarios side by side, and hands over each case when it is done.
    pub fn run(
        &self,
        program: &Path,
        scenarios: &[&Scenario],
        mut done: impl FnMut(Case),
    ) -> Result<()> {
        let mut inside = command("unshare", self.user.as_ref())
            .args(self.way)
            .args(["--net", "--pid", "--fork", "--kill-child"])
            .arg(env::current_exe()?)
            .arg("--inside")
            .arg(program)
            .args(scenarios.iter().map(|scenario| scenario.name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let _alive = inside.stdin.take();
        for line in BufReader::new(inside.stdout.take().expect("piped above")).lines() {
            done(serde_json::from_str(&line?)?);
        }
        let status = inside.wait()?;
        if status.code() == Some(NotRun::EXIT_CODE.into()) {
            bail!(NotRun("the kernel cannot make the network (see above)".to_string()));
        }
        ensure!(status.success(), "the run ended early: {status}");
        Ok(())
    }
}

/// The tools of an administrator are not on everybody's path.
fn command(program: &str, user: Option<&User>) -> Command {
    let path = env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).current_dir("/");
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn refusal(is_root: bool) -> String {
    let settings: Vec<String> = REFUSALS
        .iter()
        .filter(|(file, refusing, _)| {
            fs::read_to_string(file).is_ok_and(|value| value.trim() == *refusing)
        })
        .map(|(file, value, allow)| format!("{file} is {value}: `{allow}` as root allows them"))
        .collect();
    let why = match settings.is_empty() {
        true => "no setting says so, so it is a container's profile (Docker: \
                 `--security-opt seccomp=unconfined` or `--privileged`)"
            .to_string(),
        false => settings.join("; "),
    };
    let root = match is_root {
        true => "root is not allowed to make network namespaces (CAP_SYS_ADMIN is missing)",
        false => "this is not root",
    };
    format!("{root}, and user namespaces are refused: {why}")
}

/// The other side of [`Sandbox::run`]: runs in there, and prints each case as a line.
pub fn inside(program: &Path, scenarios: &[&Scenario]) {
    thread::spawn(|| {
        // Nothing is ever written there; it ends when the process outside does.
        let _ = io::stdin().read(&mut [0]);
        process::exit(1);
    });
    // Masquerading needs the most of the kernel.
    if let Err(error) = Network::new(&scenarios::ALL[0].shape) {
        eprintln!("{error:#}");
        process::exit(NotRun::EXIT_CODE.into());
    }

    thread::scope(|scope| {
        for &scenario in scenarios {
            for family in [Family::IPv4, Family::IPv6] {
                for with in [true, false] {
                    scope.spawn(move || {
                        let case = bench::run(scenario, family, with, program);
                        println!("{}", serde_json::to_string(&case).expect("plain data"));
                    });
                }
            }
        }
    });
}
