//! What the numbers were measured on, and with.

use std::process::Command;

use anyhow::Result;
use fs_err as fs;

use crate::process::CommandExt;

/// One line: date, processor, cores, operating system.
pub fn describe() -> Result<String> {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).read()?;
    let kernel = Command::new("uname").args(["-sr"]).read()?;
    let architecture = Command::new("uname").arg("-m").read()?;
    let cores = std::thread::available_parallelism()?;
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or(architecture.as_str(), |(_, model)| model.trim());
    Ok(format!("{date}, {model}, {cores} cores, {kernel}"))
}

/// How many processes were waiting for a core in the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").into()
}
