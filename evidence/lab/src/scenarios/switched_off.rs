//! `set_keepalive(false)` ends the probes.

use super::*;

pub const PLAN: Plan = Plan { sides: ["switched off again", "left on"], ..Plan::new(run) };

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server: _server, .. } = case.connect()?;
    let idle_since = case.now();
    client.call_ok("set_keepalive true")?;
    let idle_time = case.keepalive.idle_time;
    let seen = case.wait_for_probe(idle_since, |_| true)?;
    case.check("while on", Expected::at(PROBE, idle_time), seen);
    if case.is_first_side {
        client.call_ok("set_keepalive false")?;
        case.mark(Node::Client, "set_keepalive(false)");
    }
    let since = case.now();
    case.idle(3.0 * idle_time);
    case.check(
        "after set_keepalive(false)",
        case.by_side(NO_PROBE, PROBE),
        case.probe_after(since)?,
    );
    Ok(())
}
