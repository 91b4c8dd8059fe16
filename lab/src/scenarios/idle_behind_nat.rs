//! A middlebox forgets a connection that says nothing for longer than it cares to remember.

use anyhow::Result;

use super::{Scenario, WITH_KEEPALIVE};
use crate::bench::{Bench, Connection, STILL_BLOCKED};
use crate::network::{Keepalive, Node, Shape};
use crate::packet::Kind;
use crate::report::Expected;

pub const SCENARIO: Scenario = Scenario {
    name: "idle-behind-nat",
    about: "the client pauses for longer than the NAT router remembers connections, then writes",
    sides: WITH_KEEPALIVE,
    shape: Shape {
        keepalive: Keepalive { time: 1, interval: 1, probes: 2 },
        // It translates, and drops what it does not know: it adopts no connection midway.
        router_rules: r#"
            chain translate {
                type nat hook postrouting priority srcnat
                oifname "server" masquerade
            }
            chain strict {
                type filter hook forward priority filter
                ct state invalid drop
            }"#,
        router_sysctls: &[
            ("netfilter/nf_conntrack_tcp_timeout_established", "2"),
            ("netfilter/nf_conntrack_tcp_loose", "0"),
        ],
    },
    run,
};

/// Several of the router's timeouts.
const PAUSE: f64 = 7.0;

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, mut server, .. } = bench.connect()?;
    bench.set_keepalive(Node::Client, &mut client)?;
    client.must("write hello")?;
    bench.check("before the pause", Expected::new("hello"), server.ask("read")?);
    bench.idle(PAUSE);

    let written = bench.now();
    client.must("write are you there?")?;
    bench.mark(Node::Client, "write()");
    server.tell("read")?;
    let arrived = bench.hear(&mut server, "read", written, 3.0)?;
    if arrived.seconds.is_some() {
        server.must("write yes")?;
    }
    client.tell("read")?;
    let reply = bench.hear(&mut client, "read", written, 3.0)?;
    bench.mark(Node::Client, format!("read(): {}", reply.what));

    let forwarded = bench.packets().iter().any(|packet| {
        packet.at > written && packet.to == Node::Server && packet.kind == Kind::Data
    });
    let forwarded = if forwarded { "forwarded" } else { "dropped" };
    let [at_router, at_server, at_client] = match bench.with {
        true => [
            Expected::new("forwarded"),
            Expected::new("are you there?").at(0.0),
            Expected::new("yes").at(0.0),
        ],
        false => ["dropped", STILL_BLOCKED, STILL_BLOCKED].map(Expected::new),
    };
    bench.check("the write, at the router", at_router, forwarded);
    bench.check("the write, in the server's read", at_server, arrived);
    bench.check("the reply, in the client's read", at_client, reply);
    Ok(())
}
