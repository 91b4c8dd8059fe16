#!/bin/bash
# The contributor's clock: how long `./x.py ARGS… test library/std` takes from nothing but the archive of
# Rust's sources, and after an edit of one line. ARGS are --full, for one, which takes an hour. Works in a
# clone of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

clone=build/clock
TIMEFORMAT='%R s, and %U s + %S s of processor time'
rm -rf $clone
git clone --quiet . $clone
for when in 'from nothing' 'after an edit'; do
    echo -n "./x.py${*:+ $*} test library/std, $when: "
    { time (cd $clone && ./x.py "$@" test library/std > clock.log 2>&1); } 2>&1 ||
        { cat $clone/clock.log; exit 1; }
    echo '// One line more.' | tee -a $clone/build/rust*/library/std/src/net/tcp.rs > /dev/null
done
rm -rf $clone
