//! The server loses its power, and the router answers probes with "host unreachable".
//!
//! `read` does not return that error: Linux ignores an ICMP message about a segment with an old
//! sequence number, and a probe has an old sequence number.

use super::*;

pub const PLAN: Plan = Plan { router_rules: "", ..Plan::new(run) };

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let idle_since = case.power_off_server_during_read(&mut client, server)?;
    case.check_read_times_out(&mut client, idle_since)?;
    let packets = case.capture.packets()?;
    let reported = packets.iter().any(|packet| packet.kind == PacketKind::Unreachable);
    let seen = if reported { "seen" } else { "none" };
    case.check("ICMP message", case.by_side("seen", "none"), seen);
    Ok(())
}
