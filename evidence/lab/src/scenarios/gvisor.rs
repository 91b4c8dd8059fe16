//! The client runs in gVisor, whose TCP is not Linux's.

use super::*;

pub const PLAN: Plan = Plan::new(run);

fn run(case: &mut Case) -> Result<()> {
    let client = case.peer_in_gvisor(Node::Client)?;
    let Connection { mut client, server, client_address } = case.connect_from(client)?;
    // gVisor lacks the sysctls. Its defaults are two hours, 75 seconds and 9 probes.
    let times = sockopt::python_sets_times(case.keepalive);
    client.call(&format!("hand_stream_to {times}"))?;
    let idle_since = case.power_off_server_during_read(&mut client, server)?;
    case.check_read_times_out(&mut client, idle_since)?;
    let probes = case.capture.packets()?.into_iter().filter(|packet| {
        let is_unanswered_probe =
            packet.kind == PacketKind::Probe { bytes: 0 } && packet.at > idle_since;
        is_unanswered_probe && packet.from == Node::Client && packet.concerns(client_address)
    });
    let expected = if case.is_first_side { case.keepalive.probes } else { 0 };
    case.check("probes", expected.to_string(), probes.count().to_string());
    Ok(())
}
