//! BENCHMARKS.md: a section for each measurement, replaced when it is made anew.

use std::path::PathBuf;

use anyhow::Result;
use fs_err as fs;

use crate::bench::machine;
use crate::project::{Project, display};

const PREAMBLE: &str = "\
# Benchmarks

Written by `cargo xtask bench`, and the contributor's clock by `cargo xtask bench --clock`; a run
replaces the sections that it measures. Nothing here is asserted by a test.
";

pub struct Report {
    path: PathBuf,
    text: String,
}

impl Report {
    pub fn open(project: &Project) -> Result<Report> {
        let path = project.root.join("BENCHMARKS.md");
        let text = if path.exists() { fs::read_to_string(&path)? } else { PREAMBLE.into() };
        Ok(Report { path, text })
    }

    /// Writes a section at once, so that what was measured before something fails is kept.
    pub fn section(&mut self, title: &str, body: &str) -> Result<()> {
        let measured = format!("Measured on {}.", machine::describe()?);
        self.text = with_section(&self.text, title, &format!("{measured}\n\n{}\n", body.trim()));
        Ok(fs::write(&self.path, &self.text)?)
    }

    pub fn done(self) {
        println!("{}\nwritten to {}", self.text, display(&self.path));
    }
}

/// `text` with the section under `title` replaced, or added at the end.
fn with_section(text: &str, title: &str, body: &str) -> String {
    let heading = format!("\n## {title}\n");
    let (before, after) = match text.split_once(&heading) {
        Some((before, rest)) => (before, rest.find("\n## ").map_or("", |next| &rest[next..])),
        None => (text, ""),
    };
    format!("{before}{heading}\n{body}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_added_and_replaced() {
        let one = with_section("# Title\n", "One", "first\n");
        assert_eq!(one, "# Title\n\n## One\n\nfirst\n");
        let both = with_section(&one, "Two", "second\n\n### Part\n");
        assert_eq!(both, "# Title\n\n## One\n\nfirst\n\n## Two\n\nsecond\n\n### Part\n");
        let replaced = with_section(&both, "One", "again\n");
        assert_eq!(replaced, "# Title\n\n## One\n\nagain\n\n## Two\n\nsecond\n\n### Part\n");
        assert_eq!(with_section(&replaced, "One", "again\n"), replaced);
        assert!(with_section(&replaced, "Two", "x\n").ends_with("## Two\n\nx\n"));
    }
}
