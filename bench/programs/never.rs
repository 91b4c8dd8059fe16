//! A server that greets whoever connects, and never calls the methods.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{io, thread};

fn greet(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"hello\n")?;
    while stream.read(&mut [0; 512])? > 0 {}
    Ok(())
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || greet(stream));
    }
    Ok(())
}
