//! Draws the picture of a scenario. Each case is a panel: a line for each node, with the time to the
//! right, and an arrow for each packet.

use svg::node::element::{self, Group, Polygon, Rectangle, Text};
use svg::{Document, Node as _};

use super::{CaseResult, Event};
use crate::capture::packet::{self, Packet, PacketKind};
use crate::network::{Keepalive, Node};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 30.0;
const TITLE: f64 = 54.0;
const LEGEND: f64 = 36.0;
const PANEL: f64 = 250.0;
/// The height of the client's line in a panel.
const FIRST_LANE: f64 = 70.0;
const LANE: f64 = 52.0;
const AXIS: f64 = FIRST_LANE + 2.0 * LANE + 40.0;
/// The least distance between two arrows, because packets may be microseconds apart.
const GAP: f64 = 9.0;
/// The size of a letter, approximately.
const LETTER: (f64, f64) = (6.5, 15.0);

const BLACK: &str = "#24292f";
const GREY: &str = "#8c959f";
const PALE: &str = "#eaeef2";

/// A packet on one link, or on both.
#[derive(Debug, PartialEq)]
struct Arrow {
    x: f64,
    from: Node,
    to: Node,
    kind: PacketKind,
}

struct Label<'a> {
    x: f64,
    /// The left and the right end of the text.
    span: (f64, f64),
    /// Row 0 is next to the node's line.
    row: usize,
    text: &'a str,
}

/// The visible part of a case.
struct Scene {
    side: &'static str,
    packets: Vec<Packet>,
    events: Vec<Event>,
    end: f64,
}

impl Scene {
    /// Returns the first connection, from the first packet to the last observation.
    fn new(case: &CaseResult) -> Self {
        let mut packets = packet::read(&case.frames, case.start);
        let mut events = case.events.clone();
        retain_first_connection(&mut packets);
        packets.retain(|packet| packet.at <= case.end);
        let start = packets.first().map_or(0.0, |packet| packet.at);
        packets.iter_mut().for_each(|packet| packet.at -= start);
        events.iter_mut().for_each(|event| event.at -= start);
        Self { side: case.side(), packets, events, end: case.end - start }
    }
}

/// Returns the picture of a scenario's cases.
pub fn draw(title: &str, keepalive: Keepalive, cases: &[&CaseResult]) -> Document {
    let Keepalive { idle_time, interval, probes } = keepalive;
    let settings =
        format!("keepalive: idle time {idle_time} s, interval {interval} s, {probes} probes");
    let scenes: Vec<_> = cases.iter().map(|case| Scene::new(case)).collect();
    let height = TITLE + PANEL * scenes.len() as f64 + LEGEND;
    let seconds = scenes.iter().map(|scene| scene.end).fold(0.0, f64::max).floor() + 1.0;
    let mut picture = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(Rectangle::new().set("width", WIDTH).set("height", height).set("fill", "#ffffff"))
        .add(text(title, (14.0, 24.0), BLACK).set("font-size", 16))
        .add(text(&settings, (14.0, 42.0), GREY));
    for (n, scene) in scenes.iter().enumerate() {
        picture.append(moved(panel(scene, seconds), TITLE + PANEL * n as f64));
    }
    picture.add(moved(legend(), height - LEGEND))
}

fn panel(scene: &Scene, seconds: f64) -> Group {
    let scale = (WIDTH - LEFT - RIGHT) / seconds;
    let mut panel = Group::new().add(text(scene.side, (14.0, 20.0), BLACK).set("font-size", 14));
    for second in 0..=seconds as u32 {
        let x = place(second.into(), scale);
        let time = text(&format!("{second} s"), (x, AXIS + 14.0), GREY);
        panel.append(line((x, lane(Node::Client)), (x, AXIS), PALE));
        panel.append(time.set("text-anchor", "middle"));
    }
    for node in [Node::Client, Node::Router, Node::Server] {
        let y = lane(node);
        panel.append(text(&format!("{node:?}").to_lowercase(), (14.0, y + 4.0), BLACK));
        let mut events = scene.events.clone();
        events.retain(|event| event.node == node);
        for powered in powered(&events, seconds) {
            let [from, to] = powered.map(|at| (place(at, scale), y));
            panel.append(line(from, to, BLACK).set("stroke-width", 2));
        }
        for Label { x, span, row, text: words } in labels(&events, scale) {
            // Labels are above the client's line, and below the router's and the server's.
            let away = 10.0 + LETTER.1 * row as f64;
            let (end, base) = match node {
                Node::Client => (y - away, y - away - 2.0),
                _ => (y + away, y + away + 10.0),
            };
            panel.append(line((x, y), (x, end), BLACK));
            panel.append(text(words, (span.0, base), BLACK));
        }
    }
    arrows(&scene.packets, scale).iter().for_each(|arrow| panel.append(draw_arrow(arrow)));
    panel
}

