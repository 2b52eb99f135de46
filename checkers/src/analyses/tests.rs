//! Every verdict is held against rows judged by hand, against the models (whoever breaks a rule is
//! not linearizable either), and against histories of systems that are right.

use std::sync::Arc;

use histories::{History, Operation, Outcome, Point, Value};
use seeds::Stream;

use super::*;
use crate::testing::{chance, samples};
use crate::{ModelKind, ModelOptions, linearizability};
use Verdict::{Invalid, Unknown, Valid};

fn initial(analysis: Analysis) -> Option<Value> {
    let bank = "{0 2, 1 2}";
    (analysis == Analysis::Bank).then(|| histories::edn::parse_value(bank).unwrap())
}

fn judge(analysis: Analysis, mut operations: Vec<Operation>) -> Check {
    operations.sort_by_key(|operation| operation.invoked.index);
    let history = History::from_operations(&operations);
    let initial = initial(analysis);
    let context = AnalysisContext {
        settled_index: None,
        consistency: &[],
        initial: initial.as_ref(),
        linearizable: None,
        limits: &Limits::default(),
        cancel: &Cancel::new(),
    };
    analysis.check(&history.operations(), &context)
}

fn count(check: &Check, name: &str) -> u64 {
    let findings = check.findings.as_ref().unwrap();
    let found = findings.counts.iter().find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| panic!("no count {name}: {check:#?}"))
        .1
}

/// A history, the verdict, and what is counted.
type Row<'a> = (&'a str, Verdict, &'a [(&'a str, u64)]);

