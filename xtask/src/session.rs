//! Opens what nearly every command works on: the project, a base, its compiler, and the tree that
//! is prepared for it.

use std::path::Path;

use anyhow::{Result, bail};

use crate::base::Base;
use crate::base::project::Project;
use crate::compiler::Compiler;
use crate::run::lock::{self, Lock};
use crate::series::prepare::prepare;
use crate::series::tree::Tree;

/// What was said on the command line before the command's own arguments.
pub struct Invocation {
    pub project: Project,
    /// The base's name, if one was given.
    pub base: Option<String>,
}

impl Invocation {
    pub fn base(&self) -> Result<Base> {
        self.project.base(self.base.as_deref())
    }

    /// Stops if a base was named for a command that works on all of them.
    pub fn refuse_base(&self, command: &str) -> Result<()> {
        if self.base.is_some() {
            bail!("`{command}` takes no --base: it is about all bases together");
        }
        Ok(())
    }

    /// Prepares the tree, and keeps others from changing it while the lock is held. `purpose` is what
    /// these are told.
    pub fn open(self, purpose: &str) -> Result<(Session, Lock)> {
        self.open_from(None, purpose)
    }

    /// The same, with the base taken from an archive or checkout of the user's.
    pub fn open_from(self, source: Option<&Path>, purpose: &str) -> Result<(Session, Lock)> {
        let base = self.base()?;
        let lock = lock::acquire(&self.project.tree_lock(&base), purpose)?;
        let compiler = Compiler::find(&base)?;
        let tree = prepare(&self.project, &base, source, &compiler)?;
        Ok((Session { project: self.project, base, compiler, tree }, lock))
    }
}

/// Everything that a command works with, open until it is dropped.
pub struct Session {
    pub project: Project,
    pub base: Base,
    pub compiler: Compiler,
    pub tree: Tree,
}
