//! Parties that are not ours look at the same socket, and change it behind std's back.

use super::*;

pub const SCENARIO: Scenario = Scenario {
    name: "others-agree",
    about: "ss, socket2 and Python see what std sets, and std sees what they set",
    sides: ["on", "off"],
    shape: PLAIN,
    run,
};

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server: _server, .. } = case.connect()?;
    let (value, opposite) = (case.with, !case.with);
    let hand_to = |witness: String| format!("hand_stream_to {witness}");
    let steps = [
        ("at first", "keepalive".to_string(), false),
        ("after std set it", format!("set_keepalive {value}"), value),
        ("after Python set it", hand_to(witness::python(Some(opposite))), opposite),
        ("after socket2 set it", hand_to(witness::socket2(Some(value))?), value),
        ("after std set it again", format!("set_keepalive {opposite}"), opposite),
    ];
    for (when, command, expected) in steps {
        client.ask(&command)?;
        let std = client.ask("keepalive")?;
        let socket2 = client.ask(&hand_to(witness::socket2(None)?))?;
        let python = client.ask(&hand_to(witness::python(None)))?;
        // Not an option's value but a running timer, which is what the option is for.
        let sockets = case.namespace(Node::Client).run("ss", &["-tnoH"], "")?;
        let ss = sockets.contains("timer:(keepalive,");
        let seen = format!("std {std}, socket2 {socket2}, Python {python}, ss {ss}");
        let agreed =
            format!("std {expected}, socket2 {expected}, Python {expected}, ss {expected}");
        case.check(when, agreed, seen);
    }
    Ok(())
}
