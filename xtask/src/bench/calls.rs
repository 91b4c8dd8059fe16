//! The calls themselves, in instructions and in time, each as a ratio to the system call through
//! libc. The loops are in the crate `bench`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::bench::{Bench, machine};
use crate::process::CommandExt;
use crate::progress::Step;
use crate::project::Project;
use crate::toolchain::Toolchain;

/// How often a program that times is started. An odd number has a median.
const PROCESSES: usize = 15;

/// Instruction by instruction, for the build that it was written for.
const EXPLANATION: &str = include_str!("../../../bench/instructions.md");

/// Set and get.
const OPERATIONS: [&str; 2] = ["set", "get"];

/// One way to make the calls, as one compiler compiled it.
struct Row {
    title: String,
    /// Where the loops are: the compiler's std is in there.
    program: PathBuf,
    way: &'static str,
}

pub fn measure(bench: &Bench) -> Result<String> {
    let step = Step::start("compiling the calls");
    let patched = compile(bench, &bench.patched, "patched")?;
    let upstream = bench.upstream.as_ref().map(|u| compile(bench, u, "upstream")).transpose()?;
    step.done();

    let row = |title: String, program: &Path, way| Row { title, program: program.into(), way };
    let version = |krate| locked_version(bench.project, krate);
    let mut rows = vec![
        row("system call through libc".into(), &patched, "libc"),
        row(format!("patched std {}", bench.base.release), &patched, "std"),
    ];
    if let (Some(toolchain), Some(program)) = (&bench.upstream, &upstream) {
        let release = toolchain.version_field("release")?;
        rows.push(row(format!("upstream's std {release}"), program, "std"));
    }
    rows.push(row(format!("socket2 {} (`SockRef`)", version("socket2")?), &patched, "socket2"));
    rows.push(row(format!("nix {}", version("nix")?), &patched, "nix"));
    rows.push(row(format!("rustix {}", version("rustix")?), &patched, "rustix"));

    let load = machine::load();
    let times = times(&rows)?;
    let counts = counts(&rows)?;
    let mut text = format!(
        "Time a call, as a ratio to the system call through libc in the same program, and the\n\
         instructions that a call takes in user space, the loop around it and libc's own included. The\n\
         ratio is the median of {PROCESSES} processes, each of which compares some hundred short batches\n\
         that take turns; in parentheses, the middle half of the processes. Instructions are counted by\n\
         callgrind. The load was {load} when this began, which moves the times and not the counts.\n\n\
         | | set: time | get: time | set: instructions | get: instructions |\n\
         |---|---|---|---|---|\n"
    );
    for row in &rows {
        write!(text, "| {} |", row.title)?;
        for operation in OPERATIONS {
            let ratios = &times[&(row.program.clone(), operation.into(), row.way.into())];
            if row.way == "libc" {
                write!(text, " 1 ({:.0} ns) |", quartile(&ratios.nanoseconds, 2))?;
            } else {
                let at = |part| quartile(&ratios.ratios, part);
                write!(text, " {:.3} ({:.3} – {:.3}) |", at(2), at(1), at(3))?;
            }
        }
        for operation in OPERATIONS {
            match counts.get(&(row.program.clone(), operation, row.way)) {
                Some(count) => write!(text, " {count} |")?,
                None => text.push_str(" not counted |"),
            }
        }
        text.push('\n');
    }
    if counts.is_empty() {
        text.push_str("\nvalgrind, which counts the instructions, is not installed.\n");
    }
    write!(text, "\n{}", explanation(&counts, &patched))?;
    Ok(text)
}