#[track_caller]
fn rows(analysis: Analysis, rows: &[Row<'_>]) {
    for (row, verdict, counts) in rows {
        let check = judge(analysis, samples(row));
        assert_eq!(check.verdict, *verdict, "{row}\n{check:#?}");
        assert_eq!(
            check.reason.is_some(),
            *verdict != Valid,
            "{row}\n{check:#?}"
        );
        for (name, expected) in *counts {
            assert_eq!(count(&check, name), *expected, "{name}: {row}\n{check:#?}");
        }
        for anomaly in &check.findings.as_ref().unwrap().anomalies {
            assert!(!anomaly.operations.is_empty(), "{row}\n{check:#?}");
        }
    }
}

#[test]
fn sets() {
    rows(
        Analysis::Set,
        &[
            ("", Unknown, &[("acknowledged", 0)]),
            ("add 1 -> nil", Unknown, &[("never read", 1)]),
            (
                "add 1 -> ?; read nil -> []",
                Unknown,
                &[("attempts", 1), ("acknowledged", 0)],
            ),
            (
                "add 1 -> nil; read nil -> [1]",
                Valid,
                &[("acknowledged", 1), ("read", 1), ("lost", 0)],
            ),
            ("add 1 -> nil; read nil -> nil", Invalid, &[("lost", 1)]),
            // Under way together: it need not be there yet.
            (
                "add 1 -> nil @0 5; 1 read nil -> [] @4 6",
                Unknown,
                &[("lost", 0), ("never read", 1)],
            ),
            (
                "add 1 -> nil @0 5; 1 read nil -> [1] @1 2",
                Valid,
                &[("read", 1)],
            ),
            // Found once, it is known, whatever became of the add.
            (
                "add 1 -> ?; read nil -> [1]; read nil -> []; add 2 -> nil; read nil -> [2]",
                Invalid,
                &[("recovered", 1), ("lost", 0), ("vanished", 1)],
            ),
            // Acknowledged only when it was gone, and looked for by nobody since; and looked for.
            (
                "add 1 -> nil @0 9; 1 read nil -> [1] @1 2; 2 read nil -> [] @3 4",
                Invalid,
                &[("lost", 0), ("vanished", 1)],
            ),
            (
                "add 1 -> nil @0 5; 1 read nil -> [1] @1 2; 2 read nil -> [] @6 7",
                Invalid,
                &[("lost", 1), ("vanished", 0)],
            ),
            (
                "add 1 -> nil; read nil -> []; read nil -> [1]",
                Valid,
                &[("stale", 1), ("lost", 0)],
            ),
            // A read that was under way with the one that missed it may be older.
            (
                "add 1 -> nil @0 1; 1 read nil -> [1] @2 9; 2 read nil -> [] @3 4",
                Valid,
                &[("stale", 1)],
            ),
            (
                "add 1 -> nil; read nil -> [1 1]",
                Invalid,
                &[("duplicated", 1)],
            ),
            (
                "add 1 -> nil; read nil -> [1 2]",
                Invalid,
                &[("unexpected", 1)],
            ),
            (
                "add 1 -> x; add 2 -> nil; read nil -> [1 2]",
                Invalid,
                &[("unexpected", 1)],
            ),
            (
                "read nil -> [1] @0 1; add 1 -> nil @2 3; read nil -> [1] @4 5",
                Invalid,
                &[("unexpected", 1)],
            ),
            (
                "add 1 -> nil; remove 1 -> nil; read nil -> []",
                Valid,
                &[("lost", 0)],
            ),
            (
                "add 1 -> nil; pop 1 -> nil; read nil -> [1]",
                Unknown,
                &[("strange", 1)],
            ),
            ("broadcast 1 -> nil; read nil -> [1]", Valid, &[]),
            (
                "add@a 1 -> nil; read@a nil -> [1]; read@b nil -> []",
                Valid,
                &[("lost", 0)],
            ),
            (
                "add@a 1 -> nil; read@a nil -> [1]; add@b 1 -> nil; read@b nil -> []",
                Invalid,
                &[("lost", 1)],
            ),
        ],
    );
}

#[test]
fn the_time_that_an_element_was_missing_is_measured() {
    let row =
        "add 1 -> nil @0 10; read nil -> [] @20 21; read nil -> [] @40 41; read nil -> [1] @50 51";
    let found = judge(Analysis::Set, samples(row)).findings.unwrap();
    let [latency] = &found.latencies[..] else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (latency.name, latency.count, latency.max_ns),
        ("stale for", 1, 30_000_000)
    );
    let row =
        "add 1 -> nil @0 10; read nil -> [1] @20 21; read nil -> [] @40 41; read nil -> [] @50 51";
    let found = judge(Analysis::Set, samples(row)).findings.unwrap();
    let [latency] = &found.latencies[..] else {
        panic!("{found:#?}")
    };
    assert_eq!((latency.name, latency.max_ns), ("lost after", 30_000_000));
}

#[test]
fn logs() {
    rows(
        Analysis::Log,
        &[
            (
                "append 1 -> nil; append 2 -> nil; read nil -> [1 2]; read nil -> [1 2]",
                Valid,
                &[],
            ),
            (
                "append 1 -> nil @0 9; 1 append 2 -> nil @1 9; 2 read nil -> [1] @2 8; 3 read nil -> [1 2] @10 11",
                Valid,
                &[("lost", 0)],
            ),
            (
                "append 1 -> nil; append 2 -> nil; read nil -> [1 2]; read nil -> [2 1]",
                Invalid,
                &[("reordered", 1)],
            ),
            (
                "append 1 -> nil @0 3; 1 append 2 -> nil @1 3; 2 append 3 -> nil @2 9; read nil -> [2 3] @4 5; \
          read nil -> [1 2 3] @6 7",
                Invalid,
                &[("gaps", 1), ("stale", 1), ("lost", 0)],
            ),
            (
                "append 1 -> nil; append 1 -> nil; read nil -> [1 1]",
                Valid,
                &[("duplicated", 0)],
            ),
            (
                "append 1 -> nil; read nil -> [1 1]",
                Invalid,
                &[("duplicated", 1)],
            ),
            ("append 1 -> nil; read nil -> []", Invalid, &[("lost", 1)]),
        ],
    );
}

