//! Type-checks published crates with the std of a series that makes the methods stable. A crate that does not
//! compile is also type-checked with the std of the base.

mod check;
mod manifest;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use xtask::base::Base;
use xtask::out::shown;
use xtask::owned::file_name;
use xtask::project::Project;
use xtask::std::{Profile, Std};
use xtask::store::patches_in;

use self::check::{Checker, Found};
use self::manifest::{Crate, Verdict};
use crate::suite::{Opened, Outcome, Place, Trial};
use crate::tables::Row;

pub fn trials(project: &Project) -> Result<Vec<Trial>> {
    let crates = manifest::read_all(&project.root.join("evidence/crates"))?;
    let mut trials = Vec::new();
    for base in project.bases() {
        if !makes_stable(project, &base)? {
            continue;
        }
        for krate in &crates {
            trials.push(trial(&base, &krate.feature, krate, krate.row.expect, false));
            if let Some(expect) = krate.row.patched {
                let name = format!("{}+patched-mio", krate.feature);
                trials.push(trial(&base, &name, krate, expect, true));
            }
        }
    }
    Ok(trials)
}

fn trial(base: &Base, name: &str, krate: &Crate, expect: Verdict, is_patched: bool) -> Trial {
    let (is_quick, krate) = (krate.row.quick, krate.clone());
    let check = move |place: &Place| check(place, &krate, expect, is_patched);
    // Most crates have dependencies in common. In one directory, cargo compiles these once.
    Trial::new("crates", base, name, check).quick(is_quick).alone("crates")
}

/// Returns whether the base's series makes the methods stable. Unstable methods break no crate.
fn makes_stable(project: &Project, base: &Base) -> Result<bool> {
    let mut is_stable = false;
    for patch in patches_in(&project.patches(base))? {
        let text = fs::read_to_string(patch)?;
        is_stable |= text.contains("\n+    #[stable(feature = \"tcp_keepalive\"");
    }
    Ok(is_stable)
}

/// Checks a crate. Another verdict than the expected one is an error.
fn check(place: &Place, krate: &Crate, expect: Verdict, is_patched: bool) -> Result<Outcome> {
    let opened = place.opened();
    let mut checker = Checker::new(place, &opened.compiler, krate)?;
    if is_patched {
        checker = checker.patch_mio()?;
    }
    let title = checker.title()?;
    let series = checker.check(&sysroot(place, opened, "series")?)?;
    // If the crate compiles with the series, the base need not be checked.
    let base = match series.built {
        true => None,
        false => Some(checker.check(&sysroot(place, opened, "base")?)?),
    };
    let (verdict, decisive) = match &base {
        None => (Verdict::Same, &series),
        Some(base) if base.built => (Verdict::Breaks, &series),
        Some(base) => (Verdict::NotBuilt, base),
    };
    let errors = lines(&decisive.errors);
    if verdict != expect {
        let manifest = krate.package.join("Cargo.toml");
        bail!("the verdict is {verdict}, and {} expects {expect}\n{errors}", shown(&manifest));
    }

    let causes: BTreeSet<_> = decisive.errors.iter().map(|error| &*error.package).collect();
    let because = match Vec::from_iter(causes).join(", ") {
        causes if causes == title => "its own code".into(),
        causes => causes,
    };
    let package = file_name(&krate.package);
    let verdict = match (is_patched, &*package) {
        (true, _) => format!("{verdict} (patched mio)"),
        // The table counts these separately, because they are not crates of earlier years.
        (false, "today" | "made-up") => format!("{verdict} ({package})"),
        (false, _) => verdict.to_string(),
    };
    let warnings = base.as_ref().map(|base| lines(&base.collisions)).unwrap_or_default();
    let notes = [errors, warnings].into_iter().filter(|note| !note.is_empty()).collect();
    let cells = vec![title, krate.row.why.clone(), because, verdict];
    place.record(&Row { cells, notes, ..Row::default() })?;
    Ok(Outcome::Passed(String::new()))
}

fn lines(found: &BTreeSet<Found>) -> String {
    found.iter().map(|found| found.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// Returns a sysroot with the metadata of the std at `commit`, which is enough to type-check other crates.
fn sysroot(place: &Place, opened: &Opened, commit: &str) -> Result<PathBuf> {
    let (compiler, library) = (&opened.compiler, opened.store.library(commit)?);
    // rustup's compiler cannot read the metadata of Debian's compiler of the same commit.
    let title = compiler.title().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let tree = file_name(library.parent().context("the library is in a directory")?);
    let sysroot = place.dir().join("sysroots").join(format!("{}-{title}", &tree[..12]));
    if !sysroot.exists() {
        let std = Std::new(compiler, &library, &compiler.host, &place.dir().join("std"));
        std.sysroot(Profile::Metadata, &sysroot)?;
    }
    Ok(sysroot)
}
