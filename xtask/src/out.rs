//! Prints progress, one line for each step, with the elapsed seconds on a terminal. Formats paths for messages.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A step that lasts until it is dropped.
pub struct Step {
    /// The thread ends when the sender is dropped.
    clock: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Step {
    pub fn start(message: impl Into<String>) -> Step {
        eprintln!("{}", message.into());
        let clock = stderr().is_terminal().then(|| {
            let (sender, ended) = channel::<()>();
            let started = Instant::now();
            let show = move || {
                let mut end = "";
                while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                    eprint!("\r  {} s", started.elapsed().as_secs());
                    end = "\n";
                }
                eprint!("{end}");
            };
            (sender, thread::spawn(show))
        });
        Step { clock }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some((sender, clock)) = self.clock.take() {
            drop(sender);
            let _ = clock.join();
        }
    }
}

/// Returns `path` for a message: relative to the current directory if it is in there, and quoted for a shell if
/// necessary.
pub fn shown(path: &Path) -> String {
    let current = std::env::current_dir().ok();
    let relative = current.as_deref().and_then(|dir| path.strip_prefix(dir).ok()).unwrap_or(path);
    let text = relative.display().to_string();
    let text = if text.is_empty() { ".".to_owned() } else { text };
    shlex::try_quote(&text).map_or(text.clone(), |quoted| quoted.into_owned())
}