/// Retains the packets with the client's port, and ICMP messages. A NAT router keeps the port unless
/// the port is taken.
fn retain_first_connection(packets: &mut Vec<Packet>) {
    let Some(port) = packets.first().map(|packet| packet.source.port()) else { return };
    packets.retain(|Packet { source, destination, kind, .. }| {
        *kind == PacketKind::Unreachable || [source.port(), destination.port()].contains(&port)
    });
}

/// Places the packets. A packet that the router forwards is one arrow from the client to the server
/// or back. A packet that the router drops is an arrow to the router.
fn arrows(packets: &[Packet], scale: f64) -> Vec<Arrow> {
    let mut arrows: Vec<Arrow> = Vec::new();
    for &Packet { at, from, to, kind, .. } in packets {
        if let Some(last) = arrows.last_mut()
            && (last.to, last.kind) == (from, kind)
            && from == Node::Router
            && last.from != to
        {
            last.to = to;
            continue;
        }
        let earliest = arrows.last().map_or(LEFT, |last| last.x + GAP);
        arrows.push(Arrow { x: place(at, scale).max(earliest), from, to, kind });
    }
    arrows
}

/// Places the labels of a node's events: each in the first row with enough room, and to the right of
/// the event, or to the left at the right border.
fn labels(events: &[Event], scale: f64) -> Vec<Label<'_>> {
    let mut labels: Vec<Label> = Vec::new();
    for Event { at, text, .. } in events {
        let x = place(*at, scale);
        let width = LETTER.0 * text.chars().count() as f64;
        let span = if x + width > WIDTH { (x - width, x) } else { (x, x + width) };
        let free = |row: &usize| {
            let mut others = labels.iter().filter(|other| other.row == *row);
            others.all(|other| other.span.1 + GAP <= span.0 || span.1 + GAP <= other.span.0)
        };
        let row = (0..).find(free).expect("the rows have no end");
        labels.push(Label { x, span, row, text });
    }
    labels
}

/// Returns the periods in which the node of `events` had power.
fn powered(events: &[Event], seconds: f64) -> Vec<[f64; 2]> {
    let at = |text| events.iter().find(|event| event.text == text).map(|event| event.at);
    let until_off = [0.0, at(Event::POWER_OFF).unwrap_or(seconds)];
    let after_on = at(Event::POWER_ON).map(|on| [on, seconds]);
    [until_off].into_iter().chain(after_on).collect()
}

/// Returns the place of a time. `scale` is in pixels per second. The time is rounded down to half
/// seconds, so that two runs draw the same picture: timers are some hundredths of a second late.
fn place(seconds: f64, scale: f64) -> f64 {
    LEFT + (seconds * 2.0).floor() / 2.0 * scale
}

fn lane(node: Node) -> f64 {
    FIRST_LANE + LANE * f64::from(node as u8)
}

fn draw_arrow(arrow: &Arrow) -> Group {
    let (x, from, to) = (arrow.x, lane(arrow.from), lane(arrow.to));
    let (color, _) = style(arrow.kind);
    let back = if to > from { -7.0 } else { 7.0 };
    let head = format!("{x},{to} {},{base} {},{base}", x - 3.5, x + 3.5, base = to + back);
    let group = Group::new()
        .add(line((x, from), (x, to + back / 2.0), color).set("stroke-width", 2))
        .add(Polygon::new().set("points", head).set("fill", color));
    if arrow.to == Node::Router { group.add(cross((x, to - back), color)) } else { group }
}

/// Marks the end of a packet that the router dropped.
fn cross((x, y): (f64, f64), color: &str) -> Group {
    let arm = 3.5;
    let falling = line((x - arm, y - arm), (x + arm, y + arm), color);
    let rising = line((x - arm, y + arm), (x + arm, y - arm), color);
    Group::new().add(falling).add(rising)
}

/// Returns the color of a kind of packets, and its name in the legend.
fn style(kind: PacketKind) -> (&'static str, &'static str) {
    match kind {
        PacketKind::Probe { .. } => ("#e8590c", "keepalive probe"),
        PacketKind::ProbeAck => ("#2f9e44", "answer to a probe"),
        PacketKind::Data => ("#1c7ed6", "data"),
        PacketKind::Open | PacketKind::Close | PacketKind::Ack => {
            (GREY, "opening, closing, acknowledging")
        }
        PacketKind::Reset => ("#c2255c", "reset"),
        PacketKind::Unreachable => ("#7048e8", "unreachable"),
    }
}

