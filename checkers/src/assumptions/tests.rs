use histories::{History, Value};

use super::*;
use crate::Verdict;
use crate::testing::operations;

const CONTENDED: &str = "0 w 1 0 5; 1 r 1 2 8";

fn run(faults: &[&str]) -> RunInfo {
    RunInfo {
        faults: faults.iter().map(|&kind| kind.to_owned()).collect(),
        ..RunInfo::default()
    }
}

/// A fault from its injection to its healing, `None` for never.
fn fault(kind: &str, span: Option<(u64, Option<u64>)>, effective: Option<bool>) -> FaultSpan {
    let point = |index| histories::Point {
        index,
        time_ns: index,
    };
    FaultSpan {
        id: 1,
        kind: kind.into(),
        targets: vec!["n1".into()],
        parameters: Value::Nil,
        begin: None,
        inject: span.map(|(inject, _)| point(inject)),
        heal: span.and_then(|(_, heal)| heal).map(point),
        error: None,
        inject_evidence: Value::Nil,
        heal_evidence: Value::Nil,
        effective,
    }
}

fn check(row: &str, faults: &[FaultSpan], run: Option<&RunInfo>, expected: Option<&str>) {
    let check = assumptions(
        &History::from_operations(&operations(row)).operations(),
        faults,
        run,
        Contention::Together,
    );
    match expected {
        None => assert_eq!(check.verdict, Verdict::Valid, "{row}: {check:?}"),
        Some(expected) => {
            assert_eq!(check.verdict, Verdict::Unknown, "{row}");
            let reason = check.reason.unwrap();
            assert!(reason.contains(expected), "{row}: {reason}");
        }
    }
}

#[test]
fn foreign_histories_need_something_acknowledged() {
    check("", &[], None, Some("no operations"));
    check(
        "0 w 1 0 ?; 1 r 0 1 x",
        &[],
        None,
        Some("none of the 2 operations was acknowledged"),
    );
    check("0 r nil 0 1", &[], None, None);
}

#[test]
fn our_runs_need_an_acknowledged_update_and_contention() {
    let run = run(&[]);
    check(CONTENDED, &[], Some(&run), None);
    check(
        "0 r 0 0 5; 1 r 0 2 8",
        &[],
        Some(&run),
        Some("no update among"),
    );
    check(
        "0 w 1 0 ?; 1 r 0 2 8",
        &[],
        Some(&run),
        Some("no update among"),
    );
    check(
        "0 m 1:2 0 5; 1 r 0 2 8",
        &[],
        Some(&run),
        Some("no update among"),
    );
    check(
        "0 w 1 0 1; 1 r 1 2 3",
        &[],
        Some(&run),
        Some("no two processes"),
    );
    check(
        "0 w@a 1 0 5; 1 r@b 1 2 8",
        &[],
        Some(&run),
        Some("no two processes"),
    );
    check(
        "0 r 0 0 5; 1 r 0 2 8; 0 w 1 9 10",
        &[],
        Some(&run),
        Some("no two processes"),
    );
    check("0 w 1 0 9; 1 r 1 1 2; 2 r 1 3 4", &[], Some(&run), None);
    check("0 r 1 0 9; 1 w 1 1 2", &[], Some(&run), None);
}

#[test]
fn every_scheduled_kind_of_fault_must_have_hit_something() {
    let run = run(&["kill"]);
    let in_time = Some((1, Some(9)));
    check(
        CONTENDED,
        &[fault("kill", in_time, Some(true))],
        Some(&run),
        None,
    );
    check(
        CONTENDED,
        &[fault("kill", Some((7, None)), Some(true))],
        Some(&run),
        None,
    );
    let rows = [
        (vec![], "kill was scheduled but never happened"),
        (
            vec![fault("pause", in_time, Some(true))],
            "kill was scheduled but never happened",
        ),
        (
            vec![fault("kill", None, None)],
            "kill was tried 1 times and never injected",
        ),
        (
            vec![fault("kill", in_time, Some(false))],
            "nothing shows that it had an effect",
        ),
        (
            vec![fault("kill", in_time, None)],
            "nothing shows that it had an effect",
        ),
        (
            vec![fault("kill", Some((8, None)), Some(true))],
            "while no operation was under way",
        ),
    ];
    for (faults, expected) in rows {
        check(CONTENDED, &faults, Some(&run), Some(expected));
    }
}

#[test]
fn a_fault_without_effect_is_named_even_beside_a_good_one() {
    let mut idle = fault("kill", Some((1, Some(2))), Some(false));
    idle.heal_evidence = "pid 7 was already gone".into();
    let faults = [idle, fault("kill", Some((1, Some(9))), Some(true))];
    let history = History::from_operations(&operations(CONTENDED));
    let check = assumptions(
        &history.operations(),
        &faults,
        Some(&run(&["kill"])),
        Contention::Together,
    );
    assert_eq!(check.verdict, Verdict::Valid);
    assert_eq!(
        check.details,
        ["fault 1 (kill on n1) had no effect: \"pid 7 was already gone\""]
    );
}

#[test]
fn a_fault_that_waited_for_what_never_came_proves_nothing() {
    let run = run(&["kill"]);
    let effective = FaultSpan {
        begin: Some(histories::Point::default()),
        ..fault("kill", Some((0, Some(3))), Some(true))
    };
    let why = Value::List(vec!["what it waits for never came: leader elected".into()]);
    let error = Value::Map(vec![("errors".into(), why)]);
    let never_begun = FaultSpan {
        id: 2,
        error: Some((histories::Point::default(), error)),
        ..fault("kill", None, Some(false))
    };
    check(
        CONTENDED,
        std::slice::from_ref(&effective),
        Some(&run),
        None,
    );
    check(
        CONTENDED,
        &[effective.clone(), never_begun.clone()],
        Some(&run),
        Some("fault 2 (kill) never began: what it waits for never came: leader elected"),
    );
    // One that was begun and failed is named, and another of its kind may do its part.
    let failed = FaultSpan {
        begin: Some(histories::Point::default()),
        ..never_begun
    };
    check(CONTENDED, &[effective, failed], Some(&run), None);
}

#[test]
fn clients_may_meet_in_turn() {
    let clients = |clients| RunInfo {
        clients,
        ..RunInfo::default()
    };
    let problem = |row: &str, run: &RunInfo| {
        let history = History::from_operations(&operations(row));
        let check = assumptions(&history.operations(), &[], Some(run), Contention::InTurn);
        check.reason
    };
    let one_each = "0 w 1 0 1; 1 r 1 2 3";
    assert_eq!(problem(one_each, &clients(2)), None);
    let alone = "0 w 1 0 1; 0 r 1 2 3";
    assert!(problem(alone, &clients(2)).is_some_and(|why| why.contains("no two processes")));
    assert_eq!(problem(alone, &clients(1)), None);
}
