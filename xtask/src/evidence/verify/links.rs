//! Finds links in the built documentation of an item that lead nowhere.
//!
//! rustdoc resolves links to items by itself. It takes any other path or fragment as it is written,
//! such as `io#platform-specific-behavior`, and says nothing where there is no such thing.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fs_err as fs;

/// The links in the sections of `methods` on `page` that do not resolve to a file and, where they
/// have a fragment, to a place in it. Those to other hosts are left out.
pub fn broken(page: &Path, methods: &[&str]) -> Result<Vec<String>> {
    let html = fs::read_to_string(page)?;
    let directory = page.parent().context("a page is in a directory")?;
    let mut broken = Vec::new();
    for method in methods {
        let links = links(section(&html, method)?);
        if links.is_empty() {
            bail!("{} has no link in the section of {method}", page.display());
        }
        for link in links.into_iter().filter(|link| !link.contains("://")) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.to_owned() } else { directory.join(path) };
            let resolves = match fs::read_to_string(&target) {
                Ok(text) => fragment.is_empty() || has_place(&text, fragment),
                Err(_) => false,
            };
            if !resolves {
                broken.push(format!("{method}: {link}"));
            }
        }
    }
    Ok(broken)
}

/// What the page says of a method, up to the next item.
fn section<'a>(html: &'a str, method: &str) -> Result<&'a str> {
    let start = format!("<section id=\"method.{method}\"");
    let (_, rest) = html.split_once(&start).with_context(|| format!("no section of {method}"))?;
    Ok(rest.split("<section id=\"").next().unwrap_or(rest))
}

fn links(html: &str) -> Vec<&str> {
    html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Whether an element of the page has that `id`, or those of the lines where it is a range of them.
fn has_place(html: &str, fragment: &str) -> bool {
    // Pages of source code have an id for each line, without quotes.
    let id = match fragment.split_once('-') {
        Some((first, last)) if first.parse::<u32>().is_ok() && last.parse::<u32>().is_ok() => first,
        _ => fragment,
    };
    [format!("id=\"{id}\""), format!("id={id} "), format!("id={id}>")]
        .iter()
        .any(|attribute| html.contains(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with one method, whose section has the given links, and a page beside it.
    fn broken_in(links: &[&str]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir()?;
        let anchors: String =
            links.iter().map(|link| format!("<a href=\"{link}\">x</a>")).collect();
        let html = format!(
            "<h2 id=\"top\"></h2><section id=\"method.set\" class=\"method\"></section>{anchors}\
             <section id=\"method.get\"></section><a href=\"none.html\">not of this method</a>"
        );
        fs::write(dir.path().join("page.html"), html)?;
        fs::write(dir.path().join("other.html"), "<h2 id=\"errors\"></h2><a id=7 href=#7>7</a>")?;
        broken(&dir.path().join("page.html"), &["set"])
    }

    #[test]
    fn links_that_resolve_are_fine() {
        let links = ["other.html", "other.html#errors", "#top", "#method.set", "other.html#7-9"];
        assert!(broken_in(&links).unwrap().is_empty());
    }

    #[test]
    fn other_hosts_are_left_out() {
        assert!(broken_in(&["https://example.com/none#none"]).unwrap().is_empty());
    }

    #[test]
    fn what_leads_nowhere_is_found() {
        let links =
            ["none.html", "other.html#none", "#none", "other.html#8-9", "other.html#errors"];
        let broken = broken_in(&links).unwrap();
        assert_eq!(
            broken,
            ["set: none.html", "set: other.html#none", "set: #none", "set: other.html#8-9"]
        );
    }

    #[test]
    fn a_section_without_a_link_or_no_section_is_an_error() {
        assert!(broken_in(&[]).is_err());
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("page.html"), "<section id=\"method.get\">").unwrap();
        assert!(broken(&dir.path().join("page.html"), &["set"]).is_err());
    }
}
