//! No probe is sent while data is unacknowledged. The kernel retransmits the data, and Linux ends the
//! connection after a quarter of an hour (`tcp_retries2`).

use super::*;

pub const PLAN: Plan =
    Plan { sides: ["nothing written", "written, not acknowledged"], ..Plan::new(run) };

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let since = case.now();
    client.call_ok("set_keepalive true")?;
    let idle_since = case.power_off(Node::Server, server, since)?;
    if !case.is_first_side {
        client.call_ok("write ping")?;
        case.mark(Node::Client, "write()");
    }
    client.send("read")?;
    case.check_read_times_out(&mut client, idle_since)?;
    Ok(())
}
