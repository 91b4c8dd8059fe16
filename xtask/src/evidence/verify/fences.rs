//! Finds code fences in documentation that are never closed.
//!
//! Markdown closes them by itself at the end, so neither rustdoc nor a doctest says anything, and
//! whatever is written below such an example later becomes part of it.

/// The numbers of the lines of Rust source on which a code fence opens that its doc comment does
/// not close.
pub fn unclosed(source: &str) -> Vec<usize> {
    let mut unclosed = Vec::new();
    let mut open = None;
    for (index, line) in source.lines().enumerate() {
        match doc_text(line) {
            Some(text) if text.trim_start().starts_with("```") => {
                open = match open {
                    None => Some(index + 1),
                    Some(_) => None,
                };
            }
            Some(_) => {}
            // Attributes may stand between the lines of one doc comment.
            None if line.trim_start().starts_with("#[") => {}
            None => unclosed.extend(open.take()),
        }
    }
    unclosed.extend(open);
    unclosed
}

fn doc_text(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
}

#[cfg(test)]
mod tests {
    use super::unclosed;

    #[test]
    fn closed_fences_are_fine() {
        let source = "//! ```\n//! a();\n//! ```\n\n/// ```no_run\n/// b();\n/// ```\nfn b() {}\n";
        assert!(unclosed(source).is_empty());
    }

    #[test]
    fn fence_open_at_the_end_of_the_comment_is_found() {
        let source = "    /// ```\n    /// a();\n    #[inline]\n    fn a() {}\n\n    /// ```\n    /// b();\n    \
                      /// ```\n    fn b() {}\n";
        assert_eq!(unclosed(source), [1]);
    }

    #[test]
    fn fence_open_at_the_end_of_the_file_is_found() {
        assert_eq!(unclosed("/// Text.\n/// ```\n/// a();"), [2]);
    }
}
