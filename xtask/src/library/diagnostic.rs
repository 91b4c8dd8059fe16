//! Reads what cargo and the compiler say of a build, so that two builds can be compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A message of the compiler. What tells it from others is all but the rendered text: line numbers
/// move with every edit and mean nothing.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Diagnostic {
    #[serde(flatten)]
    pub identity: Identity,
    /// As the compiler shows it to people, with the lines it is about.
    pub rendered: String,
    /// Cargo's name for the package that it is about, if cargo said.
    #[serde(default)]
    pub package_id: String,
}

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Identity {
    pub level: String,
    pub code: Option<String>,
    pub message: String,
    /// From `library/` on, or from the crate's name on.
    pub file: Option<String>,
}

impl Diagnostic {
    pub fn is_error(&self) -> bool {
        self.identity.level.starts_with("error")
    }
}

/// The diagnostics that `series` has and `base` lacks. One that is there twice in `series` and once
/// in `base` is new once. Where the series mends a target, warnings do not count: the compiler looks
/// for most of them only once there is no error, so they may have been there all along.
pub fn added<'a>(base: &[Diagnostic], series: &'a [Diagnostic]) -> Vec<&'a Diagnostic> {
    let mut known = BTreeMap::<&Identity, usize>::new();
    for diagnostic in base {
        *known.entry(&diagnostic.identity).or_default() += 1;
    }
    let mended = base.iter().any(Diagnostic::is_error) && !series.iter().any(Diagnostic::is_error);
    series
        .iter()
        .filter(|diagnostic| diagnostic.is_error() || !mended)
        .filter(|diagnostic| match known.get_mut(&diagnostic.identity) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .collect()
}

