//! Measures one call of std's methods, and of the crates that are used instead, in time and in
//! instructions. Times are ratios to the system call through libc.
//!
//!     cargo +tcp-keepalive bench      the patched std
//!     cargo +nightly bench            upstream's std
//!     cargo +nightly test             checks that all ways agree, and measures nothing
//!
//! The differences are about 1 %, less than a machine's speed changes from one second to the next. A
//! harness that times one function after the other cannot show them. Here, short batches of all ways
//! take turns, and each batch is compared with libc's batch of the same round.

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

/// The number of measuring processes. The addresses of stack and code make a difference of a few per
/// cent, which is constant within a process.
const PROCESSES: usize = 15;
const ROUNDS: usize = 201;
/// The calls in a batch. They take about 0.25 ms, much less than a scheduler's time slice.
const BATCH: u32 = 1000;

const OPERATIONS: [&str; 2] = ["set", "get"];

/// A way to set and to get the option. The second argument is the number of calls.
struct Way {
    name: &'static str,
    set: fn(&TcpStream, u32),
    /// Returns the last call's result.
    get: fn(&TcpStream, u32) -> bool,
}

const WAYS: [Way; 5] = [
    // libc is first: `time` and `print_table` compare the other ways with the first.
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

/// Sets the option `count` times, to true and to false in turn. The optimizer can neither see the
/// arguments nor leave out the results. A failure panics, as in a program.
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
            // A black_box around the Result would copy the Result.
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

/// Makes the system call, and checks for failure as a program does.
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
        // The argument comes from `cargo bench`, not from `cargo test`.
        [.., "--bench"] => print_table()?,
        _ => agree(&stream),
    }
    Ok(())
}

/// Checks that each way reads what each way has set.
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

/// Prints a line for each operation and way: for libc the median time of a call in nanoseconds, and for the
/// other ways the median of the ratios to libc.
fn time(stream: &TcpStream) {
    for operation in OPERATIONS {
        let mut times = vec![Vec::with_capacity(ROUNDS); WAYS.len()];
        // The first round warms up.
        for round in 0..=ROUNDS {
            // Each round begins with another way.
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
        format!("cannot start valgrind ({error}): install it with `apt-get install valgrind`")
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
            // The difference of two counts leaves out the start and the end of the process.
            let (few, many) = (1000, 3000);
            let count = |calls| instructions(name, operation, calls);
            print!(" {} |", (count(many)? - count(few)?) / (many - few));
        }
        println!();
    }
    Ok(())
}

/// Returns the number of instructions of a process that makes `calls` calls, counted by callgrind.
fn instructions(way: &str, operation: &str, calls: u64) -> Result<u64, Box<dyn Error>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?);
    valgrind.args(["calls", way, operation, &calls.to_string()]);
    let printed = String::from_utf8(valgrind.output()?.stderr)?;
    let count = printed.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.ok_or_else(|| format!("callgrind printed no count:\n{printed}"))?;
    Ok(count.trim().parse()?)
}

/// Returns a crate's version, or an empty string for std.
fn locked_version(name: &str) -> &str {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let after = include_str!("Cargo.lock").split_once(&entry);
    after.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
}
