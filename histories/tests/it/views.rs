//! A history as operations and as faults.

use histories::{
    Event, EventType, Fault, FaultPhase, History, Operation, Outcome, Point, Process, Value,
};

use crate::read;

/// The input is what was asked for, the output what came back, whatever else is logged.
#[test]
fn inputs_and_outputs() {
    let text = "{:process 1 :type :invoke :f :read :value 4 :key \"a\" :node \"n1\"}\n\
                {:process 2 :type :invoke :f :write :value 5}\n\
                {:process 1 :type :ok :f :read :value 3 :node \"n2\"}\n\
                {:process 2 :type :fail :f :write :value 5 :error [:refused \"n1\"]}";
    let operations = read(text, None).expect("a history").operations().to_vec();
    let read = &operations[0];
    assert_eq!(
        (&read.input, &read.output),
        (&Value::Int(4), &Value::Int(3))
    );
    assert_eq!(read.key, Some(Value::from("a")));
    assert_eq!(read.node.as_deref(), Some("n2"));
    assert_eq!(read.line, Some(1));
    assert_eq!(
        read.invoked,
        Point {
            index: 0,
            time_ns: 0
        }
    );
    assert_eq!(
        read.ended,
        Some(Point {
            index: 2,
            time_ns: 2
        })
    );
    let write = &operations[1];
    assert_eq!((write.outcome, &write.output), (Outcome::Fail, &Value::Nil));
    assert_eq!(write.error.as_deref(), Some("[\"refused\" \"n1\"]"));
}

/// Operations that no history has can still be put into one: a process with two of them open, ends
/// before beginnings, and invocations before completions where both have one index.
#[test]
fn operations_as_they_are_given() {
    let at = |index| Point { index, time_ns: 3 };
    let operation = |process, f: &str, invoked, ended, outcome| Operation {
        process,
        f: f.into(),
        key: Some(Value::from("k")),
        input: Value::Nil,
        output: match outcome {
            Outcome::Ok => Value::Int(i64::MIN),
            _ => Value::Nil,
        },
        outcome,
        invoked: at(invoked),
        ended,
        node: Some("n1".into()),
        error: None,
        path: vec!["n1".into(), "n2".into()],
        line: Some(9),
    };
    let given = [
        operation(0, "a", 4, Some(at(6)), Outcome::Ok),
        operation(0, "b", 2, Some(at(4)), Outcome::Fail),
        operation(0, "c", 4, Some(at(3)), Outcome::Ok),
        operation(0, "d", 8, None, Outcome::Info),
    ];
    let history = History::from_operations(&given);
    let operations = history.operations();
    let order = [1, 0, 2, 3].map(|number: usize| given[number].clone());
    assert_eq!(operations.to_vec(), order);
    let positions: Vec<_> = (0..4).map(|number| operations.positions(number)).collect();
    let expected = [(0, Some(4)), (2, Some(5)), (3, Some(1)), (6, None)];
    assert_eq!(positions, expected);
    let packed = operations.packed(1);
    assert_eq!((packed.process, packed.invoked.position), (0, 2));
    assert_eq!(operations.symbol_name(packed.f), "a");
    assert_eq!(operations.value_of(packed.output), Value::Int(i64::MIN));

    // An outcome without an end is given one after everything else.
    let endless = operation(1, "e", 1, None, Outcome::Ok);
    let history = History::from_operations(&[endless, given[0].clone()]);
    assert_eq!(history.operations().get(0).ended, Some(at(7)));
}

/// Ours records the answer of a cas; foreign formats repeat its argument.
#[test]
fn a_cas_that_says_nothing_swapped() {
    for (value, output) in [
        ("true", true.into()),
        ("false", false.into()),
        ("[1 2]", true.into()),
        ("nil", true.into()),
        ("7", 7.into()),
        ("\"false\"", "false".into()),
    ] {
        let text = format!(
            "[{{:process 1 :type :invoke :f :cas :value [1 2]}} \
             {{:process 1 :type :ok :f :cas :value {value}}}]"
        );
        let history = read(&text, None).expect("a history");
        let operations = history.operations();
        assert_eq!(operations.get(0).output, output, "{value}");
        assert_eq!(operations.get(0).input.to_string(), "[1 2]");
    }
}

fn fault(id: u64, phase: FaultPhase, evidence: Value, effective: Option<bool>) -> Fault {
    let (kind, targets) = ("partition".into(), vec!["n1".into(), "n2".into()]);
    let parameters = Value::Map(vec![("shape".into(), "halves".into())]);
    Fault {
        id,
        kind,
        phase,
        targets,
        parameters,
        evidence,
        effective,
    }
}

#[test]
fn faults_are_events() {
    for phase in FaultPhase::ALL {
        for id in [0, u64::MAX] {
            let fault = fault(id, phase, Value::Int(3), Some(false));
            let event = fault.to_event(7, 8);
            assert_eq!(
                (event.process, event.kind),
                (Process::Nemesis, EventType::Info)
            );
            assert_eq!(Fault::try_from(&event), Ok(fault));
        }
    }
    let event = fault(1, FaultPhase::Heal, Value::Nil, None).to_event(0, 0);
    let broken = [
        Event {
            process: Process::Client(0),
            ..event.clone()
        },
        Event {
            kind: EventType::Ok,
            ..event.clone()
        },
        Event {
            value: Value::Nil,
            ..event
        },
    ];
    for event in broken {
        assert!(Fault::try_from(&event).is_err(), "{event:?}");
    }
}

#[test]
fn spans() {
    let dropped = Value::Map(vec![("packets".into(), Value::Int(12))]);
    let faults = [
        fault(0, FaultPhase::Begin, Value::Nil, None),
        fault(0, FaultPhase::Inject, Value::Int(1), None),
        fault(1, FaultPhase::Begin, Value::Nil, None),
        fault(0, FaultPhase::Heal, dropped.clone(), Some(true)),
        fault(1, FaultPhase::Error, "no such node".into(), Some(false)),
    ];
    let events = faults
        .iter()
        .zip(0..)
        .map(|(fault, at)| fault.to_event(at, at * 10))
        .collect();
    let spans = History {
        events,
        ..History::default()
    }
    .faults();
    let at = |index: u64| {
        Some(Point {
            index,
            time_ns: index * 10,
        })
    };
    assert_eq!(spans.len(), 2);
    assert_eq!(
        (spans[0].begin, spans[0].inject, spans[0].heal),
        (at(0), at(1), at(3))
    );
    assert_eq!(spans[0].inject_evidence, Value::Int(1));
    assert_eq!(spans[0].heal_evidence, dropped);
    assert_eq!(spans[0].effective, Some(true));
    assert_eq!(spans[0].targets.len(), 2);
    assert_eq!(
        (spans[1].begin, spans[1].inject, spans[1].heal),
        (at(2), None, None)
    );
    assert_eq!(spans[1].error, at(4).map(|at| (at, "no such node".into())));
    assert_eq!(spans[1].effective, Some(false));
}

/// What a foreign nemesis does is in the history, but is no fault of ours.
#[test]
fn foreign_nemesis() {
    let text = "{:process :nemesis :type :info :f :start :value \"Cut off n1\"}";
    let history = read(text, None).expect("a history");
    assert_eq!((history.events.len(), history.faults()), (1, Vec::new()));
}
