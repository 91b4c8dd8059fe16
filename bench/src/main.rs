//! What a call costs: std's methods and those of the crates that are used for this today, each
//! beside the system call made through libc.
//!
//! `cargo xtask bench` compiles and runs this with several compilers. By itself:
//!
//!     bench list                      the ways there are
//!     bench calls WAY set|get N       makes N calls, for a tool that counts instructions
//!     bench time                      times all of them against each other

#![cfg_attr(feature = "std", feature(tcp_keepalive))]

mod timing;
mod ways;

use std::error::Error;
use std::io::{Error as IoError, ErrorKind};
use std::net::{TcpListener, TcpStream};

use ways::{Operation, WAYS};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    match arguments[..] {
        ["list"] => WAYS.iter().for_each(|way| println!("{}", way.name)),
        ["calls", name, operation, count] => {
            let way = WAYS.iter().find(|way| way.name == name).ok_or("no such way")?;
            let operation = Operation::parse(operation).ok_or("neither set nor get")?;
            way.calls(operation)(&stream, count.parse()?);
        }
        ["time"] => timing::run(&stream),
        _ => return Err(IoError::new(ErrorKind::InvalidInput, "see src/main.rs").into()),
    }
    Ok(())
}
