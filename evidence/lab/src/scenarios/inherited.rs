//! On Linux, accepted streams inherit the option from the listener. No standard says so, and std's
//! documentation must not promise it.

use super::*;

pub const PLAN: Plan = Plan { sides: ["set on the listener", "not set"], ..Plan::new(run) };

fn run(case: &mut Case) -> Result<()> {
    let (mut server, address) = case.listen()?;
    if case.is_first_side {
        server.call(&format!("hand_listener_to {}", sockopt::python(Some(true))))?;
    }
    let mut client = case.peer(Node::Client)?;
    let idle_since = case.now();
    client.call(&format!("connect {address}"))?;
    server.call_ok("accept")?;

    let reports = [
        ("keepalive() of the accepted stream", "keepalive".to_string()),
        ("Python, of the accepted stream", format!("hand_stream_to {}", sockopt::python(None))),
        ("socket2, of the accepted stream", format!("hand_stream_to {}", sockopt::socket2(None)?)),
    ];
    for (name, command) in reports {
        case.check(name, case.is_first_side.to_string(), server.call(&command)?);
    }

    let seen = case.wait_for_probe(idle_since, |probe| probe.from == Node::Server)?;
    let due = Expected::at(PROBE, case.keepalive.idle_time);
    case.check("on the wire", case.by_side(due, NO_PROBE), seen);
    Ok(())
}
