//! The server loses its power, and the router answers to probes that the server is unreachable.
//!
//! `read` does not fail with that error. The kernel ignores an ICMP message about a segment with an
//! old sequence number, and a probe has one.

use super::*;

pub const PLAN: Plan =
    Plan { sides: WITH_KEEPALIVE, shape: Shape { router_rules: "", ..PLAIN }, run };

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let since = case.set_keepalive(Node::Client, &mut client)?;
    client.send("read")?;
    let idle_since = case.power_off(Node::Server, server, since)?;

    let detection = case.keepalive.detection();
    let end = case.wait_for_read(&mut client, idle_since, 3.0 * detection)?;
    let reported =
        case.capture.packets()?.iter().any(|packet| packet.kind == PacketKind::Unreachable);
    let seen = if reported { "seen" } else { "none" };
    case.check("ICMP message", case.either("seen", "none"), seen);
    case.check("read", case.either(Expected::at(TIMED_OUT, detection), STILL_BLOCKED), end);
    Ok(())
}
