//! What is shown of a violation is true of it.

mod past;

use histories::{History, Outcome, Value};
use rayon::prelude::*;
use seeds::Stream;

use super::{intervals, lanes};
use crate::dispatch::{self, Finding};
use crate::limits::Budget;
use crate::oracle;
use crate::search::{Decision, Problem, decide};
use crate::subject::Subject;
use crate::testing::{
    chance, history_of, operations, part, problem, random_intervals, register_ops,
};
use crate::{
    Cancel, Counterexample, FifoQueue, FifoQueueOp, Judgement, Limits, Model, ModelKind,
    ModelOptions, NilReads, PriorityQueue, PriorityQueueOp, Register, Stack, StackOp,
    linearizability,
};

/// What is said of operations given as for [`history_of`].
fn judged(kind: ModelKind, row: &str) -> Judgement {
    let history = history_of(row);
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let options = ModelOptions::new(kind);
    linearizability(&history.operations(), &options, &limits, &cancel).unwrap()
}

fn counterexample(kind: ModelKind, row: &str) -> Counterexample {
    let initial = (kind == ModelKind::CasRegister).then_some(Value::Int(0));
    let options = ModelOptions {
        initial,
        ..ModelOptions::new(kind)
    };
    let mut operations = operations(row);
    for operation in &mut operations {
        operation.node = Some(format!("n{}", operation.process).into());
    }
    let history = History::from_operations(&operations);
    let judgement = linearizability(
        &history.operations(),
        &options,
        &Limits::default(),
        &Cancel::new(),
    )
    .unwrap();
    judgement.counterexample.unwrap()
}

fn indexes(counterexample: &Counterexample) -> Vec<u64> {
    counterexample
        .core
        .iter()
        .map(|core| core.operation.invoked.index)
        .collect()
}

/// Whether there is an order from some state the problem may start with.
fn has_order<M: Model>(problem: &Problem<'_, M>) -> Option<bool> {
    let intervals = intervals(problem);
    let mut starts = problem.starts.iter();
    Some(starts.any(|start| {
        oracle::is_linearizable(problem.model, start, &intervals, u64::MAX) == Some(true)
    }))
}

/// Goal: what is left out before a core only ever gives more freedom. Method: random histories,
/// cut anywhere, judged by the oracle.
#[test]
fn leaving_out_the_past_keeps_a_history_linearizable() {
    let model = Register::with_cas(Value::Int(0), NilReads::Observe);
    let still_bad: u64 = (0..6_000_u64)
        .into_par_iter()
        .map(|seed| {
            let mut chance = chance(seed);
            let ops = register_ops(1 + chance.below(4) as i64, chance.chance(1, 2));
            let history = random_intervals(&mut chance, 9, 4, |chance| {
                chance.pick(&ops).unwrap().clone()
            });
            let problem = problem(&model, &history, false);
            let cut = chance.below(problem.moments.len() as u64 + 1) as usize;
            let local = problem.without_before(cut).unwrap();
            let budget = Budget::new(&Limits::default(), &Cancel::new());
            let linearizable = decide(&local, &budget).0 == Decision::Linearizable;
            assert_eq!(has_order(&local), Some(linearizable), "{cut} {history:#?}");
            assert!(
                linearizable || has_order(&problem) == Some(false),
                "{cut} {history:#?}"
            );
            u64::from(!linearizable)
        })
        .sum();
    assert!(still_bad > 1_000, "{still_bad}");
}

