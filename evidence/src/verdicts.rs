//! Compares what `cargo xtask test` and upstream's x.py say of the same tests.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Each test whose name begins with `module`, and what came of it: libtest prints a line for it, and so does
/// upstream's x.py with `rust.verbose-tests`.
fn verdicts<'a>(module: &str, printed: &'a str) -> BTreeMap<&'a str, &'a str> {
    let test = |line: &'a str| line.trim().strip_prefix("test ")?.split_once(" ... ");
    let tests = printed.lines().filter_map(test).filter(|(name, _)| name.starts_with(module));
    // After the verdict there may be a reason or a time.
    tests.map(|(name, said)| (name, said.split([',', ' ']).next().unwrap_or_default())).collect()
}

/// Stops unless both ran the same tests of `module` with the same results; returns how many.
pub fn compare(module: &str, upstream: &str, own: &str) -> Result<usize> {
    let [upstream, own] = [upstream, own].map(|printed| verdicts(module, printed));
    if upstream.is_empty() || upstream != own {
        let one_sided = |name: &&&str| upstream.get(**name) != own.get(**name);
        let names: Vec<_> = upstream.keys().chain(own.keys()).filter(one_sided).collect();
        bail!(
            "x.py ran {} tests of {module}, and `cargo xtask test` {}; they differ in {names:?}",
            upstream.len(),
            own.len()
        );
    }
    Ok(own.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "running 2 tests\ntest net::tcp::tests::a ... ok\n\
        test net::tcp::tests::b ... ignored\ntest both_ends ... ok\n";

    fn compare_with(upstream: &str) -> Result<usize, String> {
        compare("net::tcp::", upstream, OWN).map_err(|error| error.to_string())
    }

    #[test]
    fn times_reasons_and_other_tests_do_not_count() {
        let upstream = "test net::tcp::tests::b ... ignored, why (3.00us)\ntest net::udp ... FAILED\n\
            test net::tcp::tests::a ... ok (1.20ms)\n";
        assert_eq!(compare_with(upstream).unwrap(), 2);
    }

    #[test]
    fn other_names_or_results_are_an_error() {
        let a = "test net::tcp::tests::a ... ok\n";
        for (upstream, name) in [
            (a.to_owned(), "tests::b\""),
            (a.to_owned() + "test net::tcp::tests::b ... FAILED\n", "tests::b\""),
            (OWN.to_owned() + "test net::tcp::tests::c ... ok\n", "tests::c\""),
        ] {
            assert!(compare_with(&upstream).unwrap_err().contains(name));
        }
        assert!(compare("net::tcp::", "", "").is_err());
    }
}
