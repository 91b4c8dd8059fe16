//! As in power loss, but here the router says that it knows no way to the server any more. One
//! might expect `read` to fail with that; but to the kernel a probe, whose sequence number is an
//! old one, is nothing that a complaint could be about.

use anyhow::Result;

use super::{Scenario, WITH_KEEPALIVE};
use crate::bench::{Bench, Connection, STILL_BLOCKED};
use crate::network::{Node, PLAIN, Shape};
use crate::packet::Kind;
use crate::report::Expected;

pub const SCENARIO: Scenario = Scenario {
    name: "unreachable",
    about: "the server vanishes, and the router answers that it is unreachable",
    sides: WITH_KEEPALIVE,
    shape: Shape { router_rules: "", ..PLAIN },
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
    let told = bench.packets().iter().any(|packet| packet.kind == Kind::Unreachable);
    let (expected, expected_told) = match bench.with {
        true => (Expected::new("TimedOut (os error 110)").at(detection), "said so"),
        false => (Expected::new(STILL_BLOCKED), "was not asked"),
    };
    bench.check(
        "the router",
        Expected::new(expected_told),
        match told {
            true => "said so",
            false => "was not asked",
        },
    );
    bench.check("read", expected, end);
    Ok(())
}