#[test]
fn ids() {
    rows(
        Analysis::UniqueIds,
        &[
            ("", Unknown, &[]),
            (
                "generate nil -> ?",
                Unknown,
                &[("attempts", 1), ("acknowledged", 0)],
            ),
            (
                "generate nil -> 1; generate nil -> \"1\"",
                Valid,
                &[("acknowledged", 2)],
            ),
            (
                "generate nil -> 1; generate nil -> 2; generate nil -> 1",
                Invalid,
                &[("duplicated", 1)],
            ),
            (
                "generate nil -> 1; generate nil -> nil",
                Unknown,
                &[("without an id", 1)],
            ),
            (
                "generate nil -> 1; read nil -> 1",
                Unknown,
                &[("strange", 1)],
            ),
        ],
    );
}

#[test]
fn counters() {
    rows(
        Analysis::Counter,
        &[
            (
                "add 5 -> nil; read nil -> 5",
                Valid,
                &[("reads", 1), ("acknowledged", 1)],
            ),
            ("add 5 -> nil", Unknown, &[]),
            ("read nil -> 0", Unknown, &[]),
            ("add 5 -> nil; read nil -> 4", Invalid, &[("too low", 1)]),
            ("add 5 -> nil; read nil -> 6", Invalid, &[("too high", 1)]),
            (
                "add 5 -> ?; add 1 -> nil; read nil -> 6; read nil -> 1",
                Valid,
                &[],
            ),
            (
                "add -5 -> ?; add 1 -> nil; read nil -> -4; read nil -> -5",
                Invalid,
                &[("too low", 1)],
            ),
            (
                "add 5 -> x; add 1 -> nil; read nil -> 6",
                Invalid,
                &[("too high", 1)],
            ),
            (
                "add 5 -> nil @0 9; 1 read nil -> 0 @1 2; 2 read nil -> 5 @3 4",
                Valid,
                &[],
            ),
            (
                "increment nil -> nil; decrement 3 -> nil; read nil -> -2",
                Valid,
                &[],
            ),
            ("add-and-get 2 -> 2; read nil -> 2", Valid, &[]),
            ("add-and-get 2 -> 1", Invalid, &[("too low", 1)]),
            ("add-and-get -2 -> 0", Invalid, &[("too high", 1)]),
        ],
    );
    rows(
        Analysis::FinalCounter,
        &[
            (
                "add 5 -> nil @0 9; read nil -> 7 @1 2; read nil -> 5 @10 11",
                Valid,
                &[("final reads", 1)],
            ),
            (
                "add 5 -> nil @0 9; read nil -> 5 @1 2",
                Unknown,
                &[("reads", 1), ("final reads", 0)],
            ),
            // 3 or 4 or both, and nothing in between.
            (
                "add 1 -> nil; add 3 -> ?; add 4 -> ?; read nil -> 8; read nil -> 5; read nil -> 1",
                Valid,
                &[],
            ),
            (
                "add 1 -> nil; add 3 -> ?; add 4 -> ?; read nil -> 6",
                Invalid,
                &[("impossible", 1)],
            ),
            (
                "add 1 -> nil; read nil -> 4; add 3 -> ?",
                Invalid,
                &[("impossible", 1)],
            ),
        ],
    );
}

