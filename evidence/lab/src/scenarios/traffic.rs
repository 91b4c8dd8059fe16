//! No probe is sent during traffic: each acknowledgement restarts the idle time.

use super::*;

pub const PLAN: Plan = Plan {
    sides: ["writing", "idle"],
    keepalive: Keepalive { idle_time: 2.0, interval: 1.0, probes: 2 },
    ..Plan::new(run)
};

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, mut server, .. } = case.connect()?;
    client.call_ok("set_keepalive true")?;
    for _ in 0..6 {
        case.idle(case.keepalive.idle_time / 2.0);
        if case.is_first_side {
            client.call_ok("write ping")?;
            server.call("read")?;
        }
    }
    case.check("on the wire", case.by_side(NO_PROBE, PROBE), case.probe_after(0.0)?);
    case.check("keepalive()", "true", client.call("keepalive")?);
    Ok(())
}
