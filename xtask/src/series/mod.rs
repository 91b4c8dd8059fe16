//! The patch series: patches/<base>/, the commits in build/rust, and the way from one to the other.

pub mod export;
pub mod patches;
pub mod prepare;
pub mod rehearse;
pub mod tree;
pub mod written;
