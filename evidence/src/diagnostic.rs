//! Reads the messages of cargo and the compiler, and compares those of two builds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::diagnostic::{Diagnostic as Message, DiagnosticLevel};
use cargo_metadata::{Artifact, Message as Line};

/// A message of the compiler. Two builds are compared by `identity`, because the rendered text has line numbers, which
/// change with every edit.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub identity: Identity,
    /// The text that the compiler prints, with the lines of the source.
    pub rendered: String,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    pub is_error: bool,
    pub code: Option<String>,
    pub message: String,
    /// The path that `portable` returns.
    pub file: Option<String>,
}

impl Diagnostic {
    pub fn is_error(&self) -> bool {
        self.identity.is_error
    }
}

/// Returns the diagnostics that `series` has and `base` lacks. If `series` has a diagnostic twice and `base` has it once,
/// it is returned once. If the base has errors and the series has none, warnings do not count: the compiler looks for
/// most warnings only if there is no error, so the base may have them, too.
pub fn added<'a>(base: &[Diagnostic], series: &'a [Diagnostic]) -> Vec<&'a Diagnostic> {
    let mut known = BTreeMap::<&Identity, usize>::new();
    for diagnostic in base {
        *known.entry(&diagnostic.identity).or_default() += 1;
    }
    let is_fixed =
        base.iter().any(Diagnostic::is_error) && !series.iter().any(Diagnostic::is_error);
    let relevant = series.iter().filter(|diagnostic| diagnostic.is_error() || !is_fixed);
    relevant
        .filter(|diagnostic| match known.get_mut(&diagnostic.identity) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .collect()
}

/// The messages of a build with `--message-format=json`.
#[derive(Default)]
pub struct Messages {
    pub diagnostics: Vec<Diagnostic>,
    pub artifacts: Vec<Artifact>,
}

/// Reads cargo's standard output; `library` is the directory of std's sources. Skips lines of text, which build scripts
/// and linkers may print.
pub fn read(stdout: &[u8], library: &Path) -> Result<Messages> {
    let mut messages = Messages::default();
    for line in String::from_utf8_lossy(stdout).lines().filter(|line| line.starts_with('{')) {
        match serde_json::from_str(line).with_context(|| format!("not cargo's JSON: {line}"))? {
            Line::CompilerMessage(line) => {
                messages.diagnostics.extend(diagnostic(line.message, library))
            }
            Line::CompilerArtifact(artifact) => messages.artifacts.push(artifact),
            _ => {}
        }
    }
    Ok(messages)
}

/// Reads the standard error of rustc with `--error-format=json`. Skips lines of text, which LLVM prints about a processor
/// that it does not know.
pub fn read_rustc(stderr: &[u8], library: &Path) -> Result<Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    for line in String::from_utf8_lossy(stderr).lines().filter(|line| line.starts_with('{')) {
        let message = serde_json::from_str(line);
        let message = message.with_context(|| format!("not the compiler's JSON: {line}"))?;
        diagnostics.extend(diagnostic(message, library));
    }
    Ok(diagnostics)
}

/// Returns the texts that the compiler prints.
pub fn rendered<'d>(diagnostics: impl IntoIterator<Item = &'d Diagnostic>) -> String {
    let rendered = diagnostics.into_iter().map(|diagnostic| &*diagnostic.rendered);
    rendered.collect::<Vec<_>>().join("\n")
}

