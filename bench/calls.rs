//! What a call costs: std's methods and those of the crates that are used instead of them, each beside
//! the system call made through libc. Prints a table of times and of instructions.
//!
//!     cargo +tcp-keepalive bench      the patched std
//!     cargo +nightly bench            upstream's
//!     cargo +nightly test             sees that all ways do the same, and measures nothing
//!
//! The differences are about one in a hundred, less than a machine's speed changes from one second to
//! the next. So a harness that times one function after the other cannot show them: here, short batches
//! of all ways take turns, and each is compared with libc's of the same round.

#![feature(tcp_keepalive)]

use std::env;
use std::error::Error;
use std::ffi::c_int;
use std::hint::black_box;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Instant;

use nix::sys::socket::{getsockopt, setsockopt, sockopt::KeepAlive};
use rustix::net::sockopt::{set_socket_keepalive, socket_keepalive};
use socket2::SockRef;

/// How often the program that times is started: where its stack and its code lie makes a difference of
/// a few per cent, which stays the same for one process.
const PROCESSES: usize = 15;
const ROUNDS: usize = 201;
/// A quarter of a millisecond, more or less; short beside a scheduler's slice.
const BATCH: u32 = 1000;

const OPERATIONS: [&str; 2] = ["set", "get"];

/// A way to set the option, to true and to false in turn, and to read it: that many times.
struct Way {
    name: &'static str,
    set: fn(&TcpStream, u32),
    /// Returns what the last call said.
    get: fn(&TcpStream, u32) -> bool,
}

const WAYS: [Way; 5] = [
    // First: the others are compared with it.
    Way { name: "libc", set: |s, n| set(s, n, libc_set), get: |s, n| get(s, n, libc_get) },
    Way {
        name: "std",
        set: |s, n| set(s, n, |s, on| s.set_keepalive(on)),
        get: |s, n| get(s, n, |s| s.keepalive()),
    },
    Way {
        name: "socket2",
        set: |s, n| set(s, n, |s, on| SockRef::from(s).set_keepalive(on)),
        get: |s, n| get(s, n, |s| SockRef::from(s).keepalive()),
    },
    Way {
        name: "nix",
        set: |s, n| set(s, n, |s, on| setsockopt(s, KeepAlive, &on)),
        get: |s, n| get(s, n, |s| getsockopt(s, KeepAlive)),
    },
    Way {
        name: "rustix",
        set: |s, n| set(s, n, |s, on| set_socket_keepalive(s, on)),
        get: |s, n| get(s, n, |s| socket_keepalive(s)),
    },
];

/// The loop around the calls. The optimizer can neither see what goes in nor leave out what comes back,
/// and a failure is noticed, as it is in a program.
#[inline(never)]
fn set<E>(stream: &TcpStream, count: u32, call: impl Fn(&TcpStream, bool) -> Result<(), E>) {
    for n in 0..count {
        if call(black_box(stream), black_box(n % 2 == 0)).is_err() {
            failed();
        }
    }
}

#[inline(never)]
fn get<E>(stream: &TcpStream, count: u32, call: impl Fn(&TcpStream) -> Result<bool, E>) -> bool {
    let mut last = false;
    for _ in 0..count {
        match call(black_box(stream)) {
            // Looked at where it is: hiding the whole result would copy it.
            Ok(on) => last = black_box(on),
            Err(_) => failed(),
        }
    }
    last
}

#[cold]
#[inline(never)]
fn failed() -> ! {
    panic!("the call failed")
}

/// The system call as one writes it who needs the value and notices failure.
#[inline(always)]
fn libc_set(stream: &TcpStream, on: bool) -> Result<(), ()> {
    let value = c_int::from(on);
    let length = size_of::<c_int>() as libc::socklen_t;
    let pointer = (&raw const value).cast();
    let (level, name) = (libc::SOL_SOCKET, libc::SO_KEEPALIVE);
    // SAFETY: the stream's descriptor is open, and the pointer leads to `length` bytes.
    let code = unsafe { libc::setsockopt(stream.as_raw_fd(), level, name, pointer, length) };
    if code == -1 { Err(()) } else { Ok(()) }
}

