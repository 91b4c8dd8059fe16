//! A server holds a file descriptor for each vanished client until a read fails.

use super::*;

pub const PLAN: Plan = Plan::new(run);

const CLIENTS: usize = 1000;

fn run(case: &mut Case) -> Result<()> {
    let (mut server, address) = case.listen()?;
    let mut client = case.peer(Node::Client)?;
    let descriptors_before: usize = server.call("descriptors")?.parse()?;
    for _ in 0..CLIENTS {
        client.call(&format!("connect {address}"))?;
        server.call_ok("accept")?;
    }

    let since = case.set_keepalive(Node::Server, &mut server)?;
    let idle_since = case.power_off(Node::Client, client, since)?;
    server.send("thread drain")?;

    let timeout = case.keepalive.timeout();
    let end = case.wait_for(&mut server, "drain", idle_since, 3.0 * timeout)?;
    case.mark(Node::Server, format!("read(): {}", end.value));
    let descriptors: usize = server.call("descriptors")?.parse()?;
    // The end of a thousand connections takes time on a busy machine.
    let timed_out = format!("{CLIENTS} × {TIMED_OUT}");
    let timed_out = Expected::between(timed_out, timeout, 2.0 * timeout);
    case.check("read from all", case.by_side(timed_out, STILL_BLOCKED), end);
    let of_all = |number: usize| format!("{number} of {CLIENTS}");
    let seen = of_all(descriptors - descriptors_before);
    case.check("descriptors still held", case.by_side(of_all(0), of_all(CLIENTS)), seen);
    Ok(())
}