/// Goal: a core is bad by itself, and no operation of it can be weakened further. Method: random
/// histories, judged by the oracle.
#[test]
fn cores_are_bad_and_minimal() {
    let register = Register::with_cas(Value::Int(0), NilReads::Observe);
    cores_of(&register, 14, |chance| {
        register_ops(1 + chance.below(4) as i64, chance.chance(1, 2))
    });
    // Of containers some operations take nobody knows what.
    cores_of(&FifoQueue::new(None).unwrap(), 10, |_| {
        let values = (1..=3).map(Value::Int);
        let both = values.flat_map(|v| [FifoQueueOp::Enqueue(v.clone()), FifoQueueOp::Dequeue(v)]);
        both.chain([FifoQueueOp::DequeueUnknown, FifoQueueOp::DequeueEmpty])
            .collect()
    });
    cores_of(&Stack::new(None).unwrap(), 10, |_| {
        let values = (1..=3).map(Value::Int);
        let both = values.flat_map(|v| [StackOp::Push(v.clone()), StackOp::Pop(v)]);
        both.chain([StackOp::PopAny, StackOp::PopEmpty]).collect()
    });
    cores_of(&PriorityQueue::new(None).unwrap(), 10, |_| {
        let both = (1..=3).flat_map(|n| [PriorityQueueOp::Push(n), PriorityQueueOp::Pop(n)]);
        both.chain([PriorityQueueOp::PopAny, PriorityQueueOp::PopEmpty])
            .collect()
    });
}

/// The cores of histories of so many of these operations.
fn cores_of<M: Model>(model: &M, count: usize, ops: impl Fn(&mut Stream) -> Vec<M::Op> + Sync) {
    let bad: u64 = (0..4_000_u64)
        .into_par_iter()
        .map(|seed| {
            let mut chance = chance(seed);
            let ops = ops(&mut chance);
            let history = random_intervals(&mut chance, count, 4, |chance| {
                chance.pick(&ops).unwrap().clone()
            });
            let subject = Subject::Part(part(&history));
            let recorded = History::default();
            let none = recorded.operations();
            let limits = Limits::default();
            let budget = Budget::new(&limits, &Cancel::new());
            let finding = dispatch::decide(model, &none, &subject, &budget, false);
            let Finding::Violated(violation) = finding else {
                return 0;
            };
            let explained =
                super::explain(model, &none, &subject, violation, &limits, &Cancel::new());
            assert_eq!(explained.oracle, Some(false), "{history:#?}");
            assert!(explained.minimal);
            let core = &explained.core;
            assert_eq!(has_order(core), Some(false), "{history:#?}");
            assert!(core.starts.contains(&model.initial(None)));
            for weakened in 0..core.calls.len() as u32 {
                let weaker = core.weakened(core.moments.len(), |call| call != weakened);
                let holds = has_order(&weaker);
                let was_open = core.calls[weakened as usize].open;
                assert_eq!(holds, Some(!was_open), "{weakened} of {history:#?}");
            }
            1
        })
        .sum();
    assert!(bad > 1_000, "{bad}");
}

/// Goal: what was taken and cannot have been there is said in words, not by the state at the start.
#[test]
fn what_was_taken_too_often_is_said() {
    let rows = [
        (
            "0 enqueue 1 -> nil @0 1; 2 dequeue nil -> ? @2 ?; 1 dequeue nil -> 7 @4 5",
            "the dequeue of 7 by process 1 is of a value that nothing put in",
        ),
        (
            "0 enqueue 7 -> x @0 1; 1 dequeue nil -> 7 @4 5; 0 enqueue 7 -> nil @8 9",
            "the dequeue of 7 by process 1 ended 3 ms before the first enqueue of 7, by process 0, began",
        ),
        (
            "0 enqueue 7 -> nil @0 1; 1 dequeue nil -> 7 @2 5; 2 dequeue nil -> 7 @3 8; 2 dequeue nil -> ? @9 ?",
            "7 was taken 2 times when the dequeue of 7 by process 2 ended, and had been put in only once",
        ),
    ];
    for (row, expected) in rows {
        let judged = judged(ModelKind::FifoQueue, row);
        let found = judged.counterexample.expect("a counterexample");
        assert_eq!(found.explanation, [expected], "{found:#?}");
    }
}

