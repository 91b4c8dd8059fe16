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
    /// gVisor's, which shows a call before and after.
    Gvisor,
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
const GVISOR: [&str; 4] = [
    "setsockopt(*, SOL_SOCKET, SO_KEEPALIVE, * {value=1}, 0x4)",
    "getsockopt(*, SOL_SOCKET, SO_KEEPALIVE, * {value=1}, * {length=4}) = 0 *",
    "setsockopt(*, SOL_SOCKET, SO_KEEPALIVE, * {value=0}, 0x4)",
    "getsockopt(*, SOL_SOCKET, SO_KEEPALIVE, * {value=0}, * {length=4}) = 0 *",
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
        Style::Gvisor => GVISOR,
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
        Style::Gvisor => {
            // What is set is shown before the call, and what was asked for after it.
            let begun = line.split_once(" E ").filter(|(_, call)| !call.starts_with("getsockopt"));
            let ended =
                || line.split_once(" X ").filter(|(_, call)| call.starts_with("getsockopt"));
            begun.or_else(ended).map(|(_, call)| call)
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
    const FROM_GVISOR: &str = "\
D1125 22:01:20.874800   13133 loader.go:1094] Nothing about a call (of the program).
I1125 22:01:20.874818   13133 strace.go:573] [   1:   1] calls.exe E setsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3 {value=1}, 0x4)
I1125 22:01:20.874897   13133 strace.go:611] [   1:   1] calls.exe X setsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3, 0x4) = 0 (0x0) (50.304µs)
I1125 22:01:20.875123   13133 strace.go:573] [   1:   1] calls.exe E getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3, 0x7ec4 {length=4})
I1125 22:01:20.875141   13133 strace.go:611] [   1:   1] calls.exe X getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3 {value=1}, 0x7ec4 {length=4}) = 0 (0x0) (4.257µs)
I1125 22:01:20.875224   13133 strace.go:573] [   1:   1] calls.exe E setsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3 {value=0}, 0x4)
I1125 22:01:20.875236   13133 strace.go:611] [   1:   1] calls.exe X setsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3, 0x4) = 0 (0x0) (1.773µs)
I1125 22:01:20.875323   13133 strace.go:573] [   1:   1] calls.exe E getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3, 0x7ec4 {length=4})
I1125 22:01:20.875338   13133 strace.go:611] [   1:   1] calls.exe X getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x7ec3 {value=0}, 0x7ec4 {length=4}) = 0 (0x0) (2.124µs)
I1125 22:01:20.875400   13133 strace.go:570] [   1:   1] calls.exe E close(0x5 socket:[3])
";
    const ALL: [(Style, &str); 4] = [
        (Style::Strace, FROM_STRACE),
        (Style::Strace, WITH_PROCESS),
        (Style::Winsock, FROM_WINE),
        (Style::Gvisor, FROM_GVISOR),
    ];

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
            let wrong = wrong.replace("{value=1}, 0x4)", "{value=1}, 0x1)");
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
            let other_value = trace.replace("[0], 4)", "[1], 4)").replace("(0)", "(1)");
            check(style, &other_value.replace("{value=0}, 0x4)", "{value=1}, 0x4)")).unwrap_err();
        }
    }

    #[test]
    fn other_answer_is_told() {
        check(Style::Strace, &FROM_STRACE.replace("[0], [4])", "[1], [4])")).unwrap_err();
        let wrong = FROM_GVISOR.replace("{value=0}, 0x7ec4", "{value=1}, 0x7ec4");
        check(Style::Gvisor, &wrong).unwrap_err();
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
        let (before, after) = FROM_GVISOR.split_once("I1125 22:01:20.875123").unwrap();
        let extra =
            "I1125 22:01:20.875   1 strace.go:573] [   1:   1] calls.exe E ioctl(0x4, 0x1)\n";
        let wrong = format!("{before}{extra}I1125 22:01:20.875123{after}");
        check(Style::Gvisor, &wrong).unwrap_err();
    }

    #[test]
    fn failed_call_is_told() {
        check(Style::Strace, &FROM_STRACE.replace("[1], 4) = 0", "[1], 4) = -1 EPERM"))
            .unwrap_err();
    }
}
