//! Whole programs: what one pays for a crate, and what one pays for methods that it never calls.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;

use crate::assemble::Assembly;
use crate::bench::Bench;
use crate::bench::calls::locked_version;
use crate::bench::machine::{self, Cost};
use crate::process::CommandExt;
use crate::progress::Step;
use crate::toolchain::Toolchain;
use crate::tree::Tree;

/// The same program four times; a crate's features are those that the program needs.
const PROGRAMS: [(&str, &str); 4] =
    [("std", ""), ("socket2", ""), ("nix", "\"socket\""), ("rustix", "\"net\"")];

/// How often each is built from nothing.
const BUILDS: usize = 3;

pub fn compare(bench: &Bench) -> Result<String> {
    let step = Step::start("building a program with std and with each crate");
    let load = machine::load();
    let mut programs = Vec::new();
    for (name, features) in PROGRAMS {
        programs.push(Program::write(bench, name, Some(features))?);
    }
    let mut builds = vec![Vec::new(); programs.len()];
    for _ in 0..BUILDS {
        for (program, builds) in programs.iter().zip(&mut builds) {
            builds.push(program.build_from_nothing(&bench.patched)?);
        }
    }
    step.done();

    let mut text = format!(
        "The same program of twenty lines, which [bench/programs](bench/programs) has in four versions,\n\
         as a release build with its symbols stripped. Built from nothing {BUILDS} times, with all sources\n\
         there already; the least of each. The load was {load} when this began: processor time is what\n\
         compares.\n\n\
         | | dependencies | clean build | processor time | size |\n|---|---|---|---|---|\n"
    );
    for (program, builds) in programs.iter().zip(builds) {
        let least = |of: fn(&Cost) -> f64| builds.iter().map(of).fold(f64::INFINITY, f64::min);
        let title = match program.name.as_str() {
            "std" => "patched std".into(),
            krate => format!("{krate} {}", locked_version(bench.project, krate)?),
        };
        writeln!(
            text,
            "| {title} | {} | {:.1} s | {:.1} s | {} bytes |",
            program.dependencies(&bench.patched)?,
            least(|build| build.elapsed),
            least(|build| build.processor),
            thousands(program.size()?),
        )?;
    }
    Ok(text)
}

/// The size of a program that calls neither method, with the std before and after the series.
pub fn unused(bench: &Bench, tree: &Tree) -> Result<String> {
    let unpatched = Assembly::unpatched(bench.project, bench.base, bench.released, tree)?;
    unpatched.bring_up_to_date(&[])?;
    let before = Toolchain::at(unpatched.directory)?;
    let step = Step::start("building a program that does not use it");
    let mut text = String::from(
        "A server like the one above which calls neither method, as a release build with its symbols\n\
         stripped.\n\n| std | size |\n|---|---|\n",
    );
    let mut sizes = Vec::new();
    let release = &bench.base.release;
    for (title, toolchain) in [
        (format!("Rust {release}, compiled here without the series"), &before),
        (format!("Rust {release}, compiled here with the series"), &bench.patched),
        (format!("Rust {release}, as released"), bench.released),
    ] {
        let program = Program::write(bench, "never", None)?;
        program.build_from_nothing(toolchain)?;
        let size = program.size()?;
        writeln!(text, "| {title} | {} bytes |", thousands(size))?;
        sizes.push(size);
    }
    step.done();
    let verdict = match sizes[0] == sizes[1] {
        true => "The series adds nothing to it.",
        false => "**The series changes it.**",
    };
    writeln!(text, "\n{verdict}")?;
    Ok(text)
}

/// A package of its own, under build/.
struct Program {
    name: String,
    directory: PathBuf,
}

impl Program {
    /// `features` are those of the crate of that name, if the program uses one.
    fn write(bench: &Bench, name: &str, features: Option<&str>) -> Result<Program> {
        let directory = bench.project.build().join("bench/programs").join(name);
        fs::create_dir_all(directory.join("src"))?;
        let source = bench.project.root.join("bench/programs").join(format!("{name}.rs"));
        fs::copy(source, directory.join("src/main.rs"))?;
        let dependency = match features {
            Some(features) if name != "std" => {
                let version = locked_version(bench.project, name)?;
                format!("{name} = {{ version = \"={version}\", features = [{features}] }}\n")
            }
            _ => String::new(),
        };
        fs::write(
            directory.join("Cargo.toml"),
            format!(
                "[package]\nname = \"{name}-program\"\nedition = \"2024\"\n\n[workspace]\n\n\
                 [dependencies]\n{dependency}\n[profile.release]\nstrip = true\n"
            ),
        )?;
        // The versions of everything else, too.
        fs::copy(bench.project.root.join("Cargo.lock"), directory.join("Cargo.lock"))?;
        let program = Program { name: name.into(), directory };
        let mut cargo = bench.released.cargo();
        cargo.arg("fetch").current_dir(&program.directory).run()?;
        Ok(program)
    }

    fn build_from_nothing(&self, toolchain: &Toolchain) -> Result<Cost> {
        let target = self.directory.join("target");
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        let mut cargo = toolchain.cargo();
        cargo.args(["build", "--quiet", "--release", "--offline", "--target-dir"]).arg(target);
        cargo.current_dir(&self.directory);
        machine::cost_of(|| cargo.run().map(drop))
    }

    /// How many packages it is built from, but itself.
    fn dependencies(&self, toolchain: &Toolchain) -> Result<usize> {
        let mut cargo = toolchain.cargo();
        cargo.args(["tree", "--offline", "--prefix", "none", "--edges", "normal,build"]);
        let tree = cargo.current_dir(&self.directory).read()?;
        let packages: BTreeSet<_> =
            tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        Ok(packages.len() - 1)
    }

    fn size(&self) -> Result<u64> {
        let name = format!("{}-program", self.name);
        let file = Path::new("target/release").join(name);
        Ok(fs::metadata(self.directory.join(file))?.len())
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(123_456), "123,456");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
