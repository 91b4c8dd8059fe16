//! Type-checks one crate of the table, with all that it depends on, against one std.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::list::{Workspace, cargo};
use crate::compiler::Compiler;
use crate::library::diagnostic::{self, Diagnostic, ending};
use crate::run::command::CommandExt;

/// A compiler's message about a package.
#[derive(Clone, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Found {
    /// The package's name and version.
    pub package: String,
    /// File and line, from the package's directory on.
    pub place: String,
    /// The error's code, such as E0308, and what it says.
    pub message: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Found { package, place, message } = self;
        write!(f, "{package}, {place}, {message}")
    }
}

#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// Whether the crate was checked to its end.
    pub built: bool,
    pub errors: BTreeSet<Found>,
    /// Calls that the lint `unstable_name_collisions` warns of, because of this feature.
    pub collisions: BTreeSet<Found>,
    /// The packages that compile, by name and version.
    pub compiled: BTreeSet<String>,
}

/// Checks a workspace's package against the std in `sysroot`.
pub fn check(
    compiler: &Compiler,
    workspace: &Workspace,
    member: &str,
    sysroot: &Path,
    target_dir: &Path,
) -> Result<Outcome> {
    let output = cargo(compiler, &workspace.dir, "check")
        .args(["--offline", "--locked", "--keep-going", "--message-format=json"])
        // So much that cargo does not silence the warnings of dependencies either.
        .arg("-vv")
        // Build scripts and macros run on this machine: they are compiled with the compiler's own std.
        .args(["--target", &compiler.host, "--package", member, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", format!("--sysroot\x1f{}", sysroot.display()))
        .answer()?;
    let said = diagnostic::read(&output.stdout, &workspace.dir);
    let mut outcome = Outcome { built: output.status.success(), ..Outcome::default() };
    for diagnostic in said.diagnostics {
        let package = name_and_version(&diagnostic.package_id);
        let place = place(&diagnostic.rendered, &package);
        if diagnostic.is_error() {
            let message = headline(&diagnostic);
            outcome.errors.insert(Found { package, place, message });
        } else if collides(&diagnostic) {
            let message = diagnostic.identity.message;
            outcome.collisions.insert(Found { package, place, message });
        }
    }
    outcome.compiled = said.artifacts.iter().map(|a| name_and_version(&a.package_id)).collect();
    if !outcome.built && outcome.errors.is_empty() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let Some(found) = failed_script(&stderr) else {
            bail!("cargo failed without an error of the compiler:\n{}", ending(&stderr));
        };
        outcome.errors.insert(found);
    }
    Ok(outcome)
}

/// The build script that cargo says has failed, if it says so.
fn failed_script(stderr: &str) -> Option<Found> {
    let (_, rest) = stderr.split_once("failed to run custom build command for `")?;
    let package = rest.split('`').next()?.replace(" v", " ");
    let message = "its build script fails".into();
    Some(Found { package, place: "build.rs".into(), message })
}

/// Whether the warning is about a call that the methods will take over.
fn collides(diagnostic: &Diagnostic) -> bool {
    diagnostic.identity.code.as_deref() == Some("unstable_name_collisions")
        && diagnostic.rendered.contains("keepalive")
}

fn headline(diagnostic: &Diagnostic) -> String {
    let code = diagnostic.identity.code.as_deref().unwrap_or("error");
    format!("{code}: {}", without_registry(&diagnostic.identity.message))
}

/// The text with paths that begin in cargo's registry of this machine from the package on.
fn without_registry(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/registry/src/") {
        let start = before.rfind(['`', '@', ' ', '"']).map_or(0, |at| at + 1);
        short += &before[..start];
        rest = after.split_once('/').map_or(after, |(_, file)| file);
    }
    short + rest
}

/// The package's name and version, from cargo's id, which ends with `#name@version`, or with
/// `/name#version`.
pub fn name_and_version(id: &str) -> String {
    let (source, rest) = id.rsplit_once('#').unwrap_or(("", id));
    match rest.split_once('@') {
        Some((name, version)) => format!("{name} {version}"),
        None => format!("{} {rest}", source.rsplit('/').next().unwrap_or(source)),
    }
}

/// Where the message points to, from the package's directory on.
fn place(rendered: &str, package: &str) -> String {
    let arrow = rendered.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
    let place = arrow.unwrap_or_default();
    // Without the column.
    let place = place.rsplit_once(':').map_or(place, |(place, _)| place);
    // A package from the registry is in a directory with its version, one beside the table is not.
    let name = package.split(' ').next().unwrap_or_default();
    let directories = [format!("/{}/", package.replace(' ', "-")), format!("/{name}/")];
    let file = directories.iter().find_map(|directory| Some(place.rsplit_once(directory)?.1));
    file.unwrap_or(place).to_owned()
}

