//! One case of a scenario: its own network, its own capture, the programs in it, and the rows
//! that come out. Every scenario is run twice for each IP family, with the thing that it is about
//! and without, so that what would happen anyway proves nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;

use crate::capture::Capture;
use crate::network::{Family, Keepalive, Namespace, Network, Node, server_address};
use crate::packet::{self, Packet};
use crate::peer::Peer;
use crate::report::{Case, Expected, Mark, Row, Seen};
use crate::scenarios::Scenario;

pub struct Bench<'a> {
    /// With what the scenario is about, or without.
    pub with: bool,
    pub keepalive: Keepalive,
    network: Network,
    family: Family,
    program: &'a Path,
    capture: Capture,
    start: Duration,
    /// When the last row came out: what follows is only the programs' end.
    end: f64,
    marks: Vec<Mark>,
    rows: Vec<Row>,
}

/// A connection between a program at the client and one at the server.
pub struct Connection {
    pub client: Peer,
    pub server: Peer,
    /// The client's address, which names the connection in a capture.
    pub end: SocketAddr,
}

/// Runs a scenario once; what goes wrong on the way is a row that fails.
pub fn run(scenario: &Scenario, family: Family, with: bool, program: &Path) -> Case {
    let mut case = Case {
        scenario: scenario.name.to_string(),
        side: scenario.sides[usize::from(!with)].to_string(),
        with,
        family,
        start: since_epoch(),
        end: 0.0,
        rows: Vec::new(),
        marks: Vec::new(),
        frames: Vec::new(),
    };
    let outcome = Bench::new(scenario, family, with, program).and_then(|mut bench| {
        let outcome = (scenario.run)(&mut bench);
        case.start = bench.start;
        case.end = bench.end;
        case.frames = bench.capture.frames();
        case.rows = bench.rows;
        case.marks = bench.marks;
        outcome
    });
    if let Err(error) = outcome {
        let seen = Seen { what: format!("{error:#}"), seconds: None };
        case.rows.push(Row::new("the case itself", Expected::new("runs to its end"), seen));
    }
    case
}

impl<'a> Bench<'a> {
    fn new(scenario: &Scenario, family: Family, with: bool, program: &'a Path) -> Result<Self> {
        let network = Network::new(&scenario.shape)?;
        Ok(Self {
            with,
            keepalive: scenario.shape.keepalive,
            capture: Capture::start(network.namespace(Node::Router))?,
            network,
            family,
            program,
            start: since_epoch(),
            end: 0.0,
            marks: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// Seconds since the case began, on the clock of the packets' times.
    pub fn now(&self) -> f64 {
        since_epoch().saturating_sub(self.start).as_secs_f64()
    }

    pub fn namespace(&self, node: Node) -> &Namespace {
        self.network.namespace(node)
    }

    pub fn peer(&self, node: Node) -> Result<Peer> {
        Peer::start(self.program, self.namespace(node))
    }

    /// A listener at the server, and where a client finds it.
    pub fn listen(&self) -> Result<(Peer, SocketAddr)> {
        let mut server = self.peer(Node::Server)?;
        let any_port = SocketAddr::new(server_address(self.family), 0);
        let address = server.ask(&format!("listen {any_port}"))?.parse()?;
        Ok((server, address))
    }

    pub fn connect(&self) -> Result<Connection> {
        let (mut server, address) = self.listen()?;
        let mut client = self.peer(Node::Client)?;
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
        self.mark(node, POWER_OFF);
        drop(program);
        Ok(())
    }

    /// The server's kernel starts anew.
    pub fn power_on_server(&mut self) -> Result<()> {
        self.network.replace_server()?;
        self.mark(Node::Server, POWER_ON);
        Ok(())
    }

    /// Does nothing for a while, because nothing is what the network is to see.
    pub fn idle(&self, seconds: f64) {
        thread::sleep(Duration::from_secs_f64(seconds));
    }

    /// A command's answer, with the time of its coming in seconds after `since`; "still blocked"
    /// if it has not come `seconds` after that.
    pub fn hear(&self, peer: &mut Peer, verb: &str, since: f64, seconds: f64) -> Result<Seen> {
        let left = (since + seconds - self.now()).max(0.0);
        match peer.hear(verb, Instant::now() + Duration::from_secs_f64(left))? {
            Some(what) => Ok(Seen { what, seconds: Some(self.now() - since) }),
            None => Ok(Seen { what: STILL_BLOCKED.to_string(), seconds: None }),
        }
    }

    pub fn packets(&self) -> Vec<Packet> {
        packet::read(&self.capture.frames(), self.start)
    }

    /// Waits until `found` finds something among the packets so far, for `seconds` at most.
    pub fn wait<T>(
        &self,
        seconds: f64,
        mut found: impl FnMut(&[Packet]) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + Duration::from_secs_f64(seconds);
        self.capture.wait_until(deadline, |frames| found(&packet::read(frames, self.start)))
    }

    /// Notes, for the picture, what happened at a node.
    pub fn mark(&mut self, node: Node, text: impl Into<String>) {
        self.marks.push(Mark { at: self.now(), node, text: text.into() });
    }

    pub fn check(&mut self, what: &str, expected: Expected, seen: impl Into<Seen>) {
        self.rows.push(Row::new(what, expected, seen.into()));
        self.end = self.now();
    }
}

/// Marks that the picture heeds: between them, the node's line is broken.
pub const POWER_OFF: &str = "power off";
pub const POWER_ON: &str = "power on";

/// What [`Bench::hear`] reports of a call that did not return.
pub const STILL_BLOCKED: &str = "still blocked";

fn since_epoch() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970")
}
