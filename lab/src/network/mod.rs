//! Builds the network of one case: a client and a server, each in a network namespace of its own,
//! and a router between them. A scenario declares a [`Shape`]; [`Network::new`] makes it so.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

mod namespace;

pub use namespace::Namespace;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Node {
    Client,
    Router,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    IPv4,
    IPv6,
}

/// The kernel's three settings, in seconds, seconds and a count.
#[derive(Clone, Copy)]
pub struct Keepalive {
    pub time: u32,
    pub interval: u32,
    pub probes: u32,
}

impl Keepalive {
    /// How long a silent peer goes unnoticed, in seconds.
    pub const fn detection(&self) -> f64 {
        (self.time + self.interval * self.probes) as f64
    }
}

/// What a scenario may ask of its network.
#[derive(Clone, Copy)]
pub struct Shape {
    /// In the client's and the server's namespaces.
    pub keepalive: Keepalive,
    /// Chains of an `inet` table in the router.
    pub router_rules: &'static str,
    pub router_sysctls: &'static [(&'static str, &'static str)],
}

/// A network that forwards packets, and where packets to nowhere vanish as they do on the
/// internet: few routers there say that a host is unreachable, and few firewalls let it pass.
pub const PLAIN: Shape = Shape {
    keepalive: Keepalive { time: 1, interval: 1, probes: 2 },
    router_rules: "chain silent {
        type filter hook output priority filter
        icmp type destination-unreachable drop
        icmpv6 type destination-unreachable drop
    }",
    router_sysctls: &[],
};

/// A veth pair between the router and a node. Its number names it everywhere: the interface's
/// index in the router, the subnets 10.0.NUMBER.0/24 and fd00:0:0:NUMBER::/64.
struct Cable {
    router_interface: &'static str,
    number: u8,
}

const CLIENT_CABLE: Cable = Cable { router_interface: "client", number: 2 };
const SERVER_CABLE: Cable = Cable { router_interface: "server", number: 3 };

/// The one interface of a node.
const NODE_INTERFACE: &str = "router";

/// The last part of an address on a cable.
const ROUTER_END: u8 = 1;
const NODE_END: u8 = 2;

impl Cable {
    const fn address(&self, family: Family, end: u8) -> IpAddr {
        match family {
            Family::IPv4 => IpAddr::V4(Ipv4Addr::new(10, 0, self.number, end)),
            Family::IPv6 => {
                let (subnet, end) = (self.number as u16, end as u16);
                IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, subnet, 0, 0, 0, end))
            }
        }
    }

    /// The commands for `ip` that bring one end up.
    fn bring_up(&self, interface: &str, end: u8) -> String {
        let [ipv4, ipv6] = [Family::IPv4, Family::IPv6].map(|family| self.address(family, end));
        // Without nodad it still serves only when the kernel gets round to not asking.
        format!(
            "link set {interface} up
            address add {ipv4}/24 dev {interface}
            address add {ipv6}/64 dev {interface} nodad\n"
        )
    }
}

/// IPv6 spends a second or two asking whether an address is taken. Until that is settled for the
/// address that each interface gives itself, a router cannot even look for its neighbors.
const NO_DAD: [(&str, &str); 2] =
    [("ipv6/conf/all/accept_dad", "0"), ("ipv6/conf/default/accept_dad", "0")];

const FORWARD: [(&str, &str); 2] = [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")];

/// How long a new network may take to let a connection through.
const WARM: Duration = Duration::from_secs(20);

/// Where a client finds the server.
pub const fn server_address(family: Family) -> IpAddr {
    SERVER_CABLE.address(family, NODE_END)
}

/// The node at the other end of one of the router's interfaces.
pub fn node_behind(router_interface: usize) -> Option<Node> {
    [(Node::Client, CLIENT_CABLE), (Node::Server, SERVER_CABLE)]
        .into_iter()
        .find(|(_, cable)| usize::from(cable.number) == router_interface)
        .map(|(node, _)| node)
}

pub struct Network {
    keepalive: Keepalive,
    client: Namespace,
    router: Namespace,
    server: Namespace,
}

impl Network {
    pub fn new(shape: &Shape) -> Result<Self> {
        let router = Namespace::new()?;
        router.set(&NO_DAD)?;
        router.set(&FORWARD)?;
        router.run(
            "nft",
            &["-f", "-"],
            &format!("table inet lab {{\n{}\n}}", shape.router_rules),
        )?;
        router.set(shape.router_sysctls)?;
        let network = Self {
            keepalive: shape.keepalive,
            client: Namespace::new()?,
            router,
            server: Namespace::new()?,
        };
        network.plug_in(&network.client, &CLIENT_CABLE)?;
        network.plug_in(&network.server, &SERVER_CABLE)?;
        network.warm_up()?;
        Ok(network)
    }

    pub fn namespace(&self, node: Node) -> &Namespace {
        match node {
            Node::Client => &self.client,
            Node::Router => &self.router,
            Node::Server => &self.server,
        }
    }

    /// The node's cable is gone in the same instant at both ends, so nothing that its kernel says
    /// while its processes die is heard: no FIN, no RST.
    pub fn unplug(&self, node: Node) -> Result<()> {
        let cable = if node == Node::Client { CLIENT_CABLE } else { SERVER_CABLE };
        self.router.run("ip", &["link", "delete", cable.router_interface], "")?;
        Ok(())
    }

    /// The same addresses, and a kernel that knows nothing of what was before.
    pub fn replace_server(&mut self) -> Result<()> {
        self.server = Namespace::new()?;
        self.plug_in(&self.server, &SERVER_CABLE)
    }

    fn plug_in(&self, node: &Namespace, cable: &Cable) -> Result<()> {
        let Keepalive { time, interval, probes } = self.keepalive;
        node.set(&NO_DAD)?;
        node.set(&[
            ("ipv4/tcp_keepalive_time", &time.to_string()),
            ("ipv4/tcp_keepalive_intvl", &interval.to_string()),
            ("ipv4/tcp_keepalive_probes", &probes.to_string()),
        ])?;
        let Cable { router_interface, number } = cable;
        let far_end = format!("{NODE_INTERFACE} netns {}", node.path()?.display());
        let pair = format!("link add {router_interface} index {number} type veth peer {far_end}\n");
        let near_end = cable.bring_up(router_interface, ROUTER_END);
        self.router.run("ip", &["-batch", "-"], &(pair + &near_end))?;

        let gateways = [Family::IPv4, Family::IPv6].map(|family| cable.address(family, ROUTER_END));
        let routes = gateways.map(|gateway| format!("route add default via {gateway}\n")).concat();
        let far_end = cable.bring_up(NODE_INTERFACE, NODE_END);
        node.run("ip", &["-batch", "-"], &(far_end + &routes))?;
        Ok(())
    }

    /// The first packets on new cables meet interfaces that are not quite up, and neighbors that
    /// are not known, and may need a second try a second later: let that be none of a scenario's.
    fn warm_up(&self) -> Result<()> {
        for family in [Family::IPv4, Family::IPv6] {
            let any_port = SocketAddr::new(server_address(family), 0);
            let listener = self.server.enter(|| Ok(TcpListener::bind(any_port)?))?;
            let address = listener.local_addr()?;
            let client = self.client.enter(|| Ok(TcpStream::connect_timeout(&address, WARM)?))?;
            let (mut server, _) = listener.accept()?;
            // Ended by a reset, which nothing answers: once it is here the network is quiet.
            SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
            drop(client);
            ensure!(server.read(&mut [0]).is_err(), "a reset connection is readable");
        }
        Ok(())
    }
}