/// The explanation, if what it explains is what was counted.
fn explanation(counts: &Counts, program: &Path) -> String {
    let count = |way, operation| counts.get(&(program.to_owned(), operation, way));
    let (head, body) = EXPLANATION.split_once('\n').unwrap_or_default();
    let counted: Vec<_> = [("libc", "set"), ("libc", "get"), ("std", "set"), ("std", "get")]
        .into_iter()
        .map(|(way, operation)| count(way, operation).map_or("?".into(), |n| n.to_string()))
        .collect();
    let explained = head.trim_start_matches("<!-- ").trim_end_matches(" -->");
    if explained == counted.join(" ") {
        body.trim_start().into()
    } else {
        format!(
            "bench/instructions.md explains other counts, {explained}, than these: {}.\n",
            counted.join(" ")
        )
    }
}

/// Compiles the crate `bench` with a compiler whose std has the methods.
fn compile(bench: &Bench, toolchain: &Toolchain, name: &str) -> Result<PathBuf> {
    let out = bench.project.build().join("bench").join(name);
    let mut cargo = toolchain.cargo();
    cargo.args(["build", "--quiet", "--locked", "--release", "--package", "bench"]);
    cargo.args(["--features", "std", "--target-dir"]).arg(&out);
    cargo.current_dir(&bench.project.root).run()?;
    Ok(out.join("release/bench"))
}

/// The version of a crate in the lock file.
pub fn locked_version(project: &Project, krate: &str) -> Result<String> {
    let lock: toml::Table = toml::from_str(&fs::read_to_string(project.root.join("Cargo.lock"))?)?;
    let packages = lock["package"].as_array().context("Cargo.lock lists no packages")?;
    let of = |package: &toml::Value, key: &str| package.get(key)?.as_str().map(str::to_owned);
    packages
        .iter()
        .find(|package| of(package, "name").is_some_and(|name| name == krate))
        .and_then(|package| of(package, "version"))
        .with_context(|| format!("Cargo.lock has no {krate}"))
}

#[derive(Default)]
struct Times {
    nanoseconds: Vec<f64>,
    ratios: Vec<f64>,
}

/// By program, operation and way.
fn times(rows: &[Row]) -> Result<BTreeMap<(PathBuf, String, String), Times>> {
    let mut programs: Vec<_> = rows.iter().map(|row| &row.program).collect();
    programs.dedup();
    programs.sort();
    programs.dedup();
    let step = Step::start("timing the calls");
    let mut times: BTreeMap<_, Times> = BTreeMap::new();
    for _ in 0..PROCESSES {
        for program in &programs {
            let output = Command::new(program).arg("time").read()?;
            for line in output.lines() {
                let fields: Vec<_> = line.split('\t').collect();
                let [operation, way, nanoseconds, ratio] = fields[..] else {
                    bail!("{} says {line:?}", program.display());
                };
                let key = ((*program).clone(), operation.to_owned(), way.to_owned());
                let entry = times.entry(key).or_default();
                entry.nanoseconds.push(nanoseconds.parse()?);
                entry.ratios.push(ratio.parse()?);
            }
        }
    }
    step.done();
    Ok(times)
}

pub fn quartile(values: &[f64], part: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * part / 4]
}

type Counts = BTreeMap<(PathBuf, &'static str, &'static str), u64>;

/// The instructions that one call takes; nothing where there is no tool to count them.
fn counts(rows: &[Row]) -> Result<Counts> {
    if which::which("valgrind").is_err() {
        return Ok(Counts::new());
    }
    let step = Step::start("counting the instructions");
    let mut counts = Counts::new();
    for row in rows {
        for operation in OPERATIONS {
            // The difference is what the calls alone take, without starting and ending.
            let (few, many) = (1000, 3000);
            let count = |calls| instructions(&row.program, row.way, operation, calls);
            let count = (count(many)? - count(few)?) / (many - few);
            counts.insert((row.program.clone(), operation, row.way), count);
        }
    }
    step.done();
    Ok(counts)
}

fn instructions(program: &Path, way: &str, operation: &str, calls: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["calls", way, operation, &calls.to_string()])
        .run()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.with_context(|| format!("callgrind says no count:\n{said}"))?;
    Ok(count.trim().parse()?)
}
