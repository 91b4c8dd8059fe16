#!/usr/bin/env python3
"""The front door: upstream's x.py on the patched tree.

    ./x.py test library/std
    ./x.py [--full] [--base NAME] [--source PATH] ARGS...

Prepares build/rust where that is needed, and runs upstream's x.py there with ARGS. All of the
work is in xtask/; `cargo xtask x --help` describes the options, `cargo xtask` the other commands.
"""

import os
import shutil
import subprocess
import sys

root = os.path.dirname(os.path.abspath(__file__))
os.chdir(root)  # rustup takes the toolchain from the directory's rust-toolchain.toml

if shutil.which("cargo") is None:
    sys.exit("error: cargo is not on the PATH. Install Rust with rustup, from https://rustup.rs")
if subprocess.run(["cargo", "build", "--quiet", "--package", "xtask"]).returncode:
    sys.exit(1)
xtask = os.path.join(root, "build", "target", "debug", "xtask")
os.execv(xtask, [xtask, "x"] + sys.argv[1:])
