#!/usr/bin/env python3
"""Runs upstream's x.py on the patched sources.

    ./x.py test library/std
    ./x.py [--full] [--base NAME] [--source PATH] ARGS...

Makes rust/ if it is missing or out of date, and runs upstream's x.py there with ARGS. `cargo xtask x --help` describes the
options, and `cargo xtask --help` the other commands.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

root = os.path.dirname(os.path.abspath(__file__))
caller_dir = os.getcwd()
target = os.path.join(root, "build", "target")


def can_link(compiler):
    """Returns whether a compiler finds the headers, the libraries and the linker for a program."""
    with tempfile.TemporaryDirectory() as directory:
        source, header = ("x.cpp", "cstdio") if compiler == "c++" else ("x.c", "stdio.h")
        with open(os.path.join(directory, source), "w") as file:
            file.write("#include <%s>\nint main() { return 0; }\n" % header)
        run = subprocess.run([compiler, source, "-o", "x"], cwd=directory, capture_output=True)
        return run.returncode == 0


def require_programs():
    """Names all programs that are missing on this machine, and exits if there are any."""
    with open(os.path.join(root, "xtask", "needs.txt"), encoding="utf-8") as file:
        lines = [line.strip().split(": ") for line in file if not line.startswith("#")]
    (_, programs), *systems = lines
    missing = [name for name in programs.split() if shutil.which(name) is None]
    if not os.path.exists(target):  # only before the first build
        for compiler in ("cc", "c++"):
            if compiler not in missing and not can_link(compiler):
                missing.append(compiler + " (is there, but cannot compile and link a program)")
    if shutil.which("cargo") is None:
        missing.append("cargo (install rustup from https://rustup.rs, or Rust 1.95.0 without rustup)")
    if missing:
        print("error: these programs are missing on this machine:", *missing, sep="\n  ", file=sys.stderr)
        print("To install all of them except cargo:", file=sys.stderr)
        for system, command in systems:
            print("  %-15s %s" % (system + ":", command), file=sys.stderr)
        sys.exit(3)


# The default signal handlers, so that Ctrl-C prints no traceback. Also, a shell makes programs in the background ignore
# SIGINT, but two of std's tests send it to a child.
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
require_programs()
os.chdir(root)  # rustup takes the toolchain from the directory's rust-toolchain.toml
if not os.path.exists(target):
    print("compiling the tool (once, up to a minute)", file=sys.stderr)
# CARGO_BUILD_TARGET is for the caller's own builds.
env = {name: value for name, value in os.environ.items() if name != "CARGO_BUILD_TARGET"}
build = ["cargo", "build", "--quiet", "--package", "xtask", "--target-dir", target]
# cargo's messages contain the path of the program.
build.append("--message-format=json-render-diagnostics")
built = subprocess.run(build, env=env, stdout=subprocess.PIPE)
if built.returncode:
    sys.exit(1)
messages = [json.loads(line) for line in built.stdout.splitlines()]
xtask = next(message["executable"] for message in messages if message.get("executable"))
os.chdir(caller_dir)  # paths in the arguments are relative to it
os.execv(xtask, [xtask, "--root", root, "x"] + sys.argv[1:])
