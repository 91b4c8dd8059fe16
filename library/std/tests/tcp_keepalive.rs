//! Black-box tests of `TcpStream::set_keepalive` and `TcpStream::keepalive`, through the public API
//! alone. They need the loopback interface, and nothing else of the network.
//!
//! The whole file is about platforms where `std` can set the option, thus not about Hermit, Motor
//! OS, SGX, UEFI, WASI preview 1, Xous, and those without sockets. What doesn't hold on some of the
//! others says so.

#![cfg(any(unix, windows, all(target_os = "wasi", not(target_env = "p1"))))]
#![cfg(not(target_os = "emscripten"))] // no TCP sockets without a proxy
#![cfg(not(target_os = "l4re"))] // no sockets
#![cfg(not(miri))] // no socket support in Miri
#![feature(tcp_keepalive, tcp_linger)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// Connects through `listener` and returns both ends of the connection: the one that connected and
/// the one that was accepted.
fn connect_through(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let client_addr = client.local_addr().unwrap();
    loop {
        let (server, peer_addr) = listener.accept().unwrap();
        // Someone else on this machine might have connected to our port.
        if peer_addr == client_addr {
            return (client, server);
        }
    }
}

fn connection() -> (TcpStream, TcpStream) {
    connect_through(&TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
}

#[track_caller]
fn assert_roundtrip(stream: &TcpStream) {
    assert_eq!(stream.keepalive().unwrap(), false);
    stream.set_keepalive(true).unwrap();
    assert_eq!(stream.keepalive().unwrap(), true);
    stream.set_keepalive(false).unwrap();
    assert_eq!(stream.keepalive().unwrap(), false);
}

/// Sends a byte each way.
#[track_caller]
fn assert_alive(mut a: &TcpStream, mut b: &TcpStream) {
    let mut buf = [0];
    a.write_all(b"x").unwrap();
    b.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"x");
    b.write_all(b"y").unwrap();
    a.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"y");
}

#[test]
fn off_by_default() {
    let (client, server) = connection();
    assert_eq!(client.keepalive().unwrap(), false);
    assert_eq!(server.keepalive().unwrap(), false);
}

#[test]
fn off_by_default_with_connect_timeout() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let client = TcpStream::connect_timeout(&addr, Duration::from_secs(30)).unwrap();
    assert_roundtrip(&client);
}

#[test]
fn roundtrip() {
    let (client, server) = connection();
    assert_roundtrip(&client);
    assert_roundtrip(&server);
}

#[test]
fn idempotent() {
    let (client, _server) = connection();
    for keepalive in [false, true, false] {
        for _ in 0..3 {
            client.set_keepalive(keepalive).unwrap();
            assert_eq!(client.keepalive().unwrap(), keepalive);
            assert_eq!(client.keepalive().unwrap(), keepalive);
        }
    }
}

#[test]
fn ipv6() {
    let listener = match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(listener) => listener,
        // If UDP agrees with TCP that there is no such address, then the host has no IPv6
        // loopback, and there is nothing to test.
        Err(err) if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() => {
            println!("skipped, no IPv6 on the loopback interface: {err}");
            return;
        }
        Err(err) => panic!("cannot listen on ::1: {err}"),
    };
    let (client, server) = connect_through(&listener);
    assert!(matches!(client.peer_addr().unwrap(), SocketAddr::V6(_)));
    assert_roundtrip(&client);
    assert_roundtrip(&server);
}

#[test]
#[cfg_attr(target_os = "wasi", ignore = "WASI has no `try_clone`")]
fn shared_by_clones() {
    let (client, _server) = connection();
    let clone = client.try_clone().unwrap();
    assert_eq!(clone.keepalive().unwrap(), false);

    client.set_keepalive(true).unwrap();
    assert_eq!(clone.keepalive().unwrap(), true);
    clone.set_keepalive(false).unwrap();
    assert_eq!(client.keepalive().unwrap(), false);

    // It outlives the handle it was set through, and later clones have it, too.
    clone.set_keepalive(true).unwrap();
    drop(clone);
    assert_eq!(client.keepalive().unwrap(), true);
    assert_eq!(client.try_clone().unwrap().keepalive().unwrap(), true);
}

#[test]
fn independent_between_streams() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (client1, server1) = connect_through(&listener);
    let (client2, server2) = connect_through(&listener);

    // Neither the other end of the connection nor another connection is affected...
    client1.set_keepalive(true).unwrap();
    assert_eq!(client1.keepalive().unwrap(), true);
    assert_eq!(server1.keepalive().unwrap(), false);
    assert_eq!(client2.keepalive().unwrap(), false);
    assert_eq!(server2.keepalive().unwrap(), false);

    // ...nor are connections that come later.
    server1.set_keepalive(true).unwrap();
    let (client3, server3) = connect_through(&listener);
    assert_eq!(client3.keepalive().unwrap(), false);
    assert_eq!(server3.keepalive().unwrap(), false);
}

