//! Running other programs, with errors that say what was run and what it answered.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

pub trait CommandExt {
    /// Runs the command, and takes an exit code other than 0 for an error.
    fn run(&mut self) -> Result<Output>;
    /// Runs the command and returns what it printed to standard output, trimmed.
    fn read(&mut self) -> Result<String>;
    /// Takes every variable with such a name from the environment that the command inherits.
    fn env_remove_where(&mut self, unwanted: fn(&str) -> bool) -> &mut Self;
}

impl CommandExt for Command {
    fn run(&mut self) -> Result<Output> {
        let program = Path::new(self.get_program()).display().to_string();
        let output = self.output().with_context(|| format!("cannot run `{program}`"))?;
        if !output.status.success() {
            let stdout = String::from_utf8_lossy(&output.stdout);
            let stderr = String::from_utf8_lossy(&output.stderr);
            let arguments: Vec<_> = self.get_args().map(|a| a.to_string_lossy()).collect();
            bail!(
                "`{program} {}` failed ({}):\n{}",
                arguments.join(" "),
                output.status,
                format!("{stdout}{stderr}").trim_end()
            );
        }
        Ok(output)
    }

    fn read(&mut self) -> Result<String> {
        let output = self.run()?;
        Ok(String::from_utf8(output.stdout).context("output is not UTF-8")?.trim_end().to_owned())
    }

    fn env_remove_where(&mut self, unwanted: fn(&str) -> bool) -> &mut Command {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(unwanted) {
                self.env_remove(name);
            }
        }
        self
    }
}