#[inline(always)]
fn libc_get(stream: &TcpStream) -> Result<bool, ()> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    let pointer = (&raw mut value).cast();
    let (level, name) = (libc::SOL_SOCKET, libc::SO_KEEPALIVE);
    // SAFETY: the stream's descriptor is open, and the pointer leads to `length` bytes.
    let code = unsafe { libc::getsockopt(stream.as_raw_fd(), level, name, pointer, &mut length) };
    if code == -1 { Err(()) } else { Ok(value != 0) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    match arguments[..] {
        ["time"] => time(&stream),
        ["calls", way, operation, count] => {
            let way = WAYS.iter().find(|known| known.name == way).ok_or("no such way")?;
            way.run(operation, &stream, count.parse()?);
        }
        // What `cargo bench` says, and `cargo test` does not.
        [.., "--bench"] => print_table()?,
        _ => agree(&stream),
    }
    Ok(())
}

/// Whatever sets the option, all ways read it.
fn agree(stream: &TcpStream) {
    for setter in &WAYS {
        // The last call of two sets it to false.
        for (count, expected) in [(1, true), (2, false)] {
            (setter.set)(stream, count);
            for getter in &WAYS {
                let read = (getter.get)(stream, 1);
                assert_eq!(read, expected, "set with {}, read with {}", setter.name, getter.name);
            }
        }
    }
    println!("{} ways agree", WAYS.len());
}

impl Way {
    fn run(&self, operation: &str, stream: &TcpStream, count: u32) {
        match operation {
            "set" => (self.set)(stream, count),
            "get" => _ = (self.get)(stream, count),
            _ => panic!("neither set nor get"),
        }
    }
}

/// Prints a line for each operation and way: the median of its ratios to libc, or for libc itself, of
/// the nanoseconds that a call takes.
fn time(stream: &TcpStream) {
    for operation in OPERATIONS {
        let mut times = vec![Vec::with_capacity(ROUNDS); WAYS.len()];
        // The first round warms up.
        for round in 0..=ROUNDS {
            // Another one goes first each time.
            for n in 0..WAYS.len() {
                let way = (n + round) % WAYS.len();
                let started = Instant::now();
                WAYS[way].run(operation, stream, BATCH);
                let time = started.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH);
                if round > 0 {
                    times[way].push(time);
                }
            }
        }
        println!("{}", quartile(&times[0], 2));
        for own in &times[1..] {
            let ratios: Vec<_> = own.iter().zip(&times[0]).map(|(own, libc)| own / libc).collect();
            println!("{}", quartile(&ratios, 2));
        }
    }
}

fn quartile(values: &[f64], part: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * part / 4]
}

fn print_table() -> Result<(), Box<dyn Error>> {
    Command::new("valgrind").arg("--version").output().map_err(|error| {
        format!("valgrind, which counts instructions, is not there ({error}): install its package")
    })?;
    let mut measured = vec![Vec::new(); OPERATIONS.len() * WAYS.len()];
    for _ in 0..PROCESSES {
        let output = Command::new(env::current_exe()?).arg("time").output()?;
        for (line, all) in String::from_utf8(output.stdout)?.lines().zip(&mut measured) {
            all.push(line.parse()?);
        }
    }
    let version = Command::new("rustc").arg("--version").output()?;
    println!("{}\n", String::from_utf8(version.stdout)?.trim());
    println!("| | set: time | get: time | set: instructions | get: instructions |");
    println!("|---|---|---|---|---|");
    for (way, Way { name, .. }) in WAYS.iter().enumerate() {
        print!("| {} |", format!("{name} {}", locked_version(name)).trim_end());
        for operation in 0..OPERATIONS.len() {
            let values = &measured[operation * WAYS.len() + way];
            let [low, median, high] = [1, 2, 3].map(|part| quartile(values, part));
            match way {
                0 => print!(" 1 ({median:.0} ns) |"),
                _ => print!(" {median:.3} ({low:.3} – {high:.3}) |"),
            }
        }
        for operation in OPERATIONS {
            // The difference is what the calls alone take, without starting and ending.
            let (few, many) = (1000, 3000);
            let count = |calls| instructions(name, operation, calls);
            print!(" {} |", (count(many)? - count(few)?) / (many - few));
        }
        println!();
    }
    Ok(())
}

/// What callgrind counts of a program that makes so many calls.
fn instructions(way: &str, operation: &str, calls: u64) -> Result<u64, Box<dyn Error>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?);
    valgrind.args(["calls", way, operation, &calls.to_string()]);
    let said = String::from_utf8(valgrind.output()?.stderr)?;
    let count = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.ok_or_else(|| format!("callgrind says no count:\n{said}"))?;
    Ok(count.trim().parse()?)
}

/// The version of a crate; nothing for std, which is the compiler's.
fn locked_version(name: &str) -> &str {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let after = include_str!("Cargo.lock").split_once(&entry);
    after.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
}
