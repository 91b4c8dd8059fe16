//! Reads captured frames as packets, and tells probes from other segments.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use etherparse::{IpNumber, IpSlice, TcpSlice, icmpv4, icmpv6};

use super::Frame;
use crate::network::{Node, node_behind};

/// A packet on the client's or the server's link.
pub struct Packet {
    /// The time in seconds since the case began.
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
    /// A segment without data or with one byte, whose sequence number is one below the next number
    /// (RFC 9293, 3.8.4).
    Probe {
        bytes: usize,
    },
    /// The first acknowledgement after a probe, if it acknowledges no new data.
    ProbeAck,
    Close,
    Reset,
    /// An ICMP message "destination unreachable". Its ports are 0.
    Unreachable,
}

impl Packet {
    pub fn is_probe(&self) -> bool {
        matches!(self.kind, PacketKind::Probe { .. })
    }

    pub fn concerns(&self, address: SocketAddr) -> bool {
        self.source == address || self.destination == address
    }
}

/// One direction of a connection on one link. Masquerading changes addresses between the links.
type Flow = (Node, SocketAddr, SocketAddr);

/// The state of one direction of a connection.
struct Sent {
    /// The next sequence number.
    next: u32,
    /// True if the last segment was a probe without an answer.
    probed: bool,
}

/// Returns the TCP segments and the ICMP messages "destination unreachable" among `frames`. `start` is
/// the time when the case began.
///
/// The retransmission of a single byte looks like a probe, so the programs under test never write a
/// single byte.
pub fn read(frames: &[Frame], start: Duration) -> Vec<Packet> {
    let mut flows: HashMap<Flow, Sent> = HashMap::new();
    frames.iter().filter_map(|frame| read_one(frame, start, &mut flows)).collect()
}

fn read_one(frame: &Frame, start: Duration, flows: &mut HashMap<Flow, Sent>) -> Option<Packet> {
    let node = node_behind(frame.interface)?;
    let ip = IpSlice::from_slice(&frame.ip).ok()?;
    let payload = ip.payload().payload;
    let mut source = SocketAddr::new(ip.source_addr(), 0);
    let mut destination = SocketAddr::new(ip.destination_addr(), 0);
    let kind = match (ip.payload_ip_number(), *payload.first()?) {
        (IpNumber::TCP, _) => {
            let tcp = TcpSlice::from_slice(payload).ok()?;
            source.set_port(tcp.source_port());
            destination.set_port(tcp.destination_port());
            classify(&tcp, (node, source, destination), flows)
        }
        (IpNumber::ICMP, icmpv4::TYPE_DEST_UNREACH)
        | (IpNumber::IPV6_ICMP, icmpv6::TYPE_DST_UNREACH) => PacketKind::Unreachable,
        _ => return None,
    };
    let (from, to) = if frame.outgoing { (Node::Router, node) } else { (node, Node::Router) };
    let at = frame.at.as_secs_f64() - start.as_secs_f64();
    Some(Packet { at, from, to, source, destination, kind })
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
    // Sequence numbers wrap: the later of two numbers is ahead by less than half of the range.
    let next = known.filter(|next| (end.wrapping_sub(*next) as i32) < 0).unwrap_or(end);
    flows.insert(flow, Sent { next, probed: matches!(kind, PacketKind::Probe { .. }) });
    kind
}

#[cfg(test)]
mod tests {
    use etherparse::icmpv4::DestUnreachableHeader;
    use etherparse::{Icmpv4Type, PacketBuilder};

    use super::PacketKind::*;
    use super::*;

    const CLIENT: ([u8; 4], u16) = ([10, 0, 2, 2], 4000);
    const SERVER: ([u8; 4], u16) = ([10, 0, 3, 2], 7);

    /// Returns a segment on the client's link. `flag` is 'S', 'F', 'R' or '-' for none.
    fn segment(from_client: bool, seq: u32, ack: u32, flag: char, data: &[u8]) -> Frame {
        let (from, to) = if from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let tcp = PacketBuilder::ipv4(from.0, to.0, 64).tcp(from.1, to.1, seq, 1000).ack(ack);
        let tcp = match flag {
            'S' => tcp.syn(),
            'F' => tcp.fin(),
            'R' => tcp.rst(),
            _ => tcp,
        };
        let mut ip = Vec::new();
        tcp.write(&mut ip, data).unwrap();
        Frame { at: Duration::from_secs(100), interface: 2, outgoing: !from_client, ip }
    }

