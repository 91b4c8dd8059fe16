//! As in power loss, but here the router says that it knows no way to the server any more. One
//! might expect `read` to fail with that; but to the kernel a probe, whose sequence number is an
//! old one, is nothing that a complaint could be about.

use super::*;

pub const SCENARIO: Scenario = Scenario {
    name: "unreachable",
    about: "the server vanishes, and the router answers that it is unreachable",
    sides: WITH_KEEPALIVE,
    shape: Shape { router_rules: "", ..PLAIN },
    run,
};

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let idle_since = case.set_keepalive(Node::Client, &mut client)?;
    client.tell("read")?;
    case.power_off(Node::Server, server)?;

    let detection = case.keepalive.detection();
    let end = case.hear_read(&mut client, idle_since, 3.0 * detection)?;
    let told = case.capture.packets().iter().any(|packet| packet.kind == PacketKind::Unreachable);
    let told = if told { "said so" } else { "was not asked" };
    case.check("the router", case.either("said so", "was not asked"), told);
    case.check("read", case.either(Expected::at(TIMED_OUT, detection), STILL_BLOCKED), end);
    Ok(())
}