/// Goal: a counterexample of a container does not name all the operations that may have taken anything.
/// Method: many of them before and after what contradicts itself.
#[test]
fn takes_of_unknown_outcome_that_nobody_could_tell_of_are_not_shown() {
    let many = |take: &str, from: u64| -> String {
        let takes =
            (0..40).map(|number| format!("{} {take} nil -> ? @{} ?;", 100 + number, from + number));
        takes.collect()
    };
    let rows = [
        (
            ModelKind::FifoQueue,
            "dequeue",
            "0 enqueue 1 -> nil @50 51; 0 enqueue 2 -> nil @52 53; 0 dequeue nil -> 2 @60 61; \
             0 dequeue nil -> 1 @62 63;",
            3,
        ),
        (
            ModelKind::Stack,
            "pop",
            "0 push 1 -> nil @50 51; 0 push 2 -> nil @52 53; 0 pop nil -> 1 @60 61; \
             0 pop nil -> 2 @62 63;",
            3,
        ),
        (
            ModelKind::PriorityQueue,
            "pop",
            "0 push 1 -> nil @50 51; 0 push 2 -> nil @52 53; 0 pop nil -> 2 @60 61; \
             0 pop nil -> 1 @62 63;",
            3,
        ),
        (
            ModelKind::Stack,
            "pop",
            "0 push 1 -> nil @50 51; 0 pop nil -> 7 @60 61;",
            1,
        ),
    ];
    for (kind, take, row, core) in rows {
        let row = many(take, 0) + row + &many(take, 70);
        let found = judged(kind, &row).counterexample;
        let found = found.expect("a counterexample");
        assert!(found.confirmed && found.minimal, "{found:#?}");
        assert_eq!(found.core.len(), core, "{found:#?}");
    }
}

/// Goal: where an engine is wrong and the search finds an order of what it blames, nothing is
/// known, also of more operations than the oracle can take. Method: a history that has an order is
/// said to be in violation.
#[test]
fn a_core_with_an_order_is_a_disagreement() {
    let model = Register::new(Value::Int(0), NilReads::Observe);
    for reads in [1, 200] {
        let mut row = "0 w 1 0 1;".to_owned();
        for n in 1..=reads {
            row += &format!("1 r 1 {} {};", 2 * n, 2 * n + 1);
        }
        let history = History::from_operations(&operations(&row));
        let operations = history.operations();
        let parts = crate::normalise::parts(&model, &operations).unwrap();
        let subject = Subject::Part(parts.into_iter().next().unwrap());
        let violation = dispatch::Violation {
            event: Some(subject.moments().len() - 1),
            in_registers: true,
            ..dispatch::Violation::default()
        };
        let limits = Limits::default();
        let none = Cancel::new();
        let explained = super::explain(&model, &operations, &subject, violation, &limits, &none);
        assert_eq!(
            super::ask_oracle(&explained.core),
            (reads == 1).then_some(true)
        );
        let (check, counterexample) = super::present(&operations, subject.key(), &explained);
        assert_eq!(check.verdict, crate::Verdict::Unknown);
        assert!(check.reason.unwrap().contains("disagree"));
        assert_eq!(counterexample, None);
    }
}

/// Goal: nothing is shown that has nothing to do with it.
#[test]
fn a_stale_read_in_a_long_history_is_shown_alone() {
    let mut row = String::new();
    for n in 0..200 {
        row += &format!("{} w {} {} {};", n % 3, n + 1, 4 * n, 4 * n + 1);
        let seen = if n == 150 { n } else { n + 1 };
        row += &format!("{} r {seen} {} {};", n % 3 + 3, 4 * n + 2, 4 * n + 3);
    }
    let found = counterexample(ModelKind::CasRegister, &row);
    assert_eq!(indexes(&found), [596, 600, 602]);
    assert_eq!(found.culprit, 2);
    assert_eq!(found.prefix_events, 2 * 151 * 2);
    assert!(found.confirmed && found.minimal);
    assert!(found.core.iter().all(|core| !core.weakened));
    assert_eq!(
        found.explanation,
        [
            "the read of 150 by process 3 on n3 is of a value already overwritten: the write of \
             151 by process 0 on n0 began after every write of 150 had ended and ended 1 ms before \
             it began"
        ]
    );
}

