//! What an accepted stream reports when the option was set on the listener. No standard promises
//! anything here, so neither may std's documentation; this row records what this kernel does.

use super::*;

pub const SCENARIO: Scenario = Scenario {
    name: "inherited",
    about: "the option set on the listener, by other means than std: what accepted streams report",
    sides: ["set on the listener", "not set"],
    shape: PLAIN,
    run,
};

fn run(case: &mut Case) -> Result<()> {
    let (mut server, address) = case.listen()?;
    if case.with {
        server.ask(&format!("hand_listener_to {}", witness::python(Some(true))))?;
    }
    let mut client = case.peer(Node::Client)?;
    let idle_since = case.now();
    client.ask(&format!("connect {address}"))?;
    server.must("accept")?;

    let reports = [
        ("keepalive() of the accepted stream", "keepalive".to_string()),
        ("Python of the same", format!("hand_stream_to {}", witness::python(None))),
        ("socket2 of the same", format!("hand_stream_to {}", witness::socket2(None)?)),
    ];
    for (who, command) in reports {
        case.check(who, case.with.to_string(), server.ask(&command)?);
    }

    let time = f64::from(case.keepalive.time);
    let probe = case.capture.wait(time + LATE, |packets| {
        packets.iter().find(|p| p.is_probe() && p.from == Node::Server).map(|p| p.at)
    });
    let seen = probe.map_or("none".into(), |at| Seen::at("probe", at - idle_since));
    case.check("on the wire", case.either(Expected::at("probe", time), "none"), seen);
    Ok(())
}
