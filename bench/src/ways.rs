//! The ways to set and to read the option. Each is a loop of its own, so that what surrounds the
//! call is the same for all.

use std::hint::black_box;
use std::net::TcpStream;

#[derive(Clone, Copy)]
pub enum Operation {
    Set,
    Get,
}

impl Operation {
    pub const ALL: [Operation; 2] = [Operation::Set, Operation::Get];

    pub fn name(self) -> &'static str {
        match self {
            Operation::Set => "set",
            Operation::Get => "get",
        }
    }

    pub fn parse(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// Makes that many calls.
pub type Calls = fn(&TcpStream, u32);

pub struct Way {
    pub name: &'static str,
    set: Calls,
    get: Calls,
}

impl Way {
    pub fn calls(&self, operation: Operation) -> Calls {
        match operation {
            Operation::Set => self.set,
            Operation::Get => self.get,
        }
    }
}

pub const WAYS: &[Way] = &[
    // First: the others are compared with it.
    Way { name: "libc", set: raw::set, get: raw::get },
    #[cfg(feature = "std")]
    Way { name: "std", set: std_methods::set, get: std_methods::get },
    Way { name: "socket2", set: socket2_way::set, get: socket2_way::get },
    Way { name: "nix", set: nix_way::set, get: nix_way::get },
    Way { name: "rustix", set: rustix_way::set, get: rustix_way::get },
];

/// A loop around a call. The optimizer can neither see what goes in nor leave out what comes back,
/// and a failure is noticed, as it is in a program.
macro_rules! calls {
    ($name:ident, |$stream:ident, $on:ident| $call:expr) => {
        #[inline(never)]
        pub fn $name(stream: &TcpStream, count: u32) {
            for n in 0..count {
                let $stream = black_box(stream);
                let $on = black_box(n % 2 == 0);
                let _ = $on;
                match $call {
                    // Looked at where it is: hiding the whole result would copy it.
                    Ok(value) => _ = black_box(value),
                    Err(_) => failed(),
                }
            }
        }
    };
}

#[cold]
#[inline(never)]
fn failed() -> ! {
    panic!("the call failed")
}

/// The system call through libc, as one writes it who needs the value and notices failure.
mod raw {
    use std::ffi::c_int;
    use std::os::fd::AsRawFd;

    use super::*;

    #[inline(always)]
    fn set_keepalive(stream: &TcpStream, on: bool) -> Result<(), ()> {
        let value = c_int::from(on);
        let length = size_of::<c_int>() as libc::socklen_t;
        let pointer = (&raw const value).cast();
        let (level, name) = (libc::SOL_SOCKET, libc::SO_KEEPALIVE);
        // SAFETY: the stream's descriptor is open, and the pointer leads to `length` bytes.
        let code = unsafe { libc::setsockopt(stream.as_raw_fd(), level, name, pointer, length) };
        if code == -1 { Err(()) } else { Ok(()) }
    }

    #[inline(always)]
    fn keepalive(stream: &TcpStream) -> Result<bool, ()> {
        let mut value: c_int = 0;
        let mut length = size_of::<c_int>() as libc::socklen_t;
        let pointer = (&raw mut value).cast();
        let (level, name) = (libc::SOL_SOCKET, libc::SO_KEEPALIVE);
        // SAFETY: the stream's descriptor is open, and the pointer leads to `length` bytes.
        let code =
            unsafe { libc::getsockopt(stream.as_raw_fd(), level, name, pointer, &mut length) };
        if code == -1 { Err(()) } else { Ok(value != 0) }
    }

    calls!(set, |stream, on| set_keepalive(stream, on));
    calls!(get, |stream, on| keepalive(stream));
}

#[cfg(feature = "std")]
mod std_methods {
    use super::*;

    calls!(set, |stream, on| stream.set_keepalive(on));
    calls!(get, |stream, on| stream.keepalive());
}

mod socket2_way {
    use socket2::SockRef;

    use super::*;

    calls!(set, |stream, on| SockRef::from(stream).set_keepalive(on));
    calls!(get, |stream, on| SockRef::from(stream).keepalive());
}

mod nix_way {
    use nix::sys::socket::sockopt::KeepAlive;
    use nix::sys::socket::{getsockopt, setsockopt};

    use super::*;

    calls!(set, |stream, on| setsockopt(stream, KeepAlive, &on));
    calls!(get, |stream, on| getsockopt(stream, KeepAlive));
}

mod rustix_way {
    use rustix::net::sockopt::{set_socket_keepalive, socket_keepalive};

    use super::*;

    calls!(set, |stream, on| set_socket_keepalive(stream, on));
    calls!(get, |stream, on| socket_keepalive(stream));
}