#[test]
fn each_kind_of_violation_has_its_words() {
    let rows = [
        (
            "0 w 1 0 1; 1 r 5 2 3",
            "the read of 5 by process 1 on n1 is of a value that nothing wrote",
        ),
        (
            "1 r 5 2 3; 0 w 5 6 7",
            "ended 3 ms before the first write of 5, by process 0 on n0, began",
        ),
        (
            "0 w 5 0 x; 1 r 5 2 3",
            "would have written, which failed and so must never take effect",
        ),
        (
            "0 w 1 0 1; 1 r 0 5 6",
            "by process 0 on n0 (nothing writes 0, the initial value) ended 4 ms",
        ),
        (
            "0 w 1 0 9; 1 r 1 1 2; 2 r 0 3 4",
            "after the write of 1 by process 0, then the read of 1 by process 1, the value is 1: \
             no place for the read of 0 by process 2",
        ),
        (
            "0 c 5:1 0 1",
            "the cas from 5 to 1 by process 0 on n0 is of a value that nothing wrote",
        ),
        (
            "0 m 0:1 0 1",
            "at the start the value is 0: no place for the cas that found another value",
        ),
    ];
    for (row, expected) in rows {
        let found = counterexample(ModelKind::CasRegister, row);
        let text = found.explanation.join("\n");
        assert!(text.contains(expected), "{row}\n{text}");
    }
    let rows = [
        (
            "0 a x 0 1; 0 a y 2 3; 1 g yx 4 5",
            "the value is \"xy\": no place for the get of \"yx\"",
        ),
        (
            "0 a x 0 1; 0 a y 2 3; 1 g x 4 5",
            "the get of \"x\" by process 1 on n1 does not show the append of \"y\" by process 0 on \
             n0, which ended 1 ms before it began",
        ),
        // A put that may have come after the append could explain why it is not there.
        (
            "2 p z 0 4; 0 a y 2 3; 1 g x 5 6",
            "no place for the get of \"x\"",
        ),
    ];
    for (row, expected) in rows {
        let text = counterexample(ModelKind::Kv, row).explanation.join("\n");
        assert!(text.contains(expected), "{row}\n{text}");
    }
}

/// Goal: what only its beginning matters of is shown as such, in words and picture.
#[test]
fn weakened_and_unknown_operations_are_marked() {
    let row = "0 w 1 0 10; 1 r 1 1 2; 2 r 0 3 4";
    let found = counterexample(ModelKind::CasRegister, row);
    let weakened: Vec<bool> = found.core.iter().map(|core| core.weakened).collect();
    assert_eq!(weakened, [true, false, false]);
    assert!(
        found
            .core
            .iter()
            .all(|core| core.operation.outcome == Outcome::Ok)
    );
    let picture = [
        "|---------------------->",
        "    |----|",
        "             |----|",
    ];
    assert_eq!(lanes(&found, 100), picture);
    assert!(
        lanes(&found, 0)
            .iter()
            .all(|lane| lane.chars().count() <= 8)
    );
}

#[test]
fn the_json_of_a_counterexample_names_its_operations() {
    let found = counterexample(ModelKind::CasRegister, "0 w@k 1 0 1; 1 r@k 0 2 3");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["key"], "k");
    assert_eq!(json["culprit"], 1);
    let read = &json["operations"][1];
    let expected = serde_json::json!({
        "index": 2, "end_index": 3, "process": 1, "f": "read", "key": "k", "input": null,
        "output": 0, "outcome": "ok", "invoked_ns": 2_000_001, "ended_ns": 3_000_001,
        "node": "n1", "error": null, "line": null, "weakened": false
    });
    assert_eq!(*read, expected);
}

