//! The programs that `./x.py` needs: x.py names all missing ones at once, and the README names them.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use support::{finish, stderr_of};

/// Returns a file of this repository.
fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

/// Returns the lines of needs.txt: the programs, then a system and its command on each line.
fn needs() -> (Vec<String>, Vec<(String, String)>) {
    let text = read("xtask/needs.txt");
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let mut lines = lines.filter(|(name, _)| !name.starts_with('#'));
    let (_, programs) = lines.next().unwrap();
    let systems = lines.map(|(system, command)| (system.to_owned(), command.to_owned()));
    (programs.split(' ').map(str::to_owned).collect(), systems.collect())
}

#[test]
fn readme_names_what_is_needed() {
    let readme = read("README.md");
    let sentence = readme.split_once("You need ").unwrap().1.split_once("the network").unwrap().0;
    let named: Vec<_> = sentence.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, needs().0);
}

#[test]
fn x_py_names_all_that_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for directory in ["xtask", "bin"] {
        fs::create_dir(path(directory)).unwrap();
    }
    for file in ["x.py", "xtask/needs.txt"] {
        fs::write(path(file), read(file)).unwrap();
    }
    let answer = || {
        let mut x_py = Command::new(&*support::PYTHON);
        x_py.arg(path("x.py")).arg("test").env("PATH", path("bin"));
        stderr_of(&finish(x_py).code(3))
    };
    let said = answer();
    let (mut programs, systems) = needs();
    programs.push("cargo".into());
    for program in &programs {
        assert!(said.lines().any(|line| line.split_whitespace().next() == Some(program)), "{said}");
    }
    for (system, command) in systems {
        assert!(said.contains(&format!("{system}:")) && said.contains(&command), "{said}");
    }

    // Programs that are there and do not work.
    for program in &programs {
        symlink(which::which("false").unwrap(), path("bin").join(program)).unwrap();
    }
    let said = answer();
    assert!(said.contains("cc (is there, but") && said.contains("c++ (is there, but"), "{said}");
    assert!(!said.contains("  git\n"), "{said}");
}