/// What cargo said of a build with `--message-format=json`.
#[derive(Default)]
pub struct Said {
    pub diagnostics: Vec<Diagnostic>,
    pub artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
pub struct Artifact {
    #[serde(default)]
    pub package_id: String,
    pub target: CargoTarget,
    pub filenames: Vec<PathBuf>,
    pub executable: Option<PathBuf>,
}

#[derive(Deserialize)]
pub struct CargoTarget {
    pub name: String,
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Line {
    CompilerMessage {
        #[serde(default)]
        package_id: String,
        message: Message,
    },
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

/// Reads cargo's standard output; `library` is where std's sources are. Lines that are not cargo's
/// are passed over: a build script or a linker may print some.
pub fn read(stdout: &[u8], library: &Path) -> Said {
    let mut said = Said::default();
    for line in String::from_utf8_lossy(stdout).lines() {
        match serde_json::from_str(line) {
            Ok(Line::CompilerMessage { package_id, message }) => {
                let diagnostic = message.into_diagnostic(library);
                said.diagnostics
                    .extend(diagnostic.map(|diagnostic| Diagnostic { package_id, ..diagnostic }));
            }
            Ok(Line::CompilerArtifact(artifact)) => said.artifacts.push(artifact),
            Ok(Line::Other) | Err(_) => {}
        }
    }
    said
}

/// Reads what rustc wrote to standard error, with `--error-format=json`. LLVM has no part in the format:
/// of a processor that it does not know, it says so as it is.
pub fn read_rustc(stderr: &[u8], library: &Path) -> Vec<Diagnostic> {
    let stderr = String::from_utf8_lossy(stderr);
    let messages = stderr.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages.filter_map(|message| message.into_diagnostic(library)).collect()
}

impl Said {
    /// The compiler's errors as it shows them, or else the last lines that cargo wrote to `stderr`.
    pub fn errors(&self, stderr: &[u8]) -> String {
        let errors = self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
        let errors: Vec<_> = errors.map(|error| error.rendered.as_str()).collect();
        if errors.is_empty() { ending(&String::from_utf8_lossy(stderr)) } else { errors.join("\n") }
    }
}

/// The last lines of what a program printed.
pub fn ending(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A message in rustc's JSON format.
#[derive(Deserialize)]
struct Message {
    level: String,
    code: Option<Code>,
    message: String,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    is_primary: bool,
}

impl Message {
    /// The message with paths as they are on every machine; `None` for those that only sum up
    /// others.
    fn into_diagnostic(self, library: &Path) -> Option<Diagnostic> {
        let sums_up = self.code.is_none()
            && self.spans.is_empty()
            && (self.message.starts_with("aborting due to")
                || self.message.contains("warning emitted")
                || self.message.contains("warnings emitted"));
        if sums_up || self.level == "failure-note" {
            return None;
        }
        let primary = self.spans.iter().find(|span| span.is_primary);
        let absolute = format!("{}/", library.display());
        let identity = Identity {
            level: self.level,
            code: self.code.map(|code| code.code),
            message: self.message.replace(&absolute, "library/"),
            file: primary.map(|span| portable(&span.file_name, &absolute)),
        };
        let rendered = self.rendered.unwrap_or_default().replace(&absolute, "library/");
        Some(Diagnostic { identity, rendered, package_id: String::new() })
    }
}

/// `file` without what depends on the machine. `library` ends with a slash.
fn portable(file: &str, library: &str) -> String {
    if let Some(rest) = file.strip_prefix(library) {
        return format!("library/{rest}");
    }
    if let Some((_, rest)) = file.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, rest)| rest).to_owned();
    }
    // The compiler runs in library/.
    if Path::new(file).is_relative() { format!("library/{file}") } else { file.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error on one line or another.
    fn error(message: &str, line: u32) -> Diagnostic {
        let identity = Identity {
            level: "error".into(),
            code: Some("E0425".into()),
            message: message.into(),
            file: Some("unix.rs".into()),
        };
        let rendered = format!("{message} at unix.rs:{line}");
        Diagnostic { identity, rendered, package_id: String::new() }
    }

    /// 1.95.0 does not compile for NuttX before any change: counting broken targets, or only asking
    /// whether a target compiles, would not show what the missing constant adds.
    #[test]
    fn error_on_a_broken_target_is_new() {
        let known = error("cannot find value `_SC_HOST_NAME_MAX`", 10);
        let constant = error("cannot find value `SO_KEEPALIVE`", 470);
        let series = [constant.clone(), known.clone(), constant];
        let new = added(std::slice::from_ref(&known), &series);
        let new: Vec<_> = new.iter().map(|diagnostic| &*diagnostic.identity.message).collect();
        assert_eq!(new, ["cannot find value `SO_KEEPALIVE`"; 2]);
    }

    #[test]
    fn one_more_of_the_same_is_new_and_a_moved_one_is_not() {
        let [one, moved] = [10, 99].map(|line| error("mismatched types", line));
        assert_eq!(added(&[one.clone(), one.clone()], &[(); 3].map(|()| one.clone())).len(), 1);
        assert!(added(&[one.clone(), one], &[moved]).is_empty());
    }

    #[test]
    fn every_part_of_the_identity_counts() {
        let base = error("mismatched types", 10);
        let other = |change: fn(&mut Identity)| {
            let mut other = base.clone();
            change(&mut other.identity);
            other
        };
        let others = [
            other(|identity| identity.code = None),
            other(|identity| identity.message = "other types".into()),
            other(|identity| identity.file = Some("solid.rs".into())),
            other(|identity| identity.level = "warning".into()),
        ];
        assert_eq!(added(&[base], &others).len(), others.len());
    }

    #[test]
    fn warning_counts_unless_an_error_may_have_hidden_it() {
        let error = [error("cannot find value `A`", 10)];
        let mut warning = error.clone();
        warning[0].identity.level = "warning".into();
        assert_eq!(added(&[], &warning).len(), 1);
        assert!(added(&error, &warning).is_empty());
        assert_eq!(added(&error, &[error.clone(), warning].concat()).len(), 1);
    }

    fn parse(json: &str) -> Option<Diagnostic> {
        let json = json.replace('\n', "");
        read(json.as_bytes(), Path::new("/b/library")).diagnostics.pop()
    }

    #[test]
    fn other_lines_are_passed_over() {
        let output = "cargo: not JSON\n{\"odd\": 1}\n{\"reason\": \"compiler-artifact\", \"target\": \
                      {\"name\": \"std\"}, \"filenames\": [\"/b/libstd.rmeta\"]}\n";
        let said = read(output.as_bytes(), Path::new("/b/library"));
        assert_eq!(said.artifacts.len(), 1);
        assert_eq!(said.artifacts[0].target.name, "std");
        assert_eq!(said.errors(b"error: no linker\n"), "error: no linker");
    }

    #[test]
    fn cargo_line_becomes_a_diagnostic() {
        let json = r#"{"reason": "compiler-message", "package_id": "p", "target": {"name": "std"},
            "message": {"rendered": "error[E0425]: no\n --> /b/library/std/src/a.rs:4:5\n",
                "level": "error", "message": "no", "code": {"code": "E0425", "explanation": null},
                "spans": [{"file_name": "core/src/b.rs", "is_primary": false, "line_start": 1},
                          {"file_name": "std/src/a.rs", "is_primary": true, "line_start": 4}],
                "children": []}}"#;
        let diagnostic = parse(json).unwrap();
        assert!(diagnostic.is_error());
        assert_eq!(diagnostic.identity.code.as_deref(), Some("E0425"));
        assert_eq!(diagnostic.identity.file.as_deref(), Some("library/std/src/a.rs"));
        assert_eq!(diagnostic.rendered, "error[E0425]: no\n --> library/std/src/a.rs:4:5\n");
    }

    #[test]
    fn summaries_are_no_diagnostics() {
        let line = |level: &str, text: &str| {
            format!(
                r#"{{"reason": "compiler-message", "message": {{"rendered": "", "level": "{level}",
                    "message": "{text}", "code": null, "spans": [], "children": []}}}}"#
            )
        };
        assert!(parse(&line("error", "aborting due to 2 previous errors")).is_none());
        assert!(parse(&line("warning", "1 warning emitted")).is_none());
        assert!(parse(&line("failure-note", "For more information, try ...")).is_none());
        assert!(parse(&line("error", "linking failed")).is_some());
    }

    #[test]
    fn paths_lose_what_depends_on_the_machine() {
        let portable = |file| portable(file, "/b/library/");
        assert_eq!(portable("/b/library/std/src/a.rs"), "library/std/src/a.rs");
        assert_eq!(portable("std/src/a.rs"), "library/std/src/a.rs");
        let cached = "/home/u/.cargo/registry/src/index-0123/libc-0.2.178/src/lib.rs";
        assert_eq!(portable(cached), "libc-0.2.178/src/lib.rs");
        assert_eq!(
            portable("/rustc/abc/library/core/src/a.rs"),
            "/rustc/abc/library/core/src/a.rs"
        );
    }
}
