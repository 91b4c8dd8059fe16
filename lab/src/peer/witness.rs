//! Shell commands by which programs that are not ours look at a socket, or change it: the program
//! under test hands it to them as their standard input (`hand_stream_to`, `hand_listener_to`).

use std::env;
use std::io;

use anyhow::Result;
use socket2::SockRef;

pub const PYTHON_GETS: &str = "python3 -IS -c '\
    import socket as s; \
    option = s.socket(fileno=0).getsockopt(s.SOL_SOCKET, s.SO_KEEPALIVE); \
    print(\"true\" if option else \"false\")'";

pub fn python_sets(keepalive: bool) -> String {
    let value = u8::from(keepalive);
    format!(
        "python3 -IS -c 'import socket as s; \
        s.socket(fileno=0).setsockopt(s.SOL_SOCKET, s.SO_KEEPALIVE, {value})'"
    )
}

/// The lab itself: see [`by_socket2`].
pub fn socket2_gets() -> Result<String> {
    Ok(format!("'{}' --witness", env::current_exe()?.display()))
}

pub fn socket2_sets(keepalive: bool) -> Result<String> {
    Ok(format!("{}={keepalive}", socket2_gets()?))
}

/// What those two commands run: sets the option, or prints it.
pub fn by_socket2(keepalive: Option<bool>) -> io::Result<()> {
    let stdin = io::stdin();
    let socket = SockRef::from(&stdin);
    match keepalive {
        Some(keepalive) => socket.set_keepalive(keepalive)?,
        None => println!("{}", socket.keepalive()?),
    }
    Ok(())
}
