//! A client that keeps one connection open for as long as it runs, and connects again when it is
//! lost. It prints each line that the server sends.
//!
//!     cargo run --bin long-lived-client -- 127.0.0.1:7007
//!
//! Such a connection is idle most of the time, and that is what breaks it. A firewall, a load
//! balancer or a NAT router on the way forgets connections on which nothing was sent for some
//! minutes or hours, and tells neither end. The probes that keepalive sends are traffic to them. And
//! should the server be gone without a word, the probes find that out, too.

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
                match listen(stream) {
                    Ok(()) => println!("the server closed the connection"),
                    // Where keepalive found the server gone, the error is of kind `TimedOut`.
                    Err(error) => println!("the connection is lost: {error}"),
                }
            }
            Err(error) => println!("cannot connect to {address}: {error}"),
        }
        // Not all clients should come back at once, or too often, when a server is in trouble. A
        // real program would also vary the wait at random.
        println!("trying again in {} s", wait.as_secs());
        thread::sleep(wait);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    // Before anything is sent or waited for: from the first second on, the connection is guarded.
    stream.set_keepalive(true)?;
    // Here a real program would say who it is and what it wants to be told of.
    stream.write_all(b"hello\n")?;
    Ok(stream)
}

/// Prints what the server sends until the connection ends.
fn listen(stream: TcpStream) -> io::Result<()> {
    // Between two lines, hours may pass. There is no need for a timeout here: `set_read_timeout`
    // would end a connection that is merely quiet, and keepalive only one that is dead.
    for line in BufReader::new(stream).lines() {
        println!("the server says: {}", line?);
    }
    Ok(())
}
