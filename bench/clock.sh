#!/bin/bash
# The contributor's clock, in two tables. The first: how long `./x.py ARGS… test library/std` takes from
# nothing but the archive of Rust's sources, and after an edit. The second: how long it takes from an edit of
# one line to the last test's result, by upstream's x.py and by `cargo xtask test`, in turns; the medians of
# five edits of each file. In parentheses, the time of all processors together.
#
#     bench/clock.sh             both tables, in half an hour
#     bench/clock.sh --full      the first one, with a compiler built from source, in an hour
#     EDITS=1 bench/clock.sh     both, with fewer edits
#
# It works in a clone of its own, of what is committed.
set -euo pipefail
cd "$(dirname "$0")/.."
clone=$PWD/build/clock
trap 'rm -rf "$clone"' EXIT
rm -rf "$clone"
git clone --quiet . "$clone"
cd "$clone"

# Prints the seconds that a command takes, and those of all processors. Shows its output if it fails.
seconds() {
    local TIMEFORMAT='%R %U %S' times
    times=$({ time "$@" > clock.log 2>&1; } 2>&1) || { cat clock.log >&2; exit 1; }
    awk '{ print $1, $2 + $3 }' <<< "$times"
}

# Has a statement, in a line of its own, come after another one, which is new each time.
edits=0
edit() { # FILE STATEMENT
    local file=build/rust/library/std/$1
    edits=$((edits + 1))
    sed -i -E "0,/^( +)(core::hint::black_box\([0-9]+\); )?($2)$/s//\1core::hint::black_box($edits); \3/" "$file"
    grep -q "black_box($edits); " "$file" || { echo "$file has no line '$2'" >&2; exit 1; }
}

places=(
    'src/net/tcp.rs self\.0\.set_nodelay\(nodelay\)'
    'src/sys/net/connection/socket/mod.rs self\.inner\.set_nodelay\(nodelay\)'
    'tests/tcp_keepalive.rs client\.set_keepalive\(true\)\.unwrap\(\);'
)
ways=(
    './x.py test library/std --no-doc -- net::tcp'
    'cargo xtask test --test tcp_keepalive'
    'cargo xtask test'
)

# A cell for each line, with the ratio to the first one where there are several.
cells() {
    awk '{ printf " %.1f s (%.1f s)", $1, $2 }
         NR == 1 { first = $1 } NR > 1 { printf ", 1/%.1f", first / $1 } { printf " |" }'
}

line="./x.py${*:+ $*} test library/std"
printf '| | from nothing | after an edit |\n|---|---|---|\n| `%s` |' "$line"
seconds $line | cells
edit ${places[0]}
seconds $line | cells
printf '\n\n'
[ $# = 0 ] || exit 0

printf '| after an edit of |'
printf ' `%s` |' "${ways[@]}"
printf '\n|---|---|---|---|\n'
for way in "${ways[@]}"; do seconds $way > /dev/null; done
for place in "${places[@]}"; do
    rm -f clock.[0-2]
    for ((n = 0; n < ${EDITS:=5}; n++)); do
        for way in 0 1 2; do
            edit $place
            seconds ${ways[way]} >> clock.$way
        done
    done
    printf '| `%s` |' "${place%% *}"
    for way in 0 1 2; do
        sort -n clock.$way | sed -n "$(((EDITS + 1) / 2))p"
    done | cells
    printf '\n'
done
