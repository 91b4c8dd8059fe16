//! Starts the programs that the lab uses.

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};

static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Makes this module print each command on standard error before it starts the command.
pub fn print_commands() {
    VERBOSE.store(true, Ordering::Relaxed);
}

pub fn prints_commands() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// Returns a command that is also searched in `/usr/sbin`, which ordinary users' `PATH` may lack.
pub fn administrative(program: &str) -> Command {
    let path = env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    if !env::split_paths(&path).any(|directory| directory == Path::new("/usr/sbin")) {
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    }
    command
}

/// Starts a program. Returns its standard input and output, too.
pub fn start(command: &mut Command) -> Result<(Child, ChildStdin, ChildStdout)> {
    let mut child = spawn(command, "")?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    Ok((child, stdin.expect("spawn pipes it"), stdout.expect("spawn pipes it")))
}

/// Runs a program with `input` as its standard input. Returns its standard output.
///
/// # Errors
///
/// Returns an error if the program cannot be started, and the program's standard error if it
/// fails.
pub fn run(command: &mut Command, input: &str) -> Result<String> {
    let mut child = spawn(command.stderr(Stdio::piped()), input)?;
    // A program that fails may not read all of its input. Its exit status is checked below.
    let _ = child.stdin.take().expect("spawn pipes it").write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "`{}` failed ({status}): {}", as_typed(command), stderr.trim());
    Ok(String::from_utf8(stdout)?)
}

fn spawn(command: &mut Command, input: &str) -> Result<Child> {
    if prints_commands() {
        let here_document = match input {
            "" => String::new(),
            text => format!(" <<'END'\n{}\nEND", text.trim_end()),
        };
        eprintln!("{}{here_document}", as_typed(command));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().with_context(|| format!("`{}` cannot be started", as_typed(command)))
}

/// Returns the command in a shell's syntax.
fn as_typed(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let words = [command.get_program()].into_iter().chain(command.get_args()).map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_printed_in_shell_syntax() {
        let mut command = Command::new("rustc");
        command.args(["--edition", "2024", "it's", ""]).env("A", "b c");
        assert_eq!(as_typed(&command), r"A='b c' rustc --edition 2024 'it'\''s' ''");
    }

    #[test]
    fn error_has_the_command_and_its_standard_error() {
        let error = run(Command::new("sh").args(["-c", "cat >&2; exit 5"]), "no such thing");
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "`sh -c 'cat >&2; exit 5'` failed (exit status: 5): no such thing");
    }
}
