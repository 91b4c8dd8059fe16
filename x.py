#!/usr/bin/env python3
"""The front door: upstream's x.py on the patched tree.

    ./x.py test library/std
    ./x.py [--full] [--base NAME] [--source PATH] ARGS...

Prepares rust/ as far as needed, and runs upstream's x.py there with ARGS. `cargo xtask x --help` describes the
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
where = os.getcwd()
target = os.path.join(root, "build", "target")


def links(compiler):
    """Whether a compiler finds what a program needs: headers, libraries and a linker."""
    with tempfile.TemporaryDirectory() as directory:
        source, header = ("x.cpp", "cstdio") if compiler == "c++" else ("x.c", "stdio.h")
        with open(os.path.join(directory, source), "w") as file:
            file.write("#include <%s>\nint main() { return 0; }\n" % header)
        run = subprocess.run([compiler, source, "-o", "x"], cwd=directory, capture_output=True)
        return run.returncode == 0


def require_programs():
    """Stops where the machine lacks something, with all of it, before minutes have gone by."""
    with open(os.path.join(root, "xtask", "needs.txt"), encoding="utf-8") as file:
        lines = [line.strip().split(": ") for line in file if not line.startswith("#")]
    (_, programs), *systems = lines
    missing = [name for name in programs.split() if shutil.which(name) is None]
    if not os.path.exists(target):  # otherwise they were good enough before
        for compiler in ("cc", "c++"):
            if compiler not in missing and not links(compiler):
                missing.append(compiler + " (is there, but does not compile and link a program)")
    if shutil.which("cargo") is None:
        missing.append("cargo (rustup has it, from https://rustup.rs; a Rust 1.95.0 without rustup will do, too)")
    if missing:
        print("error: not found on this machine:", *missing, sep="\n  ", file=sys.stderr)
        print("All but cargo is installed by", file=sys.stderr)
        for system, command in systems:
            print("  %-15s %s" % (system + ":", command), file=sys.stderr)
        sys.exit(3)


# Ctrl-C ends this program and what it starts, without a traceback. A shell that starts programs in the
# background ignores SIGINT for them, and two of std's tests send it to a child.
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
require_programs()
os.chdir(root)  # rustup takes the toolchain from the directory's rust-toolchain.toml
if not os.path.exists(target):
    print("compiling the tool, which takes up to a minute, this once", file=sys.stderr)
# The tool is built in the same place for everybody, whatever the caller set for other builds.
env = {name: value for name, value in os.environ.items() if name != "CARGO_BUILD_TARGET"}
build = ["cargo", "build", "--quiet", "--package", "xtask", "--target-dir", target]
# cargo's messages tell where the program is.
build.append("--message-format=json-render-diagnostics")
built = subprocess.run(build, env=env, stdout=subprocess.PIPE)
if built.returncode:
    sys.exit(1)
messages = [json.loads(line) for line in built.stdout.splitlines()]
xtask = next(message["executable"] for message in messages if message.get("executable"))
os.chdir(where)  # paths among the arguments begin here
os.execv(xtask, [xtask, "--root", root, "x"] + sys.argv[1:])
