//! Prints how `SO_KEEPALIVE` behaves on this system, as a row for docs/hosts.md:
//!
//!     cargo +nightly run --package observe
//!
//! The program makes the system calls itself, because std's methods hide the returned number and its length.

use std::env::consts::ARCH;
use std::io::{Error, Result};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;

#[cfg(unix)]
use {
    libc::{SO_KEEPALIVE, SOL_SOCKET, getsockopt, setsockopt},
    std::os::fd::{AsRawFd, RawFd as RawSocket},
};
#[cfg(windows)]
use {
    std::ffi::{CStr, c_char},
    std::mem::transmute,
    std::os::windows::io::AsRawSocket,
    windows_sys::Win32::Networking::WinSock::{
        SO_KEEPALIVE, SOCKET as RawSocket, SOL_SOCKET, getsockopt, setsockopt,
    },
    windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress},
    windows_sys::s,
};

const HEAD: [&str; 7] = [
    "system",
    "processor",
    "value when on",
    "accepted from a listener that has it on",
    "set after `shutdown(Read)`",
    "after `Write`",
    "after `Both`",
];

fn main() -> Result<()> {
    let [read, write, both] = [Shutdown::Read, Shutdown::Write, Shutdown::Both].map(after_shutdown);
    let row = [system()?, ARCH.to_owned(), when_on()?, accepted()?, read?, write?, both?];
    println!("| {} |\n|{}", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    println!("| {} |", row.join(" | "));
    Ok(())
}

/// Sets the option, as std does: with an `int` on Unix, and with a `BOOL` on Windows.
fn set(socket: RawSocket, value: i32) -> Result<()> {
    let (pointer, length) = ((&raw const value).cast(), size_of::<i32>() as _);
    // SAFETY: the socket is open, and the pointer leads to `length` bytes.
    match unsafe { setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, pointer, length) } {
        0 => Ok(()),
        // On Windows, this is right, too: WSAGetLastError and GetLastError read the same value.
        _ => Err(Error::last_os_error()),
    }
}

/// Returns the number that the system returns for the option, and its size in bytes.
fn get(socket: RawSocket) -> Result<(i32, usize)> {
    let (mut value, mut length) = (0, size_of::<i32>() as _);
    let pointer = (&raw mut value).cast();
    // SAFETY: the socket is open, and the pointers lead to `length` bytes and to their number.
    match unsafe { getsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, pointer, &mut length) } {
        0 => Ok((value, length as usize)),
        _ => Err(Error::last_os_error()),
    }
}

#[cfg(unix)]
fn raw(socket: &impl AsRawFd) -> RawSocket {
    socket.as_raw_fd()
}

#[cfg(windows)]
fn raw(socket: &impl AsRawSocket) -> RawSocket {
    socket.as_raw_socket() as RawSocket
}

/// Returns the name and the version of the system.
#[cfg(unix)]
fn system() -> Result<String> {
    let system = output_of(Command::new("uname").arg("-sr"))?;
    // gVisor's `uname` says Linux, and its kernel log names gVisor. Other systems may refuse to show the log.
    let log = output_of(&mut Command::new("dmesg")).unwrap_or_default();
    Ok(if log.contains("Starting gVisor") { format!("gVisor as {system}") } else { system })
}

#[cfg(windows)]
fn system() -> Result<String> {
    let system = output_of(Command::new("cmd").args(["/c", "ver"]))?;
    // SAFETY: both names end with a NUL character, and ntdll is loaded in every process.
    let wine = unsafe { GetProcAddress(GetModuleHandleA(s!("ntdll.dll")), s!("wine_get_version")) };
    let Some(wine_get_version) = wine else { return Ok(system) };
    // SAFETY: Wine declares the function with this type, and the returned text is static.
    let version = unsafe {
        let get_version: extern "C" fn() -> *const c_char = transmute(wine_get_version);
        CStr::from_ptr(get_version())
    };
    Ok(format!("Wine {} as {system}", version.to_string_lossy()))
}

fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn when_on() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    set(raw(&stream), 1)?;
    let (value, bytes) = get(raw(&stream))?;
    Ok(format!("{value} (length {bytes})"))
}

fn accepted() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    set(raw(&listener), 1)?;
    let _client = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    Ok(on_or_off(get(raw(&stream))?.0).into())
}

/// Sets the option to 1 and to 0 on a stream that was shut down and whose peer was not. Returns what happened.
fn after_shutdown(how: Shutdown) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (_peer, _) = listener.accept()?;
    stream.shutdown(how)?;
    for value in [1, 0] {
        if let Err(error) = set(raw(&stream), value) {
            return Ok(format!("{error}"));
        }
        let is = get(raw(&stream))?.0;
        if (is != 0) != (value != 0) {
            return Ok(format!("no error, but it stays {}", on_or_off(is)));
        }
    }
    Ok("changes".into())
}

fn on_or_off(value: i32) -> &'static str {
    if value == 0 { "off" } else { "on" }
}