/// Returns the last 60 lines of a program's output.
pub fn last_lines(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Returns the message with a path that is the same on every machine. Returns `None` for a message that only counts
/// other messages, and for a failure note.
fn diagnostic(message: Message, library: &Path) -> Option<Diagnostic> {
    let is_count = message.code.is_none()
        && message.spans.is_empty()
        && (message.message.starts_with("aborting due to")
            || message.message.contains("warning emitted")
            || message.message.contains("warnings emitted"));
    if is_count || message.level == DiagnosticLevel::FailureNote {
        return None;
    }
    let primary = message.spans.iter().find(|span| span.is_primary);
    let absolute = format!("{}/", library.display());
    let identity = Identity {
        is_error: matches!(message.level, DiagnosticLevel::Error | DiagnosticLevel::Ice),
        code: message.code.map(|code| code.code),
        message: message.message.replace(&absolute, "library/"),
        file: primary.map(|span| portable(&span.file_name, &absolute)),
    };
    let rendered = message.rendered.unwrap_or_default().replace(&absolute, "library/");
    Some(Diagnostic { identity, rendered })
}

/// Returns the path without the part that depends on the machine. `library` ends with a slash.
fn portable(file: &str, library: &str) -> String {
    if let Some(rest) = file.strip_prefix(library) {
        return format!("library/{rest}");
    }
    if let Some(registry) = registry(file) {
        return file[registry.len()..].to_owned();
    }
    // The compiler runs in library/.
    if Path::new(file).is_relative() { format!("library/{file}") } else { file.to_owned() }
}

/// Returns the part before the package's directory in the path of a file that cargo downloaded.
pub fn registry(path: &str) -> Option<&str> {
    let packages = path.find("/registry/src/")? + "/registry/src/".len();
    Some(&path[..packages + path[packages..].find('/')? + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> Diagnostic {
        let identity = Identity {
            is_error: true,
            code: Some("E0425".into()),
            message: message.into(),
            file: Some("unix.rs".into()),
        };
        Diagnostic { identity, rendered: String::new() }
    }

    /// std of 1.95.0 does not compile for NuttX. So a check that only counts targets with errors would not show the
    /// error that a missing constant adds.
    #[test]
    fn error_on_a_broken_target_is_new() {
        let (known, constant) = (error("no `_SC_HOST_NAME_MAX`"), error("no `SO_KEEPALIVE`"));
        let series = [constant.clone(), known.clone(), constant];
        let new = added(std::slice::from_ref(&known), &series);
        let new: Vec<_> = new.iter().map(|diagnostic| &*diagnostic.identity.message).collect();
        assert_eq!(new, ["no `SO_KEEPALIVE`"; 2]);
        assert_eq!(
            added(&[known.clone(), known.clone()], &[(); 3].map(|()| known.clone())).len(),
            1
        );
    }

    #[test]
    fn every_part_of_the_identity_counts() {
        let base = [error("mismatched types")];
        let other = |change: fn(&mut Identity)| {
            let mut other = base[0].clone();
            change(&mut other.identity);
            // With the error of the base, because without it, a warning would not count.
            added(&base, &[other, base[0].clone()]).len()
        };
        assert_eq!(other(|_| {}), 1);
        assert_eq!(other(|identity| identity.code = None), 1);
        assert_eq!(other(|identity| identity.message = "other types".into()), 1);
        assert_eq!(other(|identity| identity.file = Some("solid.rs".into())), 1);
        assert_eq!(other(|identity| identity.is_error = false), 1);
        assert!(added(&base, &base).is_empty());
    }

    #[test]
    fn warning_counts_unless_an_error_may_have_hidden_it() {
        let (error, mut warning) = ([error("cannot find value `A`")], [error("unused")]);
        warning[0].identity.is_error = false;
        assert_eq!(added(&[], &warning).len(), 1);
        assert!(added(&error, &warning).is_empty());
        assert_eq!(added(&error, &[error.clone(), warning].concat()).len(), 1);
    }

    /// Reads a line of text and a message of cargo.
    fn parse(level: &str, message: &str, code: &str, spans: &str) -> Option<Diagnostic> {
        let line = format!(
            "cargo: text\n{{\"reason\": \"compiler-message\", \"package_id\": \"p\", \"manifest_path\": \"\", \
             \"target\": {{\"name\": \"std\", \"kind\": [\"lib\"], \"src_path\": \"\"}}, \"message\": \
             {{\"rendered\": \"no\\n --> /b/library/std/src/a.rs:4:5\\n\", \"level\": \"{level}\", \
             \"message\": \"{message}\", \"code\": {code}, \"spans\": [{spans}], \"children\": []}}}}\n"
        );
        read(line.as_bytes(), Path::new("/b/library")).unwrap().diagnostics.pop()
    }

    #[test]
    fn messages_of_cargo_become_diagnostics() {
        let span = |file: &str, is_primary: bool| {
            format!(
                "{{\"file_name\": \"{file}\", \"is_primary\": {is_primary}, \"byte_start\": 0, \"byte_end\": 1, \
                 \"line_start\": 4, \"line_end\": 4, \"column_start\": 5, \"column_end\": 6, \"text\": []}}"
            )
        };
        let spans = [span("core/src/b.rs", false), span("std/src/a.rs", true)].join(", ");
        let code = r#"{"code": "E0425", "explanation": null}"#;
        let diagnostic = parse("error", "no", code, &spans).unwrap();
        assert!(diagnostic.is_error());
        assert_eq!(diagnostic.identity.code.as_deref(), Some("E0425"));
        assert_eq!(diagnostic.identity.file.as_deref(), Some("library/std/src/a.rs"));
        assert_eq!(diagnostic.rendered, "no\n --> library/std/src/a.rs:4:5\n");
        // These messages count other messages, or are failure notes.
        assert!(parse("error", "aborting due to 2 previous errors", "null", "").is_none());
        assert!(parse("warning", "1 warning emitted", "null", "").is_none());
        assert!(parse("failure-note", "For more information, try ...", "null", "").is_none());
        assert!(parse("error", "linking failed", "null", "").is_some());
        assert!(read(b"{\"reason\": ", Path::new("")).is_err());
    }

    #[test]
    fn paths_are_the_same_on_every_machine() {
        for (path, expected) in [
            ("/b/library/std/src/a.rs", "library/std/src/a.rs"),
            ("std/src/a.rs", "library/std/src/a.rs"),
            (
                "/home/u/.cargo/registry/src/index-0123/libc-0.2.178/src/a.rs",
                "libc-0.2.178/src/a.rs",
            ),
            ("/rustc/abc/library/core/src/a.rs", "/rustc/abc/library/core/src/a.rs"),
        ] {
            assert_eq!(portable(path, "/b/library/"), expected);
        }
    }
}
