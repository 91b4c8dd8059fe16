//! Puts down what came out for one platform.

use anyhow::Result;
use serde_json::json;

use super::run::Calls;
use crate::evidence::report::{Class, Row};
use crate::evidence::specs::Spec;
use crate::library::libtest::Counts;

pub const HEADER: [&str; 6] =
    ["target", "endian, width", "runner", "tests", "std's own", "system calls"];

/// What came of tests that ran to their end.
pub struct Ran {
    pub runner: String,
    pub tests: Counts,
    /// std's own unit tests, if these were asked for.
    pub unit_tests: Option<Counts>,
    /// What is said of the calls that the system sees.
    pub calls: Calls,
    /// Of no use for comparisons: what was built before is not built again.
    pub build_seconds: f64,
    pub run_seconds: f64,
}

pub fn not_run(target: &str, spec: &Spec, obstacle: String) -> Row {
    let mut cells = vec!["-".into(); HEADER.len() - 1];
    cells[0] = format!("{}, {}", spec.endian, spec.pointer_width);
    Row {
        name: target.into(),
        cells,
        verdict: "not run".into(),
        class: Class::NotRun,
        details: vec![obstacle],
        covers: None,
        data: json!(null),
    }
}

pub fn ran(target: &str, spec: &Spec, ran: Result<Ran>) -> Row {
    let mut row = not_run(target, spec, String::new());
    (row.verdict, row.class) = ("FAILED".into(), Class::Failed);
    let Ran { runner, tests, unit_tests, calls, build_seconds, run_seconds } = match ran {
        Ok(ran) => ran,
        Err(error) => {
            row.details = vec![format!("{error:#}")];
            return row;
        }
    };
    let failures = tests.failures.iter().chain(unit_tests.iter().flat_map(|tests| &tests.failures));
    row.details = failures.map(|(name, output)| format!("{name} failed:\n{output}")).collect();
    if let Calls::Wrong(_) = calls {
        row.details.push(calls.to_string());
    }
    if row.details.is_empty() {
        (row.verdict, row.class) = ("passed".into(), Class::Passed);
    }
    if let Calls::NotTraced(_) = calls {
        row.details.push(calls.to_string());
    }
    let in_short = match calls {
        Calls::AsExpected(_) => "as expected",
        Calls::NotTraced(_) => "not traced",
        Calls::Wrong(_) => "WRONG",
    };
    let of_unit = unit_tests.as_ref().map_or("-".into(), Counts::to_string);
    row.cells.splice(1.., [runner, tests.to_string(), of_unit, in_short.into()]);
    row.data =
        json!({ "calls": calls, "build_seconds": build_seconds, "run_seconds": run_seconds });
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(failed: usize, unit: Option<usize>, calls: Calls) -> Class {
        let counts = |failed| Counts {
            passed: 12,
            failed,
            ignored: 1,
            failures: vec![("ipv6".into(), "boom".into()); failed],
        };
        let spec = Spec::default();
        let ran = Ran {
            runner: "qemu".into(),
            tests: counts(failed),
            unit_tests: unit.map(counts),
            calls,
            build_seconds: 1.0,
            run_seconds: 0.5,
        };
        let row = super::ran("s390x", &spec, Ok(ran));
        assert_eq!(row.cells.len(), HEADER.len() - 1);
        row.class
    }

    #[test]
    fn whatever_failed_fails_the_row() {
        let expected = || Calls::AsExpected(vec![]);
        assert_eq!(class(0, None, expected()), Class::Passed);
        assert_eq!(class(0, Some(0), Calls::NotTraced("no strace".into())), Class::Passed);
        assert_eq!(class(1, None, expected()), Class::Failed);
        assert_eq!(class(0, Some(1), expected()), Class::Failed);
        assert_eq!(class(0, None, Calls::Wrong("two calls".into())), Class::Failed);
        let error = Err(anyhow::anyhow!("the tests hang"));
        assert_eq!(super::ran("s390x", &Spec::default(), error).class, Class::Failed);
    }
}
