//! Calls the methods four times: set, get, set, get. Before and after each call, asks for the peer's address, so that a
//! trace shows which system calls each method makes.

#![feature(tcp_keepalive)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};

fn main() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _peer = listener.accept().unwrap();
    let mark = || {
        stream.peer_addr().unwrap();
    };
    mark();
    for keepalive in [true, false] {
        stream.set_keepalive(keepalive).unwrap();
        mark();
        assert_eq!(stream.keepalive().unwrap(), keepalive);
        mark();
    }
}
