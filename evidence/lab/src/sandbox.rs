//! Holds the networks: namespaces that everything a run makes is in, and that take it along when
//! they go.
//!
//! `unshare` starts the lab a second time, as the first process of a new process namespace. When
//! that process ends, for whatever reason, the kernel kills all others in there, and with the last
//! of them go the networks. It ends with this process too, because its standard input is a pipe
//! that nobody else holds: so also after Ctrl-C, a panic or `kill -9`.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::{env, fs, process, thread};

use anyhow::{Result, bail, ensure};
use indicatif::ProgressBar;
use nix::unistd::{User, geteuid};

use crate::NotRun;
use crate::capture::Capture;
use crate::command;
use crate::network::{Family, Network, Node};
use crate::results::CaseResult;
use crate::scenarios::{self, Scenario, case};

/// The programs that a run needs, and their Debian packages.
const TOOLS: [(&str, &str); 6] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("ss", "iproute2"),
    ("python3", "python3"),
];

/// How to get namespaces: as root, or as root of a user namespace.
const AS_ROOT: &[&str] = &[];
const AS_USER: &[&str] = &["--user", "--map-root-user"];

/// The settings by which kernels refuse user namespaces, with the value that refuses and one that
/// allows.
const REFUSALS: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "10000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

/// A place to run in, known to be possible on this machine.
pub struct Sandbox {
    user: Option<User>,
    way: &'static [&'static str],
}

impl Sandbox {
    /// `user`, if given, is an ordinary user that root becomes for the run.
    pub fn new(user: Option<User>) -> Result<Self> {
        let missing: Vec<String> = TOOLS
            .iter()
            .filter(|(tool, _)| command::run(as_user(tool, &user).arg("-V"), "").is_err())
            .map(|(tool, package)| format!("{tool} (package {package})"))
            .collect();
        if !missing.is_empty() {
            bail!(NotRun(format!("this machine lacks {}", missing.join(", "))));
        }

        let is_root = geteuid().is_root() && user.is_none();
        let ways: &[_] = if is_root { &[AS_ROOT, AS_USER] } else { &[AS_USER] };
        let possible = ways.iter().find(|way| {
            let mut unshare = as_user("unshare", &user);
            unshare.args(**way).args(["--net", "--pid", "--fork", "true"]);
            command::run(&mut unshare, "").is_ok()
        });
        match possible {
            Some(way) => Ok(Self { user, way }),
            None => bail!(NotRun(refusal(is_root))),
        }
    }

    /// Runs the scenarios side by side. The cases are in the order of [`scenarios::ALL`]; `bar` is
    /// told of each when it is done.
    pub fn run(
        &self,
        program: &Path,
        scenarios: &[&Scenario],
        bar: &ProgressBar,
    ) -> Result<Vec<CaseResult>> {
        let mut unshare = as_user("unshare", &self.user);
        unshare.args(self.way).args(["--net", "--pid", "--fork", "--kill-child"]);
        unshare.arg(env::current_exe()?).arg("--inside").arg(program);
        unshare.args(command::prints_commands().then_some("--verbose"));
        unshare.args(scenarios.iter().map(|scenario| scenario.name));
        let (mut inside, _alive, stdout) = command::start(&mut unshare)?;
        let mut cases: Vec<CaseResult> = Vec::new();
        for line in BufReader::new(stdout).lines() {
            cases.push(serde_json::from_str(&line?)?);
            bar.inc(1);
        }
        let status = inside.wait()?;
        if status.code() == Some(NotRun::EXIT_CODE.into()) {
            bail!(NotRun(
                "the kernel refuses a part of the network (see above); `modprobe --all veth \
                 nft_masq nft_ct` as root helps where it is a module that is not loaded"
                    .to_string()
            ));
        }
        ensure!(status.success(), "the run ended early: {status}");
        cases.sort_by_key(|case| {
            let place = scenarios::ALL.iter().position(|it| it.name == case.scenario);
            (place, !case.with, case.family)
        });
        Ok(cases)
    }
}

/// A command that root runs as `user`, if there is one.
fn as_user(program: &str, user: &Option<User>) -> Command {
    let Some(User { uid, gid, .. }) = user else { return command::administrative(program) };
    let mut command = command::administrative("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
    // setpriv would search the path with root's rights, and the directory that root is in may be
    // closed to others.
    command.args(["--clear-groups", "env", "--chdir=/", program]);
    command
}

fn refusal(is_root: bool) -> String {
    let settings: Vec<String> = REFUSALS
        .iter()
        .filter(|(name, refusing, _)| {
            let file = Path::new("/proc/sys").join(name.replace('.', "/"));
            fs::read_to_string(file).is_ok_and(|value| value.trim() == *refusing)
        })
        .map(|(name, refusing, allowing)| {
            format!("{name} is {refusing}: `sysctl {name}={allowing}` as root allows them")
        })
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
    // Masquerading needs the most of the kernel. The capture goes on for as long as the cases run:
    // when the first one begins, the kernel takes a moment until it stamps packets with their time.
    let network = Network::new(&scenarios::ALL[0].shape);
    let capture = network.and_then(|network| Capture::start(network.namespace(Node::Router)));
    let _stamps = capture.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        process::exit(NotRun::EXIT_CODE.into());
    });

    thread::scope(|scope| {
        for &scenario in scenarios {
            for family in Family::BOTH {
                for with in [true, false] {
                    scope.spawn(move || {
                        let case = case::run(scenario, family, with, program);
                        println!("{}", serde_json::to_string(&case).expect("plain data"));
                    });
                }
            }
        }
    });
}
