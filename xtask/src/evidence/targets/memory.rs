//! What was found out before. A check is remembered by all that can change its outcome, so nothing
//! ever needs to be thrown away.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use sha2::{Digest, Sha256};

use super::check::{METHOD, Outcome};
use crate::base::archive::hex;
use crate::compiler::Compiler;
use crate::library::sources::LibraryId;

pub struct Memory {
    dir: PathBuf,
}

impl Memory {
    /// The memory of checks of `library`, either as the base or as the series.
    pub fn of(dir: &Path, toolchain: &Compiler, library: &LibraryId, side: &str) -> Result<Memory> {
        let mut hasher = Sha256::new();
        let compiler = toolchain.version_field("commit-hash")?;
        for part in [side, library, compiler].iter().chain(METHOD) {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        Ok(Memory { dir: dir.join(&hex(&hasher.finalize())[..16]) })
    }

    fn file(&self, target: &str) -> PathBuf {
        self.dir.join(format!("{target}.json"))
    }

    pub fn recall(&self, target: &str) -> Option<Outcome> {
        // What cannot be read is found out again.
        serde_json::from_slice(&fs::read(self.file(target)).ok()?).ok()
    }

    pub fn remember(&self, target: &str, outcome: &Outcome) -> Result<()> {
        fs::create_dir_all(&self.dir)?;
        // Under its name only when it is whole.
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        serde_json::to_writer(&mut file, outcome)?;
        file.persist(self.file(target))?;
        Ok(())
    }
}
