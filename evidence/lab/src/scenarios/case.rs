//! Runs the cases of scenarios, each in its own network.
//!
//! A scenario compares two sides, such as with keepalive and without. A side has a case for each IP
//! family.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};

use super::{Packet, PacketKind, Plan};
use crate::arguments::Scenario;
use crate::capture::Capture;
use crate::network::{Family, Keepalive, Namespace, Network, Node, server_address};
use crate::peer::Peer;
use crate::results::{CaseResult, Cases, Event, Expected, LATE, Observation, Seen};

pub struct Case<'a> {
    /// True on the scenario's first side, such as with keepalive.
    pub is_first_side: bool,
    pub keepalive: Keepalive,
    pub capture: Arc<Capture>,
    network: Network,
    program: &'a Path,
    result: &'a mut CaseResult,
}

pub struct Connection {
    pub client: Peer,
    pub server: Peer,
    pub client_address: SocketAddr,
}

/// The result of [`Case::wait_for`] for a call that does not return.
pub const STILL_BLOCKED: &str = "still blocked";

/// The error of a call after unanswered probes.
pub const TIMED_OUT: &str = "TimedOut (os error 110)";

pub const PROBE: &str = "probe";
pub const NO_PROBE: &str = "no probe";

/// Runs all cases of the scenarios at once.
pub fn run_all(scenarios: &[Scenario], program: &Path) -> Vec<Cases> {
    thread::scope(|scope| {
        let start = |&scenario: &Scenario| {
            [true, false].map(|is_first_side| {
                Family::BOTH.map(|family| {
                    scope.spawn(move || run(scenario, family, is_first_side, program))
                })
            })
        };
        let running: Vec<_> = scenarios.iter().map(start).collect();
        let end = |case: ScopedJoinHandle<_>| case.join().expect("a case does not panic");
        running.into_iter().map(|cases| cases.map(|side| side.map(end))).collect()
    })
}

/// Runs a case. An error becomes an observation that fails.
fn run(scenario: Scenario, family: Family, is_first_side: bool, program: &Path) -> CaseResult {
    let mut result = CaseResult::new(scenario, family, is_first_side);
    let outcome = Case::new(scenario.plan(), program, &mut result).and_then(|mut case| {
        let outcome = (scenario.plan().run)(&mut case);
        case.result.frames = case.capture.frames()?;
        ensure!(outcome.is_err() || !case.result.observations.is_empty(), "no observation");
        outcome
    });
    if let Err(error) = outcome {
        result.observations.push(Observation::new("the case", "no error", format!("{error:#}")));
    }
    result
}

impl<'a> Case<'a> {
    fn new(plan: &Plan, program: &'a Path, result: &'a mut CaseResult) -> Result<Self> {
        let network = Network::new(plan.keepalive, plan.router_rules, plan.router_sysctls)?;
        let capture = Capture::start(network.namespace(Node::Router))?;
        result.start = capture.start;
        let (is_first_side, keepalive) = (result.is_first_side, plan.keepalive);
        Ok(Self { is_first_side, keepalive, network, capture, program, result })
    }

    /// Returns the seconds since the case began, by the clock of the packets' time stamps.
    pub fn now(&self) -> f64 {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("the clock is later than 1970");
        now.as_secs_f64() - self.capture.start.as_secs_f64()
    }

    pub fn namespace(&self, node: Node) -> &Namespace {
        self.network.namespace(node)
    }

    pub fn peer(&self, node: Node) -> Result<Peer> {
        Peer::start(self.program, self.namespace(node))
    }

    pub fn peer_in_gvisor(&self, node: Node) -> Result<Peer> {
        Peer::start_in_gvisor(self.program, self.namespace(node))
    }

    /// Starts a listener at the server. Returns the program and the listener's address.
    pub fn listen(&self) -> Result<(Peer, SocketAddr)> {
        let mut server = self.peer(Node::Server)?;
        let address = server_address(self.result.family);
        let address = server.call(&format!("listen {address}"))?.parse()?;
        Ok((server, address))
    }

    pub fn connect(&self) -> Result<Connection> {
        self.connect_from(self.peer(Node::Client)?)
    }

    pub fn connect_from(&self, mut client: Peer) -> Result<Connection> {
        let (mut server, address) = self.listen()?;
        let client_address = client.call(&format!("connect {address}"))?.parse()?;
        server.call_ok("accept")?;
        Ok(Connection { client, server, client_address })
    }

    /// Sets the option on the first side only. Returns the time before the call.
    pub fn set_keepalive(&mut self, node: Node, program: &mut Peer) -> Result<f64> {
        // The answer to the call may be late, and a probe must not seem to be early.
        let since = self.now();
        if self.is_first_side {
            program.call_ok("set_keepalive true")?;
            self.mark(node, "set_keepalive(true)");
        }
        Ok(since)
    }

