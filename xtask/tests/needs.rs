//! What the front door needs of the machine: that x.py names all of it at once, and the README too.

#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use fs_err as fs;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The lines of needs.txt: a name, and what it stands for.
fn needs() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("xtask/needs.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
}

#[test]
fn readme_names_what_is_needed() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let sentence = readme.split_once("You need ").unwrap().1.split_once("[rustup]").unwrap().0;
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
    // Where python3 on the PATH is a script, as pyenv's is, it needs other programs itself.
    let which = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(which.unwrap().stdout).unwrap();
    let x_py = dir.path().join("x.py");
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let answer = || {
        let mut command = Command::new(python.trim());
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

    // A compiler that is there and of no use.
    for program in programs.split(' ').chain(["cargo"]) {
        let file = bin.join(program);
        std::os::unix::fs::symlink(which::which("false").unwrap(), file).unwrap();
    }
    let (code, said) = answer();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("cc (is there, but") && said.contains("c++ (is there, but"), "{said}");
    assert!(!said.contains("  git\n"), "{said}");
}
