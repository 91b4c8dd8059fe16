//! Only silence is probed: whatever the peer acknowledges starts the idle time anew.

use anyhow::Result;

use super::Scenario;
use crate::bench::{Bench, Connection};
use crate::network::{Keepalive, PLAIN, Shape};
use crate::report::Expected;

pub const SCENARIO: Scenario = Scenario {
    name: "traffic",
    about: "writing more often than the idle time leaves nothing to probe",
    sides: ["writing", "idle"],
    shape: Shape { keepalive: Keepalive { time: 2, interval: 1, probes: 2 }, ..PLAIN },
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, mut server, .. } = bench.connect()?;
    client.must("set_keepalive true")?;
    let half = f64::from(bench.keepalive.time) / 2.0;
    for _ in 0..6 {
        bench.idle(half);
        if bench.with {
            client.must("write ping")?;
            // Read, so that a later write is no part of this one.
            server.ask("read")?;
        }
    }
    let probed = bench.packets().iter().any(|packet| packet.is_probe());
    let expected = if bench.with { "none" } else { "seen" };
    let seen = if probed { "seen" } else { "none" };
    bench.check("probes", Expected::new(expected), seen);
    bench.check("keepalive()", Expected::new("true"), client.ask("keepalive")?);
    Ok(())
}
