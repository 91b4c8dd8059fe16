//! Names points at which a test can have the program end as `kill -9` or a power failure would end
//! it.

use rustix::process::{Signal, getpid, kill_process};

/// Ends the program if the environment variable `XTASK_KILL_AT` has this name. A name with a number
/// behind it, as in `writing a file 3`, stands for the third time that the point is reached.
pub fn kill_point(name: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static REACHED: AtomicUsize = AtomicUsize::new(0);
    let Ok(chosen) = std::env::var("XTASK_KILL_AT") else { return };
    let Some(number) = chosen.strip_prefix(name) else { return };
    let number = if number.is_empty() { "1" } else { number.trim_start() };
    if number.parse() == Ok(REACHED.fetch_add(1, Ordering::SeqCst) + 1) {
        // A process may always end itself.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
