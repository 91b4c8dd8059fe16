//! Tells what captured frames mean: which way each went, and whether it is a keepalive probe.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{Icmpv4Type, Icmpv6Type, NetSlice, SlicedPacket, TcpSlice, TransportSlice};

use super::Frame;
use crate::network::{Node, node_behind};

/// A packet on one of the two cables, as a reader of the capture would call it.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Seconds since the case began.
    pub at: f64,
    pub from: Node,
    pub to: Node,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub kind: PacketKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    Open,
    Data,
    Ack,
    /// No data or one old byte: the sequence number is one below the next.
    Probe {
        bytes: usize,
    },
    /// The answer to a probe: acknowledges all that was sent before it, and nothing new.
    ProbeAck,
    Close,
    Reset,
    /// ICMP; the addresses are those of the message, its ports are 0.
    Unreachable,
}

impl fmt::Display for PacketKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Open => write!(f, "opening"),
            Self::Data => write!(f, "data"),
            Self::Ack => write!(f, "acknowledgement"),
            Self::Probe { bytes } => write!(f, "probe, {bytes} bytes"),
            Self::ProbeAck => write!(f, "answer"),
            Self::Close => write!(f, "closing"),
            Self::Reset => write!(f, "reset"),
            Self::Unreachable => write!(f, "unreachable"),
        }
    }
}

impl Packet {
    pub fn is_probe(&self) -> bool {
        matches!(self.kind, PacketKind::Probe { .. })
    }

    /// Whether the packet belongs to the connection that `end` is an end of.
    pub fn concerns(&self, end: SocketAddr) -> bool {
        self.source == end || self.destination == end
    }
}

/// One direction of a connection on one cable: masquerading makes two connections of one.
type Flow = (Node, SocketAddr, SocketAddr);

/// What one direction of a connection has shown so far.
struct Sent {
    next: u32,
    probed: bool,
}

/// The TCP packets and the complaints of routers among `frames`, in order. `start` is when the
/// case began.
///
/// A retransmission of a single byte of data looks just like a probe, so the lab's programs never
/// write one alone.
pub fn read(frames: &[Frame], start: Duration) -> Vec<Packet> {
    let mut flows: HashMap<Flow, Sent> = HashMap::new();
    frames.iter().filter_map(|frame| read_one(frame, start, &mut flows)).collect()
}

fn read_one(frame: &Frame, start: Duration, flows: &mut HashMap<Flow, Sent>) -> Option<Packet> {
    let node = node_behind(frame.interface)?;
    let sliced = SlicedPacket::from_ip(&frame.ip).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match sliced.net? {
        NetSlice::Ipv4(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Ipv6(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Arp(_) => return None,
    };
    let (ports, kind) = match sliced.transport? {
        TransportSlice::Tcp(tcp) => {
            let ports = (tcp.source_port(), tcp.destination_port());
            let flow =
                (node, SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1));
            (ports, classify(&tcp, flow, flows))
        }
        TransportSlice::Icmpv4(icmp) => match icmp.icmp_type() {
            Icmpv4Type::DestinationUnreachable(_) => ((0, 0), PacketKind::Unreachable),
            _ => return None,
        },
        TransportSlice::Icmpv6(icmp) => match icmp.icmp_type() {
            Icmpv6Type::DestinationUnreachable(_) => ((0, 0), PacketKind::Unreachable),
            _ => return None,
        },
        TransportSlice::Udp(_) | TransportSlice::Igmp(_) => return None,
    };
    let (from, to) = if frame.outgoing { (Node::Router, node) } else { (node, Node::Router) };
    Some(Packet {
        at: frame.at.as_secs_f64() - start.as_secs_f64(),
        from,
        to,
        source: SocketAddr::new(source, ports.0),
        destination: SocketAddr::new(destination, ports.1),
        kind,
    })
}

fn classify(tcp: &TcpSlice, flow: Flow, flows: &mut HashMap<Flow, Sent>) -> PacketKind {
    let (node, source, destination) = flow;
    let bytes = tcp.payload().len();
    let sequence = tcp.sequence_number();
    let end = sequence.wrapping_add(bytes as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin()));

    let answers_probe = flows.get_mut(&(node, destination, source)).is_some_and(|other| {
        let answers = other.probed && tcp.acknowledgment_number() == other.next;
        other.probed &= !answers;
        answers
    });
    let known = flows.get(&flow).map(|sent| sent.next);
    let old = known.is_some_and(|next| sequence == next.wrapping_sub(1));
    let kind = match () {
        _ if tcp.rst() => PacketKind::Reset,
        _ if tcp.syn() => PacketKind::Open,
        _ if tcp.fin() => PacketKind::Close,
        _ if old && bytes <= 1 => PacketKind::Probe { bytes },
        _ if bytes > 0 => PacketKind::Data,
        _ if answers_probe => PacketKind::ProbeAck,
        _ => PacketKind::Ack,
    };
    // Sequence numbers wrap: ahead means less than half the circle.
    let next = known.filter(|next| (end.wrapping_sub(*next) as i32) < 0).unwrap_or(end);
    flows.insert(flow, Sent { next, probed: matches!(kind, PacketKind::Probe { .. }) });
    kind
}

#[cfg(test)]
pub mod tests {
    use etherparse::PacketBuilder;
    use etherparse::icmpv4::DestUnreachableHeader;

    use super::*;

    const CLIENT: ([u8; 4], u16) = ([10, 0, 2, 2], 4000);
    const SERVER: ([u8; 4], u16) = ([10, 0, 3, 2], 7);

