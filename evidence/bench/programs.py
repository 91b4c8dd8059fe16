#!/usr/bin/env python3
"""Compares std with the crates that enable keepalive: the time of a clean build of server.rs without downloads,
and the size of the program. Needs `cargo xtask toolchain --link`."""

import os
import shutil
import subprocess

WAYS = ["std", "socket2", "nix", "rustix", ""]
ROUNDS = 3
OUT = "../../build/bench-programs"


def cargo(command, way, *options):
    line = ["cargo", command, "--quiet", "--locked", "--offline", "--no-default-features"]
    return subprocess.run(
        [*line, "--features", way, *options], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def build(way):
    """Builds from nothing. Returns the elapsed seconds and the processors' seconds."""
    shutil.rmtree(OUT, ignore_errors=True)
    before = os.times()
    cargo("build", way, "--release", "--bin=server", "--target-dir", OUT)
    after = os.times()
    processor = after.children_user + after.children_system
    return after.elapsed - before.elapsed, processor - before.children_user - before.children_system


def main():
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    subprocess.run(["cargo", "fetch", "--quiet", "--locked"], check=True)
    costs = {way: [] for way in WAYS}
    sizes = {}
    for _ in range(ROUNDS):
        for way in WAYS:
            costs[way].append(build(way))
            sizes[way] = os.path.getsize(f"{OUT}/release/server")

    print("| with | dependencies | clean build | processor time | ratio | size in bytes |")
    print("|---|---|---|---|---|---|")
    least = {way: [min(column) for column in zip(*costs[way])] for way in WAYS}
    for way, (elapsed, processor) in least.items():
        tree = cargo("tree", way, "--edges=normal,build", "--prefix=none", "--no-dedupe")
        dependencies = len(set(tree.splitlines())) - 1
        ratio = processor / least["std"][1]
        print(f"| {way or 'no keepalive'} | {dependencies} | {elapsed:.1f} s | {processor:.1f} s "
              f"| {ratio:.1f} | {sizes[way]:,} |")


if __name__ == "__main__":
    main()
