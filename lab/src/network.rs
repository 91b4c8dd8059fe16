//! The network of one case: a client and a server, each in a network namespace of its own, and a
//! router between them. A scenario declares a [`Shape`]; [`Network::new`] makes it so.
//!
//! A namespace is an open file and nothing else: no name, no mount. When the last file and the
//! last process are gone the kernel takes it down, with its interfaces, rules and settings.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

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
    node: Node,
    router_interface: &'static str,
    number: u8,
}

const CLIENT_CABLE: Cable = Cable { node: Node::Client, router_interface: "client", number: 2 };
const SERVER_CABLE: Cable = Cable { node: Node::Server, router_interface: "server", number: 3 };

/// The last part of an address on a cable.
const ROUTER_END: u8 = 1;
const NODE_END: u8 = 2;

/// The one interface of a node.
const NODE_INTERFACE: (&str, u32) = ("router", 2);

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
}

/// IPv6 spends a second or two asking whether an address is taken. Until that is settled for the
/// address that each interface gives itself, a router cannot even look for its neighbors.
const NO_DAD: [(&str, &str); 2] =
    [("ipv6/conf/all/accept_dad", "0"), ("ipv6/conf/default/accept_dad", "0")];

/// How long a new network may take to let a connection through.
const WARM: Duration = Duration::from_secs(20);

const FORWARD: [(&str, &str); 2] = [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")];

/// Where a client finds the server.
pub const fn server_address(family: Family) -> IpAddr {
    SERVER_CABLE.address(family, NODE_END)
}

/// The node at the other end of one of the router's interfaces.
pub fn node_behind(router_interface: usize) -> Option<Node> {
    [CLIENT_CABLE, SERVER_CABLE]
        .into_iter()
        .find(|cable| usize::from(cable.number) == router_interface)
        .map(|cable| cable.node)
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
        router.filter(shape.router_rules)?;
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
        self.router
            .netlink(async |handle| Ok(handle.link().del(cable.number.into()).execute().await?))
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
        let router_end = (cable.router_interface, cable.number.into());
        self.router.netlink(async |handle| {
            let far_end = named(LinkMessageBuilder::<LinkUnspec>::new(), NODE_INTERFACE)
                .append_extra_attribute(LinkAttribute::NetNsFd(node.0.as_raw_fd()))
                .build();
            let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
                .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)));
            let pair = named(pair, router_end).build();
            handle.link().add(pair).execute().await.context("making a veth pair")?;
            bring_up(&handle, router_end.1, cable, ROUTER_END).await
        })?;
        node.netlink(async |handle| {
            bring_up(&handle, NODE_INTERFACE.1, cable, NODE_END).await?;
            for family in [Family::IPv4, Family::IPv6] {
                let gateway = cable.address(family, ROUTER_END);
                handle.route().add(default_route(gateway)).execute().await?;
            }
            Ok(())
        })
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

fn named<T>(link: LinkMessageBuilder<T>, (name, index): (&str, u32)) -> LinkMessageBuilder<T> {
    link.name(name).index(index)
}

async fn bring_up(handle: &Handle, index: u32, cable: &Cable, end: u8) -> Result<()> {
    let up = LinkUnspec::new_with_index(index).up().build();
    handle.link().change(up).execute().await.context("setting an interface up")?;
    for (family, prefix) in [(Family::IPv4, 24), (Family::IPv6, 64)] {
        let mut address = handle.address().add(index, cable.address(family, end), prefix);
        // Without this it still serves only when the kernel gets round to not asking.
        address.message_mut().header.flags = AddressHeaderFlags::Nodad;
        address.execute().await.context("adding an address")?;
    }
    Ok(())
}

fn default_route(gateway: IpAddr) -> RouteMessage {
    match gateway {
        IpAddr::V4(ip) => RouteMessageBuilder::<Ipv4Addr>::new().gateway(ip).build(),
        IpAddr::V6(ip) => RouteMessageBuilder::<Ipv6Addr>::new().gateway(ip).build(),
    }
}

pub struct Namespace(File);

impl Namespace {
    fn new() -> Result<Self> {
        // A thread of its own, because what it unshares is its alone; the file outlives it.
        thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
            Ok(Self(File::open("/proc/thread-self/ns/net")?))
        })
        .join()
        .expect("no panic in there")
    }

    /// Runs `f` in a thread that is in this namespace; what it opens or starts stays in it.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET)?;
                f()
            });
            inside.join().expect("no panic in there")
        })
    }

    fn set(&self, sysctls: &[(&str, &str)]) -> Result<()> {
        self.enter(|| {
            for (name, value) in sysctls {
                fs::write(Path::new("/proc/sys/net").join(name), value)
                    .with_context(|| format!("setting net/{name} to {value}"))?;
            }
            Ok(())
        })
    }

    fn filter(&self, rules: &str) -> Result<()> {
        self.enter(|| {
            let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
            let mut stdin = nft.stdin.take().expect("piped above");
            write!(stdin, "table inet lab {{\n{rules}\n}}")?;
            drop(stdin);
            ensure!(nft.wait()?.success(), "nft refused the router's rules");
            Ok(())
        })
    }

    fn netlink(&self, f: impl AsyncFnOnce(Handle) -> Result<()> + Send) -> Result<()> {
        self.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            let _guard = runtime.enter();
            let (connection, handle, _) = rtnetlink::new_connection()?;
            runtime.spawn(connection);
            runtime.block_on(f(handle))
        })
    }
}