    /// A segment on the client's cable: who sent it, its sequence number and acknowledgement, the
    /// letters of its flags, its data.
    fn segment(from_client: bool, seq: u32, ack: u32, flags: &str, data: &[u8]) -> Frame {
        let (from, to) = if from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let mut tcp = PacketBuilder::ipv4(from.0, to.0, 64).tcp(from.1, to.1, seq, 1000).ack(ack);
        for flag in flags.chars() {
            tcp = match flag {
                'S' => tcp.syn(),
                'F' => tcp.fin(),
                'R' => tcp.rst(),
                _ => unreachable!("no such flag"),
            };
        }
        let mut ip = Vec::new();
        tcp.write(&mut ip, data).unwrap();
        Frame { at: Duration::from_secs(100), interface: 2, outgoing: !from_client, ip }
    }

    fn kinds(frames: &[Frame]) -> Vec<PacketKind> {
        read(frames, Duration::ZERO).iter().map(|packet| packet.kind).collect()
    }

    /// A connection whose client has sent 4 bytes from 100 on, all acknowledged.
    fn established() -> Vec<Frame> {
        vec![
            segment(true, 99, 0, "S", b""),
            segment(false, 499, 100, "S", b""),
            segment(true, 100, 500, "", b""),
            segment(true, 100, 500, "", b"ping"),
            segment(false, 500, 104, "", b""),
        ]
    }

    #[test]
    fn ordinary_traffic_has_no_probe() {
        use PacketKind::*;
        assert_eq!(kinds(&established()), [Open, Open, Ack, Data, Ack]);
    }

    #[test]
    fn probe_is_one_below_the_next_with_no_data_or_one_byte() {
        for bytes in [0, 1] {
            let mut frames = established();
            frames.push(segment(true, 103, 500, "", &b"\0"[..bytes]));
            frames.push(segment(false, 500, 104, "", b""));
            let last = &kinds(&frames)[5..];
            assert_eq!(last, [PacketKind::Probe { bytes }, PacketKind::ProbeAck]);
        }
    }

    #[test]
    fn two_old_bytes_or_another_place_are_no_probe() {
        for (sequence, data) in [(103, &b"gg"[..]), (104, b""), (102, b""), (104, b"g")] {
            let mut frames = established();
            frames.push(segment(true, sequence, 500, "", data));
            assert!(!read(&frames, Duration::ZERO)[5].is_probe(), "{sequence} {data:?}");
        }
    }

    #[test]
    fn only_the_first_answer_is_the_probe_s() {
        let mut frames = established();
        frames.push(segment(true, 103, 500, "", b""));
        frames.push(segment(false, 500, 104, "", b""));
        frames.push(segment(false, 500, 104, "", b""));
        assert_eq!(kinds(&frames)[6..], [PacketKind::ProbeAck, PacketKind::Ack]);
    }

    #[test]
    fn a_probe_does_not_move_the_next_sequence_number() {
        let mut frames = established();
        frames.push(segment(true, 103, 500, "", b""));
        frames.push(segment(true, 103, 500, "", b""));
        frames.push(segment(true, 104, 500, "", b"more"));
        assert_eq!(
            kinds(&frames)[5..],
            [PacketKind::Probe { bytes: 0 }, PacketKind::Probe { bytes: 0 }, PacketKind::Data]
        );
    }

    #[test]
    fn a_fin_takes_a_sequence_number() {
        let mut frames = established();
        frames.push(segment(true, 104, 500, "F", b""));
        frames.push(segment(true, 104, 500, "", b""));
        assert_eq!(kinds(&frames)[5..], [PacketKind::Close, PacketKind::Probe { bytes: 0 }]);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let frames = [
            segment(true, u32::MAX - 2, 0, "S", b""),
            segment(true, u32::MAX - 1, 500, "", b"ping"),
            segment(true, 1, 500, "", b""),
        ];
        assert_eq!(
            kinds(&frames),
            [PacketKind::Open, PacketKind::Data, PacketKind::Probe { bytes: 0 }]
        );
    }

    #[test]
    fn resets_and_complaints() {
        let mut ip = Vec::new();
        PacketBuilder::ipv4([10, 0, 2, 1], CLIENT.0, 64)
            .icmpv4(Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Host))
            .write(&mut ip, b"")
            .unwrap();
        let complaint = Frame { at: Duration::from_secs(100), interface: 2, outgoing: true, ip };
        let reset = segment(false, 500, 0, "R", b"");
        assert_eq!(kinds(&[reset, complaint]), [PacketKind::Reset, PacketKind::Unreachable]);
    }

    #[test]
    fn direction_time_and_addresses() {
        let start = Duration::from_millis(98_500);
        let packets = read(&established()[..2], start);
        assert_eq!((packets[0].from, packets[0].to), (Node::Client, Node::Router));
        assert_eq!((packets[1].from, packets[1].to), (Node::Router, Node::Client));
        assert_eq!(packets[0].at, 1.5);
        assert_eq!(packets[0].source, "10.0.2.2:4000".parse().unwrap());
        assert!(packets[1].concerns(packets[0].source));
    }

    #[test]
    fn a_frame_of_another_interface_or_of_no_protocol_is_left_out() {
        let mut frame = segment(true, 1, 1, "S", b"");
        frame.interface = 9;
        let noise = Frame { ip: vec![0x45, 0, 0], ..segment(true, 1, 1, "S", b"") };
        assert_eq!(kinds(&[frame, noise]), []);
    }
}
