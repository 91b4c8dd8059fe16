//! The library behind `cargo xtask` and `./x.py`. The package `evidence` uses it, too.
//!
//! The modules, in the order in which data flows through them:
//!
//! - `project`, `base`: know the project's paths, and read the releases in `base.toml`.
//! - `fetch`, `unpack`: download and check a base's archive, and unpack it.
//! - `compiler`: finds the base's own compiler on this machine.
//! - `store`: commits the base to `build/<base>/store.git`, and applies `patches/<base>/` to it.
//! - `tree`: clones the store to `rust/`, and moves the clone's branch when the patches change.
//! - `bootstrap`, `x`: configure upstream's build system, and run its x.py in the clone.
//! - `std`, `test`: compile std for one target, and run its tests of TCP on the clone's files.
//! - `export`: writes the clone's commits to `patches/`, `library/` and `tests/`.
//! - `toolchain`: assembles a toolchain from the release's programs and the patched std.
//!
//! `owned` deletes and renames. `run` and `git` start programs. `out` and `error` print to the user.

pub mod base;
pub mod bootstrap;
pub mod compiler;
pub mod error;
pub mod export;
pub mod fetch;
pub mod git;
pub mod out;
pub mod owned;
pub mod project;
pub mod run;
pub mod std;
pub mod store;
pub mod test;
pub mod toolchain;
pub mod tree;
pub mod unpack;
pub mod x;
