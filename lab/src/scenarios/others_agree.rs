//! Parties that are not ours look at the same socket, and change it behind std's back.

use std::process::Command;

use anyhow::Result;

use super::Scenario;
use crate::bench::{Bench, Connection};
use crate::network::{Namespace, Node, PLAIN};
use crate::peer::Peer;
use crate::report::Expected;
use crate::witness;

pub const SCENARIO: Scenario = Scenario {
    name: "others-agree",
    about: "ss, socket2 and Python see what std sets, and std sees what they set",
    sides: ["on", "off"],
    shape: PLAIN,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let Connection { mut client, server: _server, .. } = bench.connect()?;
    let (value, opposite) = (bench.with, !bench.with);
    let by_std = |value: bool| format!("set_keepalive {value}");
    let by_python = |value| format!("hand_stream_to {}", witness::python_sets(value));
    let by_socket2 =
        |value| anyhow::Ok(format!("hand_stream_to {}", witness::socket2_sets(value)?));

    let steps = [
        ("at first", "keepalive".to_string(), false),
        ("after std set it", by_std(value), value),
        ("after Python set it", by_python(opposite), opposite),
        ("after socket2 set it", by_socket2(value)?, value),
        ("after std set it again", by_std(opposite), opposite),
    ];
    for (when, command, expected) in steps {
        client.ask(&command)?;
        let namespace = bench.namespace(Node::Client);
        let seen = four_views(&mut client, namespace)?;
        let agreed =
            format!("std {expected}, socket2 {expected}, Python {expected}, ss {expected}");
        bench.check(when, Expected::new(agreed), seen);
    }
    Ok(())
}

fn four_views(client: &mut Peer, namespace: &Namespace) -> Result<String> {
    let std = client.ask("keepalive")?;
    let socket2 = client.ask(&format!("hand_stream_to {}", witness::socket2_gets()?))?;
    let python = client.ask(&format!("hand_stream_to {}", witness::PYTHON_GETS))?;
    // Not an option's value but a running timer, which is what the option is for.
    let ss = namespace.enter(|| Ok(Command::new("ss").args(["-tnoH"]).output()?))?;
    let ss = String::from_utf8_lossy(&ss.stdout).contains("timer:(keepalive,");
    Ok(format!("std {std}, socket2 {socket2}, Python {python}, ss {ss}"))
}
