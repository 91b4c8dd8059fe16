//! A server holds a descriptor for each client that it believes to be there.

use anyhow::Result;

use super::{Scenario, WITH_KEEPALIVE};
use crate::bench::{Bench, STILL_BLOCKED};
use crate::network::{Node, PLAIN};
use crate::report::Expected;

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

fn run(bench: &mut Bench) -> Result<()> {
    let (mut server, address) = bench.listen()?;
    let mut client = bench.peer(Node::Client)?;
    let descriptors_before: usize = server.ask("descriptors")?.parse()?;
    for _ in 0..CLIENTS / BATCH {
        client.ask(&format!("connect {address} {BATCH}"))?;
        server.must(&format!("accept {BATCH}"))?;
    }

    let idle_since = bench.set_keepalive(Node::Server, &mut server)?;
    bench.power_off(Node::Client, client)?;
    server.must("thread drain")?;

    let detection = bench.keepalive.detection();
    let end = bench.hear(&mut server, "drain", idle_since, 3.0 * detection)?;
    bench.mark(Node::Server, format!("read(): {}", end.what));
    let descriptors: usize = server.ask("descriptors")?.parse()?;
    let (expected, left) = match bench.with {
        true => {
            let all = Expected::new(format!("{CLIENTS} × TimedOut (os error 110)"));
            // A busy machine does not end a thousand in the same moment.
            (all.between(detection, 2.0 * detection), 0)
        }
        false => (Expected::new(STILL_BLOCKED), CLIENTS),
    };
    bench.check("reading from all", expected, end);
    let seen = format!("{} of {CLIENTS}", descriptors - descriptors_before);
    bench.check("descriptors still held", Expected::new(format!("{left} of {CLIENTS}")), seen);
    Ok(())
}
