//! Reads the data files of the suites, so that a mistake is reported with its file and line.

use std::ops::Range;

use anyhow::{Context, Result};
use fs_err as fs;
use serde::de::DeserializeOwned;
use xtask::project::Project;

/// A file in evidence/.
pub struct Data {
    name: String,
    text: String,
}

impl Data {
    pub fn read(project: &Project, name: &str) -> Result<Data> {
        let name = format!("evidence/{name}");
        Ok(Data { text: fs::read_to_string(project.root.join(&name))?, name })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the file's content. The error names the file, the line and the key.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        toml::from_str(&self.text).with_context(|| format!("{} has a mistake", self.name))
    }

    /// Returns where a value is, such as `evidence/mutants.toml:12`.
    pub fn place(&self, span: Range<usize>) -> String {
        format!("{}:{}", self.name, self.text[..span.start].matches('\n').count() + 1)
    }
}
