//! Checks the system calls of `calls.rs` in a trace by strace, Wine or gVisor: one for each call of a method, with the
//! right level, name, value and length, and no other one between the program's marks.

use anyhow::{Result, bail};
use glob::Pattern;

/// The form of a trace.
#[derive(Clone, Copy)]
pub enum Style {
    Strace,
    /// Wine's debug channel `winsock`, which shows calls before they are made.
    Winsock,
    /// gVisor's option `--strace`, which shows each call twice: when it begins and when it ends.
    Gvisor,
}

/// The call that `calls.rs` makes before, between and after its calls of the methods.
const MARK: &str = "getpeername";

impl Style {
    /// Returns the pattern for the setter's call if `sets`, and for the getter's otherwise. `*` stands for a number
    /// that changes from run to run.
    fn call(self, sets: bool, value: u8) -> String {
        match (self, sets) {
            (Style::Strace, true) => {
                format!("setsockopt(*, SOL_SOCKET, SO_KEEPALIVE, [[]{value}], 4) = 0")
            }
            (Style::Strace, false) => {
                format!("getsockopt(*, SOL_SOCKET, SO_KEEPALIVE, [[]{value}], [[]4]) = 0")
            }
            (Style::Winsock, true) => format!(
                "setsockopt socket *, level SOL_SOCKET, name SO_KEEPALIVE, optval * ({value}), optlen 4"
            ),
            // Wine does not show the returned value. `calls.rs` checks the value itself.
            (Style::Winsock, false) => {
                "getsockopt socket *, level SOL_SOCKET, name SO_KEEPALIVE, optval *, optlen * (4)"
                    .into()
            }
            (Style::Gvisor, true) => {
                format!("setsockopt(*, SOL_SOCKET, SO_KEEPALIVE, * {{value={value}}}, 0x4)")
            }
            (Style::Gvisor, false) => format!(
                "getsockopt(*, SOL_SOCKET, SO_KEEPALIVE, * {{value={value}}}, * {{length=4}}) = 0 *"
            ),
        }
    }

    /// Returns the patterns for all calls from the first mark to the last.
    fn expected(self) -> Vec<String> {
        let mark = || format!("{MARK}*");
        let calls = [(true, 1), (false, 1), (true, 0), (false, 0)];
        let calls = calls.into_iter().flat_map(|(sets, value)| [self.call(sets, value), mark()]);
        std::iter::once(mark()).chain(calls).collect()
    }

    /// Returns the system call in a line of the trace.
    fn call_in(self, line: &str) -> Option<&str> {
        match self {
            // With `strace -f`, a line begins with the process ID.
            Style::Strace => {
                let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim();
                line.contains('(').then_some(line)
            }
            Style::Winsock => {
                let (_, line) = line.split_once(":trace:winsock:")?;
                // These lines show how Wine carries out a call.
                let inside = ["server_", "sock_ioctl ", "getpeername status"];
                let inside = inside.iter().any(|name| line.starts_with(name));
                (!inside).then_some(line.trim_end())
            }
            Style::Gvisor => {
                // A value to set is shown before the call, and a value that is returned after it.
                let after = |call: &&str| call.starts_with("getsockopt");
                let begun =
                    line.split_once(" E ").map(|(_, call)| call).filter(|call| !after(call));
                begun.or_else(|| line.split_once(" X ").map(|(_, call)| call).filter(after))
            }
        }
    }
}

