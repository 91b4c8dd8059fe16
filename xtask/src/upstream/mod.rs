//! Upstream's own build system: its configuration, and running its x.py.

pub mod bootstrap;
pub mod front_door;
