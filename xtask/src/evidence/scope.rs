//! Reads the arguments that `targets` and `cross` have in common: which targets to work on.

use std::thread;

use anyhow::{Error, Result, bail};
use clap::Args;
use glob::Pattern;

use super::shard::Part;

#[derive(Args)]
pub struct Scope {
    /// Only these targets. Patterns with `*` are taken, too.
    #[arg(value_name = "TARGET", conflicts_with_all = ["all", "quick"])]
    names: Vec<String>,
    /// Every target that there is.
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// The few that `cargo xtask ci` takes.
    #[arg(long)]
    quick: bool,
    /// Take only the first N patches of the series, as they are committed.
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Work on so many targets side by side. [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    pub part: Part,
}

impl Scope {
    /// The names that are asked for, in the order of `all`. `why_not` says what is the matter with one
    /// that is not there.
    pub fn select(
        &self,
        all: &[&str],
        default: &[&str],
        quick: &[&str],
        why_not: impl Fn(&str) -> Error,
    ) -> Result<Vec<String>> {
        let mut selected = if self.quick {
            quick.to_vec()
        } else if self.all || !self.names.is_empty() {
            all.to_vec()
        } else {
            default.to_vec()
        };
        if !self.names.is_empty() {
            let patterns = self.names.iter().map(|name| Pattern::new(name));
            let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
            for pattern in &patterns {
                if !all.iter().any(|name| pattern.matches(name)) {
                    if pattern.as_str().contains('*') {
                        bail!("{pattern} matches none of these:\n  {}", all.join("\n  "));
                    }
                    return Err(why_not(pattern.as_str()));
                }
            }
            selected.retain(|name| patterns.iter().any(|pattern| pattern.matches(name)));
        }
        if let Some(unknown) = selected.iter().find(|name| !all.contains(name)) {
            return Err(why_not(unknown));
        }
        Ok(selected.into_iter().map(str::to_owned).collect())
    }

    /// Whether some targets were named, so that the others do not matter.
    pub fn names_some(&self) -> bool {
        !self.names.is_empty()
    }

    /// How many targets to work on side by side, if there are so many.
    pub fn jobs(&self, targets: usize) -> usize {
        self.jobs.unwrap_or_else(cores).clamp(1, targets.max(1))
    }

    /// The options, as they could be typed, but for those that divide the work or format the results.
    pub fn words(&self) -> String {
        let mut words = self.names.iter().map(|name| format!(" {name}")).collect::<String>();
        for (given, option) in [(self.all, " --all"), (self.quick, " --quick")] {
            if given {
                words += option;
            }
        }
        if let Some(first) = self.first {
            words += &format!(" --first {first}");
        }
        words
    }
}

/// How many cores this machine has.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        scope: Scope,
    }

    fn select(args: &[&str]) -> Result<Vec<String>> {
        let Cli { scope } = Cli::parse_from([&["cross"], args].concat());
        let all = ["s390x-linux", "x86_64-linux", "x86_64-windows"];
        scope.select(&all, &all[..2], &all[2..], |name| anyhow!("what is {name}?"))
    }

    #[test]
    fn names_and_patterns_are_looked_up() {
        assert_eq!(
            select(&["x86_64-windows", "x86_64-linux"]).unwrap(),
            select(&["x86*"]).unwrap()
        );
        assert_eq!(select(&["*-linux", "s390x-linux"]).unwrap(), ["s390x-linux", "x86_64-linux"]);
        assert_eq!(select(&["z80-linux"]).unwrap_err().to_string(), "what is z80-linux?");
        assert!(select(&["z80*"]).unwrap_err().to_string().starts_with("z80* matches none"));
    }

    #[test]
    fn sets_are_as_given() {
        assert_eq!(select(&[]).unwrap(), ["s390x-linux", "x86_64-linux"]);
        assert_eq!(select(&["--quick"]).unwrap(), ["x86_64-windows"]);
        assert_eq!(select(&["--all"]).unwrap().len(), 3);
    }
}
