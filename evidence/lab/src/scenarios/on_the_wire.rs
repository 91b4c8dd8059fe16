//! Checks the probes and their times, with a server that answers, then without.

use super::*;

const KEEPALIVE: Keepalive = Keepalive { idle_time: 2.0, interval: 1.0, probes: 3 };

pub const PLAN: Plan = Plan { keepalive: KEEPALIVE, ..Plan::new(run) };

const EMPTY_PROBE: PacketKind = PacketKind::Probe { bytes: 0 };

/// The packets on the client's link: the reason, the kind, and the seconds since the previous packet.
/// After an answer, the kernel waits for the idle time; without an answer, for the interval.
const TIMETABLE: [(&str, PacketKind, f64); 8] = [
    ("idle for the idle time", EMPTY_PROBE, KEEPALIVE.idle_time),
    ("the server is there", PacketKind::ProbeAck, 0.0),
    ("idle for the idle time again", EMPTY_PROBE, KEEPALIVE.idle_time),
    ("the server is still there", PacketKind::ProbeAck, 0.0),
    ("idle, and the server loses power", EMPTY_PROBE, KEEPALIVE.idle_time),
    ("no answer for the interval", EMPTY_PROBE, KEEPALIVE.interval),
    ("no answer to two probes", EMPTY_PROBE, KEEPALIVE.interval),
    ("no answer to three probes", PacketKind::Reset, KEEPALIVE.interval),
];
const BEFORE_POWER_LOSS: usize = 4;

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, client_address } = case.connect()?;
    let idle_since = case.set_keepalive(Node::Client, &mut client)?;
    let is_listed = |packet: &Packet| {
        let on_client_link = [packet.from, packet.to].contains(&Node::Client);
        on_client_link && packet.concerns(client_address) && packet.at > idle_since
    };
    // Waits for the packets of `timetable`, up to the sum of their times.
    let wait = |case: &Case, timetable: &[(&str, PacketKind, f64)]| {
        let seconds: f64 = timetable.iter().map(|(.., seconds)| seconds).sum();
        case.capture.wait(seconds + LATE, timetable.len(), is_listed)
    };
    wait(case, &TIMETABLE[..BEFORE_POWER_LOSS])?;
    case.power_off(Node::Server, server, idle_since)?;

    let packets = wait(case, &TIMETABLE)?;
    let expected = if case.is_first_side { TIMETABLE.len() } else { 0 };
    case.check("packets", expected.to_string(), packets.len().to_string());
    let mut before = idle_since;
    for (packet, (why, kind, after)) in packets.iter().zip(TIMETABLE) {
        let seen = Seen::at(format!("{:?}", packet.kind), packet.at - before);
        case.check(why, Expected::at(format!("{kind:?}"), after), seen);
        before = packet.at;
    }
    Ok(())
}
