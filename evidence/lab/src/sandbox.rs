//! Runs the cases in namespaces, which end with the lab.
//!
//! `unshare` starts a second lab, as the first process of a new PID namespace. When the second lab
//! ends, the kernel kills all other processes of the namespace, and removes their networks. The
//! second lab ends with the first, after Ctrl-C, a panic or `kill -9`, too: its standard input is a
//! pipe from the first lab.

use std::io::{self, Read};
use std::path::Path;
use std::process::{self, Command};
use std::{env, fs, thread};

use anyhow::{Result, bail};
use nix::unistd::geteuid;
use which::which_in;

use crate::arguments::{Args, Scenario};
use crate::{FAILED, PASSED, command};

/// The programs that the lab needs, and their Debian packages. Only the scenario `gvisor` needs the
/// last program.
const PROGRAMS: [(&str, &str); 7] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("ss", "iproute2"),
    ("python3", "python3"),
    ("runsc", "runsc"),
];

/// The options of `unshare` for root, and those for ordinary users.
const OPTIONS: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];

/// The sysctls that refuse user namespaces: name, value that refuses, value that permits.
const REFUSALS: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "10000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

/// The parts of the kernel that the networks need: name, a command and its input that use the part,
/// and modules.
const KERNEL_PARTS: [(&str, &[&str], &str, &str); 2] = [
    ("veth interfaces", &["ip", "link", "add", "type", "veth"], "", "veth"),
    (
        "nftables with masquerading and connection tracking",
        &["nft", "-f", "-"],
        "table inet lab {
            chain translate { type nat hook postrouting priority srcnat; masquerade; }
            chain track { type filter hook forward priority filter; ct state invalid drop; }
        }",
        "nft_masq nft_ct",
    ),
];

pub struct Sandbox {
    /// The options of `unshare` that work on this machine.
    options: &'static [&'static str],
}

impl Sandbox {
    /// Looks for everything that `scenarios` need. The error says what this machine lacks, and how to
    /// install it.
    pub fn find(scenarios: &[Scenario]) -> Result<Self, String> {
        let unneeded = usize::from(!scenarios.contains(&Scenario::Gvisor));
        find_programs(&PROGRAMS[..PROGRAMS.len() - unneeded])?;
        let sandbox = Self::find_options()?;
        sandbox.find_kernel_parts()?;
        Ok(sandbox)
    }

    /// Finds options of `unshare` that work. The error says why they do not work, and what to type.
    fn find_options() -> Result<Self, String> {
        let mut errors = Vec::new();
        let not_root = usize::from(!geteuid().is_root());
        for options in &OPTIONS[not_root..] {
            let sandbox = Self { options };
            match command::run(sandbox.unshare().arg("true"), "") {
                Ok(_) => return Ok(sandbox),
                Err(error) => errors.push(format!("{error:#}")),
            }
        }
        let settings = REFUSALS.iter().filter(|(name, refusing, _)| {
            let file = Path::new("/proc/sys").join(name.replace('.', "/"));
            fs::read_to_string(file).is_ok_and(|value| value.trim() == *refusing)
        });
        let settings: Vec<String> =
            settings.map(|(name, _, value)| format!("`sysctl {name}={value}` as root")).collect();
        let help = match settings.is_empty() {
            true => "a container needs `docker run --privileged`".to_string(),
            false => format!("type {}", settings.join(" and ")),
        };
        Err(format!("cannot make namespaces: {}; {help}", errors.join("; ")))
    }

    /// Tries the parts of the kernel. The error has a line for each part that does not work.
    fn find_kernel_parts(&self) -> Result<(), String> {
        let mut lacks = Vec::new();
        if !Path::new("/proc/sys/net/ipv6").exists() {
            lacks.push("the kernel lacks IPv6: boot without ipv6.disable=1".to_string());
        }
        for (part, command, input, modules) in KERNEL_PARTS {
            if let Err(error) = command::run(self.unshare().args(command), input) {
                lacks.push(format!(
                    "cannot use {part}: {error:#}; type `modprobe --all {modules}` as root"
                ));
            }
        }
        if lacks.is_empty() { Ok(()) } else { Err(lacks.join("\n")) }
    }

    /// Starts a second lab, which runs all cases in new namespaces. Returns its exit code.
    pub fn run_second_lab(&self, program: &Path, args: &Args, out: &Path) -> Result<u8> {
        let mut lab = self.unshare();
        lab.arg("--kill-child").arg(env::current_exe()?);
        lab.arg("--inside").arg(program).arg("--out").arg(out);
        lab.args(args.verbose.then_some("--verbose"));
        lab.args(args.scenarios.iter().map(Scenario::to_string));
        let mut lab = command::spawn(&mut lab, "")?;
        // `wait` would close the pipe, and so end the second lab.
        let _stdin = lab.stdin.take();
        let status = lab.wait()?;
        match status.code().map(u8::try_from) {
            Some(Ok(code @ (PASSED | FAILED))) => Ok(code),
            _ => bail!("the lab inside the namespaces failed ({status}), see above"),
        }
    }

    fn unshare(&self) -> Command {
        let mut unshare = Command::new("unshare");
        unshare.args(self.options).args(["--net", "--pid", "--fork"]);
        if env::var("PATH").unwrap_or_default() != search_path() {
            unshare.env("PATH", search_path());
        }
        unshare
    }
}

/// Returns `PATH`, with the directories of `ip` and `nft`, which the `PATH` of ordinary users may lack.
fn search_path() -> String {
    let path = env::var("PATH").unwrap_or_default();
    let is_complete = env::split_paths(&path).any(|directory| directory == Path::new("/usr/sbin"));
    if is_complete { path } else { format!("{path}:/usr/sbin:/sbin") }
}

/// Looks for programs. The error names the missing programs, and their packages.
fn find_programs(programs: &[(&str, &str)]) -> Result<(), String> {
    let missing = programs.iter().copied();
    let missing = missing.filter(|(name, _)| which_in(name, Some(search_path()), "/").is_err());
    let (missing, mut packages): (Vec<_>, Vec<_>) = missing.unzip();
    if missing.is_empty() {
        return Ok(());
    }
    packages.dedup();
    let (missing, packages) = (missing.join(", "), packages.join(" "));
    Err(format!("this machine lacks {missing}: type `apt-get install {packages}` (Debian, Ubuntu)"))
}

/// Makes this process, the second lab, exit when the first lab ends.
pub fn exit_with_first_lab() {
    thread::spawn(|| {
        // The first lab writes nothing: the call returns when the pipe is closed.
        let _ = io::stdin().read(&mut [0]);
        process::exit(FAILED.into());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_named_with_their_packages() {
        let programs = [("sh", "dash"), ("no-such-program", "a"), ("nor-this-one", "a")];
        let expected = "this machine lacks no-such-program, nor-this-one: type `apt-get \
                        install a` (Debian, Ubuntu)";
        assert_eq!(find_programs(&programs), Err(expected.to_string()));
        assert_eq!(find_programs(&programs[..1]), Ok(()));
    }
}
