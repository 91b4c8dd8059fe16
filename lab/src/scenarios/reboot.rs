//! The server comes back under its address, and knows nothing of the connection.

use anyhow::Result;

use super::{Scenario, WITH_KEEPALIVE};
use crate::bench::{Bench, Connection, STILL_BLOCKED};
use crate::network::{Keepalive, Node, PLAIN, Shape};
use crate::report::Expected;

pub const SCENARIO: Scenario = Scenario {
    name: "reboot",
    about: "the server restarts without the connection while the client blocks in read()",
    sides: WITH_KEEPALIVE,
    // Two seconds, so that the server is back before the first probe on the busiest machine.
    shape: Shape { keepalive: Keepalive { time: 2, interval: 1, probes: 2 }, ..PLAIN },
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, server, .. } = bench.connect()?;
    let idle_since = bench.set_keepalive(Node::Client, &mut client)?;
    client.tell("read")?;
    bench.power_off(Node::Server, server)?;
    bench.power_on_server()?;

    let first_probe = f64::from(bench.keepalive.time);
    let end = bench.hear(&mut client, "read", idle_since, 3.0 * first_probe)?;
    bench.mark(Node::Client, format!("read(): {}", end.what));
    let reset = end.seconds.is_some();
    let expected = match bench.with {
        true => Expected::new("ConnectionReset (os error 104)").at(first_probe),
        false => Expected::new(STILL_BLOCKED),
    };
    bench.check("read", expected, end);
    if reset {
        bench.check("the next read", Expected::new("end of stream"), client.ask("read")?);
        let fails = Expected::new("BrokenPipe (os error 32)");
        bench.check("the next write", fails, client.ask("write ping")?);
    }
    Ok(())
}
