//! Shell commands that get or set the option without std. Their standard input is the socket, which
//! the program under test hands to them (`hand_stream_to`, `hand_listener_to`).

use std::{env, io};

use anyhow::Result;
use socket2::SockRef;

use crate::network::Keepalive;

/// Returns a command by which Python sets the option, or prints it.
pub fn python(set: Option<bool>) -> String {
    let option = "s.SOL_SOCKET, s.SO_KEEPALIVE";
    let call = match set {
        Some(keepalive) => format!("it.setsockopt({option}, {})", u8::from(keepalive)),
        None => format!("print(\"true\" if it.getsockopt({option}) else \"false\")"),
    };
    in_python(&call)
}

/// Returns a command by which Python sets the times of keepalive.
pub fn python_sets_times(Keepalive { time, interval, probes }: Keepalive) -> String {
    in_python(&format!(
        "[it.setsockopt(s.IPPROTO_TCP, *o) for o in ((s.TCP_KEEPIDLE, {time}), \
         (s.TCP_KEEPINTVL, {interval}), (s.TCP_KEEPCNT, {probes}))]"
    ))
}

/// Returns a command that runs `call` in Python. The variable `it` is the socket.
fn in_python(call: &str) -> String {
    format!("python3 -IS -c 'import socket as s; it = s.socket(fileno=0); {call}'")
}

/// Returns a command by which socket2 sets the option, or prints it: the lab, as [`by_socket2`].
pub fn socket2(set: Option<bool>) -> Result<String> {
    let value = set.map_or(String::new(), |keepalive| format!("={keepalive}"));
    Ok(format!("'{}' --witness{value}", env::current_exe()?.display()))
}

/// Sets the option of standard input, or prints it.
pub fn by_socket2(set: Option<bool>) -> io::Result<()> {
    let stdin = io::stdin();
    let socket = SockRef::from(&stdin);
    match set {
        Some(keepalive) => socket.set_keepalive(keepalive)?,
        None => println!("{}", socket.keepalive()?),
    }
    Ok(())
}
