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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    #[default]
    IPv4,
    IPv6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::IPv4, Self::IPv6];
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
    pub router_sysctls: &'static [(&'static str, u32)],
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

/// How long a new network may take to let a connection through.
const WARM: Duration = Duration::from_secs(20);

impl Cable {
    fn address(&self, family: Family, end: u8) -> IpAddr {
        let (subnet, end_v6) = (u16::from(self.number), u16::from(end));
        match family {
            Family::IPv4 => Ipv4Addr::new(10, 0, self.number, end).into(),
            Family::IPv6 => Ipv6Addr::new(0xfd00, 0, 0, subnet, 0, 0, 0, end_v6).into(),
        }
    }

    /// The commands for `ip` that bring one end up. Without nodad, its IPv6 address would serve
    /// only when the kernel gets round to not asking whether it is taken.
    fn bring_up(&self, interface: &str, end: u8) -> String {
        let [ipv4, ipv6] = Family::BOTH.map(|family| self.address(family, end));
        format!(
            "link set {interface} up\n\
             address add {ipv4}/24 dev {interface}\n\
             address add {ipv6}/64 dev {interface} nodad\n"
        )
    }
}

/// Where a client finds the server, at a port that the server's kernel chooses.
pub fn server_address(family: Family) -> SocketAddr {
    SocketAddr::new(SERVER_CABLE.address(family, NODE_END), 0)
}

/// The node at the other end of one of the router's interfaces.
pub fn node_behind(router_interface: usize) -> Option<Node> {
    let cables = [(Node::Client, CLIENT_CABLE), (Node::Server, SERVER_CABLE)];
    let mut cables = cables.into_iter();
    Some(cables.find(|(_, cable)| usize::from(cable.number) == router_interface)?.0)
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
        router.set("ipv4/ip_forward", 1)?;
        router.set("ipv6/conf/all/forwarding", 1)?;
        router.run(
            "nft",
            &["-f", "-"],
            &format!("table inet lab {{\n{}\n}}", shape.router_rules),
        )?;
        for &(name, value) in shape.router_sysctls {
            router.set(name, value)?;
        }
        let keepalive = shape.keepalive;
        let (client, server) = (Namespace::new()?, Namespace::new()?);
        let network = Self { keepalive, client, router, server };
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
        node.set("ipv4/tcp_keepalive_time", time)?;
        node.set("ipv4/tcp_keepalive_intvl", interval)?;
        node.set("ipv4/tcp_keepalive_probes", probes)?;

        let Cable { router_interface, number } = cable;
        let far_end = format!("{NODE_INTERFACE} netns {}", node.path()?.display());
        let pair = format!("link add {router_interface} index {number} type veth peer {far_end}\n");
        let near_end = cable.bring_up(router_interface, ROUTER_END);
        self.router.run("ip", &["-batch", "-"], &(pair + &near_end))?;

        let gateways = Family::BOTH.map(|family| cable.address(family, ROUTER_END));
        let routes = gateways.map(|gateway| format!("route add default via {gateway}\n")).concat();
        let far_end = cable.bring_up(NODE_INTERFACE, NODE_END);
        node.run("ip", &["-batch", "-"], &(far_end + &routes))?;
        Ok(())
    }

    /// The first packets on new cables meet interfaces that are not quite up, and neighbors that
    /// are not known, and may need a second try a second later: let that be none of a scenario's.
    fn warm_up(&self) -> Result<()> {
        for family in Family::BOTH {
            let listener = self.server.enter(|| Ok(TcpListener::bind(server_address(family))?))?;
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
