//! The server is gone from one instant to the next, while the client waits for it in `read`.

use anyhow::Result;

use super::{Scenario, WITH_KEEPALIVE};
use crate::bench::{Bench, Connection, STILL_BLOCKED};
use crate::network::{Node, PLAIN};
use crate::report::Expected;

pub const SCENARIO: Scenario = Scenario {
    name: "power-loss",
    about: "the server vanishes while the client blocks in read()",
    sides: WITH_KEEPALIVE,
    shape: PLAIN,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, server, .. } = bench.connect()?;
    let idle_since = bench.set_keepalive(Node::Client, &mut client)?;
    client.tell("read")?;
    bench.power_off(Node::Server, server)?;

    let detection = bench.keepalive.detection();
    let end = bench.hear(&mut client, "read", idle_since, 3.0 * detection)?;
    bench.mark(Node::Client, format!("read(): {}", end.what));
    let gave_up = end.seconds.is_some();
    let expected = match bench.with {
        true => Expected::new("TimedOut (os error 110)").at(detection),
        false => Expected::new(STILL_BLOCKED),
    };
    bench.check("read", expected, end);

    if gave_up {
        let ends = Expected::new("end of stream");
        bench.check("the next read", ends, client.ask("read")?);
        let fails = Expected::new("BrokenPipe (os error 32)");
        bench.check("the next write", fails, client.ask("write ping")?);
        bench.check("keepalive() then", Expected::new("true"), client.ask("keepalive")?);
    }
    Ok(())
}
