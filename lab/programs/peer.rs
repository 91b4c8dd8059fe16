//! The program under test: it holds TCP connections and does what standard input says.
//!
//! One line is one command, and every command is one call of `std::net`; its answer is one line
//! that starts with the command's first word. Nothing here touches a socket except through
//! `TcpStream` and `TcpListener`, so what the lab sees on the wire is what std does.
//!
//! The same file is compiled against each std that the lab compares; only [`option`] differs.

#![cfg_attr(not(any(feature = "via-socket2", noop)), feature(tcp_keepalive))]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{self, Command};
use std::{fs, mem, thread};

/// The patched std, or a nightly one: the methods that this project is about.
#[cfg(not(any(feature = "via-socket2", noop)))]
mod option {
    use super::*;

    pub fn set(stream: &TcpStream, keepalive: bool) -> io::Result<()> {
        stream.set_keepalive(keepalive)
    }

    pub fn get(stream: &TcpStream) -> io::Result<bool> {
        stream.keepalive()
    }
}

/// What a program does today, without the methods.
#[cfg(feature = "via-socket2")]
mod option {
    use super::*;

    pub fn set(stream: &TcpStream, keepalive: bool) -> io::Result<()> {
        socket2::SockRef::from(stream).set_keepalive(keepalive)
    }

    pub fn get(stream: &TcpStream) -> io::Result<bool> {
        socket2::SockRef::from(stream).keepalive()
    }
}

/// A std that says yes and does nothing: what the lab must catch.
#[cfg(noop)]
mod option {
    use super::*;

    pub fn set(_: &TcpStream, _: bool) -> io::Result<()> {
        Ok(())
    }

    pub fn get(_: &TcpStream) -> io::Result<bool> {
        Ok(false)
    }
}

fn main() {
    let mut peer = Peer::default();
    for line in io::stdin().lines() {
        peer.obey(&line.expect("standard input is text"));
    }
}

#[derive(Default)]
struct Peer {
    listener: Option<TcpListener>,
    streams: Vec<TcpStream>,
}

impl Peer {
    fn obey(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = self.call(verb, rest).unwrap_or_else(|e| describe(&e));
        if writeln!(io::stdout(), "{verb} {answer}").is_err() {
            // Nobody listens any more.
            process::exit(1);
        }
    }

    fn call(&mut self, verb: &str, rest: &str) -> io::Result<String> {
        let done = || Ok("ok".to_string());
        match verb {
            "listen" => {
                let listener = self.listener.insert(TcpListener::bind(rest)?);
                Ok(listener.local_addr()?.to_string())
            }
            "accept" => {
                let listener = self.listener.as_ref().expect("listen comes first");
                for _ in 0..count(rest) {
                    self.streams.push(listener.accept()?.0);
                }
                done()
            }
            "connect" => {
                let (address, times) = rest.split_once(' ').unwrap_or((rest, "1"));
                for _ in 0..count(times) {
                    self.streams.push(TcpStream::connect(address)?);
                }
                Ok(self.stream().local_addr()?.to_string())
            }
            "set_keepalive" => {
                let keepalive = rest.parse().expect("true or false");
                self.streams.iter().try_for_each(|stream| option::set(stream, keepalive))?;
                done()
            }
            "keepalive" => Ok(option::get(self.stream())?.to_string()),
            "write" => self.stream().write_all(rest.as_bytes()).and_then(|()| done()),
            "read" => read(self.stream()),
            "shutdown" => self.stream().shutdown(Shutdown::Write).and_then(|()| done()),
            "set_nonblocking" => self.stream().set_nonblocking(true).and_then(|()| done()),
            "try_clone" => {
                // The clone stays, the original is dropped.
                self.streams[0] = self.stream().try_clone()?;
                done()
            }
            "drain" => {
                // Like a server that reads what clients send until they are gone.
                let mut ends: Vec<String> = Vec::new();
                for stream in self.streams.drain(..) {
                    ends.push(read(&stream).unwrap_or_else(|e| describe(&e)));
                }
                let all = ends.len();
                ends.dedup();
                Ok(format!("{all} × {}", ends.join(", ")))
            }
            "thread" => {
                // The streams move; the command runs over there, and is answered when it is done.
                let mut child = Peer { streams: mem::take(&mut self.streams), ..Peer::default() };
                let command = rest.to_string();
                thread::spawn(move || child.obey(&command));
                done()
            }
            "descriptors" => Ok(fs::read_dir("/proc/self/fd")?.count().to_string()),
            "hand_stream_to" => hand_to(rest, self.stream().try_clone()?.into()),
            "hand_listener_to" => {
                let listener = self.listener.as_ref().expect("listen comes first");
                hand_to(rest, listener.try_clone()?.into())
            }
            _ => panic!("no such command: {verb}"),
        }
    }

    fn stream(&self) -> &TcpStream {
        self.streams.first().expect("connect or accept comes first")
    }
}

fn count(text: &str) -> usize {
    if text.is_empty() { 1 } else { text.parse().expect("a number") }
}

fn read(mut stream: &TcpStream) -> io::Result<String> {
    let mut buffer = [0; 64];
    match stream.read(&mut buffer)? {
        0 => Ok("end of stream".to_string()),
        n => Ok(String::from_utf8_lossy(&buffer[..n]).into_owned()),
    }
}

/// Runs a shell command whose standard input is the socket; what it prints is the answer.
fn hand_to(command: &str, socket: OwnedFd) -> io::Result<String> {
    let output = Command::new("sh").args(["-c", command]).stdin(socket).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr))),
    }
}

/// What a caller can match on: the kind, and the system's number for it.
fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("{:?} (os error {code})", error.kind()),
        None => format!("{error}"),
    }
}
