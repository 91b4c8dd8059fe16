//! Runs one case of a scenario: its own network, its own capture and the programs in it. Every
//! scenario is run twice for each IP family, with the thing that it is about and without, so that
//! what would happen anyway proves nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;

use super::Scenario;
use crate::capture::Capture;
use crate::network::{Family, Keepalive, Namespace, Network, Node, server_address};
use crate::peer::Peer;
use crate::results::{CaseResult, Event, Expected, Observation, Seen};

/// What the scenario does things with.
pub struct Case<'a> {
    /// With what the scenario is about, or without.
    pub with: bool,
    pub keepalive: Keepalive,
    pub capture: Arc<Capture>,
    network: Network,
    program: &'a Path,
    result: &'a mut CaseResult,
}

/// A connection between a program at the client and one at the server.
pub struct Connection {
    pub client: Peer,
    pub server: Peer,
    /// The client's address, which names the connection in a capture.
    pub end: SocketAddr,
}

/// What [`Case::hear`] reports of a call that did not return.
pub const STILL_BLOCKED: &str = "still blocked";

/// What a call fails with when no probe was answered.
pub const TIMED_OUT: &str = "TimedOut (os error 110)";

/// Runs a scenario once; what goes wrong on the way is an observation that fails.
pub fn run(scenario: &Scenario, family: Family, with: bool, program: &Path) -> CaseResult {
    let mut result = CaseResult {
        scenario: scenario.name.to_string(),
        side: scenario.sides[usize::from(!with)].to_string(),
        with,
        family,
        ..CaseResult::default()
    };
    let outcome = Case::new(scenario, program, &mut result).and_then(|mut case| {
        let outcome = (scenario.run)(&mut case);
        case.result.frames = case.capture.frames();
        outcome
    });
    if let Err(error) = outcome {
        let failed = Observation::new("the case itself", "runs to its end", format!("{error:#}"));
        result.observations.push(failed);
    }
    result
}

impl<'a> Case<'a> {
    fn new(scenario: &Scenario, program: &'a Path, result: &'a mut CaseResult) -> Result<Self> {
        let network = Network::new(&scenario.shape)?;
        let capture = Capture::start(network.namespace(Node::Router))?;
        result.start = capture.start;
        let (with, keepalive) = (result.with, scenario.shape.keepalive);
        Ok(Self { with, keepalive, network, capture, program, result })
    }

    /// Seconds since the case began, on the clock of the packets' times.
    pub fn now(&self) -> f64 {
        let begin = SystemTime::UNIX_EPOCH + self.capture.start;
        begin.elapsed().unwrap_or_default().as_secs_f64()
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

    /// A listener at the server, and where a client finds it.
    pub fn listen(&self) -> Result<(Peer, SocketAddr)> {
        let mut server = self.peer(Node::Server)?;
        let address = server_address(self.result.family);
        let address = server.ask(&format!("listen {address}"))?.parse()?;
        Ok((server, address))
    }

    pub fn connect(&self) -> Result<Connection> {
        self.connect_from(self.peer(Node::Client)?)
    }

    pub fn connect_from(&self, mut client: Peer) -> Result<Connection> {
        let (mut server, address) = self.listen()?;
        let end = client.ask(&format!("connect {address}"))?.parse()?;
        server.must("accept")?;
        Ok(Connection { client, server, end })
    }

    /// Keepalive, or none: then the option is as it is by default. Says when.
    pub fn set_keepalive(&mut self, node: Node, program: &mut Peer) -> Result<f64> {
        // From before, since nothing can come too early then, however late the answer.
        let since = self.now();
        if self.with {
            program.must("set_keepalive true")?;
            self.mark(node, "set_keepalive(true)");
        }
        Ok(since)
    }

    /// The power fails at a node: it is not heard any more, and its program is gone.
    pub fn power_off(&mut self, node: Node, program: Peer) -> Result<()> {
        self.network.unplug(node)?;
        self.mark(node, Event::POWER_OFF);
        drop(program);
        Ok(())
    }

    /// The server's kernel starts anew.
    pub fn power_on_server(&mut self) -> Result<()> {
        self.network.replace_server()?;
        self.mark(Node::Server, Event::POWER_ON);
        Ok(())
    }

    /// Does nothing for a while, because nothing is what the network is to see.
    pub fn idle(&self, seconds: f64) {
        thread::sleep(Duration::from_secs_f64(seconds));
    }

    /// A command's answer, with the time of its coming in seconds after `since`; [`STILL_BLOCKED`]
    /// if it has not come `seconds` after that.
    pub fn hear(&self, peer: &mut Peer, verb: &str, since: f64, seconds: f64) -> Result<Seen> {
        let left = (since + seconds - self.now()).max(0.0);
        let answer = peer.hear(verb, Instant::now() + Duration::from_secs_f64(left))?;
        Ok(answer.map_or(STILL_BLOCKED.into(), |what| Seen::at(what, self.now() - since)))
    }

    /// How a `read` at the client ends that blocks since before `since`: `seconds` are time enough.
    pub fn hear_read(&mut self, client: &mut Peer, since: f64, seconds: f64) -> Result<Seen> {
        let end = self.hear(client, "read", since, seconds)?;
        self.mark(Node::Client, format!("read(): {}", end.what));
        Ok(end)
    }

    /// Notes, for the picture, what happened at a node.
    pub fn mark(&mut self, node: Node, text: impl Into<String>) {
        let at = self.now();
        self.result.events.push(Event { at, node, text: text.into() });
    }

    /// What is expected of this case: the one with what the scenario is about, or the other.
    pub fn either(&self, with: impl Into<Expected>, without: impl Into<Expected>) -> Expected {
        if self.with { with.into() } else { without.into() }
    }

    pub fn check(&mut self, what: &str, expected: impl Into<Expected>, seen: impl Into<Seen>) {
        self.result.observations.push(Observation::new(what, expected, seen));
        self.result.end = self.now();
    }
}
