//! Starts the programs that the lab uses.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};

static VERBOSE: AtomicBool = AtomicBool::new(false);

pub fn print_commands() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// Runs a program with `input` as its standard input. Returns its standard output. The error
/// contains its standard error.
pub fn run(command: &mut Command, input: &str) -> Result<String> {
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()), input)?;
    // A program that fails may not read all of its input.
    let _ = child.stdin.take().expect("stdin is a pipe").write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{command:?} failed ({status}): {}", stderr.trim());
    Ok(String::from_utf8(stdout)?)
}

/// Starts a program whose standard input is a pipe. `--verbose` prints `input` with the command.
pub fn spawn(command: &mut Command, input: &str) -> Result<Child> {
    if VERBOSE.load(Ordering::Relaxed) {
        let here_document = match input {
            "" => String::new(),
            text => format!(" <<'END'\n{}\nEND", text.trim_end()),
        };
        eprintln!("{command:?}{here_document}");
    }
    command.stdin(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_has_the_command_and_its_standard_error() {
        let error = run(Command::new("sh").args(["-c", "cat >&2; exit 5"]), "no such thing");
        let error = error.unwrap_err().to_string();
        let expected = r#""sh" "-c" "cat >&2; exit 5" failed (exit status: 5): no such thing"#;
        assert_eq!(error, expected);
    }
}
