//! Finds code fences in documentation that are never closed.
//!
//! Markdown closes such a fence at the end of the comment, so rustdoc and doctests report nothing. Text that somebody
//! adds below the example becomes part of the example.

/// Returns the numbers of the lines on which a code fence opens that is not closed before the next fence or the end of
/// the comment. Knows what std uses: fences of backticks, in line comments.
pub fn unclosed(source: &str) -> Vec<usize> {
    let mut unclosed = Vec::new();
    let (mut comment, mut open) = (None, None);
    for (number, line) in (1..).zip(source.lines().map(str::trim_start)) {
        // An attribute may stand between the lines of one comment.
        if line.starts_with("#[") {
            continue;
        }
        let before = comment;
        comment = ["///", "//!"].into_iter().find(|mark| line.starts_with(mark));
        if comment != before {
            unclosed.extend(open.take().map(|(number, _)| number));
        }
        if comment.is_none() {
            continue;
        }
        let text = line[3..].trim();
        let word = text.trim_start_matches('`');
        let (ticks, least) = (text.len() - word.len(), open.map_or(3, |(_, ticks)| ticks));
        if ticks < least {
            continue;
        }
        if open.is_some() && word.is_empty() {
            open = None;
        } else {
            unclosed.extend(open.replace((number, ticks)).map(|(number, _)| number));
        }
    }
    unclosed.extend(open.map(|(number, _)| number));
    unclosed
}

#[cfg(test)]
mod tests {
    use super::unclosed;

    #[test]
    fn closed_fences_are_fine() {
        for source in [
            "//! ```\n//! a();\n//! ```\n\n/// ```no_run\n/// b();\n/// ```\nfn b() {}\n",
            "/// ````\n/// ```\n/// a();\n/// ````\nfn b() {}\n",
            "/// - a\n///   ```\n///   b `c`\n///   ```\nfn b() {}\n",
            "/// ```\n/// ```\nfn b() {}\n",
            "/// ```\n#[doc = \"a();\"]\n/// ```\nfn b() {}\n",
            "/// Text.\nconst A: &str = \"\n```\n\";\n",
        ] {
            assert!(unclosed(source).is_empty(), "{source}");
        }
    }

    #[test]
    fn open_fences_are_found() {
        for (source, lines) in [
            ("/// Text.\n/// ```\n/// a();\nfn a() {}", &[2][..]),
            ("/// a();\n/// ```", &[2]),
            ("/// ```\n/// a();\n/// ``` word\nfn a() {}", &[1, 3]),
            ("//! ```\n//! a();\n\n/// ```\n/// b();\n/// ```\nfn b() {}\n", &[1]),
            ("/// ```\n/// a();\n\n/// ```rust\n/// b();\n/// ```\nfn b() {}\n", &[1]),
            ("/// ```\n/// a();\n///\n/// ```rust\n/// b();\n/// ```\nfn b() {}\n", &[1]),
        ] {
            assert_eq!(unclosed(source), lines, "{source}");
        }
        let nested = "impl A {\n    /// ```\n    /// a();\n    #[inline]\n    fn a() {}\n\n    /// \
                      ```\n    /// b();\n    /// ```\n    fn b() {}\n}\n";
        assert_eq!(unclosed(nested), [2]);
    }
}
