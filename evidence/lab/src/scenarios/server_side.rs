//! A server holds a descriptor for each client that it believes to be there.

use super::*;

pub const SCENARIO: Scenario = Scenario {
    name: "server-side",
    about: "a thousand clients vanish; the server's descriptors come back",
    sides: WITH_KEEPALIVE,
    shape: PLAIN,
    run,
};

const CLIENTS: usize = 1000;
/// Fewer than a listener keeps waiting: more would be turned away for a second.
const BATCH: usize = 100;

fn run(case: &mut Case) -> Result<()> {
    let (mut server, address) = case.listen()?;
    let mut client = case.peer(Node::Client)?;
    let descriptors_before: usize = server.ask("descriptors")?.parse()?;
    for _ in 0..CLIENTS / BATCH {
        client.ask(&format!("connect {address} {BATCH}"))?;
        server.must(&format!("accept {BATCH}"))?;
    }

    let idle_since = case.set_keepalive(Node::Server, &mut server)?;
    case.power_off(Node::Client, client)?;
    server.must("thread drain")?;

    let detection = case.keepalive.detection();
    let end = case.hear(&mut server, "drain", idle_since, 3.0 * detection)?;
    case.mark(Node::Server, format!("read(): {}", end.what));
    let descriptors: usize = server.ask("descriptors")?.parse()?;
    // A busy machine does not end a thousand in the same moment.
    let timed_out = format!("{CLIENTS} × {TIMED_OUT}");
    let timed_out = Expected::between(timed_out, detection, 2.0 * detection);
    case.check("reading from all", case.either(timed_out, STILL_BLOCKED), end);
    let of_all = |number: usize| format!("{number} of {CLIENTS}");
    let seen = of_all(descriptors - descriptors_before);
    case.check("descriptors still held", case.either(of_all(0), of_all(CLIENTS)), seen);
    Ok(())
}
