//! `set_keepalive(false)` ends what `set_keepalive(true)` began.

use anyhow::Result;

use super::Scenario;
use crate::bench::{Bench, Connection};
use crate::network::{Node, PLAIN};
use crate::packet::Packet;
use crate::report::{Expected, LATE, Seen};

pub const SCENARIO: Scenario = Scenario {
    name: "switched-off",
    about: "on, one probe, set_keepalive(false): no further probe",
    sides: ["switched off again", "left on"],
    shape: PLAIN,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, server: _server, .. } = bench.connect()?;
    let idle_since = bench.now();
    client.must("set_keepalive true")?;
    let time = f64::from(bench.keepalive.time);
    let first = bench.wait(time + LATE, |packets| packets.iter().find(|p| p.is_probe()).cloned());
    bench.check(
        "probe while on",
        Expected::new("seen").at(time),
        match first {
            Some(probe) => Seen { what: "seen".to_string(), seconds: Some(probe.at - idle_since) },
            None => "none".into(),
        },
    );
    if bench.with {
        client.must("set_keepalive false")?;
        bench.mark(Node::Client, "set_keepalive(false)");
    }
    let since = bench.now();
    bench.idle(3.0 * time);
    let more = bench.packets().iter().any(|p: &Packet| p.is_probe() && p.at > since);
    let expected = if bench.with { "none" } else { "seen" };
    let seen = if more { "seen" } else { "none" };
    bench.check("probes after that", Expected::new(expected), seen);
    Ok(())
}
