//! Makes the four calls whose trace is looked at: set, get, set, get.

#![feature(tcp_keepalive)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};

fn main() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _peer = listener.accept().unwrap();
    for keepalive in [true, false] {
        stream.set_keepalive(keepalive).unwrap();
        assert_eq!(stream.keepalive().unwrap(), keepalive);
    }
}
