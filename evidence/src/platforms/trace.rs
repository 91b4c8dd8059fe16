//! Checks the calls that the methods make, as strace and Wine show them: level, name, value and
//! length, once for each call of a method, and nothing else.

use anyhow::{Result, bail};
use glob::Pattern;

/// How a trace is written.
#[derive(Clone, Copy)]
pub enum Style {
    /// strace's.
    Strace,
    /// Wine's debug channel `winsock`, which shows a call before its answer.
    Winsock,
}

/// What `calls.rs` makes: it sets true, asks, sets false, asks. `*` is a number that is another one
/// each time.
const STRACE: [&str; 4] = [
    "setsockopt(*, SOL_SOCKET, SO_KEEPALIVE, [[]1], 4) = 0",
    "getsockopt(*, SOL_SOCKET, SO_KEEPALIVE, [[]1], [[]4]) = 0",
    "setsockopt(*, SOL_SOCKET, SO_KEEPALIVE, [[]0], 4) = 0",
    "getsockopt(*, SOL_SOCKET, SO_KEEPALIVE, [[]0], [[]4]) = 0",
];
const WINSOCK: [&str; 4] = [
    "setsockopt socket *, level SOL_SOCKET, name SO_KEEPALIVE, optval * (1), optlen 4",
    "getsockopt socket *, level SOL_SOCKET, name SO_KEEPALIVE, optval *, optlen * (4)",
    "setsockopt socket *, level SOL_SOCKET, name SO_KEEPALIVE, optval * (0), optlen 4",
    "getsockopt socket *, level SOL_SOCKET, name SO_KEEPALIVE, optval *, optlen * (4)",
];

/// Checks the trace of `calls.rs`.
pub fn check(style: Style, trace: &str) -> Result<()> {
    let lines: Vec<_> = trace.lines().filter_map(|line| relevant(style, line)).collect();
    let about = |line: &&str| line.contains("SO_KEEPALIVE");
    let Some(first) = lines.iter().position(about) else {
        bail!("no call about SO_KEEPALIVE in the trace");
    };
    let last = lines.iter().rposition(about).expect("there is a first one");
    let lines = &lines[first..=last];

    let expected = match style {
        Style::Strace => STRACE,
        Style::Winsock => WINSOCK,
    };
    let is_like = |(line, pattern): (&&str, &str)| {
        Pattern::new(pattern).expect("the patterns are well-formed").matches(line)
    };
    if lines.len() != expected.len() || !lines.iter().zip(expected).all(is_like) {
        bail!(
            "expected were two calls that set SO_KEEPALIVE to 1 and to 0, with a length of 4, each \
             with a call that asks for it thereafter, and nothing else; there are\n  {}",
            lines.join("\n  ")
        );
    }
    Ok(())
}

/// The call in a line of the trace; `None` for what are no calls of the program.
fn relevant(style: Style, line: &str) -> Option<&str> {
    match style {
        // With `strace -f`, a line begins with the number of the process.
        Style::Strace => {
            let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim();
            line.contains('(').then_some(line)
        }
        Style::Winsock => {
            let (_, line) = line.split_once(":trace:winsock:")?;
            // How Wine carries a call out is no call.
            let inside = ["server_", "sock_ioctl "].iter().any(|name| line.starts_with(name));
            (!inside).then_some(line.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM_STRACE: &str = "\
socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 4
setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
accept4(3, {sa_family=AF_INET, sin_port=htons(55436)}, [128 => 16], SOCK_CLOEXEC) = 5
setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], [4]) = 0
setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], 4) = 0
getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], [4]) = 0
close(5)                                = 0
+++ exited with 0 +++
";
    const WITH_PROCESS: &str = "\
17944 accept4(3, {sa_family=AF_INET, sin_port=htons(55436)}, [128 => 16], SOCK_CLOEXEC) = 5
17944 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
17944 getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], [4]) = 0
17944 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], 4) = 0
17944 getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], [4]) = 0
17946 +++ exited with 0 +++
";
    const FROM_WINE: &str = "\
00e4:trace:winsock:setsockopt socket 0x3c, level SOL_SOCKET, name SO_KEEPALIVE, optval 00AC (1), optlen 4
00e4:trace:winsock:sock_ioctl handle 0x3c, code 0x120380, in_buffer 0x21f3e8, in_size 4, out_size 0
00e4:trace:winsock:server_setsockopt status 0.
00e4:trace:winsock:getsockopt socket 0x3c, level SOL_SOCKET, name SO_KEEPALIVE, optval 0088, optlen 008C (4)
00e4:trace:winsock:server_getsockopt status 0.
00e4:trace:winsock:setsockopt socket 0x3c, level SOL_SOCKET, name SO_KEEPALIVE, optval 00AC (0), optlen 4
00e4:trace:winsock:server_setsockopt status 0.
00e4:trace:winsock:getsockopt socket 0x3c, level SOL_SOCKET, name SO_KEEPALIVE, optval 0088, optlen 008C (4)
00e4:trace:winsock:closesocket 0x3c
";
    const ALL: [(Style, &str); 3] =
        [(Style::Strace, FROM_STRACE), (Style::Strace, WITH_PROCESS), (Style::Winsock, FROM_WINE)];

    #[test]
    fn expected_calls_are_found() {
        for (style, trace) in ALL {
            check(style, trace).unwrap();
        }
    }

    /// A `bool` of one byte in place of the four that Windows and Linux ask for.
    #[test]
    fn other_length_is_told() {
        for (style, trace) in ALL {
            let wrong = trace.replace("[1], 4)", "[1], 1)");
            let wrong = wrong.replace("(1), optlen 4", "(1), optlen 1");
            assert_ne!(trace, wrong);
            check(style, &wrong).unwrap_err();
        }
    }

    #[test]
    fn other_option_or_value_is_told() {
        for (style, trace) in ALL {
            check(style, &trace.replace("SOL_SOCKET", "SOL_TCP")).unwrap_err();
            check(style, &trace.replace("SO_KEEPALIVE", "SO_BROADCAST")).unwrap_err();
            check(style, &trace.replacen("setsockopt", "getsockopt", 2)).unwrap_err();
            check(style, &trace.replace("[0], 4)", "[1], 4)").replace("(0)", "(1)")).unwrap_err();
        }
    }

    #[test]
    fn other_answer_is_told() {
        check(Style::Strace, &FROM_STRACE.replace("[0], [4])", "[1], [4])")).unwrap_err();
    }

    #[test]
    fn further_calls_are_told() {
        let extra = "setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [60], 4) = 0\n";
        let (before, after) = FROM_STRACE.split_once("getsockopt").unwrap();
        check(Style::Strace, &format!("{before}{extra}getsockopt{after}")).unwrap_err();
        let (before, after) = FROM_WINE.split_once("00e4:trace:winsock:getsockopt").unwrap();
        let extra = "00e4:trace:winsock:WSAIoctl socket 0x3c, SIO_KEEPALIVE_VALS\n";
        let wrong = format!("{before}{extra}00e4:trace:winsock:getsockopt{after}");
        check(Style::Winsock, &wrong).unwrap_err();
    }

    #[test]
    fn failed_call_is_told() {
        check(Style::Strace, &FROM_STRACE.replace("[1], 4) = 0", "[1], 4) = -1 EPERM"))
            .unwrap_err();
    }
}
