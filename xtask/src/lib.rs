//! `cargo xtask` and the tool behind `./x.py`: from a fresh clone to upstream's own test runner on the
//! patched sources. The package `evidence` uses this library.
//!
//! The modules, in the order in which data flows through them:
//!
//! - `project`, `base`: where things are, and what `base.toml` says of a release.
//! - `fetch`, `unpack`: a base's archive is downloaded, checked and unpacked.
//! - `compiler`: the base's own compiler is found on this machine.
//! - `store`: `build/<base>/store.git` gets the base as one commit, and `patches/<base>/` on top.
//! - `tree`: `rust/`, the clone in which people work, is made and follows the patches.
//! - `bootstrap`, `x`: upstream's build system is configured, and its x.py runs in the clone.
//! - `std`, `test`: std is compiled for one target, and its tests run seconds after an edit.
//! - `export`: the clone's commits are written to `patches/`, `library/` and `tests/`.
//! - `toolchain`: the release's programs and the patched std become a toolchain for users.
//!
//! `owned` deletes and renames, `run` and `git` start programs, `out` and `error` talk to the user.

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
