//! The program under test: holds TCP connections, and runs the commands on standard input.
//!
//! A command is a line, and most commands are a call of `std::net`. The answer is a line that starts
//! with the command's first word.
//!
//! This file is compiled in three ways: with the std under test (`--cfg std_methods`), with methods
//! that do nothing (`--cfg noop`), and as a module of the lab, with socket2's methods.

#![cfg_attr(std_methods, feature(tcp_keepalive))]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::{fs, mem, thread};

/// Returns the value that has the methods under test.
#[cfg(std_methods)]
fn option(stream: &TcpStream) -> &TcpStream {
    stream
}

#[cfg(not(any(std_methods, noop)))]
fn option(stream: &TcpStream) -> socket2::SockRef<'_> {
    stream.into()
}

#[cfg(noop)]
fn option(_: &TcpStream) -> Noop {
    Noop
}

/// Methods that do nothing and return `Ok`. Every scenario must fail with these methods.
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

pub fn main() -> io::Result<()> {
    let mut peer = Peer::default();
    for line in io::stdin().lines() {
        peer.answer(&line?)?;
    }
    Ok(())
}

#[derive(Default)]
struct Peer {
    listener: Option<TcpListener>,
    streams: Vec<TcpStream>,
}

impl Peer {
    /// Runs a command, and writes the answer to standard output.
    fn answer(&mut self, line: &str) -> io::Result<()> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = self.run(verb, rest).unwrap_or_else(|e| describe(&e));
        writeln!(io::stdout(), "{verb} {answer}")
    }

    fn run(&mut self, verb: &str, rest: &str) -> io::Result<String> {
        match verb {
            "listen" => {
                let listener = self.listener.insert(TcpListener::bind(rest)?);
                return Ok(listener.local_addr()?.to_string());
            }
            "accept" => self.streams.push(self.listener().accept()?.0),
            "connect" => {
                self.streams.push(TcpStream::connect(rest)?);
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
            "try_clone" => self.streams[0] = self.stream().try_clone()?,
            "drain" => {
                let streams = self.streams.drain(..);
                let mut ends: Vec<String> =
                    streams.map(|stream| read(&stream).unwrap_or_else(|e| describe(&e))).collect();
                let all = ends.len();
                ends.dedup();
                return Ok(format!("{all} × {}", ends.join(", ")));
            }
            "thread" => {
                // The child thread owns the streams. The command's answer comes when its call returns.
                let mut child = Peer { streams: mem::take(&mut self.streams), ..Peer::default() };
                let command = rest.to_string();
                thread::spawn(move || child.answer(&command));
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

fn read(mut stream: &TcpStream) -> io::Result<String> {
    let mut buffer = [0; 64];
    match stream.read(&mut buffer)? {
        0 => Ok("end of stream".to_string()),
        n => Ok(String::from_utf8_lossy(&buffer[..n]).into_owned()),
    }
}

/// Runs a shell command with the socket as standard input. Returns the command's output.
fn hand_to(command: &str, socket: OwnedFd) -> io::Result<String> {
    let output = Command::new("sh").args(["-c", command]).stdin(socket).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr))),
    }
}

/// Returns an error's kind and its errno.
fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("{:?} (os error {code})", error.kind()),
        None => format!("{error}"),
    }
}
