//! Where keepalive does not help: while data is on its way, it is the retransmission of that data
//! that finds out, after as long as the kernel retries (on Linux a quarter of an hour).

use anyhow::Result;

use super::Scenario;
use crate::bench::{Bench, Connection, STILL_BLOCKED};
use crate::network::{Node, PLAIN};
use crate::report::Expected;

pub const SCENARIO: Scenario = Scenario {
    name: "unacknowledged",
    about: "the server vanishes, and a write to it is not acknowledged: keepalive waits its turn",
    sides: ["nothing written", "written, not acknowledged"],
    shape: PLAIN,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, server, .. } = bench.connect()?;
    let idle_since = bench.now();
    client.must("set_keepalive true")?;
    bench.power_off(Node::Server, server)?;
    if !bench.with {
        client.must("write ping")?;
        bench.mark(Node::Client, "write()");
    }
    client.tell("read")?;

    let detection = bench.keepalive.detection();
    let end = bench.hear(&mut client, "read", idle_since, 3.0 * detection)?;
    bench.mark(Node::Client, format!("read(): {}", end.what));
    let expected = match bench.with {
        true => Expected::new("TimedOut (os error 110)").at(detection),
        false => Expected::new(STILL_BLOCKED),
    };
    bench.check("read", expected, end);
    Ok(())
}