#[test]
fn queues() {
    let table: &[Row<'_>] = &[
        (
            "enqueue 1 -> nil; dequeue nil -> 1",
            Valid,
            &[("delivered", 1)],
        ),
        ("dequeue nil -> nil", Unknown, &[]),
        ("enqueue 1 -> nil", Unknown, &[("not looked for", 1)]),
        (
            "enqueue 1 -> nil; dequeue nil -> nil",
            Invalid,
            &[("lost", 1)],
        ),
        (
            "enqueue 1 -> nil @0 5; 1 dequeue nil -> nil @4 6",
            Unknown,
            &[("lost", 0), ("not looked for", 1)],
        ),
        // Whoever got no answer may have got the value.
        (
            "enqueue 1 -> nil; dequeue nil -> ?; dequeue nil -> nil",
            Valid,
            &[("lost", 0), ("perhaps taken", 1)],
        ),
        (
            "enqueue 1 -> nil; enqueue 2 -> nil; dequeue nil -> ?; dequeue nil -> nil",
            Invalid,
            &[("lost", 1), ("perhaps taken", 1)],
        ),
        (
            "enqueue 1 -> nil; dequeue nil -> nil @2 3; dequeue nil -> ? @4 ?",
            Invalid,
            &[("lost", 1)],
        ),
        (
            "enqueue 1 -> ?; enqueue 2 -> nil; dequeue nil -> 2; dequeue nil -> nil",
            Valid,
            &[("lost", 0)],
        ),
        (
            "enqueue 1 -> nil; dequeue nil -> 1; dequeue nil -> 1",
            Invalid,
            &[("duplicated", 1)],
        ),
        (
            "enqueue 1 -> nil; dequeue nil -> 1; dequeue nil -> 2",
            Invalid,
            &[("unexpected", 1)],
        ),
        (
            "enqueue 2 -> x; enqueue 1 -> nil; dequeue nil -> 2; dequeue nil -> 1",
            Invalid,
            &[("unexpected", 1)],
        ),
        (
            "enqueue 1 -> nil; enqueue 2 -> nil; drain nil -> [1 2]",
            Valid,
            &[("delivered", 2)],
        ),
        ("enqueue 1 -> nil; drain nil -> []", Invalid, &[("lost", 1)]),
        (
            "enqueue 1 -> nil; drain nil -> ?; drain nil -> []",
            Valid,
            &[("perhaps taken", 1)],
        ),
    ];
    rows(Analysis::Queue, table);
    rows(Analysis::UnorderedQueue, table);
    let swapped = "enqueue 1 -> nil; enqueue 2 -> nil; dequeue nil -> 2; dequeue nil -> 1";
    rows(
        Analysis::Queue,
        &[(swapped, Invalid, &[("out of order", 1)])],
    );
    rows(
        Analysis::UnorderedQueue,
        &[(swapped, Valid, &[("out of order", 1)])],
    );
    let late = "enqueue 1 -> nil; dequeue nil -> nil; dequeue nil -> 1";
    rows(Analysis::Queue, &[(late, Invalid, &[("wrongly empty", 1)])]);
    rows(
        Analysis::UnorderedQueue,
        &[(late, Valid, &[("wrongly empty", 1)])],
    );
    rows(
        Analysis::Queue,
        &[
            (
                "enqueue 1 -> nil @0 9; 1 enqueue 2 -> nil @1 9; dequeue nil -> 2 @10 11; dequeue nil -> 1 @12 13",
                Valid,
                &[("out of order", 0)],
            ),
            (
                "enqueue 1 -> nil; enqueue 2 -> nil; 1 dequeue nil -> 2 @10 13; 2 dequeue nil -> 1 @12 15",
                Valid,
                &[("out of order", 0)],
            ),
        ],
    );
}