#[test]
fn unaffected_by_other_options() {
    let (client, server) = connection();
    for keepalive in [true, false] {
        client.set_keepalive(keepalive).unwrap();

        for nodelay in [true, false] {
            client.set_nodelay(nodelay).unwrap();
            assert_eq!(client.keepalive().unwrap(), keepalive);
        }
        for nonblocking in [true, false] {
            client.set_nonblocking(nonblocking).unwrap();
            assert_eq!(client.keepalive().unwrap(), keepalive);
        }
        // Neither linger nor timeouts are supported on WASI.
        if !cfg!(target_os = "wasi") {
            for duration in [Some(Duration::from_secs(5)), None] {
                client.set_linger(duration).unwrap();
                assert_eq!(client.keepalive().unwrap(), keepalive);
                client.set_read_timeout(duration).unwrap();
                assert_eq!(client.keepalive().unwrap(), keepalive);
                client.set_write_timeout(duration).unwrap();
                assert_eq!(client.keepalive().unwrap(), keepalive);
            }
        }
    }
    assert_alive(&client, &server);
}

#[test]
fn does_not_affect_other_options() {
    let (client, server) = connection();
    client.set_nodelay(true).unwrap();
    for keepalive in [true, false] {
        client.set_keepalive(keepalive).unwrap();
        assert_eq!(client.nodelay().unwrap(), true);
        // Neither linger nor timeouts are supported on WASI.
        if !cfg!(target_os = "wasi") {
            assert_eq!(client.linger().unwrap(), None);
            assert_eq!(client.read_timeout().unwrap(), None);
            assert_eq!(client.write_timeout().unwrap(), None);
        }
        assert!(client.take_error().unwrap().is_none());
        assert_alive(&client, &server);
    }
}

#[test]
fn readable_after_peer_closed() {
    for keepalive in [true, false] {
        let (mut client, server) = connection();
        client.set_keepalive(keepalive).unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(client.keepalive().unwrap(), keepalive);
    }
}

// Whether the option can still be *changed* after a shutdown depends on the platform. Apple's
// refuse with `EINVAL`, so this isn't tested.
#[test]
fn readable_after_shutdown() {
    for keepalive in [true, false] {
        for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
            let (client, _server) = connection();
            client.set_keepalive(keepalive).unwrap();
            client.shutdown(how).unwrap();
            assert_eq!(client.keepalive().unwrap(), keepalive);
        }
    }
}

#[test]
#[cfg_attr(target_os = "wasi", ignore = "WASI has no threads")]
fn toggled_from_many_threads() {
    const THREADS: usize = 8;
    const TIMES: usize = 100;

    let (client, server) = connection();
    thread::scope(|scope| {
        for i in 0..THREADS {
            let client = &client;
            scope.spawn(move || {
                for j in 0..TIMES {
                    client.set_keepalive((i + j) % 2 == 0).unwrap();
                    // Either value is fine, as another thread may have been faster.
                    let _: bool = client.keepalive().unwrap();
                }
            });
        }
    });

    client.set_keepalive(true).unwrap();
    assert_eq!(client.keepalive().unwrap(), true);
    client.set_keepalive(false).unwrap();
    assert_eq!(client.keepalive().unwrap(), false);
    assert_alive(&client, &server);
}

// On Windows, it takes `unsafe` to make a `TcpStream` of something that is not a socket. On WASI, it
// takes a file, and the tests are not given one.
#[test]
#[cfg(unix)]
fn error_if_not_a_socket() {
    use std::io::pipe;
    use std::os::fd::OwnedFd;

    // The number of this error depends on the system. Where it isn't known here, the comparison with
    // `peer_addr` has to do, as POSIX demands it of `getpeername`, too.
    const ENOTSOCK: Option<i32> = if cfg!(any(
        target_vendor = "apple",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
    )) {
        Some(38)
    } else if cfg!(all(
        any(target_os = "linux", target_os = "android"),
        not(any(
            target_arch = "mips",
            target_arch = "mips32r6",
            target_arch = "mips64",
            target_arch = "mips64r6",
            target_arch = "sparc",
            target_arch = "sparc64",
        )),
    )) {
        Some(88)
    } else {
        None
    };

    let (reader, _writer) = pipe().unwrap();
    let not_a_socket = TcpStream::from(OwnedFd::from(reader));
    let expected = not_a_socket.peer_addr().unwrap_err().raw_os_error();
    if ENOTSOCK.is_some() {
        assert_eq!(expected, ENOTSOCK);
    }

    assert_eq!(not_a_socket.keepalive().unwrap_err().raw_os_error(), expected);
    for keepalive in [true, false] {
        let err = not_a_socket.set_keepalive(keepalive).unwrap_err();
        assert_eq!(err.raw_os_error(), expected);
    }
}
