//! Starts the lab on Linux; elsewhere, says that it needs Linux.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    lab::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!(
        "lab: not run: its network is made of Linux's network namespaces; run it on Linux, \
         where a virtual machine will do"
    );
    ExitCode::from(3)
}
