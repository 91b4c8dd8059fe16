//! Reads the data files of the suites. Errors name the file and the line.

use std::ops::Range;

use anyhow::{Context, Result};
use fs_err as fs;
use serde::de::DeserializeOwned;
use xtask::project::Project;

/// A file in evidence/.
pub struct Data {
    pub name: String,
    pub text: String,
}

impl Data {
    pub fn read(project: &Project, name: &str) -> Result<Data> {
        let name = format!("evidence/{name}");
        Ok(Data { text: fs::read_to_string(project.root.join(&name))?, name })
    }

    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        toml::from_str(&self.text).with_context(|| format!("cannot parse {}", self.name))
    }

    /// Returns the file and the line of a value, such as `evidence/mutants.toml:12`.
    pub fn location(&self, span: Range<usize>) -> String {
        format!("{}:{}", self.name, self.text[..span.start].matches('\n').count() + 1)
    }
}