fn legend() -> Group {
    use PacketKind::*;
    let mut legend = Group::new();
    let mut x = LEFT;
    for kind in [Probe { bytes: 0 }, ProbeAck, Data, Ack, Reset, Unreachable] {
        let (color, name) = style(kind);
        legend.append(line((x, 14.0), (x + 16.0, 14.0), color).set("stroke-width", 4));
        legend.append(text(name, (x + 22.0, 18.0), BLACK));
        x += 40.0 + LETTER.0 * name.len() as f64;
    }
    legend.add(cross((x + 8.0, 14.0), BLACK)).add(text("lost", (x + 18.0, 18.0), BLACK))
}

fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64), color: &str) -> element::Line {
    let ends = [("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)];
    let line = element::Line::new().set("stroke", color);
    ends.into_iter().fold(line, |line, (name, value)| line.set(name, value))
}

fn text(words: &str, (x, y): (f64, f64), color: &str) -> Text {
    Text::new(words).set("x", x).set("y", y).set("fill", color)
}

fn moved(group: Group, down: f64) -> Group {
    group.set("transform", format!("translate(0 {down})"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::Node::*;
    use super::PacketKind::*;
    use super::*;

    const SCALE: f64 = 100.0;

    fn packet(at: f64, from: Node, to: Node, kind: PacketKind) -> Packet {
        let any = SocketAddr::from(([10, 0, 2, 2], 4000));
        Packet { at, from, to, source: any, destination: any, kind }
    }

    fn events(events: &[(f64, &str)]) -> Vec<Event> {
        let event = |&(at, text): &(f64, &str)| Event { at, node: Server, text: text.to_string() };
        events.iter().map(event).collect()
    }

    #[test]
    fn forwarded_packet_is_one_arrow() {
        let packets = [packet(1.0, Client, Router, Data), packet(1.0001, Router, Server, Data)];
        let arrow = Arrow { x: 180.0, from: Client, to: Server, kind: Data };
        assert_eq!(arrows(&packets, SCALE), [arrow]);
    }

    #[test]
    fn dropped_packet_ends_at_the_router() {
        let packets = [packet(1.0, Client, Router, Data), packet(2.0, Client, Router, Data)];
        let ends: Vec<_> = arrows(&packets, SCALE).iter().map(|arrow| arrow.to).collect();
        assert_eq!(ends, [Router, Router]);
    }

    #[test]
    fn packet_of_the_router_is_not_a_forwarded_packet() {
        let packets = [packet(1.0, Client, Router, Reset), packet(1.0, Router, Client, Reset)];
        assert_eq!(arrows(&packets, SCALE).len(), 2);
    }

    #[test]
    fn arrows_keep_their_distance_and_times_are_rounded() {
        let packets = [(1.04, Client, Open), (1.04, Server, Open), (3.01, Client, Data)]
            .map(|(at, from, kind)| packet(at, from, Router, kind));
        let xs: Vec<_> = arrows(&packets, SCALE).iter().map(|arrow| arrow.x).collect();
        assert_eq!(xs, [180.0, 180.0 + GAP, 380.0]);
    }

    #[test]
    fn labels_do_not_overlap() {
        let events = events(&[(1.0, "a long label"), (1.1, "another"), (4.0, "far away")]);
        let rows: Vec<_> = labels(&events, SCALE).iter().map(|label| label.row).collect();
        assert_eq!(rows, [0, 1, 0]);
    }

    #[test]
    fn label_at_the_end_stays_in_the_picture() {
        let events = events(&[(8.5, "TimedOut (os error 110)")]);
        let label = &labels(&events, SCALE)[0];
        assert_eq!(label.span.1, label.x);
        assert!(label.span.0 > LEFT);
    }

    #[test]
    fn node_without_power_has_no_line() {
        let events = events(&[(1.0, Event::POWER_OFF), (2.0, "noise"), (3.0, Event::POWER_ON)]);
        assert_eq!(powered(&events, 9.0), [[0.0, 1.0], [3.0, 9.0]]);
        assert_eq!(powered(&[], 9.0), [[0.0, 9.0]]);
    }

    #[test]
    fn only_the_first_connection_is_drawn() {
        let mut packets = Vec::from([1.0, 2.0].map(|at| packet(at, Client, Router, Open)));
        packets[1].source.set_port(4001);
        packets[1].destination.set_port(7);
        retain_first_connection(&mut packets);
        assert_eq!(packets.iter().map(|packet| packet.at).collect::<Vec<_>>(), [1.0]);
    }
}
