use std::sync::mpsc::sync_channel;

use faults::{Delays, Distribution, Link as FaultLink, Treatment};
use serde_json::json;

use super::*;
use crate::message::body;
use crate::{Latency, LatencyDist};

/// A network of two nodes that nobody delivers for: time is what the test says it is.
fn state(mean_ms: u64) -> (State, Receiver<String>) {
    let latency = Latency {
        mean_ms,
        dist: LatencyDist::Constant,
    };
    let weather = Weather {
        latency,
        loss_ppm: 0,
    };
    let nodes = vec![Name::from("n0"), Name::from("n1")];
    let net = Net::new(nodes, 1, weather, Journal::none(), Instant::now());
    let Ok(shared) = Arc::try_unwrap(net.0) else {
        panic!("nobody else has it");
    };
    let mut state = shared.state.into_inner().expect("no panic");
    let (sender, inbox) = sync_channel(2);
    state.inboxes.insert(Name::from("n1"), sender);
    (state, inbox)
}

fn send(state: &mut State, now_ms: u64, number: u64) {
    let body = body(json!({"type": "note", "number": number}));
    state.send(
        now_ms * 1_000_000,
        Message::new("n0".into(), "n1".into(), body),
    );
    state.run_due(now_ms * 1_000_000);
}

fn received(inbox: &Receiver<String>) -> Vec<u64> {
    let number = |line: String| {
        let message = Message::parse(line.trim_end()).expect("a message");
        message.body["number"].as_u64().expect("a number")
    };
    inbox.try_iter().map(number).collect()
}

fn rule(fault: u64, from: &str, to: &str, treatment: Treatment) -> Rule {
    Rule {
        fault,
        links: vec![FaultLink {
            from: from.into(),
            to: to.into(),
        }],
        ports: Vec::new(),
        treatment,
    }
}

#[test]
fn a_message_is_delivered_when_it_is_due() {
    let (mut state, inbox) = state(10);
    send(&mut state, 0, 1);
    state.run_due(9_999_999);
    assert!(received(&inbox).is_empty());
    state.run_due(10_000_000);
    assert_eq!(received(&inbox), [1]);
}

#[test]
fn a_cut_is_of_one_direction_and_over_when_it_is_healed() {
    let cut = Treatment::Cut { flap_period_ms: 0 };
    for (from, to, expected) in [("n0", "n1", vec![3]), ("n1", "n0", vec![1, 2])] {
        let (mut state, inbox) = state(0);
        state.set_rules(0, &[rule(1, from, to, cut)]);
        send(&mut state, 0, 1);
        send(&mut state, 1, 2);
        let kept = received(&inbox);
        state.set_rules(2_000_000, &[]);
        send(&mut state, 3, 3);
        let mut all = kept;
        all.extend(received(&inbox));
        let expected = if expected.len() == 2 {
            vec![1, 2, 3]
        } else {
            expected
        };
        assert_eq!(all, expected, "{from} to {to}");
    }
}

/// A follower hands a client's request to its leader as the client wrote it. It goes over the link
/// between the two nodes, with that link's latency and faults.
#[test]
fn what_a_node_passes_on_takes_the_link_of_the_node() {
    let (mut state, inbox) = state(10);
    let body = body(json!({"type": "read", "number": 1, "msg_id": 7}));
    let message = Message {
        sender: "n0".into(),
        ..Message::new("c5".into(), "n1".into(), body)
    };
    state.send(0, message.clone());
    state.run_due(9_999_999);
    assert!(received(&inbox).is_empty());
    state.run_due(10_000_000);
    let line = inbox.try_recv().expect("a message");
    let arrived = Message::parse(line.trim_end()).expect("a message");
    assert_eq!(&*arrived.src, "c5", "the leader answers the client");
    let cut = Treatment::Cut { flap_period_ms: 0 };
    state.set_rules(20_000_000, &[rule(1, "n0", "n1", cut)]);
    state.send(20_000_000, message);
    state.run_due(100_000_000);
    assert!(received(&inbox).is_empty(), "cut as the node is");
    let stats = state.stats.to_value(1);
    let servers = stats.get("servers").and_then(|counts| counts.get("sent"));
    assert_eq!(servers.map(ToString::to_string), Some("2".to_owned()));
}

#[test]
fn a_held_message_keeps_none_waiting_and_goes_on_when_the_fault_is_healed() {
    let (mut state, inbox) = state(0);
    let delays = Delays {
        mean_us: 50_000,
        jitter_us: 0,
        distribution: Distribution::Uniform,
        correlation_permille: 0,
        keep_order: false,
    };
    state.set_rules(0, &[rule(1, "n0", "n1", Treatment::Delay(delays))]);
    send(&mut state, 0, 1);
    state.set_rules(1_000_000, &[]);
    state.run_due(1_000_000);
    assert_eq!(received(&inbox), [1], "given back");
    let reorder = Treatment::Reorder {
        permille: 1_000,
        hold_us: 50_000,
    };
    state.set_rules(2_000_000, &[rule(2, "n0", "n1", reorder)]);
    send(&mut state, 2, 2);
    // A rule of another fault stays, and so does what it holds.
    let cut = Treatment::Cut { flap_period_ms: 0 };
    let stays = rule(2, "n0", "n1", reorder);
    state.set_rules(3_000_000, &[stays, rule(3, "n1", "n0", cut)]);
    state.run_due(51_000_000);
    assert!(received(&inbox).is_empty());
    state.run_due(52_000_000);
    assert_eq!(received(&inbox), [2]);
}

#[test]
fn a_node_that_does_not_read_loses_what_does_not_fit() {
    let (mut state, inbox) = state(0);
    for number in 1..=4 {
        send(&mut state, 0, number);
    }
    assert_eq!(received(&inbox), [1, 2]);
    let dropped = state.stats.to_value(1);
    let dropped = dropped.get("dropped").expect("counted").to_string();
    assert_eq!(dropped, "{\"inbox full\" 2}");
}

#[test]
fn services_answer_over_the_network() {
    let (mut state, _inbox) = state(10);
    let (sender, answers) = sync_channel(2);
    state.inboxes.insert(Name::from("n0"), sender);
    let write = body(json!({"type": "write", "key": 1, "value": 2, "msg_id": 7}));
    state.send(0, Message::new("n0".into(), "lin-kv".into(), write));
    state.run_due(19_999_999);
    state.run_due(20_000_000);
    // Due at 10 ms, answered at once, and due again 10 ms after that was noticed.
    state.run_due(40_000_000);
    let line = answers.try_recv().expect("an answer");
    let answer = Message::parse(line.trim_end()).expect("a message");
    assert_eq!((answer.kind(), answer.in_reply_to()), ("write_ok", Some(7)));
}
