//! Calls the methods on a platform that does not support keepalive, and then uses the connection. Prints one line for
//! each result. `ANSWERS` in mod.rs has the expected lines.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Calls the methods on a stream that is connected to an echo server.
pub fn print_answers(stream: &mut TcpStream) {
    let enabled = stream.set_keepalive(true).map_err(|error| error.kind());
    println!("==> set_keepalive(true): {enabled:?}");
    let disabled = stream.set_keepalive(false).map_err(|error| error.kind());
    println!("==> set_keepalive(false): {disabled:?}");
    let keepalive = stream.keepalive().map_err(|error| error.kind());
    println!("==> keepalive(): {keepalive:?}");

    let mut received = [0; 5];
    let echoed = stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut received));
    println!("==> echo: {:?}", echoed.map(|()| &received == b"hello"));
}
