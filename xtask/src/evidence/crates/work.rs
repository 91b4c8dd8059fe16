//! Holds what the checks share: the workspaces, the states of std, and results of earlier runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::check::{Graph, Outcome, check};
use super::list::{Entry, List, Names, Workspace};
use crate::evidence::cache::Cache;
use crate::library::sources::LibraryId;
use crate::library::sysroot::{Profile, Workshop};
use crate::run::whole;
use crate::say::progress::Step;
use crate::session::Session;

/// Where the methods are, in library/, and what they are there, behind their attributes.
const FILE: &str = "std/src/net/tcp.rs";
const SET: &str = "pub fn set_keepalive(&self, keepalive: bool)";
const GET: &str = "pub fn keepalive(&self)";

pub struct Work<'a> {
    pub session: &'a Session,
    workspaces: BTreeMap<String, (Workspace, Graph)>,
    pub users: Vec<User>,
}

/// A crate to check, in its workspace.
#[derive(Clone)]
pub struct User {
    pub workspace: String,
    pub entry: Entry,
    /// The crate's name and version.
    pub package: String,
    /// The source of a crate that is beside the table.
    source: String,
}

/// One std to check against.
pub struct Std {
    pub library: LibraryId,
    pub sysroot: PathBuf,
}

impl<'a> Work<'a> {
    /// The work on those crates of the table, in the directory `beside`, that are wanted.
    pub fn new(
        session: &'a Session,
        list: &List,
        beside: &Path,
        wants: &dyn Fn(&Entry) -> bool,
    ) -> Result<Work<'a>> {
        let Session { compiler, dir, .. } = session;
        let mut workspaces = BTreeMap::new();
        let mut users = Vec::new();
        for (name, entries) in &list.workspace {
            let wanted: Vec<_> = entries.iter().filter(|entry| wants(entry)).collect();
            if wanted.is_empty() {
                continue;
            }
            let at = dir.join(name);
            let workspace = Workspace::write(compiler, beside, name, entries, at)?;
            let graph = Graph::of(compiler, &workspace)?;
            for entry in wanted {
                let package = graph.dependency(&entry.member(), &entry.name)?;
                let source = entry.source(beside)?;
                let (workspace, entry) = (name.clone(), entry.clone());
                users.push(User { workspace, entry, package, source });
            }
            workspaces.insert(name.clone(), (workspace, graph));
        }
        Ok(Work { session, workspaces, users })
    }

    /// Stops if the methods are behind their feature gate, where they can break nothing.
    pub fn require_stable(&self, library: &LibraryId) -> Result<()> {
        let text = self.session.tree.git.read(&["show", &format!("{library}:{FILE}")])?;
        let with_name = |head| with_names(&text, head, std::iter::empty());
        if with_name(SET).or(with_name(GET)).is_none() {
            bail!(
                "the series for {} leaves the methods behind their feature gate, so they break \
                 nothing. Say --base with the name of one that makes them stable",
                self.session.base.name
            );
        }
        Ok(())
    }

    pub fn workspace(&self, user: &User) -> &Workspace {
        &self.workspaces[&user.workspace].0
    }

    pub fn graph(&self, user: &User) -> &Graph {
        &self.workspaces[&user.workspace].1
    }

    /// The std of a state of library/. If there are `names`, its methods have all of them in place of
    /// their own.
    pub fn std(&self, library: &LibraryId, names: &[Names]) -> Result<Std> {
        let Session { compiler, dir, .. } = self.session;
        let commit = compiler.version_field("commit-hash")?;
        let mut id = format!("{library}-{commit}");
        for name in names {
            id += &format!("-{}", name.set);
        }
        let sysroot = dir.join("sysroots").join(id);
        if !sysroot.exists() {
            let workshop = Workshop::open(self.session, &compiler.host)?;
            workshop.sources.show(library)?;
            if !names.is_empty() {
                rename(&workshop.sources.library.join(FILE), names)?;
            }
            let step = Step::start(format!("type-checking std {}", &library[..9]));
            whole::make(&sysroot, |new| workshop.sysroot(Profile::Metadata, new))?;
            step.done();
        }
        Ok(Std { library: library.clone(), sysroot })
    }

    /// What comes of the user's crate with this std, from memory if it is there.
    pub fn outcome(&self, user: &User, std: &Std) -> Result<Outcome> {
        self.outcome_in(self.workspace(user), user, std)
    }

    /// The same in another form of the workspace.
    pub fn outcome_in(&self, workspace: &Workspace, user: &User, std: &Std) -> Result<Outcome> {
        let Session { compiler, dir, .. } = self.session;
        let member = user.entry.member();
        let manifest = fs::read_to_string(workspace.dir.join(&member).join("Cargo.toml"))?;
        let sysroot = std.sysroot.to_str().unwrap_or_default();
        let parts = [&*workspace.pinned, &manifest, &user.source, sysroot];
        Cache::of(&dir.join("results"), &parts).get_or(&member, || {
            check(compiler, workspace, &member, &std.sysroot, &dir.join("target"))
        })
    }
}

/// Gives the methods other names. Nothing else in std calls them.
fn rename(file: &Path, names: &[Names]) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let sets = names.iter().map(|names| names.set.as_str());
    let gets = names.iter().map(|names| names.get.as_str());
    let renamed = with_names(&text, SET, sets).and_then(|text| with_names(&text, GET, gets));
    let renamed = renamed.with_context(|| {
        format!("{} does not have each method once, with the attribute #[stable]", file.display())
    })?;
    Ok(fs::write(file, renamed)?)
}

/// The text with copies of a method, one for each name, in place of the method that begins with `head`.
fn with_names<'a>(text: &str, head: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let (before, rest) = text.split_once(head)?;
    let (body, after) = rest.split_once("\n    }\n")?;
    let stable = before.trim_end().lines().last().filter(|line| line.contains("#[stable"))?;
    if after.contains(head) {
        return None;
    }
    let own = head.strip_prefix("pub fn ")?.split('(').next()?;
    let copies = names.map(|name| format!("{}{body}\n    }}\n", head.replacen(own, name, 1)));
    let copies: Vec<_> = copies.collect();
    Some(format!("{before}{}{after}", copies.join(&format!("\n{stable}\n    "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_gets_several_names() {
        let text =
            "    #[stable(a)]\n    pub fn keepalive(&self) -> bool {\n        self.0\n    }\n}\n";
        let expected = "    #[stable(a)]\n    pub fn b(&self) -> bool {\n        self.0\n    }\n\n    \
                        #[stable(a)]\n    pub fn c(&self) -> bool {\n        self.0\n    }\n}\n";
        assert_eq!(with_names(text, GET, ["b", "c"].into_iter()).unwrap(), expected);
        // Behind its gate, a method breaks nothing, whatever its name.
        assert!(with_names(&text.replace("stable", "unstable"), GET, ["b"].into_iter()).is_none());
    }
}
