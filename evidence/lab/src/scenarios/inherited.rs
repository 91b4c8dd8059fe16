//! The listener has the option when it accepts a stream. No standard says whether the stream inherits
//! the option, so std's documentation may not promise it. The scenario records what Linux does.

use super::*;

pub const PLAN: Plan = Plan { sides: ["set on the listener", "not set"], ..Plan::new(run) };

fn run(case: &mut Case) -> Result<()> {
    let (mut server, address) = case.listen()?;
    if case.with {
        server.call(&format!("hand_listener_to {}", sockopt::python(Some(true))))?;
    }
    let mut client = case.peer(Node::Client)?;
    let idle_since = case.now();
    client.call(&format!("connect {address}"))?;
    server.call_ok("accept")?;

    let reports = [
        ("keepalive() of the accepted stream", "keepalive".to_string()),
        ("Python, of that stream", format!("hand_stream_to {}", sockopt::python(None))),
        ("socket2, of that stream", format!("hand_stream_to {}", sockopt::socket2(None)?)),
    ];
    for (who, command) in reports {
        case.check(who, case.with.to_string(), server.call(&command)?);
    }

    let seen = case.wait_for_probe(idle_since, |probe| probe.from == Node::Server)?;
    case.check(
        "on the wire",
        case.either(Expected::at(PROBE, case.keepalive.idle_time), NO_PROBE),
        seen,
    );
    Ok(())
}
