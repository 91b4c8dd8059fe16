//! The network of a case: a client, a router and a server, each in a network namespace of its own.

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

/// The kernel's settings of keepalive: two times in seconds, and a count.
#[derive(Clone, Copy)]
pub struct Keepalive {
    pub time: u32,
    pub interval: u32,
    pub probes: u32,
}

impl Keepalive {
    /// Returns the seconds until the kernel gives up a silent peer.
    pub const fn detection(&self) -> f64 {
        (self.time + self.interval * self.probes) as f64
    }
}

/// A scenario's settings of its network.
#[derive(Clone, Copy)]
pub struct Shape {
    /// The settings of the client and of the server.
    pub keepalive: Keepalive,
    /// The chains of the router's nftables table, of the family `inet`.
    pub router_rules: &'static str,
    pub router_sysctls: &'static [(&'static str, u32)],
}

/// A network that forwards packets. The router does not report unreachable hosts, as on most of the
/// internet.
pub const PLAIN: Shape = Shape {
    keepalive: Keepalive { time: 1, interval: 1, probes: 2 },
    router_rules: "chain silent {
        type filter hook output priority filter
        icmp type destination-unreachable drop
        icmpv6 type destination-unreachable drop
    }",
    router_sysctls: &[],
};

/// A veth pair between the router and a node.
struct Cable {
    router_interface: &'static str,
    /// The index of the router's interface, and a part of the subnets: 10.0.NUMBER.0/24 and
    /// fd00:0:0:NUMBER::/64.
    number: u8,
}

const CLIENT_CABLE: Cable = Cable { router_interface: "client", number: 2 };
const SERVER_CABLE: Cable = Cable { router_interface: "server", number: 3 };

/// The name of a node's interface.
const NODE_INTERFACE: &str = "router";

/// The last part of the addresses at a cable's ends.
const ROUTER_END: u8 = 1;
const NODE_END: u8 = 2;

/// The limit for the first connection in a new network.
const WARM_UP_LIMIT: Duration = Duration::from_secs(20);

impl Cable {
    fn address(&self, family: Family, end: u8) -> IpAddr {
        let (subnet, end_v6) = (u16::from(self.number), u16::from(end));
        match family {
            Family::IPv4 => Ipv4Addr::new(10, 0, self.number, end).into(),
            Family::IPv6 => Ipv6Addr::new(0xfd00, 0, 0, subnet, 0, 0, 0, end_v6).into(),
        }
    }

    /// Returns the commands for `ip` that bring one end up. `nodad` makes the IPv6 address usable at
    /// once: the kernel does not look for duplicates.
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
    SocketAddr::new(SERVER_CABLE.address(family, NODE_END), 0)
}

/// Returns the node at the other end of a router's interface.
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

    /// Removes a node's cable, both ends at once. The FIN or RST of an ending process is not seen
    /// then.
    pub fn unplug(&self, node: Node) -> Result<()> {
        let cable = if node == Node::Client { CLIENT_CABLE } else { SERVER_CABLE };
        self.router.run("ip", &["link", "delete", cable.router_interface], "")?;
        Ok(())
    }

    /// Replaces the server by one with the same addresses, whose kernel knows no connection.
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

    /// Makes a connection for each family. The first packets in a new network may be lost and sent
    /// again a second later, because interfaces and neighbors are not ready.
    fn warm_up(&self) -> Result<()> {
        for family in Family::BOTH {
            let listener = self.server.enter(|| Ok(TcpListener::bind(server_address(family))?))?;
            let address = listener.local_addr()?;
            let client =
                self.client.enter(|| Ok(TcpStream::connect_timeout(&address, WARM_UP_LIMIT)?))?;
            let (mut server, _) = listener.accept()?;
            // Nothing answers a reset, so the network is quiet after its arrival.
            SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
            drop(client);
            ensure!(server.read(&mut [0]).is_err(), "a reset connection is readable");
        }
        Ok(())
    }
}
