//! What keepalive sends, and when: to a peer that answers, and to one that does not.

use anyhow::Result;

use super::{Scenario, WITH_KEEPALIVE};
use crate::bench::{Bench, Connection};
use crate::network::{Keepalive, Node, PLAIN, Shape};
use crate::packet::{Kind, Packet};
use crate::report::{Expected, LATE, Seen};

const KEEPALIVE: Keepalive = Keepalive { time: 2, interval: 1, probes: 3 };

pub const SCENARIO: Scenario = Scenario {
    name: "on-the-wire",
    about: "the form of the probes and their times, packet by packet",
    sides: WITH_KEEPALIVE,
    shape: Shape { keepalive: KEEPALIVE, ..PLAIN },
    run,
};

const PROBE: Kind = Kind::Probe { bytes: 0 };

/// Each packet on the client's cable: why it comes, what it is, and the seconds since the one
/// before it. As long as the server answers, each answer starts the idle time anew; the interval
/// is for one that is silent.
const TIMETABLE: [(&str, Kind, u32); 8] = [
    ("idle for the time", PROBE, KEEPALIVE.time),
    ("the server is there", Kind::ProbeAck, 0),
    ("idle for the time again", PROBE, KEEPALIVE.time),
    ("the server is still there", Kind::ProbeAck, 0),
    ("idle, and the server loses power", PROBE, KEEPALIVE.time),
    ("no answer for the interval", PROBE, KEEPALIVE.interval),
    ("no answer to two", PROBE, KEEPALIVE.interval),
    ("no answer to any", Kind::Reset, KEEPALIVE.interval),
];
const BEFORE_POWER_LOSS: usize = 4;

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, server, end } = bench.connect()?;
    let idle_since = bench.set_keepalive(Node::Client, &mut client)?;
    let on_cable = |packets: &[Packet]| -> Vec<Packet> {
        let here = |p: &&Packet| {
            p.at > idle_since && p.concerns(end) && [p.from, p.to].contains(&Node::Client)
        };
        packets.iter().filter(here).cloned().collect()
    };
    // Until so many packets have come, or for as long as they may take.
    let wait = |bench: &Bench, timetable: &[(&str, Kind, u32)]| {
        let seconds: u32 = timetable.iter().map(|(.., seconds)| seconds).sum();
        bench.wait(f64::from(seconds) + LATE, |packets| {
            (on_cable(packets).len() >= timetable.len()).then_some(())
        });
    };
    wait(bench, &TIMETABLE[..BEFORE_POWER_LOSS]);
    bench.power_off(Node::Server, server)?;
    wait(bench, &TIMETABLE);

    let packets = on_cable(&bench.packets());
    let count = if bench.with { TIMETABLE.len() } else { 0 };
    bench.check("packets", Expected::new(count.to_string()), packets.len().to_string());
    let mut before = idle_since;
    for (packet, (why, kind, after)) in packets.iter().zip(TIMETABLE) {
        let seen = Seen { what: packet.kind.to_string(), seconds: Some(packet.at - before) };
        bench.check(why, Expected::new(kind.to_string()).at(after.into()), seen);
        before = packet.at;
    }
    Ok(())
}
