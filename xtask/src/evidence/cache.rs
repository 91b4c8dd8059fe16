//! Keeps the results of checks, each under all that can change it: nothing ever needs to be thrown
//! away, and a run that was interrupted goes on where it stopped.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::run::ownership::{self, hex};

pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The results, below `dir`, of checks that depend on `parts` and their names.
    pub fn of(dir: &Path, parts: &[&str]) -> Cache {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        Cache { dir: dir.join(&hex(&hasher.finalize())[..16]) }
    }

    /// The result with the name, if it is there.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        // What cannot be read is found out again.
        serde_json::from_slice(&fs::read(self.file(name)).ok()?).ok()
    }

    /// The result with the name, found out by `check` if it is not there.
    pub fn get_or<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        check: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if let Some(result) = self.get(name) {
            return Ok(result);
        }
        let result = check()?;
        fs::create_dir_all(&self.dir)?;
        ownership::write(&self.file(name), &serde_json::to_vec(&result)?)?;
        Ok(result)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }
}