/// What depends on what in a workspace, and where the sources are.
pub struct Graph {
    /// By name and version.
    dependencies: BTreeMap<String, Vec<String>>,
    pub sources: BTreeMap<String, PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

impl Graph {
    pub fn of(compiler: &Compiler, workspace: &Workspace) -> Result<Graph> {
        let json = cargo(compiler, &workspace.dir, "metadata")
            .args(["--format-version=1", "--offline", "--locked"])
            .args(["--filter-platform", &compiler.host])
            .read()?;
        let metadata: Metadata = serde_json::from_str(&json)?;
        let name = |id: &String| name_and_version(id);
        let nodes = metadata.resolve.nodes.iter();
        let packages = metadata.packages.into_iter();
        Ok(Graph {
            dependencies: nodes
                .map(|node| (name(&node.id), node.dependencies.iter().map(name).collect()))
                .collect(),
            sources: packages
                .filter_map(|p| Some((name(&p.id), p.manifest_path.parent()?.to_owned())))
                .collect(),
        })
    }

    /// The version that the crate `name` has for `member`, after the name.
    pub fn dependency(&self, member: &str, name: &str) -> Result<String> {
        let dependencies = self.dependencies.get(&format!("{member} 0.0.0"));
        let is_it = |d: &&String| d.split_once(' ').is_some_and(|(n, _)| n == name);
        let found = dependencies.into_iter().flatten().find(is_it).cloned();
        found.with_context(|| format!("{member} does not depend on {name}"))
    }

    /// The shortest way from one package down to another, through such as do not compile.
    pub fn path(&self, from: &str, to: &str, compiled: &BTreeSet<String>) -> Vec<String> {
        let mut reached_from = BTreeMap::<&str, &str>::new();
        let mut queue = VecDeque::from([from]);
        while let Some(package) = queue.pop_front() {
            if package == to {
                let up = std::iter::successors(Some(package), |p| reached_from.get(p).copied());
                return up.map(Into::into).collect();
            }
            for dependency in self.dependencies.get(package).into_iter().flatten() {
                let seen = dependency == from || reached_from.contains_key(dependency.as_str());
                if !seen && !compiled.contains(dependency) {
                    reached_from.insert(dependency, package);
                    queue.push_back(dependency);
                }
            }
        }
        vec![to.to_owned(), from.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_by_name_and_version() {
        let registry = "registry+https://example.org/index#mio@0.6.23";
        assert_eq!(name_and_version(registry), "mio 0.6.23");
        assert_eq!(name_and_version("path+file:///a/b/tokio-user#0.0.0"), "tokio-user 0.0.0");
    }

    #[test]
    fn places_lose_what_depends_on_the_machine() {
        let rendered =
            "error[E0308]: mismatched types\n  --> /r/src/i-0/mio-0.6.23/src/a.rs:92:34\n";
        assert_eq!(place(rendered, "mio 0.6.23"), "src/a.rs:92");
        assert_eq!(
            place(" --> /c/made-up/same-type/src/lib.rs:9:5", "same-type 0.0.0"),
            "src/lib.rs:9"
        );
        assert_eq!(place("error: linking failed", "mio 0.6.23"), "");
    }

    #[test]
    fn messages_lose_what_depends_on_the_machine() {
        let message = "no method for `async` block `{async block@/h/registry/src/i-0/a-1/a.rs:9}`";
        let short = "no method for `async` block `{async block@a-1/a.rs:9}`";
        assert_eq!(without_registry(message), short);
        assert_eq!(without_registry("mismatched types"), "mismatched types");
    }

    #[test]
    fn way_leads_through_what_does_not_compile() {
        let dependencies =
            [("a", vec!["b", "c"]), ("b", vec!["d"]), ("c", vec!["e"]), ("e", vec!["d"])];
        let own = |(name, list): (&str, Vec<&str>)| {
            (name.to_owned(), list.into_iter().map(String::from).collect())
        };
        let graph = Graph { dependencies: dependencies.map(own).into(), sources: BTreeMap::new() };
        assert_eq!(graph.path("a", "d", &BTreeSet::new()), ["d", "b", "a"]);
        assert_eq!(graph.path("a", "d", &BTreeSet::from(["b".into()])), ["d", "e", "c", "a"]);
    }
}
