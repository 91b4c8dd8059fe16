//! The server loses its power while the client blocks in `read`.

use super::*;

pub const PLAN: Plan = Plan::new(run);

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let idle_since = case.power_off_server_during_read(&mut client, server)?;
    if case.check_read_times_out(&mut client, idle_since)? {
        case.check("the next read", "end of stream", client.call("read")?);
        case.check("the next write", "BrokenPipe (os error 32)", client.call("write ping")?);
        case.check("keepalive() after the timeout", "true", client.call("keepalive")?);
    }
    Ok(())
}