/// Goal: of a set that lacks one element it is shown who added that, and who did not find it; not the
/// additions of all that was found besides. Method: many elements, one of them lost, and the text.
#[test]
fn a_lost_element_is_explained_without_all_the_others() {
    let mut row = String::new();
    let mut found = Vec::new();
    for element in 0..40 {
        row += &format!(
            "{} add {element} -> nil @{} {};",
            element % 3,
            4 * element,
            4 * element + 1
        );
        found.push(element.to_string());
        if element % 10 == 9 {
            let shown = found.join(" ");
            row += &format!(
                "7 read nil -> [{shown}] @{} {};",
                4 * element + 2,
                4 * element + 3
            );
        }
    }
    found.remove(17);
    row += &format!("8 read nil -> [{}] @200 201", found.join(" "));
    let judged = judged(ModelKind::Set, &row);
    let shown = judged.counterexample.expect("a counterexample");
    assert!(shown.confirmed && shown.minimal, "{shown:#?}");
    // Added at 68, and shown by the reads at 78, 118 and 158: any of them contradicts the last.
    assert_eq!(shown.core.len(), 2, "{shown:#?}");
    assert_eq!(indexes(&shown)[1], 200);
    assert_eq!(shown.prefix_events, 90);
    let why = shown.explanation.join("\n");
    assert!(why.contains("read of 17 as missing"), "{why}");
}

/// Goal: of a list that cannot be, it is shown which elements it cannot have, not who appended all that is
/// there besides. Method: many elements, and a last read that is wrong in one of the ways there are.
#[test]
fn what_is_wrong_about_a_list_is_explained_without_all_its_other_elements() {
    let right: Vec<i64> = (0..40).collect();
    let changed = |change: fn(&mut Vec<i64>)| {
        let mut list = right.clone();
        change(&mut list);
        list
    };
    let rows = [
        (changed(|list| list.truncate(30)), 2, "read without 30"),
        (
            changed(|list| list.retain(|one| *one != 17)),
            2,
            "read without 17",
        ),
        (
            changed(|list| list.swap(38, 39)),
            3,
            "read with 39 before 38",
        ),
        (
            changed(|list| list.swap(12, 13)),
            3,
            "read with 13 before 12",
        ),
        (changed(|list| list.push(99)), 1, "read with 99"),
        (changed(|list| list.insert(20, 99)), 1, "read with 99"),
        (changed(|list| list.push(7)), 2, "read with 7 and then 7"),
    ];
    for (wrong, operations, what) in rows {
        let mut row = String::new();
        for element in &right {
            let (from, list) = (4 * element, &right[..=*element as usize]);
            row += &format!(
                "{} append {element} -> nil @{from} {};",
                element % 3,
                from + 1
            );
            if element % 10 == 9 {
                row += &format!("7 read nil -> {list:?} @{} {};", from + 2, from + 3);
            }
        }
        row += &format!("8 read nil -> {wrong:?} @200 201");
        let judged = judged(ModelKind::AppendList, &row);
        let reason = judged.check.reason.clone().unwrap_or_default();
        assert!(reason.contains(what), "{what}: {reason}");
        let shown = judged.counterexample.expect("a counterexample");
        assert!(shown.confirmed && shown.minimal, "{what}: {shown:#?}");
        assert_eq!(shown.core.len(), operations, "{what}: {shown:#?}");
        assert_eq!(indexes(&shown).last(), Some(&200), "{what}");
    }
}

/// Goal: of a count that goes back two reads are shown, not all that was added before; but not where
/// something is taken away between them. Method: many additions, some of unknown outcome, and a late read of less.
#[test]
fn a_count_that_goes_back_is_explained_without_the_additions() {
    for (between, operations) in [("", Some(2)), ("3 add -9 -> nil @190 191;", None)] {
        let mut row = String::new();
        for number in 0..40 {
            let from = 4 * number;
            row += &match number % 8 {
                3 => format!("{} add 1 -> ? @{from} ?;", 100 + number),
                _ => format!("{} add 1 -> nil @{from} {};", number % 3, from + 1),
            };
        }
        row += &format!("7 read nil -> 37 @180 181; {between} 8 read nil -> 30 @200 201");
        let judged = judged(ModelKind::Counter, &row);
        let shown = judged.counterexample;
        assert_eq!(shown.is_none(), operations.is_none(), "{shown:#?}");
        if let Some(shown) = shown {
            assert!(shown.confirmed && shown.minimal, "{shown:#?}");
            assert_eq!(indexes(&shown), [180, 200]);
            let reason = judged.check.reason.unwrap_or_default();
            assert!(reason.contains("read of less than 3"), "{reason}");
        }
    }
}
