//! Finds what would not break: other names for the methods, and a release of the crate whose code
//! breaks.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;
use walkdir::WalkDir;

use super::check::Outcome;
use super::list::{List, Names};
use super::work::{Std, User, Work};
use crate::say::progress::Step;
use crate::say::table::{self, Format};

/// A table of the names that the methods have, and of others.
pub fn compare(
    work: &Work,
    others: &[Names],
    [base, patched]: [&Std; 2],
    format: Format,
) -> Result<String> {
    // What compiles at the base, with the packages that are compiled for it.
    let mut built = Vec::new();
    for user in &work.users {
        let before = work.outcome(user, base)?;
        if before.built && !user.entry.is_made_up() {
            built.push((user, before));
        }
    }
    // The fewer packages, the sooner a crate is checked.
    built.sort_by_key(|(_, outcome)| outcome.compiled.len());
    let own = Names { set: "set_keepalive".into(), get: "keepalive".into() };
    let callers = callers(work, &built, &[std::slice::from_ref(&own), others].concat())?;
    let row = |names: &Names, broken: &BTreeSet<String>| {
        let breaks =
            built.iter().filter(|(_, outcome)| !outcome.compiled.is_disjoint(broken)).count();
        let list: Vec<_> = broken.iter().map(String::as_str).collect();
        vec![
            format!("`{}`, `{}`", names.set, names.get),
            callers_of(&callers, std::slice::from_ref(names)).len().to_string(),
            if list.is_empty() { "none".into() } else { list.join(", ") },
            breaks.to_string(),
        ]
    };
    let broken = |names: &[Names], std: &Std| {
        let cover = cover(&built, callers_of(&callers, names));
        let sets: Vec<_> = names.iter().map(|names| names.set.as_str()).collect();
        let step = Step::start_count(format!("checking for {}", sets.join(", ")), cover.len());
        let mut broken = BTreeSet::new();
        for user in cover {
            broken.extend(work.outcome(user, std)?.errors.into_iter().map(|found| found.package));
            step.one_done(&user.entry.name);
        }
        step.done();
        anyhow::Ok(broken)
    };
    let mut rows = vec![row(&own, &broken(std::slice::from_ref(&own), patched)?)];
    // All of them at once: a method more breaks no less. If nothing breaks, that holds for each.
    let none_breaks = broken(others, &work.std(&patched.library, others)?)?.is_empty();
    for names in others {
        let alone = std::slice::from_ref(names);
        let broken = match none_breaks {
            true => BTreeSet::new(),
            false => broken(alone, &work.std(&patched.library, alone)?)?,
        };
        rows.push(row(names, &broken));
    }
    let header = [
        "names",
        "packages that call such",
        "packages with errors",
        "crates of the table that break",
    ];
    Ok(table::render(format, &header, rows))
}

/// For each name, the packages whose sources call something by it. Those that break are among them,
/// but for one whose macros put the name together.
fn callers(
    work: &Work,
    built: &[(&User, Outcome)],
    names: &[Names],
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let words: Vec<_> = names.iter().flat_map(|names| [&*names.set, &*names.get]).collect();
    let mut callers = BTreeMap::<_, BTreeSet<_>>::new();
    let mut seen = BTreeSet::new();
    for (user, outcome) in built {
        for package in &outcome.compiled {
            if seen.insert(package) {
                let sources = work.graph(user).sources.get(package);
                let sources = sources.with_context(|| format!("{package} has no sources"))?;
                for word in called(sources, &words)? {
                    callers.entry(word).or_default().insert(package.clone());
                }
            }
        }
    }
    Ok(callers)
}

/// The packages that call something by one of these names.
fn callers_of(callers: &BTreeMap<String, BTreeSet<String>>, names: &[Names]) -> BTreeSet<String> {
    let words = names.iter().flat_map(|names| [&names.set, &names.get]);
    words.filter_map(|word| callers.get(word)).flatten().cloned().collect()
}

/// Those of the words that the sources in a directory call something by.
fn called(dir: &Path, words: &[&str]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in WalkDir::new(dir) {
        let path = entry?.into_path();
        if path.is_file() && path.extension() == Some("rs".as_ref()) {
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            let words = words.iter().filter(|word| calls(&text, word));
            found.extend(words.map(|word| word.to_string()));
        }
    }
    Ok(found)
}

/// Whether the text has the name between a dot or a colon and a parenthesis.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].trim_end();
        let after = text[at + name.len()..].trim_start();
        before.ends_with(['.', ':']) && after.starts_with('(')
    })
}

/// Crates with which every holder is compiled.
fn cover<'a>(built: &[(&'a User, Outcome)], holders: BTreeSet<String>) -> Vec<&'a User> {
    let mut left = holders;
    let mut cover = Vec::new();
    for (user, outcome) in built {
        let before = left.len();
        left.retain(|holder| !outcome.compiled.contains(holder));
        if left.len() < before {
            cover.push(*user);
        }
    }
    cover
}

/// What becomes of the crates that break, with the release that mends.
pub fn mend(work: &Work, list: &List, [base, patched]: [&Std; 2]) -> Result<String> {
    let mend = list.mend.as_ref().context("crates/crates.toml has no mend")?;
    let mut broken = Vec::new();
    for user in &work.users {
        let before = work.outcome(user, base)?;
        if before.built && !work.outcome(user, patched)?.built {
            let needs_it = before.compiled.contains(&mend.package());
            broken.extend(needs_it.then_some(user));
        }
    }
    let step = Step::start_count(format!("checking with {} mended", mend.name), broken.len());
    let mut mended = BTreeMap::new();
    let mut compile = 0;
    let mut errors = BTreeSet::new();
    for user in &broken {
        let workspace = match mended.entry(&user.workspace) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let dir = work.session.dir.join("mended").join(&user.workspace);
                let sources = work.graph(user).sources.get(&mend.package());
                let sources = sources.with_context(|| format!("{} has no sources", mend.name))?;
                let compiler = &work.session.compiler;
                entry.insert(work.workspace(user).mended(compiler, mend, sources, dir)?)
            }
        };
        let mut stds = vec![patched];
        if user.entry.name == mend.name {
            // It must go on compiling with the releases that there are.
            stds.push(base);
        }
        for std in stds {
            let outcome = work.outcome_in(workspace, user, std)?;
            compile += usize::from(outcome.built && std.sysroot == patched.sysroot);
            errors.extend(outcome.errors);
        }
        step.one_done(&user.entry.name);
    }
    step.done();
    let mut text = format!(
        "With {} {} in place of {}, {compile} of the {} crates that break because of it compile\n",
        mend.name,
        mend.new_version,
        mend.version,
        broken.len(),
    );
    for found in errors {
        text += &format!("  {} {} {}\n", found.package, found.place, found.message);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_words() {
        for text in
            ["stream.keep_alive()?", "stream\n    .keep_alive ()", "TcpStreamExt::keep_alive(&s)"]
        {
            assert!(calls(text, "keep_alive"), "{text}");
        }
        for text in
            ["fn keep_alive(", "self.keep_alive", ".set_keep_alive(", ".keep_alive_timeout("]
        {
            assert!(!calls(text, "keep_alive"), "{text}");
        }
    }
}
