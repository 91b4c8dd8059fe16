//! Tests of `TcpStream::set_keepalive` and `TcpStream::keepalive` through the public API, on the
//! loopback interface.

// On the other platforms, `std` has no `SO_KEEPALIVE` to set, or no sockets.
#![cfg(any(unix, windows, all(target_os = "wasi", not(target_env = "p1"))))]
#![cfg(not(target_os = "emscripten"))] // no TCP sockets without a proxy
#![cfg(not(target_os = "l4re"))] // no sockets
#![cfg(not(miri))] // no support for `SO_KEEPALIVE`
#![feature(tcp_keepalive)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};

/// Returns both ends of a new connection: the one that connected and the one that was accepted.
fn connection(addr: impl Into<IpAddr>) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((addr.into(), 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

#[track_caller]
fn assert_off_then_settable(stream: &TcpStream) {
    assert_eq!(stream.keepalive().unwrap(), false);
    stream.set_keepalive(true).unwrap();
    assert_eq!(stream.keepalive().unwrap(), true);
    stream.set_keepalive(false).unwrap();
    assert_eq!(stream.keepalive().unwrap(), false);
}

#[test]
fn both_ends() {
    let (client, server) = connection(Ipv4Addr::LOCALHOST);
    assert_off_then_settable(&client);
    assert_off_then_settable(&server);
}

#[test]
fn both_ends_ipv6() {
    let (client, server) = connection(Ipv6Addr::LOCALHOST);
    assert_off_then_settable(&client);
    assert_off_then_settable(&server);
}

#[test]
#[cfg_attr(target_os = "wasi", ignore = "WASI has no `try_clone`")]
fn shared_by_clones() {
    let (client, _server) = connection(Ipv4Addr::LOCALHOST);
    let clone = client.try_clone().unwrap();

    client.set_keepalive(true).unwrap();
    assert_eq!(clone.keepalive().unwrap(), true);
    clone.set_keepalive(false).unwrap();
    assert_eq!(client.keepalive().unwrap(), false);
}

#[test]
fn independent_between_streams() {
    let (client, server) = connection(Ipv4Addr::LOCALHOST);
    let (other, _other_server) = connection(Ipv4Addr::LOCALHOST);

    client.set_keepalive(true).unwrap();
    assert_eq!(client.keepalive().unwrap(), true);
    assert_eq!(server.keepalive().unwrap(), false);
    assert_eq!(other.keepalive().unwrap(), false);
}

// This also tells `SO_KEEPALIVE` from the option next to it, which behaves the same otherwise.
#[test]
fn independent_of_nodelay() {
    let (client, _server) = connection(Ipv4Addr::LOCALHOST);

    client.set_keepalive(true).unwrap();
    assert_eq!(client.nodelay().unwrap(), false);

    client.set_keepalive(false).unwrap();
    client.set_nodelay(true).unwrap();
    assert_eq!(client.keepalive().unwrap(), false);

    client.set_keepalive(true).unwrap();
    client.set_nodelay(false).unwrap();
    assert_eq!(client.keepalive().unwrap(), true);
}

// Whether it can still be changed depends on the platform.
#[test]
fn readable_after_shutdown() {
    for keepalive in [true, false] {
        let (client, _server) = connection(Ipv4Addr::LOCALHOST);
        client.set_keepalive(keepalive).unwrap();
        client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(client.keepalive().unwrap(), keepalive);
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
    for keepalive in [true, false] {
        let err = not_a_socket.set_keepalive(keepalive).unwrap_err();
        assert_eq!(err.raw_os_error(), expected);
    }
}
