//! An echo server that drops clients that vanished.
//!
//!     cargo run --bin echo-server
//!     cargo run --bin echo-server -- 0.0.0.0:7007
//!
//! A client that ends closes its connection, and the server's `read` returns 0 bytes. But a client
//! that loses its power or its network closes nothing. It sends no more, which looks the same as a
//! client that has nothing to say, and without keepalive the server would wait for it forever: a
//! thread, a socket and their memory for each.

#![feature(tcp_keepalive)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => _ = thread::spawn(move || serve(stream)),
            // One client that went away too early is no reason to stop.
            Err(error) => eprintln!("cannot accept a client: {error}"),
        }
    }
    Ok(())
}

fn serve(stream: TcpStream) {
    let client = match stream.peer_addr() {
        Ok(address) => address.to_string(),
        Err(_) => "a client".into(),
    };
    println!("{client} is here");
    match echo(stream) {
        Ok(()) => println!("{client} is done"),
        // Probes went unanswered, and the operating system gave the connection up.
        Err(error) if error.kind() == ErrorKind::TimedOut => println!("{client} vanished"),
        // Among others: a router answered that there is no way to the client any more.
        Err(error) => println!("{client} is lost: {error}"),
    }
    // The stream is dropped at the end of `echo`, and with it goes all that the client cost.
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    // From now on, the operating system asks the client for a sign of life whenever the connection
    // was idle for long. The client's operating system answers by itself.
    //
    // How long is for the system to say: two hours with most. On Linux, the setting
    // net.ipv4.tcp_keepalive_time changes that for all connections.
    stream.set_keepalive(true)?;

    let mut buffer = [0; 4096];
    loop {
        // A client that vanished makes this fail once the probes went unanswered.
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
