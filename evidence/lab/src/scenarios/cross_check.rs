//! `ss`, Python and socket2 see the option that std sets, and std sees the option that they set.

use super::*;

pub const PLAN: Plan = Plan { sides: ["on", "off"], ..Plan::new(run) };

fn run(case: &mut Case) -> Result<()> {
    let Connection { mut client, server: _server, .. } = case.connect()?;
    let (value, opposite) = (case.is_first_side, !case.is_first_side);
    let hand_to = |command: String| format!("hand_stream_to {command}");
    let steps = [
        ("at first", "keepalive".to_string(), false),
        ("after std set it", format!("set_keepalive {value}"), value),
        ("after Python set it", hand_to(sockopt::python(Some(opposite))), opposite),
        ("after socket2 set it", hand_to(sockopt::socket2(Some(value))?), value),
        ("after std set it again", format!("set_keepalive {opposite}"), opposite),
    ];
    for (when, command, expected) in steps {
        client.call(&command)?;
        let std = client.call("keepalive")?;
        let socket2 = client.call(&hand_to(sockopt::socket2(None)?))?;
        let python = client.call(&hand_to(sockopt::python(None)))?;
        // `ss` shows the timer that the option starts.
        let sockets = case.namespace(Node::Client).run("ss", &["-tnoH"], "")?;
        let ss = sockets.contains("timer:(keepalive,");
        let seen = format!("std {std}, socket2 {socket2}, Python {python}, ss {ss}");
        let agreed =
            format!("std {expected}, socket2 {expected}, Python {expected}, ss {expected}");
        case.check(when, agreed, seen);
    }
    Ok(())
}
