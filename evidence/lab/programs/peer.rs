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
fn option(stream: &TcpStream) -> &TcpStream {
    stream
}

/// What a program does today, without the methods; these are called the same.
#[cfg(feature = "via-socket2")]
fn option(stream: &TcpStream) -> socket2::SockRef<'_> {
    stream.into()
}

/// A std that says yes and does nothing: what the lab must catch.
#[cfg(noop)]
fn option(_: &TcpStream) -> Noop {
    Noop
}

#[cfg(noop)]
struct Noop;

#[cfg(noop)]
impl Noop {
    fn set_keepalive(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn keepalive(&self) -> io::Result<bool> {
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
        match verb {
            "listen" => {
                let listener = self.listener.insert(TcpListener::bind(rest)?);
                return Ok(listener.local_addr()?.to_string());
            }
            "accept" => {
                for _ in 0..count(rest) {
                    self.streams.push(self.listener().accept()?.0);
                }
            }
            "connect" => {
                let (address, times) = rest.split_once(' ').unwrap_or((rest, ""));
                for _ in 0..count(times) {
                    self.streams.push(TcpStream::connect(address)?);
                }
                return Ok(self.stream().local_addr()?.to_string());
            }
            "set_keepalive" => {
                let keepalive = rest.parse().expect("true or false");
                self.streams
                    .iter()
                    .try_for_each(|stream| option(stream).set_keepalive(keepalive))?;
            }
            "keepalive" => return Ok(option(self.stream()).keepalive()?.to_string()),
            "write" => self.stream().write_all(rest.as_bytes())?,
            "read" => return read(self.stream()),
            "shutdown" => self.stream().shutdown(Shutdown::Write)?,
            "set_nonblocking" => self.stream().set_nonblocking(true)?,
            // The clone stays, the original is dropped.
            "try_clone" => self.streams[0] = self.stream().try_clone()?,
            "drain" => {
                // Like a server that reads what clients send until they are gone.
                let streams = self.streams.drain(..);
                let mut ends: Vec<String> =
                    streams.map(|stream| read(&stream).unwrap_or_else(|e| describe(&e))).collect();
                let all = ends.len();
                ends.dedup();
                return Ok(format!("{all} × {}", ends.join(", ")));
            }
            "thread" => {
                // The streams move; the command runs over there, and is answered when it is done.
                let mut child = Peer { streams: mem::take(&mut self.streams), ..Peer::default() };
                let command = rest.to_string();
                thread::spawn(move || child.obey(&command));
            }
            "descriptors" => return Ok(fs::read_dir("/proc/self/fd")?.count().to_string()),
            "hand_stream_to" => return hand_to(rest, self.stream().try_clone()?.into()),
            "hand_listener_to" => return hand_to(rest, self.listener().try_clone()?.into()),
            _ => panic!("no such command: {verb}"),
        }
        Ok("ok".to_string())
    }

    fn listener(&self) -> &TcpListener {
        self.listener.as_ref().expect("listen comes first")
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
