//! An echo server that closes the connections of clients that vanished.
//!
//!     cargo run --bin echo-server
//!     cargo run --bin echo-server -- 0.0.0.0:7007
//!
//! A client that ends closes its connection, and the server's `read` returns 0 bytes. A client that
//! loses its power or its network does not close the connection. To the server, the client looks like one
//! that has nothing to say. Without keepalive, the server would wait for each such client forever, with
//! a thread and a socket.

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
            // The client may have closed the connection already. The server goes on.
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
        // The client did not answer the probes, and the operating system closed the connection.
        Err(error) if error.kind() == ErrorKind::TimedOut => println!("{client} vanished"),
        // For example, a router reported that the client is unreachable.
        Err(error) => println!("{client} is lost: {error}"),
    }
    // `echo` drops the stream at its end, which closes the socket.
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    // From now on, the operating system probes the client when the connection has been idle for long.
    // The client's operating system answers the probes.
    //
    // The idle time is a setting of the operating system, and two hours on most systems. On Linux,
    // net.ipv4.tcp_keepalive_time changes it for all connections.
    stream.set_keepalive(true)?;

    let mut buffer = [0; 4096];
    loop {
        // Returns an error when the client has not answered the probes.
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
