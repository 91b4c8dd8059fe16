//! Installs packages of the machine's own release of Debian.

use std::process::Command;

use anyhow::{Result, anyhow};

use crate::run::command::CommandExt;
use crate::say::failure::NotRun;
use crate::say::progress::Step;

/// Installs those of the packages that are not installed, as root or with a sudo that asks nothing.
/// Where that cannot be, the error says what to type.
pub fn install(packages: &[String]) -> Result<()> {
    let missing: Vec<_> =
        packages.iter().map(String::as_str).filter(|p| !is_installed(p)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let apt_get = |sudo: &[&str], args: &[&str]| {
        let words = [sudo, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], args].concat();
        Command::new(words[0]).args(&words[1..]).run()
    };
    let install = [&["install", "--yes", "--no-install-recommends"][..], &missing].concat();
    let is_root = rustix::process::geteuid().is_root();
    let sudo: &[&str] = if is_root { &[] } else { &["sudo", "--non-interactive"] };
    let may = is_root || Command::new("sudo").args(["--non-interactive", "true"]).run().is_ok();
    if !may || which::which("apt-get").is_err() {
        let line = format!("apt-get install --no-install-recommends {}", missing.join(" "));
        return Err(anyhow!(NotRun(format!("this takes root, and Debian's packages:\n  {line}"))));
    }
    let step = Step::start(format!("installing {}", missing.join(", ")));
    // A fresh machine has no lists of packages yet.
    apt_get(sudo, &install).or_else(|_| {
        apt_get(sudo, &["update"])?;
        apt_get(sudo, &install)
    })?;
    step.done();
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}", package]);
    query.read().is_ok_and(|status| status == "installed")
}
