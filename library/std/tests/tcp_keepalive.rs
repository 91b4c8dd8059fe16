//! Tests of `TcpStream::set_keepalive` and `TcpStream::keepalive` through the public API, on the
//! loopback interface.

// On the other platforms, `std` has no `SO_KEEPALIVE` to set, or no sockets.
#![cfg(any(unix, windows, all(target_os = "wasi", not(target_env = "p1"))))]
#![cfg(not(target_os = "emscripten"))] // no TCP sockets without a proxy
#![cfg(not(target_os = "l4re"))] // no sockets
#![cfg(not(miri))] // no support for `SO_KEEPALIVE`
#![feature(tcp_keepalive)]

use std::net::{TcpListener, TcpStream};

/// Returns both ends of a new connection: the one that connected and the one that was accepted.
fn connection(addr: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(addr).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

#[test]
fn both_ends() {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let (client, server) = connection(addr);
        for (stream, peer) in [(&client, &server), (&server, &client)] {
            assert_eq!(stream.keepalive().unwrap(), false);
            stream.set_keepalive(true).unwrap();
            assert_eq!(stream.keepalive().unwrap(), true);
            assert_eq!(peer.keepalive().unwrap(), false);
            stream.set_keepalive(false).unwrap();
            assert_eq!(stream.keepalive().unwrap(), false);
        }
    }
}

#[test]
#[cfg_attr(target_os = "wasi", ignore = "WASI has no `try_clone`")]
fn shared_by_clones() {
    let (client, _server) = connection("127.0.0.1:0");
    let clone = client.try_clone().unwrap();
    client.set_keepalive(true).unwrap();
    assert_eq!(clone.keepalive().unwrap(), true);
}

#[test]
fn independent_of_nodelay() {
    let (client, _server) = connection("127.0.0.1:0");
    client.set_keepalive(true).unwrap();
    assert_eq!(client.nodelay().unwrap(), false);
    for keepalive in [true, false] {
        client.set_keepalive(keepalive).unwrap();
        client.set_nodelay(!keepalive).unwrap();
        assert_eq!(client.keepalive().unwrap(), keepalive);
        assert_eq!(client.nodelay().unwrap(), !keepalive);
    }
}

// On the other platforms, nothing else is at hand that could become a `TcpStream`.
#[test]
#[cfg(unix)]
fn error_if_not_a_socket() {
    use std::os::fd::OwnedFd;

    let (reader, _writer) = std::io::pipe().unwrap();
    let not_a_socket = TcpStream::from(OwnedFd::from(reader));
    // POSIX has one error for this, whatever the function.
    let expected = not_a_socket.peer_addr().unwrap_err().raw_os_error();
    assert_eq!(not_a_socket.keepalive().unwrap_err().raw_os_error(), expected);
    assert_eq!(not_a_socket.set_keepalive(true).unwrap_err().raw_os_error(), expected);
}
