//! A NAT router forgets a connection that is idle for longer than the router's timeout.

use super::*;

pub const PLAN: Plan = Plan {
    // The router translates addresses, drops packets of unknown connections, and does not pick up
    // connections in the middle.
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
    ..Plan::new(run)
};

/// Longer than three of the router's timeouts.
const PAUSE: f64 = 7.0;

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, mut server, .. } = case.connect()?;
    case.set_keepalive(Node::Client, &mut client)?;
    client.call_ok("write hello")?;
    case.check("before the pause", "hello", server.call("read")?);
    case.idle(PAUSE);

    let written = case.now();
    client.call_ok("write are you there?")?;
    case.mark(Node::Client, "write()");
    server.send("read")?;
    let arrived = case.wait_for(&mut server, "read", written, 3.0)?;
    if arrived.time.is_some() {
        server.call_ok("write yes")?;
    }
    client.send("read")?;
    let reply = case.wait_for_read(&mut client, written, 3.0)?;

    let forwarded = case.capture.packets()?.iter().any(|packet| {
        packet.at > written && packet.to == Node::Server && packet.kind == PacketKind::Data
    });
    let forwarded = if forwarded { "forwarded" } else { "dropped" };
    case.check("the write, at the router", case.by_side("forwarded", "dropped"), forwarded);
    let arrives = case.by_side(Expected::at("are you there?", 0.0), STILL_BLOCKED);
    case.check("the write, in the server's read", arrives, arrived);
    let replied = case.by_side(Expected::at("yes", 0.0), STILL_BLOCKED);
    case.check("the reply, in the client's read", replied, reply);
    Ok(())
}
