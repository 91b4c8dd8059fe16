//! std: its sources in one state of the tree, and what is built from them for any target.

pub mod sources;
pub mod sysroot;
