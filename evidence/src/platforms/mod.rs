//! Compiles std with the series for other platforms, and runs its tests there. On platforms that do not support
//! keepalive, a small program calls the methods.

mod runner;
mod support;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde::Deserialize;
use toml::Spanned;
use xtask::base::Archive;
use xtask::error::NotRun;
use xtask::project::Project;
use xtask::run::CommandExt;
use xtask::std::{Profile, Std};

use self::runner::Runner;
use crate::data::Data;
use crate::libtest;
use crate::specs::Specs;
use crate::suite::{Outcome, Place, Trial};
use crate::tables::Row;

/// A row of platforms.toml: a target, and how to compile and run programs for the target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Platform {
    target: String,
    /// Distinguishes platforms of the same target.
    beside: Option<String>,
    /// The only base with which the platform's programs compile.
    base: Option<String>,
    /// The bases for which the platform is in the quick set.
    #[serde(default)]
    quick: Vec<String>,
    /// The architecture that this machine must have.
    processor: Option<String>,
    linker: String,
    /// Options of the compiler. `{made}` stands for the directory of [`support`].
    #[serde(default)]
    rustflags: Vec<String>,
    runner: Runner,
    /// The program for a platform that does not support keepalive.
    program: Option<String>,
    /// Leaves out std's unit tests, which do not compile for the target.
    #[serde(default)]
    no_unit_tests: bool,
    /// The unit tests of net::tcp that sometimes fail with the runner.
    #[serde(default)]
    skip: Vec<String>,
    /// The programs and files that the platform needs, each with the command that installs it.
    needs: BTreeMap<String, String>,
    /// A Debian package that is unpacked into `{made}`.
    package: Option<Archive>,
}

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let data = Data::read(project, "platforms.toml")?;
    let mut trials = Vec::new();
    for (at, platform) in table(&data)? {
        for name in &platform.quick {
            project.base(Some(name)).context(at.clone())?;
        }
        let bases = match &platform.base {
            None => project.bases(),
            Some(name) => vec![project.base(Some(name)).context(at.clone())?],
        };
        for base in bases {
            let (row, at) = (platform.clone(), at.clone());
            let trial = Trial::new("platforms", &base, &platform.name(), move |place| {
                test(place, &row).context(at)
            });
            // Platforms of one target share the std.
            let std = format!("the std of {} for {}", base.name, platform.target);
            let trial = trial.quick(platform.quick.contains(&base.name)).alone(&std);
            trials.push(if platform.binds_ports() { trial.alone("ports") } else { trial });
        }
    }
    Ok(trials)
}

/// Returns the rows, each with its file and line.
fn table(data: &Data) -> Result<Vec<(String, Platform)>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        platform: Vec<Spanned<Platform>>,
    }
    let rows = data.parse::<Table>()?.platform.into_iter();
    Ok(rows.map(|row| (data.location(row.span()), row.into_inner())).collect())
}

/// Returns `Row::method` for each platform, by name: the text of the platform's row.
pub fn methods(project: &Project) -> Result<BTreeMap<String, String>> {
    let rows = table(&Data::read(project, "platforms.toml")?)?;
    Ok(rows.into_iter().map(|(_, platform)| (platform.name(), platform.method())).collect())
}