#[test]
fn locks() {
    rows(
        Analysis::Lock,
        &[
            ("", Unknown, &[]),
            (
                "acquire nil -> false; release nil -> true",
                Unknown,
                &[("refused", 1), ("granted", 0)],
            ),
            (
                "0 acquire nil -> true @0 1; 0 release nil -> true @2 3; 1 acquire nil -> true @4 5",
                Valid,
                &[("granted", 2), ("released", 1)],
            ),
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @2 3; 0 release nil -> true @4 5",
                Invalid,
                &[("two holders", 1)],
            ),
            // The release may have taken effect as soon as it began.
            (
                "0 acquire nil -> true @0 1; 0 release nil -> true @2 9; 1 acquire nil -> true @3 4",
                Valid,
                &[],
            ),
            (
                "0 acquire nil -> true @0 1; 0 release nil -> ? @2 ?; 1 acquire nil -> true @3 4",
                Valid,
                &[],
            ),
            // Never given back, and its process did nothing any more: a lease may have expired.
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @3 4",
                Valid,
                &[("two holders", 0)],
            ),
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @3 4; 0 acquire nil -> false @5 6",
                Invalid,
                &[("two holders", 1)],
            ),
            (
                "0 acquire nil -> ? @0 ?; 1 acquire nil -> true @3 4; 0 release nil -> true @5 6",
                Valid,
                &[("unknown", 1)],
            ),
            // The name in the argument counts, not the process.
            (
                "0 acquire \"a\" -> true @0 1; 1 release \"a\" -> true @2 3; 0 acquire \"b\" -> true @4 5",
                Valid,
                &[],
            ),
            // A third holder, while the first one still has it.
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @2 3; 1 release nil -> true @4 5; \
          2 acquire nil -> true @6 7; 0 release nil -> true @8 9",
                Invalid,
                &[("two holders", 2)],
            ),
            (
                "0 acquire nil -> 1 @0 1; 0 release nil -> true @2 3; 1 acquire nil -> 2 @4 5",
                Valid,
                &[],
            ),
            (
                "0 acquire nil -> 2 @0 1; 0 release nil -> true @2 3; 1 acquire nil -> 1 @4 5",
                Invalid,
                &[("tokens not larger", 1)],
            ),
            (
                "0 acquire nil -> 2 @0 1; 0 release nil -> true @2 3; 1 acquire nil -> {token 2} @4 5",
                Invalid,
                &[("tokens given twice", 1)],
            ),
            (
                "0 acquire nil -> 1 @0 1; 0 write 1 -> true @2 3; 1 write 2 -> true @4 5; 0 write 1 -> false @6 7",
                Valid,
                &[("writes refused", 1)],
            ),
            (
                "0 acquire nil -> 1 @0 1; 1 write 2 -> true @4 5; 0 write {token 1} -> true @6 7",
                Invalid,
                &[("stale writes accepted", 1)],
            ),
            ("0 acquire [1] -> true", Unknown, &[("strange", 1)]),
        ],
    );
}

#[test]
fn elections() {
    rows(
        Analysis::LeaderElection,
        &[
            ("leader nil -> nil", Unknown, &[("answers", 0)]),
            (
                "campaign \"a\" -> {leader \"a\", term 1}; leader nil -> {leader \"a\", term 1}",
                Valid,
                &[("won", 1), ("answers", 2), ("terms", 1)],
            ),
            (
                "campaign \"a\" -> {leader \"a\", term 1}; leader nil -> {leader \"b\", term 1}",
                Invalid,
                &[("two leaders", 1)],
            ),
            (
                "leader@x nil -> {leader \"a\", term 1}; leader@y nil -> {leader \"b\", term 1}",
                Valid,
                &[],
            ),
            (
                "leader nil -> {leader \"a\", term 2}; leader nil -> {leader \"b\", term 1}",
                Valid,
                &[("stale", 1)],
            ),
            (
                "leader nil -> {leader \"a\", term 2}; campaign \"b\" -> {leader \"b\", term 1}",
                Invalid,
                &[("old terms won", 1)],
            ),
            (
                "campaign \"b\" -> {leader \"b\", term 1}; campaign \"a\" -> {leader \"a\", term 2}; \
          leader nil -> {leader \"a\", term 2}; leader nil -> {leader \"b\", term 1}",
                Invalid,
                &[("no agreement", 1)],
            ),
            (
                "campaign \"b\" -> {leader \"b\", term 1}; campaign \"a\" -> ?; \
          leader nil -> {leader \"a\", term 2}; leader nil -> {leader \"b\", term 1}",
                Valid,
                &[("no agreement", 0), ("stale", 1)],
            ),
            (
                "leader nil -> {term 4}; leader nil -> {leader \"a\", term 1}",
                Valid,
                &[("answers", 1)],
            ),
            (
                "leader nil -> 7; leader nil -> {leader \"a\", term 1}",
                Unknown,
                &[("strange", 1)],
            ),
        ],
    );
}