/// Checks the trace of `calls.rs`.
pub fn check(style: Style, trace: &str) -> Result<()> {
    let calls: Vec<_> = trace.lines().filter_map(|line| style.call_in(line)).collect();
    let expected = style.expected();
    // Wine's `accept` calls MARK, too, so only the last marks are the program's.
    let is_mark = |call: &str| call.starts_with(MARK);
    let number = expected.iter().filter(|pattern| is_mark(pattern)).count();
    let marks: Vec<_> = (0..calls.len()).filter(|at| is_mark(calls[*at])).collect();
    let [first, .., last] = marks[marks.len().saturating_sub(number)..] else {
        bail!("the trace has too few calls of {MARK}:\n  {}", calls.join("\n  "));
    };
    let calls = &calls[first..=last];
    let matches = |(call, pattern): (&&str, &String)| -> Result<bool> {
        Ok(Pattern::new(pattern)?.matches(call))
    };
    let mut as_expected = calls.len() == expected.len();
    for pair in calls.iter().zip(&expected) {
        as_expected &= matches(pair)?;
    }
    if !as_expected {
        bail!(
            "each method should make one system call: `setsockopt` or `getsockopt` of SO_KEEPALIVE with a \
             length of 4. Expected:\n  {}\nMade:\n  {}",
            expected.join("\n  "),
            calls.join("\n  ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM_STRACE: &str = "\
setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
accept4(3, {sa_family=AF_INET, sin_port=htons(55436)}, [128 => 16], SOCK_CLOEXEC) = 5
getpeername(4, {sa_family=AF_INET, sin_port=htons(37531), sin_addr=inet_addr(\"127.0.0.1\")}, [128 => 16]) = 0
setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
getpeername(4, {sa_family=AF_INET, sin_port=htons(37531), sin_addr=inet_addr(\"127.0.0.1\")}, [128 => 16]) = 0
getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], [4]) = 0
getpeername(4, {sa_family=AF_INET, sin_port=htons(37531), sin_addr=inet_addr(\"127.0.0.1\")}, [128 => 16]) = 0
setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], 4) = 0
getpeername(4, {sa_family=AF_INET, sin_port=htons(37531), sin_addr=inet_addr(\"127.0.0.1\")}, [128 => 16]) = 0
getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], [4]) = 0
getpeername(4, {sa_family=AF_INET, sin_port=htons(37531), sin_addr=inet_addr(\"127.0.0.1\")}, [128 => 16]) = 0
close(5)                                = 0
+++ exited with 0 +++
";
    const FROM_WINE: &str = "\
0024:trace:winsock:getpeername socket 0x40, addr F290, len 128
0024:trace:winsock:sock_ioctl handle 0x40, code 0x120360, in_size 4
0024:trace:winsock:getpeername status 0.
0024:trace:winsock:accept returning 0x40
0024:trace:winsock:getpeername socket 0x38, addr F268, len 128
0024:trace:winsock:setsockopt socket 0x38, level SOL_SOCKET, name SO_KEEPALIVE, optval F34C (1), optlen 4
0024:trace:winsock:server_setsockopt status 0.
0024:trace:winsock:getpeername socket 0x38, addr F268, len 128
0024:trace:winsock:getsockopt socket 0x38, level SOL_SOCKET, name SO_KEEPALIVE, optval F310, optlen F314 (4)
0024:trace:winsock:server_getsockopt status 0.
0024:trace:winsock:getpeername socket 0x38, addr F268, len 128
0024:trace:winsock:setsockopt socket 0x38, level SOL_SOCKET, name SO_KEEPALIVE, optval F34C (0), optlen 4
0024:trace:winsock:getpeername socket 0x38, addr F268, len 128
0024:trace:winsock:getsockopt socket 0x38, level SOL_SOCKET, name SO_KEEPALIVE, optval F310, optlen F314 (4)
0024:trace:winsock:getpeername socket 0x38, addr F268, len 128
0024:trace:winsock:closesocket 0x40
";
    const FROM_GVISOR: &str = "\
D1125 22:01:20.874800   13133 loader.go:1094] Nothing about a call (of the program).
I1130 09:46:55.529614   27165 strace.go:567] [   1:   1] calls E getpeername(0x4 socket:[2], 0x1158, 0x11dc {length=128})
I1130 09:46:55.529659   27165 strace.go:605] [   1:   1] calls X getpeername(0x4 socket:[2], 0x1158 {Family: AF_INET, Addr: 127.0.0.1, Port: 17114}, 0x11dc {length=16}) = 0 (0x0) (3.268µs)
I1130 09:46:55.529720   27165 strace.go:573] [   1:   1] calls E setsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x122c {value=1}, 0x4)
I1130 09:46:55.529780   27165 strace.go:611] [   1:   1] calls X setsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x122c, 0x4) = 0 (0x0) (48.003µs)
I1130 09:46:55.529920   27165 strace.go:567] [   1:   1] calls E getpeername(0x4 socket:[2], 0x1158, 0x11dc {length=128})
I1130 09:46:55.530017   27165 strace.go:573] [   1:   1] calls E getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x1208, 0x120c {length=4})
I1130 09:46:55.530035   27165 strace.go:611] [   1:   1] calls X getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x1208 {value=1}, 0x120c {length=4}) = 0 (0x0) (4.863µs)
I1130 09:46:55.539186   27165 strace.go:567] [   1:   1] calls E getpeername(0x4 socket:[2], 0x1158, 0x11dc {length=128})
I1130 09:46:55.539332   27165 strace.go:573] [   1:   1] calls E setsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x122c {value=0}, 0x4)
I1130 09:46:55.539405   27165 strace.go:567] [   1:   1] calls E getpeername(0x4 socket:[2], 0x1158, 0x11dc {length=128})
I1130 09:46:55.539463   27165 strace.go:573] [   1:   1] calls E getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x1208, 0x120c {length=4})
I1130 09:46:55.539474   27165 strace.go:611] [   1:   1] calls X getsockopt(0x4 socket:[2], SOL_SOCKET, SO_KEEPALIVE, 0x1208 {value=0}, 0x120c {length=4}) = 0 (0x0) (3.756µs)
I1130 09:46:55.539502   27165 strace.go:567] [   1:   1] calls E getpeername(0x4 socket:[2], 0x1158, 0x11dc {length=128})
I1125 22:01:20.875400   13133 strace.go:570] [   1:   1] calls E close(0x5 socket:[3])
";

    fn all() -> [(Style, String); 4] {
        let with_process = FROM_STRACE.lines().map(|line| format!("17944 {line}\n")).collect();
        [
            (Style::Strace, FROM_STRACE.into()),
            (Style::Strace, with_process),
            (Style::Winsock, FROM_WINE.into()),
            (Style::Gvisor, FROM_GVISOR.into()),
        ]
    }

    /// Replaces texts in each trace, and checks that the trace is refused. A trace need not have all texts.
    fn refused(replacements: &[(&str, &str)]) {
        for (style, trace) in all() {
            let apply = |trace: String, (from, to): &(&str, &str)| trace.replace(from, to);
            let wrong = replacements.iter().fold(trace.clone(), apply);
            assert_ne!(trace, wrong);
            check(style, &wrong).unwrap_err();
        }
    }

    #[test]
    fn expected_calls_are_accepted() {
        for (style, trace) in all() {
            check(style, &trace).unwrap();
        }
    }

    /// A `bool` has one byte, and Windows and Linux want four.
    #[test]
    fn other_length_is_refused() {
        let lengths = [
            ("[1], 4)", "[1], 1)"),
            ("(1), optlen 4", "(1), optlen 1"),
            ("{value=1}, 0x4)", "{value=1}, 0x1)"),
        ];
        refused(&lengths);
    }

    #[test]
    fn other_option_or_value_is_refused() {
        refused(&[
            ("SOL_SOCKET, SO_K", "SOL_TCP, SO_K"),
            ("SOL_SOCKET, name SO_K", "SOL_TCP, name SO_K"),
        ]);
        refused(&[("SO_KEEPALIVE", "SO_BROADCAST")]);
        refused(&[
            ("[0], 4)", "[1], 4)"),
            ("(0), optlen", "(1), optlen"),
            ("{value=0}, 0x4)", "{value=1}, 0x4)"),
        ]);
        check(Style::Strace, &FROM_STRACE.replace("[0], [4])", "[1], [4])")).unwrap_err();
        check(Style::Gvisor, &FROM_GVISOR.replace("{value=0}, 0x120c", "{value=1}, 0x120c"))
            .unwrap_err();
    }

    #[test]
    fn failed_call_is_refused() {
        check(Style::Strace, &FROM_STRACE.replace("[1], 4) = 0", "[1], 4) = -1 EPERM"))
            .unwrap_err();
    }

    /// Also a call before the first call of a method, and one after the last.
    #[test]
    fn further_call_is_refused() {
        for (style, trace) in all() {
            let extra = match style {
                Style::Strace => "setsockopt(4, SOL_SOCKET, SO_OOBINLINE, [1], 4) = 0",
                Style::Winsock => "00e4:trace:winsock:WSAIoctl socket 0x3c, SIO_KEEPALIVE_VALS",
                Style::Gvisor => {
                    "I1125 22:01:20.875   1 strace.go:573] [   1:   1] calls E ioctl(0x4, 0x1)"
                }
            };
            let lines: Vec<_> = trace.lines().collect();
            let marks: Vec<_> = (0..lines.len())
                .filter(|at| style.call_in(lines[*at]).is_some_and(|c| c.starts_with(MARK)))
                .collect();
            let number = marks.len();
            for at in marks[number - 5] + 1..=marks[number - 1] {
                let wrong = [&lines[..at], &[extra], &lines[at..]].concat().join("\n");
                check(style, &wrong).unwrap_err();
            }
        }
    }

    #[test]
    fn missing_call_is_refused() {
        for (style, trace) in all() {
            let without = |word: &str| -> String {
                trace
                    .lines()
                    .filter(|line| !line.contains(word))
                    .map(|line| format!("{line}\n"))
                    .collect()
            };
            check(style, &without(MARK)).unwrap_err();
            check(style, &without("setsockopt")).unwrap_err();
            check(style, &without("getsockopt")).unwrap_err();
        }
    }
}
