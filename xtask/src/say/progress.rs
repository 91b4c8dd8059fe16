//! Tells the user what takes time: a line a step, and on a terminal the seconds as they pass.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A step that is under way until it is dropped.
pub struct Step {
    /// Dropped, the sender ends the thread.
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

    pub fn done(self) {}
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some((sender, clock)) = self.clock.take() {
            drop(sender);
            // Nothing else is printed before the line's end.
            let _ = clock.join();
        }
    }
}