#[test]
fn watches() {
    rows(
        Analysis::Watch,
        &[
            ("", Unknown, &[]),
            (
                "put \"a\" -> 3; watch 1 -> [[3 \"a\"]]",
                Valid,
                &[("events", 1)],
            ),
            (
                "put \"a\" -> {revision 3}; watch 1 -> [{revision 3, value \"a\"}]",
                Valid,
                &[("events", 1)],
            ),
            (
                "put \"a\" -> 3; watch 1 -> []",
                Unknown,
                &[("never watched", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 1 -> [[4 \"b\"]]",
                Invalid,
                &[("gaps", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 4 -> [[4 \"b\"]]",
                Unknown,
                &[("gaps", 0), ("never watched", 1)],
            ),
            // Where it goes on, nothing may be left out either.
            (
                "put \"a\" -> 3; put \"b\" -> 4; put \"c\" -> 5; watch nil -> [[3 \"a\"]]; watch nil -> [[5 \"c\"]]",
                Invalid,
                &[("gaps", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch nil -> [[3 \"a\"] [4 \"b\"]]; watch nil -> [[3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 3 -> [[3 \"a\"] [4 \"b\"]]; watch 3 -> [[3 \"a\"]]",
                Valid,
                &[],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 1 -> [[4 \"b\"] [3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; watch 1 -> [[3 \"a\"] [3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; watch 4 -> [[3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; watch 1 -> [[3 \"b\"]]",
                Invalid,
                &[("contradictions", 1), ("unexpected", 1)],
            ),
            (
                "put \"a\" -> ?; put \"b\" -> 4; watch 1 -> [[3 \"a\"] [4 \"b\"]]; 1 watch 1 -> [[4 \"b\"]]",
                Invalid,
                &[("gaps", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 2; watch 1 -> [[2 \"b\"] [3 \"a\"]]",
                Invalid,
                &[("revisions went back", 1)],
            ),
            (
                "put \"a\" -> 3; delete nil -> 4; watch 1 -> [[3 \"a\"] [4 nil]]",
                Valid,
                &[],
            ),
            (
                "watch 1 -> [[3 \"a\"]] @0 1; put \"a\" -> 3 @2 3",
                Invalid,
                &[("unexpected", 1)],
            ),
        ],
    );
}

#[test]
fn banks() {
    let fork = "0 transfer {from 0, to 1, amount 1} -> true @0 9; 1 transfer {from 1, to 0, amount 2} -> true @1 9; \
                2 read nil -> {0 1, 1 3} @2 8; 3 read nil -> {0 4, 1 0} @3 8";
    rows(
        Analysis::Bank,
        &[
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 1, 1 3}",
                Valid,
                &[("acknowledged", 1)],
            ),
            ("read nil -> {0 2, 1 2}", Unknown, &[]),
            ("transfer {from 0, to 1, amount 1} -> true", Unknown, &[]),
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 1, 1 2}",
                Invalid,
                &[("wrong totals", 1)],
            ),
            (
                "transfer {from 0, to 1, amount 3} -> true; read nil -> {0 -1, 1 5}",
                Invalid,
                &[("overdrawn", 1)],
            ),
            // Late, which one order explains.
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 2, 1 2}",
                Valid,
                &[("forks", 0)],
            ),
            (fork, Invalid, &[("forks", 1)]),
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 0, 1 4}",
                Invalid,
                &[("forks", 1)],
            ),
            (
                "transfer {from 0, to 1, amount 1} -> ?; transfer {from 0, to 1, amount 5} -> false; \
          transfer {from 1, to 0, amount 1} -> true; read nil -> {0 3, 1 1}",
                Valid,
                &[("refused", 1)],
            ),
        ],
    );
    let check = judge(Analysis::Bank, samples(fork));
    let anomaly = &check.findings.unwrap().anomalies[0];
    assert_eq!(anomaly.operations.len(), 4, "{anomaly:#?}");
}

/// What one of a few operations of a model asks and may be answered.
fn random_call(kind: ModelKind, chance: &mut Stream) -> (&'static str, Value, Value) {
    let small = |chance: &mut Stream| Value::Int(chance.below(3).cast_signed());
    let list = |chance: &mut Stream| {
        let length = chance.below(4);
        Value::List((0..length).map(|_| small(chance)).collect())
    };
    let truth = |chance: &mut Stream| Value::Bool(chance.below(2) == 0);
    let updates = chance.below(2) == 0;
    match kind {
        ModelKind::Set | ModelKind::AppendList => {
            let add = if kind == ModelKind::Set {
                "add"
            } else {
                "append"
            };
            match updates {
                true => (add, small(chance), Value::Nil),
                false => ("read", Value::Nil, list(chance)),
            }
        }
        ModelKind::Counter => match updates {
            true => (
                "add",
                Value::Int(chance.below(5).cast_signed() - 2),
                Value::Nil,
            ),
            false => (
                "read",
                Value::Nil,
                Value::Int(chance.below(7).cast_signed() - 3),
            ),
        },
        ModelKind::FifoQueue => match (updates, chance.below(3)) {
            (true, _) => ("enqueue", small(chance), Value::Nil),
            (false, 0) => ("dequeue", Value::Nil, Value::Nil),
            (false, _) => ("dequeue", Value::Nil, small(chance)),
        },
        ModelKind::Mutex => match updates {
            true => ("acquire", Value::Nil, truth(chance)),
            false => ("release", Value::Nil, truth(chance)),
        },
        ModelKind::FencedLock => match (updates, chance.below(4)) {
            (true, 0) => ("acquire", Value::Nil, false.into()),
            (true, _) => ("acquire", Value::Nil, small(chance)),
            (false, _) => ("release", Value::Nil, truth(chance)),
        },
        _ => {
            let from = chance.below(2).cast_signed();
            let amount = Value::Int(chance.below(2).cast_signed() + 1);
            let transfer = [
                ("from", from.into()),
                ("to", (1 - from).into()),
                ("amount", amount),
            ];
            let transfer = transfer.map(|(name, value)| (Value::from(name), value));
            let left = chance.below(5).cast_signed();
            let balances = vec![(0.into(), left.into()), (1.into(), (4 - left).into())];
            match updates {
                true => ("transfer", Value::Map(transfer.into()), truth(chance)),
                false => ("read", Value::Nil, Value::Map(balances)),
            }
        }
    }
}

/// A few operations at random times.
fn random_operations(
    chance: &mut Stream,
    count: u64,
    mut call: impl FnMut(&mut Stream) -> (&'static str, Value, Value),
) -> Vec<Operation> {
    let mut times: Vec<u64> = (0..2 * count).collect();
    for place in (1..times.len()).rev() {
        times.swap(place, chance.below(place as u64 + 1) as usize);
    }
    let mut operations: Vec<Operation> = times
        .chunks(2)
        .map(|pair| {
            let (f, input, output) = call(chance);
            let outcome = match chance.below(8) {
                0 => Outcome::Info,
                1 => Outcome::Fail,
                _ => Outcome::Ok,
            };
            let is_ok = outcome == Outcome::Ok;
            let point = |index: u64| Point {
                index,
                time_ns: index * 1_000,
            };
            Operation {
                process: chance.below(3),
                f: Arc::from(f),
                key: None,
                input,
                output: if is_ok { output } else { Value::Nil },
                outcome,
                invoked: point(pair[0].min(pair[1])),
                ended: is_ok.then(|| point(pair[0].max(pair[1]))),
                node: None,
                error: None,
                path: Vec::new(),
                line: None,
            }
        })
        .collect();
    operations.sort_by_key(|operation| operation.invoked.index);
    operations
}

/// Whoever breaks a rule is not linearizable: an `invalid` here is one there, too. The other way
/// round need not be; that it often is shows that the rules are worth having.
#[test]
fn what_is_invalid_is_not_linearizable_either() {
    for (analysis, kind) in [
        (Analysis::Set, ModelKind::Set),
        (Analysis::Log, ModelKind::AppendList),
        (Analysis::Counter, ModelKind::Counter),
        (Analysis::FinalCounter, ModelKind::Counter),
        (Analysis::Queue, ModelKind::FifoQueue),
        (Analysis::UnorderedQueue, ModelKind::FifoQueue),
        (Analysis::Lock, ModelKind::Mutex),
        (Analysis::Lock, ModelKind::FencedLock),
        (Analysis::Bank, ModelKind::Bank),
    ] {
        let options = ModelOptions {
            initial: initial(analysis),
            ..ModelOptions::new(kind)
        };
        let (mut found, mut clean) = (0, 0);
        for seed in 0..2_000 {
            let mut chance = chance(seed);
            let count = 2 + chance.below(5);
            let operations =
                random_operations(&mut chance, count, |chance| random_call(kind, chance));
            let check = judge(analysis, operations.clone());
            let history = History::from_operations(&operations);
            let limits = Limits {
                threads: 1,
                ..Limits::default()
            };
            let judged = linearizability(&history.operations(), &options, &limits, &Cancel::new());
            let verdict = judged.unwrap().check.verdict;
            if check.verdict == Invalid {
                found += 1;
                assert_eq!(
                    verdict, Invalid,
                    "{analysis} {kind}\n{operations:#?}\n{check:#?}"
                );
            }
            clean += usize::from(verdict == Valid && check.verdict != Invalid);
        }
        assert!(
            found > 20 && clean > 20,
            "{analysis} {kind}: {found} found, {clean} clean"
        );
    }
}

/// Nothing makes a check fail, and nothing meaningless is valid.
#[test]
fn any_operations_are_judged() {
    const NAMES: [&str; 20] = [
        "add",
        "append",
        "broadcast",
        "read",
        "remove",
        "enqueue",
        "dequeue",
        "drain",
        "acquire",
        "release",
        "write",
        "campaign",
        "leader",
        "increment",
        "add-and-get",
        "generate",
        "put",
        "watch",
        "transfer",
        "nothing",
    ];
    fn value(chance: &mut Stream, depth: u64) -> Value {
        match chance.below(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Nil,
            1 => Value::Bool(true),
            2 => Value::Int(i64::MAX),
            3 => Value::Int(chance.below(3).cast_signed()),
            4 => Value::Int(i64::MIN),
            5 => Value::List(
                (0..chance.below(4))
                    .map(|_| value(chance, depth - 1))
                    .collect(),
            ),
            6 => Value::List(vec![Value::Int(1), value(chance, depth - 1)]),
            _ => {
                let names = [
                    "leader", "term", "token", "revision", "value", "from", "amount",
                ];
                let entry = |name: &&str| (Value::from(*name), value(chance, 0));
                Value::Map(names.iter().map(entry).collect())
            }
        }
    }
    for seed in 0..3_000 {
        let mut chance = chance(seed);
        let count = chance.below(12);
        let operations = random_operations(&mut chance, count, |chance| {
            let name = NAMES[chance.below(NAMES.len() as u64) as usize];
            (name, value(chance, 2), value(chance, 2))
        });
        for analysis in Analysis::ALL {
            let check = judge(analysis, operations.clone());
            let nothing = operations
                .iter()
                .all(|operation| operation.outcome != Outcome::Ok);
            assert!(
                !nothing || check.verdict != Valid,
                "{analysis} {operations:#?}"
            );
            assert!(check.findings.is_some());
        }
    }
}

#[test]
fn every_name_is_its_own_check() {
    for analysis in Analysis::ALL {
        assert_eq!(analysis.as_str().parse(), Ok(analysis));
    }
    let error = "sets".parse::<Analysis>().unwrap_err().to_string();
    assert!(
        error.contains("known: set, queue, unordered-queue, lock"),
        "{error}"
    );
}
