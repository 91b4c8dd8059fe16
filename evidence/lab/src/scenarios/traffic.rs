//! Only silence is probed: whatever the peer acknowledges starts the idle time anew.

use super::*;

pub const SCENARIO: Scenario = Scenario {
    name: "traffic",
    about: "writing more often than the idle time leaves nothing to probe",
    sides: ["writing", "idle"],
    shape: Shape { keepalive: Keepalive { time: 2, interval: 1, probes: 2 }, ..PLAIN },
    run,
};

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, mut server, .. } = case.connect()?;
    client.must("set_keepalive true")?;
    let half = f64::from(case.keepalive.time) / 2.0;
    for _ in 0..6 {
        case.idle(half);
        if case.with {
            client.must("write ping")?;
            // Read, so that a later write is no part of this one.
            server.ask("read")?;
        }
    }
    let probed = case.capture.packets().iter().any(|packet| packet.is_probe());
    let seen = if probed { "seen" } else { "none" };
    case.check("probes", case.either("none", "seen"), seen);
    case.check("keepalive()", "true", client.ask("keepalive")?);
    Ok(())
}
