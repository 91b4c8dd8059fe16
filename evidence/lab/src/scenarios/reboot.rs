//! The server restarts with the same address, and without its connections.

use super::*;

pub const PLAN: Plan = Plan {
    // The server is back after two seconds. On a busy machine, it may miss some of the probes.
    keepalive: Keepalive { idle_time: 2.0, interval: 1.0, probes: 9 },
    ..Plan::new(run)
};

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let idle_since = case.power_off_server_during_read(&mut client, server)?;
    let off = case.power_on_server()? - idle_since;

    let Keepalive { idle_time: first_probe, interval, .. } = case.keepalive;
    // The server receives its first probe at `latest_probe` or before.
    let latest_probe = first_probe.max(off + interval);
    let end = case.wait_for_read(&mut client, idle_since, 3.0 * latest_probe)?;
    let reset = end.time.is_some();
    let message = "ConnectionReset (os error 104)";
    let resets = Expected::between(message, first_probe, latest_probe + LATE);
    case.check("read", case.by_side(resets, STILL_BLOCKED), end);
    if reset {
        case.check("the next read", "end of stream", client.call("read")?);
        case.check("the next write", "BrokenPipe (os error 32)", client.call("write ping")?);
    }
    Ok(())
}
