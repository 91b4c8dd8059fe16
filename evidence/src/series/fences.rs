//! Finds code fences in documentation that are never closed.
//!
//! Markdown closes them by itself at the end, so neither rustdoc nor a doctest says anything, and
//! whatever is written below such an example later becomes part of it.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// The documentation of one item: the number of each line in the file, and its text.
type Docs = Vec<(usize, String)>;

/// The numbers of the lines of Rust source on which a code fence opens that nothing closes, or the next
/// one that opens.
pub fn unclosed(source: &str) -> Result<Vec<usize>> {
    let tokens = source.parse().map_err(|error| anyhow!("it is no Rust: {error}"))?;
    let mut docs = Vec::new();
    collect(tokens, &mut docs);
    Ok(docs.iter().flat_map(unclosed_in).collect())
}

fn collect(tokens: TokenStream, found: &mut Vec<Docs>) {
    let (mut docs, mut were_inner) = (Docs::new(), false);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                // Attributes may stand between the lines of one doc comment.
                let is_bang =
                    |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == '!');
                let is_attribute = |t: &TokenTree| matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Bracket);
                let is_inner = tokens.next_if(is_bang).is_some();
                if is_inner != were_inner {
                    // These document something else.
                    found.push(std::mem::take(&mut docs));
                    were_inner = is_inner;
                }
                tokens.next_if(is_attribute);
                // The tokens that stand for a doc comment are all where it is.
                let comment = hash.span().source_text().filter(|text| text.starts_with('/'));
                let first = hash.span().start().line;
                docs.extend(comment.iter().flat_map(|text| lines(text)).zip(first..).map(flip));
            }
            TokenTree::Group(group) => {
                found.push(std::mem::take(&mut docs));
                collect(group.stream(), found);
            }
            _ => found.push(std::mem::take(&mut docs)),
        }
    }
    found.push(docs);
}

fn flip((text, number): (String, usize)) -> (usize, String) {
    (number, text)
}

/// What a doc comment says, a line each.
fn lines(comment: &str) -> Vec<String> {
    let text = &comment[3..];
    let Some(text) = text.strip_suffix("*/").filter(|_| comment.starts_with("/*")) else {
        return vec![text.into()];
    };
    let is_starred = |line: &str| line.trim_start().starts_with('*') || line.trim().is_empty();
    let is_decorated = text.lines().skip(1).all(is_starred);
    let undecorated = |line: &str| match line.trim_start().strip_prefix('*') {
        Some(rest) if is_decorated => rest.into(),
        _ => line.into(),
    };
    text.lines().map(undecorated).collect()
}

fn unclosed_in(docs: &Docs) -> Vec<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let indented = docs.iter().filter(|(_, line)| !line.trim().is_empty());
    let common = indented.map(|(_, line)| indent(line)).min().unwrap_or(0);
    let text: String =
        docs.iter().map(|(_, line)| format!("{}\n", line.get(common..).unwrap_or(""))).collect();

    let mut unclosed = Vec::new();
    let mut fence = None;
    let (mut code, mut end) = (String::new(), 0);
    for (event, range) in Parser::new(&text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                end = range.start + text[range.clone()].find('\n').unwrap_or(range.len());
                code.clear();
                fence = Some(range);
            }
            Event::Text(part) if fence.is_some() => {
                code += &part;
                end = range.end;
            }
            Event::End(TagEnd::CodeBlock) => {
                let Some(block) = fence.take() else { continue };
                let opening = text[block.clone()].trim_start();
                let mark = &opening[..opening.len()
                    - opening.trim_start_matches(opening.chars().next().unwrap_or('`')).len()];
                // The line that closes it is in the block and not in its code.
                let is_closed = text.get(end..block.end).is_some_and(|rest| rest.contains(mark));
                if !is_closed || code.lines().any(|line| line.trim_start().starts_with(mark)) {
                    unclosed.push(docs[text[..block.start].matches('\n').count()].0);
                }
            }
            _ => {}
        }
    }
    unclosed
}

#[cfg(test)]
mod tests {
    fn unclosed(source: &str) -> Vec<usize> {
        super::unclosed(source).unwrap()
    }

    #[test]
    fn closed_fences_are_fine() {
        for source in [
            "//! ```\n//! a();\n//! ```\n\n/// ```no_run\n/// b();\n/// ```\nfn b() {}\n",
            "/// ````\n/// ```\n/// a();\n/// ````\nfn b() {}\n",
            "/// - a\n///   ~~~\n///   b\n///   ~~~\nfn b() {}\n",
            "/// ```\n/// ```\nfn b() {}\n",
            "/**\n * ```\n * a();\n * ```\n */\nfn b() {}\n",
            "/** Text.\n\n```\na();\n```\n*/\nfn b() {}\n",
            "/// Text.\nconst A: &str = \"\n/// ```\n\";\n",
        ] {
            assert!(unclosed(source).is_empty(), "{source}");
        }
    }

    #[test]
    fn open_fences_are_found() {
        for (source, lines) in [
            ("/// Text.\n/// ```\n/// a();\nfn a() {}", &[2][..]),
            ("/// ~~~\n/// a();\nfn a() {}", &[1]),
            ("/// ```\n/// a();\n/// ``` word\nfn a() {}", &[1]),
            ("/**\n * Text.\n * ```\n * a();\n */\nfn b() {}\n", &[3]),
            ("//! ```\n//! a();\n\n/// ```\n/// b();\n/// ```\nfn b() {}\n", &[1]),
            ("/// ```\n/// a();\n\n/// ```rust\n/// b();\n/// ```\nfn b() {}\n", &[1]),
        ] {
            assert_eq!(unclosed(source), lines, "{source}");
        }
        let nested = "impl A {\n    /// ```\n    /// a();\n    #[inline]\n    fn a() {}\n\n    /// \
                      ```\n    /// b();\n    /// ```\n    fn b() {}\n}\n";
        assert_eq!(unclosed(nested), [2]);
    }
}
