//! The programs that `./x.py` needs: x.py names all missing ones at once, and the README names them.

#![allow(clippy::disallowed_methods, reason = "the rules are about the tool itself")]

mod support;

use std::path::Path;
use std::process::Command;

use fs_err as fs;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the lines of needs.txt: the programs, then a system and its command on each line.
fn needs() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("xtask/needs.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
}

#[test]
fn readme_names_what_is_needed() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let sentence = readme.split_once("You need ").unwrap().1.split_once("the network").unwrap().0;
    let named: Vec<_> = sentence.split('`').skip(1).step_by(2).collect();
    let (_, programs) = needs().remove(0);
    assert_eq!(named, programs.split(' ').collect::<Vec<_>>());
}

#[test]
fn x_py_names_all_that_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("xtask")).unwrap();
    for file in ["x.py", "xtask/needs.txt"] {
        fs::copy(root().join(file), dir.path().join(file)).unwrap();
    }
    let x_py = dir.path().join("x.py");
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let answer = || {
        let mut command = Command::new(&*support::PYTHON);
        let output = command.arg(&x_py).arg("test").env("PATH", &bin).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };

    let (code, said) = answer();
    assert_eq!(code, Some(3), "{said}");
    let mut needs = needs();
    let (_, programs) = needs.remove(0);
    for program in programs.split(' ').chain(["cargo"]) {
        assert!(said.lines().any(|line| line.trim().split(' ').next() == Some(program)), "{said}");
    }
    for (system, command) in needs {
        assert!(said.contains(&format!("{system}:")) && said.contains(&command), "{said}");
    }

    // Programs that are there and do not work.
    for program in programs.split(' ').chain(["cargo"]) {
        let file = bin.join(program);
        std::os::unix::fs::symlink(which::which("false").unwrap(), file).unwrap();
    }
    let (code, said) = answer();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("cc (is there, but") && said.contains("c++ (is there, but"), "{said}");
    assert!(!said.contains("  git\n"), "{said}");
}
