//! Tells the user what takes time: a bar on a terminal, one line a step elsewhere.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// A step that is under way. Its line says how long it took once it is done.
pub struct Step {
    message: String,
    started: Instant,
    bar: ProgressBar,
}

impl Step {
    /// A step whose length is not known.
    pub fn start(message: impl Into<String>) -> Step {
        Step::with_bar(message.into(), ProgressBar::new_spinner(), "{spinner} {msg} [{elapsed}]")
    }

    /// A step that works through `count` things.
    pub fn start_count(message: impl Into<String>, count: usize) -> Step {
        let template = "{spinner} {msg} {bar:30} {pos}/{len} [{elapsed}]";
        Step::with_bar(message.into(), ProgressBar::new(count as u64), template)
    }

    /// One of the things that are counted is done.
    pub fn one_done(&self, what: &str) {
        self.bar.inc(1);
        if self.bar.is_hidden() {
            let (position, length) = (self.bar.position(), self.bar.length().unwrap_or(0));
            eprintln!("[{position}/{length}] {what}");
        }
    }

    fn with_bar(message: String, bar: ProgressBar, template: &str) -> Step {
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
        if bar.is_hidden() {
            eprintln!("{message}");
        }
        bar.set_message(message.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        Step { message, started: Instant::now(), bar }
    }

    pub fn done(self) {
        let visible = !self.bar.is_hidden();
        self.bar.finish_and_clear();
        if visible {
            eprintln!("{} ({})", self.message, HumanDuration(self.started.elapsed()));
        }
    }
}