    /// Cuts a node's power: the node sends no more packets, and its program ends.
    ///
    /// Returns the start of the other node's idle time: `since`, or the time of the last answer to a
    /// probe. On a busy machine, the power may go off after a probe.
    pub fn power_off(&mut self, node: Node, program: Peer, since: f64) -> Result<f64> {
        self.network.delete_link(node)?;
        self.mark(node, Event::POWER_OFF);
        drop(program);
        let mut packets = self.capture.packets()?;
        packets.retain(|packet| packet.kind == PacketKind::ProbeAck && packet.from == node);
        Ok(packets.last().map_or(since, |answer| answer.at))
    }

    /// Starts the server again, without its connections. Returns the time.
    pub fn power_on_server(&mut self) -> Result<f64> {
        self.network.replace_server()?;
        self.mark(Node::Server, Event::POWER_ON);
        Ok(self.now())
    }

    pub fn idle(&self, seconds: f64) {
        thread::sleep(Duration::from_secs_f64(seconds));
    }

    /// Waits for the answer to the command `verb`, until `seconds` after `since`. Returns the answer
    /// with its time after `since`, or [`STILL_BLOCKED`].
    pub fn wait_for(&self, peer: &mut Peer, verb: &str, since: f64, seconds: f64) -> Result<Seen> {
        let left = (since + seconds - self.now()).max(0.0);
        let answer = peer.wait_for(verb, Instant::now() + Duration::from_secs_f64(left))?;
        Ok(answer.map_or(STILL_BLOCKED.into(), |answer| Seen::at(answer, self.now() - since)))
    }

    /// Waits for the result of a `read` at the client, as [`Case::wait_for`], and marks it.
    pub fn wait_for_read(&mut self, client: &mut Peer, since: f64, seconds: f64) -> Result<Seen> {
        let end = self.wait_for(client, "read", since, seconds)?;
        self.mark(Node::Client, format!("read(): {}", end.value));
        Ok(end)
    }

    /// Sets keepalive on the first side, lets the client block in `read`, and cuts the server's
    /// power. Returns the start of the client's idle time.
    pub fn power_off_server_during_read(&mut self, client: &mut Peer, server: Peer) -> Result<f64> {
        let since = self.set_keepalive(Node::Client, client)?;
        client.send("read")?;
        self.power_off(Node::Server, server, since)
    }

    /// Checks that the client's `read` times out on the first side, and blocks on the second side.
    /// Returns whether `read` returned.
    pub fn check_read_times_out(&mut self, client: &mut Peer, idle_since: f64) -> Result<bool> {
        let timeout = self.keepalive.timeout();
        let end = self.wait_for_read(client, idle_since, 3.0 * timeout)?;
        let returned = end.time.is_some();
        self.check("read", self.by_side(Expected::at(TIMED_OUT, timeout), STILL_BLOCKED), end);
        Ok(returned)
    }

    /// Waits for a probe that is `wanted`, up to twice the idle time. Returns [`PROBE`] with its time
    /// after `since`, or [`NO_PROBE`].
    pub fn wait_for_probe(&self, since: f64, wanted: impl Fn(&Packet) -> bool) -> Result<Seen> {
        let seconds = since + 2.0 * (self.keepalive.idle_time + LATE) - self.now();
        let probes = self.capture.wait(seconds, 1, |packet| packet.is_probe() && wanted(packet))?;
        Ok(probes.first().map_or(NO_PROBE.into(), |probe| Seen::at(PROBE, probe.at - since)))
    }

    /// Returns [`PROBE`] or [`NO_PROBE`] for the time after `since`.
    pub fn probe_after(&self, since: f64) -> Result<&'static str> {
        let packets = self.capture.packets()?;
        let is_seen = packets.iter().any(|packet| packet.is_probe() && packet.at > since);
        Ok(if is_seen { PROBE } else { NO_PROBE })
    }

    /// Records an event at a node, for the picture.
    pub fn mark(&mut self, node: Node, text: impl Into<String>) {
        let at = self.now();
        self.result.events.push(Event { at, node, text: text.into() });
    }

    /// Returns `first` on the first side, and `second` on the second side.
    pub fn by_side(&self, first: impl Into<Expected>, second: impl Into<Expected>) -> Expected {
        if self.is_first_side { first.into() } else { second.into() }
    }

    pub fn check(&mut self, name: &str, expected: impl Into<Expected>, seen: impl Into<Seen>) {
        self.result.observations.push(Observation::new(name, expected, seen));
        self.result.end = self.now();
    }
}
