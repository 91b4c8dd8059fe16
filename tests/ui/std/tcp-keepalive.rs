//! Test that with `#![feature(tcp_keepalive)]`, a program can set and get the `SO_KEEPALIVE` option
//! of its `TcpStream`s.

//@ run-pass
//@ ignore-wasm no network
//@ ignore-sgx no keepalive

#![feature(tcp_keepalive)]

use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let connected = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, _) = listener.accept()?;

    for stream in [connected, accepted] {
        assert_eq!(stream.keepalive()?, false);
        stream.set_keepalive(true)?;
        assert_eq!(stream.keepalive()?, true);
        stream.set_keepalive(false)?;
        assert_eq!(stream.keepalive()?, false);
    }
    Ok(())
}
