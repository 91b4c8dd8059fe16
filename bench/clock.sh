#!/bin/bash
# The contributor's clock: how long `./x.py test library/std` takes in each lane, from nothing but the
# archive of Rust's sources, and after an edit of one line. Works in a clone of its own. Takes an hour.
set -euo pipefail
cd "$(dirname "$0")/.."

clone=build/clock
TIMEFORMAT='%R s, and %U s + %S s of processor time'
for lane in '' '--full '; do
    rm -rf $clone
    git clone --quiet . $clone
    for when in 'from nothing' 'after an edit'; do
        echo -n "./x.py ${lane}test library/std, $when: "
        { time (cd $clone && ./x.py $lane test library/std > clock.log 2>&1); } 2>&1 ||
            { cat $clone/clock.log; exit 1; }
        echo '// One line more.' >> $clone/build/rust/library/std/src/net/tcp.rs
    done
done
