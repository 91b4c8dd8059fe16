//! The client's kernel is gVisor, which has a TCP of its own.

use super::*;

pub const SCENARIO: Scenario = Scenario {
    name: GVISOR,
    about: "the server vanishes, and the client's TCP is gVisor's",
    sides: WITH_KEEPALIVE,
    shape: PLAIN,
    run,
};

fn run(case: &mut Case) -> Result<()> {
    let client = case.peer_in_gvisor(Node::Client)?;
    let Connection { mut client, server, end } = case.connect_from(client)?;
    // It has no settings for them: two hours, 75 seconds and 9 probes if the program says nothing.
    let times = witness::python_sets_times(case.keepalive);
    client.ask(&format!("hand_stream_to {times}"))?;
    let idle_since = case.set_keepalive(Node::Client, &mut client)?;
    client.tell("read")?;
    case.power_off(Node::Server, server)?;

    let detection = case.keepalive.detection();
    let read = case.hear_read(&mut client, idle_since, 3.0 * detection)?;
    let probes = case.capture.packets().into_iter().filter(|packet| {
        let is_probe = packet.kind == PacketKind::Probe { bytes: 0 };
        is_probe && packet.from == Node::Client && packet.concerns(end)
    });
    let expected = if case.with { case.keepalive.probes } else { 0 };
    case.check("probes", expected.to_string(), probes.count().to_string());
    case.check("read", case.either(Expected::at(TIMED_OUT, detection), STILL_BLOCKED), read);
    Ok(())
}
