//! The series themselves: whole, applying, as an export writes them, and fit to be submitted.

use std::process::ExitCode;

use evidence::series;
use evidence::suite::{self, Trial};

fn main() -> ExitCode {
    suite::main("series", |project| {
        let of_base =
            |base| series::CHECKS.map(|(name, check)| Trial::new(&base, name, check).minutes(45));
        Ok(project.bases().into_iter().flat_map(of_base).collect())
    })
}
