//! `set_keepalive(false)` ends the probes.

use super::*;

pub const PLAN: Plan = Plan { sides: ["switched off again", "left on"], shape: PLAIN, run };

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server: _server, .. } = case.connect()?;
    let idle_since = case.now();
    client.call_ok("set_keepalive true")?;
    let time = f64::from(case.keepalive.time);
    let first = case.capture.wait(time + LATE, |packets| {
        packets.iter().find(|packet| packet.is_probe()).map(|probe| probe.at)
    })?;
    let seen = first.map_or("none".into(), |at| Seen::at("seen", at - idle_since));
    case.check("probe while on", Expected::at("seen", time), seen);
    if case.with {
        client.call_ok("set_keepalive false")?;
        case.mark(Node::Client, "set_keepalive(false)");
    }
    let since = case.now();
    case.idle(3.0 * time);
    let more = case.capture.packets()?.iter().any(|packet| packet.is_probe() && packet.at > since);
    let seen = if more { "seen" } else { "none" };
    case.check("probes after that", case.either("none", "seen"), seen);
    Ok(())
}
