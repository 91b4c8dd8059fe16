#!/bin/sh
# The release's program of this name, in libexec/, with the one gate opened.
#
# A release refuses `#![feature]`. RUSTC_BOOTSTRAP=1 lifts that, but for all features, and for every
# crate that asks: many build scripts compile a probe to find out whether they are on a nightly
# compiler, and would then choose other code. So the variable is set for a crate that says
# `tcp_keepalive` alone, and -Zallow-features keeps the other gates shut.
toolchain={directory}
program=$toolchain/libexec/${0##*/}
if ! [ -x "$program" ]; then
    echo "error: the toolchain is not whole: no $program. \`cargo xtask toolchain\` mends it" >&2
    exit 1
fi
# The compiler takes its std from beside the libraries that it was loaded from. Under `cargo run` or
# rustup, the variable can lead to those of the release.
[ -z "$LD_LIBRARY_PATH" ] || LD_LIBRARY_PATH=$toolchain/lib:$LD_LIBRARY_PATH

# Cargo takes compilers that say the same of themselves for the same one.
case "$*" in
-vV | -Vv | '--version --verbose' | '--verbose --version')
    "$program" "$@" && echo 'std: with tcp_keepalive, {digest}'
    exit
    ;;
esac

# Whoever sets the variable gets what the release would say to that.
opens=${RUSTC_BOOTSTRAP+no}
previous=
for argument; do
    case $argument in
    # What only a nightly compiler does. And with the variable set, the compiler also tells of cfgs
    # that are unstable, and Cargo would pass them on to build scripts.
    -Z* | --print=cfg | --print=check-cfg) opens=no ;;
    cfg | check-cfg) [ "$previous" != --print ] || opens=no ;;
    # What is in there comes too late to be looked at.
    - | @*) opens=${opens:-yes} ;;
    *.rs | *.md) ! grep -qs -e tcp_keepalive -- "$argument" || opens=${opens:-yes} ;;
    esac
    previous=$argument
done
[ "$opens" = yes ] || exec "$program" "$@"

export RUSTC_BOOTSTRAP=1
# Cargo calls clippy-driver with the compiler's own path before the arguments.
case ${1##*/} in
rustc)
    compiler=$1
    shift
    exec "$program" "$compiler" -Zallow-features=tcp_keepalive "$@"
    ;;
esac
exec "$program" -Zallow-features=tcp_keepalive "$@"
