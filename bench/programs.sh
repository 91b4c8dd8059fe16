#!/bin/sh
# What choosing std over a crate saves: builds server.rs from nothing with each, and prints how long
# that takes and how large the program is. Needs hyperfine, and `cargo xtask toolchain --link`.
set -eu
cd "$(dirname "$0")"

out=../build/bench-programs
mkdir -p $out
export build="cargo build --quiet --locked --offline --release --bin server --no-default-features \
    --target-dir $out/target --features"

cargo fetch --quiet --locked
hyperfine --runs 5 --prepare "rm -rf $out/target" --parameter-list with std,socket2,nix,rustix \
    --export-markdown $out/times.md '$build {with}' >&2
cat $out/times.md

printf '\n| with | dependencies | size in bytes |\n|---|---|---|\n'
for with in std socket2 nix rustix ''; do
    $build "$with"
    packages=$(cargo tree --quiet --locked --offline --no-default-features --features "$with" \
        --edges normal,build --prefix none --no-dedupe | sort --unique | wc --lines)
    echo "| ${with:-no keepalive} | $((packages - 1)) | $(wc --bytes < $out/target/release/server) |"
done
