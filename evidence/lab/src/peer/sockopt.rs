//! Shell commands that get or set options of their standard input, without std. The program under
//! test runs them with its socket as standard input (`hand_stream_to`, `hand_listener_to`).

use std::{env, io};

use anyhow::Result;
use socket2::SockRef;

use crate::network::Keepalive;

/// Returns a command in Python that sets `SO_KEEPALIVE`, or prints it if `set` is `None`.
pub fn python(set: Option<bool>) -> String {
    let option = "s.SOL_SOCKET, s.SO_KEEPALIVE";
    in_python(&match set {
        Some(keepalive) => format!("socket.setsockopt({option}, {})", u8::from(keepalive)),
        None => format!("print(\"true\" if socket.getsockopt({option}) else \"false\")"),
    })
}

/// Returns a command in Python that sets the idle time, the interval and the number of probes.
pub fn python_sets_times(Keepalive { idle_time, interval, probes }: Keepalive) -> String {
    in_python(&format!(
        "[socket.setsockopt(s.IPPROTO_TCP, *o) for o in ((s.TCP_KEEPIDLE, {idle_time}), \
         (s.TCP_KEEPINTVL, {interval}), (s.TCP_KEEPCNT, {probes}))]"
    ))
}

fn in_python(code: &str) -> String {
    format!("python3 -IS -c 'import socket as s; socket = s.socket(fileno=0); {code}'")
}

/// Returns a command that calls [`by_socket2`].
pub fn socket2(set: Option<bool>) -> Result<String> {
    let value = set.map_or(String::new(), |keepalive| format!("={keepalive}"));
    Ok(format!("'{}' --sockopt{value}", env::current_exe()?.display()))
}

/// Sets `SO_KEEPALIVE` of standard input, or prints it if `set` is `None`.
pub fn by_socket2(set: Option<bool>) -> io::Result<()> {
    let stdin = io::stdin();
    let socket = SockRef::from(&stdin);
    match set {
        Some(keepalive) => socket.set_keepalive(keepalive)?,
        None => println!("{}", socket.keepalive()?),
    }
    Ok(())
}
