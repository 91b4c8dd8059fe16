//! Probes are sent for a half-closed, nonblocking, cloned or moved stream.

use super::*;

pub const PLAN: Plan = Plan::new(run);

/// Each state: its name, and the client's commands before and after `set_keepalive`. The half-close
/// comes before, because the acknowledgement of the FIN restarts the idle time.
const STATES: [(&str, &[&str], &[&str]); 5] = [
    ("plain", &[], &[]),
    ("half-closed", &["shutdown"], &[]),
    ("nonblocking", &["set_nonblocking"], &[]),
    ("cloned, the original dropped", &[], &["try_clone"]),
    ("moved to a child thread", &[], &["thread read"]),
];

fn run(case: &mut Case) -> Result<()> {
    // Dropping a connection ends its programs, so all connections are kept until the probes arrive.
    let mut connections = Vec::new();
    for (name, before, after) in STATES {
        let mut connection = case.connect()?;
        let client = &mut connection.client;
        before.iter().try_for_each(|command| client.call_ok(command))?;
        let since = case.set_keepalive(Node::Client, client)?;
        after.iter().try_for_each(|command| client.call_ok(command))?;
        connections.push((name, since, connection));
    }

    for (name, since, connection) in &connections {
        let seen =
            case.wait_for_probe(*since, |probe| probe.source == connection.client_address)?;
        let due = Expected::at(PROBE, case.keepalive.idle_time);
        case.check(name, case.by_side(due, NO_PROBE), seen);
    }
    Ok(())
}
