//! The server loses its power while the client blocks in `read`.

use super::*;

pub const PLAN: Plan = Plan { sides: WITH_KEEPALIVE, shape: PLAIN, run };

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let since = case.set_keepalive(Node::Client, &mut client)?;
    client.send("read")?;
    let idle_since = case.power_off(Node::Server, server, since)?;

    let detection = case.keepalive.detection();
    let end = case.wait_for_read(&mut client, idle_since, 3.0 * detection)?;
    let gave_up = end.seconds.is_some();
    case.check("read", case.either(Expected::at(TIMED_OUT, detection), STILL_BLOCKED), end);

    if gave_up {
        case.check("the next read", "end of stream", client.call("read")?);
        case.check("the next write", "BrokenPipe (os error 32)", client.call("write ping")?);
        case.check("keepalive() then", "true", client.call("keepalive")?);
    }
    Ok(())
}