    fn client(seq: u32, data: &[u8]) -> Frame {
        segment(true, seq, 500, '-', data)
    }

    fn server_acknowledges(ack: u32) -> Frame {
        segment(false, 500, ack, '-', b"")
    }

    /// Returns a connection whose client has sent the bytes 100 to 103, all acknowledged.
    fn established() -> [Frame; 5] {
        let open = [segment(true, 99, 0, 'S', b""), segment(false, 499, 100, 'S', b"")];
        let [from_client, from_server] = open;
        [from_client, from_server, client(100, b""), client(100, b"ping"), server_acknowledges(104)]
    }

    fn kinds(frames: &[Frame]) -> Vec<PacketKind> {
        read(frames, Duration::ZERO).iter().map(|packet| packet.kind).collect()
    }

    /// Returns the kinds of `frames` in the established connection.
    fn kinds_after(frames: impl Into<Vec<Frame>>) -> Vec<PacketKind> {
        kinds(&[established().into(), frames.into()].concat())[5..].to_vec()
    }

    #[test]
    fn ordinary_traffic_has_no_probe() {
        assert_eq!(kinds(&established()), [Open, Open, Ack, Data, Ack]);
    }

    #[test]
    fn probe_is_one_below_the_next_with_no_data_or_one_byte() {
        for bytes in [0, 1] {
            let probe = client(103, &b"\0"[..bytes]);
            assert_eq!(kinds_after([probe, server_acknowledges(104)]), [Probe { bytes }, ProbeAck]);
        }
    }

    #[test]
    fn segment_with_two_bytes_or_another_sequence_number_is_no_probe() {
        for (sequence, data) in [(103, &b"gg"[..]), (104, b""), (102, b""), (104, b"g")] {
            let kinds = kinds_after([client(sequence, data)]);
            assert!(!matches!(kinds[0], Probe { .. }), "{sequence} {data:?}");
        }
    }

    #[test]
    fn only_the_first_acknowledgement_answers_a_probe() {
        let frames = [client(103, b""), server_acknowledges(104), server_acknowledges(104)];
        assert_eq!(kinds_after(frames)[1..], [ProbeAck, Ack]);
    }

    #[test]
    fn probe_does_not_change_the_next_sequence_number() {
        let frames = [client(103, b""), client(103, b""), client(104, b"more")];
        assert_eq!(kinds_after(frames), [Probe { bytes: 0 }, Probe { bytes: 0 }, Data]);
    }

    #[test]
    fn fin_takes_a_sequence_number() {
        let frames = [segment(true, 104, 500, 'F', b""), client(104, b"")];
        assert_eq!(kinds_after(frames), [Close, Probe { bytes: 0 }]);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let open = segment(true, u32::MAX - 2, 0, 'S', b"");
        let frames = [open, client(u32::MAX - 1, b"ping"), client(1, b"")];
        assert_eq!(kinds(&frames), [Open, Data, Probe { bytes: 0 }]);
    }

    #[test]
    fn resets_and_icmp_messages_have_their_kinds() {
        let mut ip = Vec::new();
        PacketBuilder::ipv4([10, 0, 2, 1], CLIENT.0, 64)
            .icmpv4(Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Host))
            .write(&mut ip, b"")
            .unwrap();
        let reset = segment(false, 500, 0, 'R', b"");
        let unreachable = Frame { ip, ..reset.clone() };
        assert_eq!(kinds(&[reset, unreachable]), [Reset, Unreachable]);
    }

    #[test]
    fn packet_has_direction_time_and_addresses() {
        let packets = read(&established(), Duration::from_millis(98_500));
        assert_eq!((packets[0].from, packets[0].to), (Node::Client, Node::Router));
        assert_eq!((packets[1].from, packets[1].to), (Node::Router, Node::Client));
        assert_eq!(packets[0].at, 1.5);
        assert_eq!(packets[0].source, "10.0.2.2:4000".parse().unwrap());
        assert!(packets[1].concerns(packets[0].source));
    }

    #[test]
    fn frames_of_other_interfaces_and_protocols_are_left_out() {
        let open = segment(true, 1, 1, 'S', b"");
        let other = Frame { interface: 9, ..open.clone() };
        let noise = Frame { ip: vec![0x45, 0, 0], ..open };
        assert_eq!(kinds(&[other, noise]), []);
    }
}
