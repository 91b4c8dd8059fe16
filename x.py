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
target = os.path.join(root, "build", "target")
xtask = os.path.join(target, "debug", "xtask")
if not os.path.exists(xtask):
    print("compiling the tool, which takes up to a minute, this once", file=sys.stderr)
# Here, wherever the caller has other builds go and whatever for.
env = {name: value for name, value in os.environ.items() if name != "CARGO_BUILD_TARGET"}
build = ["cargo", "build", "--quiet", "--package", "xtask", "--target-dir", target]
if subprocess.run(build, env=env).returncode:
    sys.exit(1)
os.execv(xtask, [xtask, "x"] + sys.argv[1:])
