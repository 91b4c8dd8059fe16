//! Parties that we did not write, looking at a socket that a program under test hands them as
//! their standard input: shell commands for `hand_stream_to` and `hand_listener_to`.

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

/// The lab itself: see [`socket2`].
pub fn socket2_gets() -> Result<String> {
    Ok(format!("'{}' --witness", env::current_exe()?.display()))
}

pub fn socket2_sets(keepalive: bool) -> Result<String> {
    Ok(format!("{}={keepalive}", socket2_gets()?))
}

/// What those two commands run.
pub fn socket2(keepalive: Option<bool>) -> io::Result<()> {
    let stdin = io::stdin();
    let socket = SockRef::from(&stdin);
    match keepalive {
        Some(keepalive) => socket.set_keepalive(keepalive)?,
        None => println!("{}", socket.keepalive()?),
    }
    Ok(())
}
