//! Test that `TcpStream::set_keepalive` and `TcpStream::keepalive` cannot be used without
//! `#![feature(tcp_keepalive)]`.

use std::io;
use std::net::TcpStream;

fn main() {}

fn enable(stream: &TcpStream) -> io::Result<bool> {
    stream.set_keepalive(true)?; //~ ERROR use of unstable library feature `tcp_keepalive`
    stream.keepalive() //~ ERROR use of unstable library feature `tcp_keepalive`
}
