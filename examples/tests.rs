//! Tests of the examples. `cargo test -p evidence toolchain::` runs these tests.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Far longer than any step of these tests takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A program that runs until it goes out of scope.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(program: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new(program);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = read_lines(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// Waits for a line with `text` in it.
    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("the program did not print {text:?}"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn read_lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            println!("{line}");
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Starts an echo server and returns it with its address.
fn echo_server(address: &str) -> (Running, String) {
    let server = Running::start(env!("CARGO_BIN_EXE_echo-server"), &[address]);
    let line = server.wait_for("listening on ");
    let address = line.strip_prefix("listening on ").unwrap().to_owned();
    (server, address)
}

#[test]
fn ten_lines_print_what_the_readme_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_ten-lines")).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "keepalive: true\n");
}

#[test]
fn the_readme_shows_the_ten_lines() {
    let readme = include_str!("../README.md");
    let example = include_str!("ten-lines.rs");
    assert!(readme.contains(example), "README.md and ten-lines.rs differ");
}

#[test]
fn the_server_echoes_and_notices_a_client_that_ends() {
    let (server, address) = echo_server("127.0.0.1:0");
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"to and fro").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "to and fro");
    server.wait_for("is done");
}

#[test]
fn the_client_connects_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Running::start(env!("CARGO_BIN_EXE_long-lived-client"), &[&address]);
    for greeting in ["first", "second"] {
        let (mut stream, _) = listener.accept().unwrap();
        writeln!(stream, "{greeting}").unwrap();
        client.wait_for(&format!("the server says: {greeting}"));
        drop(stream);
        client.wait_for("trying again");
    }
}

/// Runs in a network namespace in which an idle connection is probed after one second. The client's
/// address is removed there, as if the client's machine lost its power.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs a kernel that lets users make networks, and iproute2"]
fn the_server_drops_a_client_that_vanishes() {
    const INSIDE: &str = "KEEPALIVE_EXAMPLES_INSIDE";
    if env::var_os(INSIDE).is_none() {
        let script = "ip link set lo up && ip address add 192.0.2.1/32 dev lo && \
            ip address add 192.0.2.2/32 dev lo && \
            ip route replace local 192.0.2.1 dev lo src 192.0.2.2 table local && \
            cd /proc/sys/net/ipv4 && echo 1 > tcp_keepalive_time && \
            echo 1 > tcp_keepalive_intvl && echo 2 > tcp_keepalive_probes && exec \"$0\" \"$@\"";
        let status = Command::new("unshare")
            .args(["-rn", "sh", "-c", script])
            .arg(env::current_exe().unwrap())
            .args(["--exact", "the_server_drops_a_client_that_vanishes"])
            .args(["--include-ignored", "--nocapture"])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let (server, address) = echo_server("192.0.2.1:0");
    let mut client = TcpStream::connect(address).unwrap();
    assert_eq!(client.local_addr().unwrap().ip().to_string(), "192.0.2.2");
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();

    server.wait_for("is here");

    let mut ip = Command::new("ip");
    ip.args(["address", "delete", "192.0.2.2/32", "dev", "lo"]);
    assert!(ip.status().unwrap().success());
    let line = server.wait_for("192.0.2.2");
    assert!(line.contains("vanished") || line.contains("lost"), "{line}");
}
