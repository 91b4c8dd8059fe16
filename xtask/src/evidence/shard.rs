//! Divides the work of a command among machines.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::say::table::Format;

/// The options of commands whose results can be put together from several machines.
#[derive(Args)]
pub struct Part {
    /// Take one of N parts, the one with the number K, counted from 0.
    ///
    /// With `--format json` its results can be put together with those of the other parts, by
    /// `cargo xtask merge`.
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// How to print the results.
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// One of `of` parts, counted from 0.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    pub of: usize,
    pub index: usize,
}

impl Shard {
    /// This part of `all`. Neighbours, which often take equally long, go to different machines.
    pub fn part<T: Clone>(self, all: &[T]) -> Vec<T> {
        all.iter().skip(self.index).step_by(self.of).cloned().collect()
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Shard> {
        let numbers = text.split_once('/').map(|(index, of)| (index.parse(), of.parse()));
        match numbers {
            Some((Ok(index), Ok(of))) if index < of => Ok(Shard { of, index }),
            _ => bail!("say K/N, with K from 0 to N - 1: 0/3, 1/3 and 2/3 are three parts"),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl TryFrom<String> for Shard {
    type Error = Error;

    fn try_from(text: String) -> Result<Shard> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thing_is_in_one_part() {
        let all = ["a", "b", "c", "d", "e"];
        let part = |shard: &str| shard.parse::<Shard>().unwrap().part(&all);
        assert_eq!(part("0/1"), all);
        assert_eq!(part("0/2"), ["a", "c", "e"]);
        assert_eq!(part("1/2"), ["b", "d"]);
        assert_eq!(part("6/7"), [""; 0]);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["", "1", "3/3", "0/0", "-1/3", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
    }
}
