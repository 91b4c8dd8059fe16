//! The server restarts with its address, and knows nothing of the connection.

use super::*;

pub const PLAN: Plan = Plan {
    sides: WITH_KEEPALIVE,
    // After two seconds, the server is back on a busy machine, too.
    shape: Shape { keepalive: Keepalive { time: 2, interval: 1, probes: 2 }, ..PLAIN },
    run,
};

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let idle_since = case.set_keepalive(Node::Client, &mut client)?;
    client.send("read")?;
    case.power_off(Node::Server, server)?;
    case.power_on_server()?;

    let first_probe = f64::from(case.keepalive.time);
    let end = case.wait_for_read(&mut client, idle_since, 3.0 * first_probe)?;
    let reset = end.seconds.is_some();
    let resets = Expected::at("ConnectionReset (os error 104)", first_probe);
    case.check("read", case.either(resets, STILL_BLOCKED), end);
    if reset {
        case.check("the next read", "end of stream", client.call("read")?);
        case.check("the next write", "BrokenPipe (os error 32)", client.call("write ping")?);
    }
    Ok(())
}
