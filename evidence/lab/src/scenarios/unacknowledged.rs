//! Where keepalive does not help: while data is on its way, it is the retransmission of that data
//! that finds out, after as long as the kernel retries (on Linux a quarter of an hour).

use super::*;

pub const SCENARIO: Scenario = Scenario {
    name: "unacknowledged",
    about: "the server vanishes, and a write to it is not acknowledged: keepalive waits its turn",
    sides: ["nothing written", "written, not acknowledged"],
    shape: PLAIN,
    run,
};

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server, .. } = case.connect()?;
    let idle_since = case.now();
    client.must("set_keepalive true")?;
    case.power_off(Node::Server, server)?;
    if !case.with {
        client.must("write ping")?;
        case.mark(Node::Client, "write()");
    }
    client.tell("read")?;

    let detection = case.keepalive.detection();
    let end = case.hear_read(&mut client, idle_since, 3.0 * detection)?;
    case.check("read", case.either(Expected::at(TIMED_OUT, detection), STILL_BLOCKED), end);
    Ok(())
}
