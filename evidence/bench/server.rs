//! A server that greets each client, and notices clients that vanished.
//!
//! The cargo feature names the crate that enables keepalive. Without a feature, keepalive stays off.
//! `programs.py` compares the build times and the sizes.

#![cfg_attr(feature = "std", feature(tcp_keepalive))]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{io, thread};

fn greet(mut stream: TcpStream) -> io::Result<()> {
    cfg_select! {
        feature = "std" => stream.set_keepalive(true)?,
        feature = "socket2" => socket2::SockRef::from(&stream).set_keepalive(true)?,
        feature = "nix" => {
            use nix::sys::socket::{setsockopt, sockopt::KeepAlive};
            setsockopt(&stream, KeepAlive, &true)?
        }
        feature = "rustix" => rustix::net::sockopt::set_socket_keepalive(&stream, true)?,
        _ => {}
    }
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