/// Runs the program that `compile` makes with a linker, on the first platform of the target. Returns the program's
/// output.
pub fn run_program(
    place: &Place,
    target: &str,
    compile: impl FnOnce(&str) -> Result<PathBuf>,
) -> Result<String> {
    let rows = table(&Data::read(place.project(), "platforms.toml")?)?.into_iter();
    let platform = rows.map(|(_, platform)| platform).find(|platform| platform.target == target);
    let platform = platform.with_context(|| format!("platforms.toml has no row for {target}"))?;
    if let Some(lack) = platform.lack() {
        Err(NotRun(lack))?;
    }
    let made = support::make(place.project(), &platform)?;
    let program = compile(&platform.linker)?;
    let output = place.run(&mut platform.runner.command(place, &made, &program)?, 120)?;
    if !output.status.success() {
        bail!("the program for {target} ended with {}; see the log", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Platform {
    /// Returns the row without the keys that change no result.
    fn method(&self) -> String {
        format!("{:?}", Platform { quick: Vec::new(), ..self.clone() })
    }

    fn name(&self) -> String {
        let beside = self.beside.as_ref().map(|name| format!("+{name}"));
        self.target.clone() + &beside.unwrap_or_default()
    }

    /// Returns whether std's unit tests, which bind fixed ports, run in this machine's network.
    fn binds_ports(&self) -> bool {
        self.program.is_none() && !self.no_unit_tests && self.runner != Runner::Gvisor
    }

    /// Returns a text with the missing programs and files, and the commands that install them.
    fn lack(&self) -> Option<String> {
        if let Some(processor) = self.processor.as_deref().filter(|processor| *processor != ARCH) {
            return Some(format!("no {processor} processor: run this trial on another machine"));
        }
        let needs = self.needs.iter().map(|(name, install)| (name.as_str(), install.as_str()));
        let tracer = ("strace", "apt-get install strace");
        let traces_itself = matches!(self.runner, Runner::Wine | Runner::Gvisor);
        let is_traced = self.program.is_none() && !traces_itself;
        let needs = needs.chain(is_traced.then_some(tracer));
        let (names, install): (Vec<_>, BTreeSet<_>) =
            needs.filter(|(name, _)| !is_there(name)).unzip();
        // One command of apt-get installs all packages.
        let install = Vec::from_iter(install).join(" && ").replace("&& apt-get install ", "");
        (!names.is_empty()).then(|| format!("no {}: {install}", names.join(", ")))
    }
}

/// Returns whether the program or the path exists.
fn is_there(name: &str) -> bool {
    if name.contains('/') { Path::new(name).exists() } else { runner::find(name).is_ok() }
}

/// Compiles std for the platform, and checks its methods there.
fn test(place: &Place, platform: &Platform) -> Result<Outcome> {
    if let Some(lack) = platform.lack() {
        return Ok(Outcome::Lacks(lack));
    }
    let opened = place.opened();
    let endian_and_width = Specs::of(&opened.compiler)?.endian_and_width(&platform.target)?;
    let made = support::make(place.project(), platform)?;
    let library = opened.library()?;
    let owned = &place.project().build;
    let dir = format!("{}-{}", place.base().name, platform.target);
    let dir = owned.root.join("evidence/platforms").join(dir);
    let mut std = Std::new(&opened.compiler, &library, &platform.target, &dir.join("std"));
    std.linker = Some((&platform.linker).into());
    let expand = |flag: &String| flag.replace("{made}", &made.display().to_string());
    std.rustflags = platform.rustflags.iter().map(expand).collect();
    let [sysroot, programs] = ["sysroot", "programs"].map(|name| dir.join(name));
    owned.remove(&programs)?;
    fs::create_dir_all(&programs)?;
    let on = On { place, platform, std, sysroot, made, programs };
    on.std.sysroot(Profile::Dev, &on.sysroot)?;

    let (checked, remark) = match &platform.program {
        Some(program) => on.run_unsupported(program)?,
        None => on.run_tests()?,
    };
    let cells =
        [platform.name(), endian_and_width, platform.runner.version()?].into_iter().chain(checked);
    let cells = cells.chain(["passed".into()]).collect();
    let notes = Vec::from_iter(remark.clone());
    place.record(&Row { cells, notes, method: platform.method(), ..Row::default() })?;
    Ok(Outcome::Passed(remark.unwrap_or_default()))
}

/// A platform for which std is compiled.
struct On<'a> {
    place: &'a Place,
    platform: &'a Platform,
    std: Std<'a>,
    sysroot: PathBuf,
    /// The directory of [`support`].
    made: PathBuf,
    /// The directory for the platform's programs.
    programs: PathBuf,
}

impl On<'_> {
    fn compile(&self, source: &Path, options: &[&str]) -> Result<PathBuf> {
        let name = source.file_stem().context("a source is a file")?;
        let program = self.programs.join(name).with_extension("exe");
        let mut rustc = self.std.compiler.rustc();
        rustc.args(["--edition", "2024", "--target", &self.platform.target]).args(options);
        rustc.arg(format!("-Clinker={}", self.platform.linker)).args(&self.std.rustflags);
        rustc.arg("--sysroot").arg(&self.sysroot).arg(source).arg("-o").arg(&program);
        rustc.env("RUSTC_BOOTSTRAP", "1").run_quiet()?;
        Ok(program)
    }

    /// Returns the source of a program in this directory.
    fn source(&self, name: &str) -> PathBuf {
        self.place.project().root.join("evidence/src/platforms").join(name)
    }

    fn run(&self, program: &Path, args: &[&str]) -> Result<Output> {
        let mut command = self.platform.runner.command(self.place, &self.made, program)?;
        self.place.run(command.args(args), libtest::LIMIT)
    }

    /// Runs the integration test, std's unit tests of net::tcp, and a program whose system calls are traced.
    /// Returns the cells of the table, and the reason if there is no trace.
    fn run_tests(&self) -> Result<([String; 3], Option<String>)> {
        let Platform { runner, skip, no_unit_tests, .. } = self.platform;
        let tests = self.compile(&self.std.library.join(libtest::KEEPALIVE), &["--test"])?;
        let tests = libtest::passed(&self.run(&tests, &[])?)?.to_string();
        let unit_tests = if *no_unit_tests {
            "-".into()
        } else {
            let skips = skip.iter().flat_map(|name| ["--skip", name]);
            let args: Vec<_> = ["net::tcp"].into_iter().chain(skips).collect();
            let counts = libtest::passed(&self.run(&self.std.unit_tests()?, &args)?)?;
            let skipped = skip.iter().map(|name| format!(", without {name}"));
            counts.to_string() + &skipped.collect::<String>()
        };
        let calls = self.compile(&self.source("calls.rs"), &[])?;
        let not_traced = runner.check_calls(self.place, &self.made, &calls)?;
        let traced = if not_traced.is_some() { "not traced" } else { "as expected" };
        Ok(([tests, unit_tests, traced.into()], not_traced))
    }

    /// Runs the program for a platform that does not support keepalive. Returns the cells of the table, and a
    /// remark if the program was started twice.
    fn run_unsupported(&self, program: &str) -> Result<([String; 3], Option<String>)> {
        let program = self.compile(&self.source(program), &[])?;
        let run = || -> Result<Option<(Output, String)>> {
            let output = self.run(&program, &[])?;
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(printed.contains(ANSWER).then_some((output, printed)))
        };
        // On a busy machine, the UEFI firmware once printed nothing until the time limit.
        let (first, mut remark) = (run(), None);
        let (output, printed) = match first {
            Ok(Some(output)) => output,
            first => {
                let why = first.err().map_or("no answer".into(), |error| format!("{error:#}"));
                remark = Some(format!("the program was started twice; the first run: {why}"));
                run()?.context("the program printed no answer, twice")?
            }
        };
        check_answers(&printed)?;
        if !output.status.success() {
            bail!("the answers are as expected, but the runner ended with {}", output.status);
        }
        Ok((["`Unsupported`, three times".into(), "-".into(), "-".into()], remark))
    }
}

/// The beginning of each line that `unsupported.rs` prints.
const ANSWER: &str = "==> ";

/// The lines that `unsupported.rs` should print.
const ANSWERS: [&str; 4] = [
    "==> set_keepalive(true): Err(Unsupported)",
    "==> set_keepalive(false): Err(Unsupported)",
    "==> keepalive(): Err(Unsupported)",
    "==> echo: Ok(true)",
];

/// Compares the output of `unsupported.rs` with [`ANSWERS`]. Ignores the firmware's lines.
fn check_answers(output: &str) -> Result<()> {
    let answers: Vec<_> =
        output.lines().map(str::trim).filter(|line| line.starts_with(ANSWER)).collect();
    if answers != ANSWERS {
        bail!(
            "expected\n  {}\nThe program printed\n  {}",
            ANSWERS.join("\n  "),
            answers.join("\n  ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lack_names_the_commands_that_install() {
        let data = Data::read(&Project::of_cargo().unwrap(), "platforms.toml").unwrap();
        let (at, mut platform) = table(&data).unwrap().remove(0);
        assert!(at.starts_with("evidence/platforms.toml:"), "{at}");
        (platform.processor, platform.program) = (None, Some("needs no strace".into()));
        platform.needs = [
            ("/is/there/not", "apt-get install b"),
            ("nor-that", "cargo install c"),
            ("nor-this", "apt-get install a"),
            ("sh", "apt-get install d"),
        ]
        .map(|(name, install)| (name.into(), install.into()))
        .into();
        assert_eq!(
            platform.lack().unwrap(),
            "no /is/there/not, nor-that, nor-this: apt-get install a b && cargo install c"
        );
    }

    #[test]
    fn only_unsupported_with_a_live_connection_is_right() {
        let right = ANSWERS.join("\r\n") + "\r\n";
        check_answers(&format!("BdsDxe: starting\r\n{right}")).unwrap();
        for (found, wrong) in [
            ("(true): Err(Unsupported)", "(true): Ok(())"),
            ("(false): Err(Unsupported)", "(false): Err(Other)"),
            ("keepalive(): Err(Unsupported)", "keepalive(): Ok(false)"),
            ("Ok(true)", "Err(Os { code: 57 })"),
            ("==> echo: Ok(true)", ""),
        ] {
            assert!(right.contains(found));
            check_answers(&right.replace(found, wrong)).unwrap_err();
        }
    }
}
