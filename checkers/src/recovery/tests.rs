use histories::EventType;

use super::*;
use crate::Verdict;

fn event(value: Value) -> Event {
    Event {
        index: 0,
        time_ns: 0,
        process: Process::Nemesis,
        kind: EventType::Info,
        f: "recovery".into(),
        key: None,
        value,
        node: None,
        error: None,
        path: Vec::new(),
    }
}

fn recovered(took_ms: Value) -> Event {
    let entries = vec![
        ("limit_ms".into(), Value::Int(500)),
        ("took_ms".into(), took_ms),
    ];
    event(Value::Map(entries))
}

#[test]
fn the_cluster_must_serve_again_within_the_limit() {
    assert_eq!(recovery(&[]), None);
    let verdict = |event: Event| recovery(&[event]).map(|check| check.verdict);
    assert_eq!(verdict(recovered(Value::Int(500))), Some(Verdict::Valid));
    assert_eq!(verdict(recovered(Value::Int(501))), Some(Verdict::Invalid));
    assert_eq!(verdict(recovered(Value::Nil)), Some(Verdict::Invalid));
    assert_eq!(verdict(event(Value::Nil)), Some(Verdict::Unknown));
    let client = Event {
        process: Process::Client(1),
        ..recovered(Value::Nil)
    };
    assert_eq!(recovery(&[client]), None);
}

#[test]
fn of_several_the_worst_counts() {
    let events = [recovered(Value::Nil), recovered(Value::Int(3))];
    assert_eq!(
        recovery(&events).map(|check| check.verdict),
        Some(Verdict::Invalid)
    );
}
