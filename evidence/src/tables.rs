//! Writes the tables under docs/ out of the row files that trials left under build/evidence/results/.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use xtask::owned::Owned;
use xtask::project::Project;

/// A row of a suite's table.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The cells under the suite's header.
    pub cells: Vec<String>,
    /// Texts for which the table has no room. They follow it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Identifies how the row was found out, where rows are used again.
    #[serde(default)]
    pub method: String,
}

impl Row {
    pub fn read(file: &Path) -> Result<Option<Row>> {
        if !file.exists() {
            return Ok(None);
        }
        let row = toml::from_str(&fs::read_to_string(file)?);
        Ok(Some(row.with_context(|| format!("{} is no row", file.display()))?))
    }

    pub fn write(&self, build: &Owned, file: &Path) -> Result<()> {
        build.write(file, toml::to_string(self)?)
    }
}

/// Returns the directory with the rows of a suite, one directory for each series and compiler.
pub fn dir(project: &Project, suite: &str) -> PathBuf {
    project.build.root.join("evidence/results").join(suite)
}

/// Returns the name of the file with a trial's row.
pub fn file_name(trial: &str) -> String {
    format!("{}.toml", trial.replace(['/', ' '], "-"))
}
