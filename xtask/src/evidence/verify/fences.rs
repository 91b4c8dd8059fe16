//! Finds code fences in documentation that are never closed.
//!
//! Markdown closes them by itself at the end, so neither rustdoc nor a doctest says anything, and
//! whatever is written below such an example later becomes part of it.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

/// The numbers of the lines of Rust source on which a code fence opens that its documentation does not
/// close.
pub fn unclosed(source: &str) -> Result<Vec<usize>> {
    let tokens: TokenStream = source.parse().map_err(|error| anyhow!("it is no Rust: {error}"))?;
    let mut unclosed = Vec::new();
    visit(tokens, &mut unclosed);
    Ok(unclosed)
}

/// Looks at each run of doc comments, with the attributes that stand between them.
fn visit(tokens: TokenStream, unclosed: &mut Vec<usize>) {
    let mut doc = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if ['#', '!'].contains(&punct.as_char()) => {}
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                doc.extend(doc_lines(&group.stream()));
            }
            other => {
                check(&std::mem::take(&mut doc), unclosed);
                if let TokenTree::Group(group) = other {
                    visit(group.stream(), unclosed);
                }
            }
        }
    }
    check(&doc, unclosed);
}

/// The lines, with their numbers, of a doc comment: rustc has it as an attribute.
fn doc_lines(attribute: &TokenStream) -> Vec<(usize, String)> {
    let tokens: Vec<_> = attribute.clone().into_iter().collect();
    let [TokenTree::Ident(name), _, TokenTree::Literal(text)] = &tokens[..] else {
        return Vec::new();
    };
    if name != "doc" {
        return Vec::new();
    }
    // The literal is escaped, and holds what is written in the source.
    let text = text.to_string().replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\");
    let first = name.span().start().line;
    let lines = text.trim_matches('"').split('\n').enumerate();
    // What `/**` has before each line is no documentation.
    let bare = |line: &str| line.trim_start().strip_prefix('*').unwrap_or(line).to_owned();
    lines.map(|(number, line)| (first + number, bare(line))).collect()
}

fn check(doc: &[(usize, String)], unclosed: &mut Vec<usize>) {
    let text: String = doc.iter().map(|(_, line)| format!("{line}\n")).collect();
    for (event, range) in Parser::new(&text).into_offset_iter() {
        let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) = event else { continue };
        let block = &text[range.clone()];
        let fence = block.chars().next().unwrap_or_default();
        let opening = block.chars().take_while(|c| *c == fence).count();
        let last = block.trim_end().lines().next_back().unwrap_or_default();
        let last = last.trim_start_matches([' ', '>']);
        let closes = last.len() >= opening && last.chars().all(|c| c == fence);
        if block.trim_end().lines().count() < 2 || !closes {
            unclosed.push(doc[text[..range.start].matches('\n').count()].0);
        }
    }
}

#[cfg(test)]
mod tests {
    fn unclosed(source: &str) -> Vec<usize> {
        super::unclosed(source).unwrap()
    }

    #[test]
    fn closed_fences_are_fine() {
        for source in [
            "//! ```\n//! a();\n//! ```\n\n/// ```no_run\n/// b(\"\\n\");\n/// ```\nfn b() {}\n",
            "/// ````\n/// ```\n/// ````\nfn a() {}",
            "/**\n * ~~~\n * a();\n * ~~~\n */\nfn a() {}",
            "/// > ```\n/// > a();\n/// > ```\nfn a() {}",
            "fn a() { b(\"/// ```\") } // ```",
        ] {
            assert_eq!(unclosed(source), [0; 0], "{source}");
        }
    }

    #[test]
    fn fence_open_at_the_end_of_the_documentation_is_found() {
        for source in [
            "\n/// ```\n/// a();\n#[inline]\nfn a() {}\n\n/// ```\n/// b();\n/// ```\nfn b() {}\n",
            "mod a {\n    /// ```\n    /// a();\n    fn a() {}\n}",
            "/// Text.\n/// ```\n/// a();\nfn a() {}",
            "/// Text.\n/// ~~~\n/// a();\nfn a() {}",
            "/// Text.\n/// ```\n/// a();\n/// ``` no end\nfn a() {}",
            "/// Text.\n/// ````\n/// a();\n/// ```\nfn a() {}",
            "/**\n```\na();\n*/\nfn a() {}",
        ] {
            assert_eq!(unclosed(source), [2], "{source}");
        }
    }
}
