//! `cargo xtask` and what is behind `./x.py`: from a fresh clone to upstream's own test runner on
//! the patched tree. The package `evidence` proves with it that the series are fit to be merged.
//!
//! The rooms, in the order in which data flows through them:
//!
//! - `base`: an archive that `base.toml` names is fetched, checked and unpacked.
//! - `compiler`: the base's own compiler is found on this machine.
//! - `series`: the base is committed in build/rust, and `patches/<base>/` applied on top; `export`
//!   writes the commits back to `patches/`, `library/` and `tests/`.
//! - `upstream`: bootstrap is configured, and upstream's x.py runs in build/rust.
//! - `library`: one state of `library/` is copied out of build/rust, and std is built from it, for
//!   any target.
//! - `test`: std's own tests run on that std, quickly.
//! - `toolchain`: that std and the release's programs become a toolchain for users.
//!
//! `run` starts other programs and `say` talks to the user; every room uses both. `session` opens
//! what most commands need of the first three.

pub mod base;
pub mod clean;
pub mod compiler;
pub mod docs;
pub mod library;
pub mod run;
pub mod say;
pub mod series;
pub mod session;
pub mod test;
pub mod toolchain;
pub mod upstream;
