//! Tells the verdicts of checks, a line each. All of them run, whatever comes of the others.

use anyhow::{Result, bail};

/// The verdicts so far.
pub struct Checks {
    name: &'static str,
    complaint: &'static str,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Checks {
    /// `name` is whose checks these are; `complaint` is the error if one of them fails.
    pub fn new(name: &'static str, complaint: &'static str) -> Checks {
        Checks { name, complaint, passed: 0, failed: 0, skipped: 0 }
    }

    pub fn add(&mut self, name: &str, verdict: Result<()>) {
        match verdict {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {name}");
            }
            Err(error) => {
                self.failed += 1;
                println!(
                    "FAILED  {name}\n        {}",
                    format!("{error:#}").replace('\n', "\n        ")
                );
            }
        }
    }

    pub fn skip(&mut self, what: &str) {
        self.skipped += 1;
        println!("not run {what}");
    }

    pub fn finish(self) -> Result<()> {
        let Checks { name, complaint, passed, failed, skipped } = self;
        println!("{name}: {passed} passed, {failed} failed, {skipped} skipped");
        if failed > 0 {
            bail!("{complaint}");
        }
        Ok(())
    }
}
