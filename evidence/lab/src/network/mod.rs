//! The network of a case: a client, a router and a server, each in its own network namespace.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use socket2::SockRef;

mod namespace;

pub use namespace::Namespace;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    Client,
    Router,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    IPv4,
    IPv6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::IPv4, Self::IPv6];
}

/// The kernel's settings for keepalive. The times are in seconds.
#[derive(Clone, Copy)]
pub struct Keepalive {
    pub idle_time: f64,
    pub interval: f64,
    pub probes: u32,
}

impl Keepalive {
    /// Returns the seconds after which the kernel ends a connection whose peer does not answer.
    pub fn timeout(&self) -> f64 {
        self.idle_time + self.interval * f64::from(self.probes)
    }
}

/// A veth pair between the router and another node.
struct Link {
    node: Node,
    /// The name of the router's interface.
    name: &'static str,
    /// The index of the router's interface, and a part of the subnets: 10.0.NUMBER.0/24 and
    /// fd00:0:0:NUMBER::/64.
    number: u8,
}

const LINKS: [Link; 2] = [
    Link { node: Node::Client, name: "client", number: 2 },
    Link { node: Node::Server, name: "server", number: 3 },
];

/// The name of the client's and of the server's interface.
const NODE_INTERFACE: &str = "router";

/// The last part of the addresses at the ends of a link.
const ROUTER_END: u8 = 1;
const NODE_END: u8 = 2;

/// The limit for the first connection in a new network.
const WARM_UP_LIMIT: Duration = Duration::from_secs(20);

impl Link {
    fn of(node: Node) -> &'static Self {
        LINKS.iter().find(|link| link.node == node).expect("the router has no link to itself")
    }

    fn address(&self, family: Family, end: u8) -> IpAddr {
        let (subnet, end_v6) = (u16::from(self.number), u16::from(end));
        match family {
            Family::IPv4 => Ipv4Addr::new(10, 0, self.number, end).into(),
            Family::IPv6 => Ipv6Addr::new(0xfd00, 0, 0, subnet, 0, 0, 0, end_v6).into(),
        }
    }

    /// Returns the commands for `ip` that bring the interface at `end` up. With `nodad`, the IPv6
    /// address is usable at once: the kernel does not look for duplicates.
    fn bring_up(&self, interface: &str, end: u8) -> String {
        let [ipv4, ipv6] = Family::BOTH.map(|family| self.address(family, end));
        format!(
            "link set {interface} up\n\
             address add {ipv4}/24 dev {interface}\n\
             address add {ipv6}/64 dev {interface} nodad\n"
        )
    }
}

/// Returns the server's address, with port 0: the kernel chooses a port.
pub fn server_address(family: Family) -> SocketAddr {
    SocketAddr::new(Link::of(Node::Server).address(family, NODE_END), 0)
}

/// Returns the node at the other end of a router's interface.
pub fn node_behind(router_interface: usize) -> Option<Node> {
    let link = LINKS.iter().find(|link| usize::from(link.number) == router_interface)?;
    Some(link.node)
}

pub struct Network {
    keepalive: Keepalive,
    /// The namespaces of the nodes, in the order of [`Node`].
    namespaces: [Namespace; 3],
}

impl Network {
    /// Makes a network. `router_rules` are the chains of an nftables table of the family `inet`.
    pub fn new(
        keepalive: Keepalive,
        router_rules: &str,
        router_sysctls: &[(&str, u32)],
    ) -> Result<Self> {
        let namespaces = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
        let network = Self { keepalive, namespaces };
        let router = network.namespace(Node::Router);
        router.set("ipv4/ip_forward", 1)?;
        router.set("ipv6/conf/all/forwarding", 1)?;
        router.run("nft", &["-f", "-"], &format!("table inet lab {{\n{router_rules}\n}}"))?;
        for (name, value) in router_sysctls {
            router.set(name, value)?;
        }
        network.add_link(Node::Client)?;
        network.add_link(Node::Server)?;
        network.warm_up()?;
        Ok(network)
    }

    pub fn namespace(&self, node: Node) -> &Namespace {
        &self.namespaces[node as usize]
    }

    /// Deletes both ends of the link, so that the FIN or RST of an ending process is not captured.
    pub fn delete_link(&self, node: Node) -> Result<()> {
        let link = ["link", "delete", Link::of(node).name];
        self.namespace(Node::Router).run("ip", &link, "")?;
        Ok(())
    }

    /// Replaces the server's namespace, with the same addresses and without connections.
    pub fn replace_server(&mut self) -> Result<()> {
        self.namespaces[Node::Server as usize] = Namespace::new()?;
        self.add_link(Node::Server)
    }

    fn add_link(&self, node: Node) -> Result<()> {
        let (link, node) = (Link::of(node), self.namespace(node));
        let Keepalive { idle_time, interval, probes } = self.keepalive;
        node.set("ipv4/tcp_keepalive_time", idle_time)?;
        node.set("ipv4/tcp_keepalive_intvl", interval)?;
        node.set("ipv4/tcp_keepalive_probes", probes)?;

        let Link { name, number, .. } = link;
        let peer = format!("{NODE_INTERFACE} netns {}", node.path()?.display());
        let pair = format!("link add {name} index {number} type veth peer {peer}\n");
        let router_end = link.bring_up(name, ROUTER_END);
        self.namespace(Node::Router).run("ip", &["-batch", "-"], &(pair + &router_end))?;

        let gateways = Family::BOTH.map(|family| link.address(family, ROUTER_END));
        let routes = gateways.map(|gateway| format!("route add default via {gateway}\n")).concat();
        let node_end = link.bring_up(NODE_INTERFACE, NODE_END);
        node.run("ip", &["-batch", "-"], &(node_end + &routes))?;
        Ok(())
    }

    /// Makes a connection for each family. The first packets in a new network may be lost, because
    /// interfaces and neighbors are not ready, and be retransmitted a second later.
    fn warm_up(&self) -> Result<()> {
        let [client, server] = [Node::Client, Node::Server].map(|node| self.namespace(node));
        for family in Family::BOTH {
            let listener = server.enter(|| Ok(TcpListener::bind(server_address(family))?))?;
            let address = listener.local_addr()?;
            let stream =
                client.enter(|| Ok(TcpStream::connect_timeout(&address, WARM_UP_LIMIT)?))?;
            let (mut accepted, _) = listener.accept()?;
            // Nothing answers a reset, so the network is quiet after its arrival.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            drop(stream);
            ensure!(accepted.read(&mut [0]).is_err(), "a reset connection is readable");
        }
        Ok(())
    }
}
