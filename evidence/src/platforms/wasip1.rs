//! Calls the methods on WASI 0.1, and prints the results. A program cannot connect there, so descriptor 0 is a
//! connection.

#![feature(tcp_keepalive)]

mod unsupported;

use std::net::TcpStream;
use std::os::fd::FromRawFd;

fn main() {
    // SAFETY: nothing else uses standard input.
    let mut stream = unsafe { TcpStream::from_raw_fd(0) };
    unsupported::print_answers(&mut stream);
}
