//! What the numbers were measured on, and with.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::process::CommandExt;
use crate::report;

/// One line: date, processor, cores, operating system.
pub fn describe() -> Result<String> {
    let date = report::today()?;
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

/// What running other programs took, in seconds.
#[derive(Clone, Copy)]
pub struct Cost {
    pub elapsed: f64,
    /// Of all of their processes, on all cores: what else the machine had to do matters little.
    pub processor: f64,
}

pub fn cost_of(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (started, before) = (Instant::now(), children_time()?);
    work()?;
    let processor = children_time()? - before;
    Ok(Cost { elapsed: started.elapsed().as_secs_f64(), processor })
}

/// The processor seconds of the programs that this one ran so far, and those that they ran.
fn children_time() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // Behind the program's name, which is in parentheses: cutime and cstime, in ticks.
    let (_, fields) = text.rsplit_once(')').context("/proc/self/stat is not as expected")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let ticks = fields[13].parse::<f64>()? + fields[14].parse::<f64>()?;
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_children_is_counted() {
        let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let cost = cost_of(|| Command::new("sh").args(["-c", script]).run().map(drop)).unwrap();
        assert!(cost.processor > 0.0 && cost.elapsed > 0.0);
    }
}
