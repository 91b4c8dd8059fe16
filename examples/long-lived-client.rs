//! A client that keeps one connection open while it runs, and connects again when the connection is
//! lost. It prints each line that the server sends.
//!
//!     cargo run --bin long-lived-client -- 127.0.0.1:7007
//!
//! Such a connection is idle most of the time. A firewall, a load balancer or a NAT router between
//! client and server forgets connections that were idle for some minutes or hours, and tells neither
//! end. The probes of keepalive are traffic, which prevents that. The probes also detect a server that
//! vanished without closing the connection.

#![feature(tcp_keepalive)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

const LONGEST_WAIT: Duration = Duration::from_secs(60);

fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".into());
    let mut wait = Duration::from_secs(1);
    loop {
        match connect(&address) {
            Ok(stream) => {
                println!("connected to {address}");
                wait = Duration::from_secs(1);
                match print_lines(stream) {
                    Ok(()) => println!("the server closed the connection"),
                    // If the server did not answer the probes, the error has the kind `TimedOut`.
                    Err(error) => println!("the connection is lost: {error}"),
                }
            }
            Err(error) => println!("cannot connect to {address}: {error}"),
        }
        // A server in trouble should not get connections from all clients at once, or too often. A
        // real program would also add a random time to the wait.
        println!("trying again in {} s", wait.as_secs());
        thread::sleep(wait);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    // Enables keepalive before anything is sent or received.
    stream.set_keepalive(true)?;
    // A real program would send here who it is and what it wants to receive.
    stream.write_all(b"hello\n")?;
    Ok(stream)
}

/// Prints what the server sends until the connection ends.
fn print_lines(stream: TcpStream) -> io::Result<()> {
    // Hours may pass between two lines. Do not use `set_read_timeout` here: it also ends a connection
    // that is only idle. Keepalive ends a connection only if the server does not answer.
    for line in BufReader::new(stream).lines() {
        println!("the server says: {}", line?);
    }
    Ok(())
}
