#![feature(tcp_keepalive)]

use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_keepalive(true)?;
    println!("keepalive: {}", stream.keepalive()?);
    Ok(())
}
