#!/bin/bash
# Measures how long a contributor waits, and prints two tables. The processor time is in parentheses.
#
# 1. `./x.py ARGS... test library/std`, from nothing but the archive of Rust's sources, and after an edit.
# 2. From an edit of one line to the last test's result, with upstream's x.py and with `cargo xtask test` in
#    turns: the median of five edits of each file.
#
#     evidence/bench/clock.sh             both tables, in half an hour
#     evidence/bench/clock.sh --full      table 1 with a compiler built from source, in an hour
#     EDITS=1 evidence/bench/clock.sh     both tables, with one edit of each file
#
# The script clones what is committed to build/clock, and works there.
set -euo pipefail
cd "$(dirname "$0")/../.."
clone=$PWD/build/clock
trap 'rm -rf "$clone"' EXIT
rm -rf "$clone"
git clone --quiet . "$clone"
cd "$clone"

# Runs a command, and prints the elapsed time and the processor time in seconds. Shows the output of a failure.
seconds() {
    local TIMEFORMAT='%R %U %S' times
    times=$({ time "$@" > clock.log 2>&1; } 2>&1) || { cat clock.log >&2; exit 1; }
    awk '{ print $1, $2 + $3 }' <<< "$times"
}

# Puts a statement with a new number in front of STATEMENT, in the same line.
edits=0
edit() { # FILE STATEMENT
    local file=rust/library/std/$1
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

# Prints a table cell for each input line. From the second line on, the cell has the ratio to the first.
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
