//! What an accepted stream reports when the option was set on the listener. No standard promises
//! anything here, so neither may std's documentation; this row records what this kernel does.

use anyhow::Result;

use super::Scenario;
use crate::bench::Bench;
use crate::network::{Node, PLAIN};
use crate::report::{Expected, LATE, Seen};
use crate::witness;

pub const SCENARIO: Scenario = Scenario {
    name: "inherited",
    about: "the option set on the listener, by other means than std: what accepted streams report",
    sides: ["set on the listener", "not set"],
    shape: PLAIN,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let (mut server, address) = bench.listen()?;
    if bench.with {
        server.ask(&format!("hand_listener_to {}", witness::python_sets(true)))?;
    }
    let mut client = bench.peer(Node::Client)?;
    let idle_since = bench.now();
    client.ask(&format!("connect {address}"))?;
    server.must("accept")?;

    let reports = [
        ("keepalive() of the accepted stream", "keepalive".to_string()),
        ("Python of the same", format!("hand_stream_to {}", witness::PYTHON_GETS)),
        ("socket2 of the same", format!("hand_stream_to {}", witness::socket2_gets()?)),
    ];
    for (who, command) in reports {
        bench.check(who, Expected::new(bench.with.to_string()), server.ask(&command)?);
    }

    let time = f64::from(bench.keepalive.time);
    let probe = bench.wait(time + LATE, |packets| {
        packets.iter().find(|p| p.is_probe() && p.from == Node::Server).cloned()
    });
    let (expected, seen) = (
        if bench.with { Expected::new("probe").at(time) } else { Expected::new("none") },
        match probe {
            Some(probe) => Seen { what: "probe".to_string(), seconds: Some(probe.at - idle_since) },
            None => "none".into(),
        },
    );
    bench.check("on the wire", expected, seen);
    Ok(())
}
