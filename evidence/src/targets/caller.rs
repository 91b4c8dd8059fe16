//! Calls both methods. Compiles if std has the methods with these types.

#![allow(stable_features)] // after the stabilization
#![feature(tcp_keepalive)]

use std::io;
use std::net::TcpStream;

pub fn set_keepalive(stream: &TcpStream, keepalive: bool) -> io::Result<()> {
    TcpStream::set_keepalive(stream, keepalive)
}

pub fn keepalive(stream: &TcpStream) -> io::Result<bool> {
    TcpStream::keepalive(stream)
}
