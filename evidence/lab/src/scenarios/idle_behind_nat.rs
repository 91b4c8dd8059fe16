//! A middlebox forgets a connection that says nothing for longer than it cares to remember.

use super::*;

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
            ("netfilter/nf_conntrack_tcp_timeout_established", 2),
            ("netfilter/nf_conntrack_tcp_loose", 0),
        ],
    },
    run,
};

/// Several of the router's timeouts.
const PAUSE: f64 = 7.0;

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, mut server, .. } = case.connect()?;
    case.set_keepalive(Node::Client, &mut client)?;
    client.must("write hello")?;
    case.check("before the pause", "hello", server.ask("read")?);
    case.idle(PAUSE);

    let written = case.now();
    client.must("write are you there?")?;
    case.mark(Node::Client, "write()");
    server.tell("read")?;
    let arrived = case.hear(&mut server, "read", written, 3.0)?;
    if arrived.seconds.is_some() {
        server.must("write yes")?;
    }
    client.tell("read")?;
    let reply = case.hear_read(&mut client, written, 3.0)?;

    let forwarded = case.capture.packets().iter().any(|packet| {
        packet.at > written && packet.to == Node::Server && packet.kind == PacketKind::Data
    });
    let forwarded = if forwarded { "forwarded" } else { "dropped" };
    case.check("the write, at the router", case.either("forwarded", "dropped"), forwarded);
    let arrives = case.either(Expected::at("are you there?", 0.0), STILL_BLOCKED);
    case.check("the write, in the server's read", arrives, arrived);
    let replied = case.either(Expected::at("yes", 0.0), STILL_BLOCKED);
    case.check("the reply, in the client's read", replied, reply);
    Ok(())
}
