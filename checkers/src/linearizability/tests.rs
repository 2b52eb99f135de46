//! Whole checks on rows of operations: what each small history means.

use histories::{History, Operation, Outcome, Value};

use super::decide_all;
use crate::dispatch::Finding;
use crate::limits::{Budget, Exhausted};
use crate::normalise;
use crate::subject::Subject;
use crate::testing::{history_of, judge_rows, operations, samples, value};
use crate::{
    Cancel, JudgeError, Judgement, Kv, Limits, ModelKind, ModelOptions, NilReads, Verdict,
    linearizability,
};

use Verdict::{Invalid, Valid};

fn judge(options: &ModelOptions, row: &str) -> Judgement {
    judge_within(
        options,
        &operations(row),
        &Limits::default(),
        &Cancel::new(),
    )
    .unwrap()
}

fn judge_within(
    options: &ModelOptions,
    operations: &[Operation],
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Judgement, JudgeError> {
    let history = History::from_operations(operations);
    linearizability(&history.operations(), options, limits, cancel)
}

fn check(options: &ModelOptions, row: &str, expected: Verdict) {
    let judgement = judge(options, row);
    assert_eq!(judgement.check.verdict, expected, "{row}\n{judgement:#?}");
    assert_eq!(
        judgement.counterexample.is_some(),
        expected == Invalid,
        "{row}"
    );
    assert_eq!(
        judgement.check.reason.is_some(),
        expected == Invalid,
        "{row}"
    );
    if let Some(counterexample) = judgement.counterexample {
        assert!(
            counterexample.confirmed && counterexample.minimal,
            "{row}\n{counterexample:#?}"
        );
        assert!(
            !counterexample.explanation.is_empty(),
            "{row}\n{counterexample:#?}"
        );
    }
}

fn cas_register() -> ModelOptions {
    ModelOptions {
        initial: Some(Value::Int(0)),
        ..ModelOptions::new(ModelKind::CasRegister)
    }
}

#[test]
fn register_histories() {
    let rows = [
        ("", Valid),
        ("0 r 0 0 1", Valid),
        ("0 r nil 0 1", Invalid),
        ("0 w 1 0 1; 0 r 1 2 3", Valid),
        ("0 w 1 0 1; 0 r 0 2 3", Invalid),
        // Overlapping, a read may see either.
        ("0 w 1 0 3; 1 r 0 1 2", Valid),
        ("0 w 1 0 3; 1 r 1 1 2", Valid),
        ("0 w 1 0 9; 1 r 1 1 2; 2 r 0 3 4", Invalid),
        // An unknown write may take effect late, after its process has gone on, or never.
        ("0 w 1 0 ?; 1 r 0 1 2; 1 r 1 3 4", Valid),
        ("0 w 1 0 ?; 0 r 0 1 2; 0 w 2 3 4; 1 r 1 5 6", Valid),
        ("0 w 1 0 ?; 1 r 1 1 2; 1 r 0 3 4", Invalid),
        // But not before it began.
        ("1 r 1 0 1; 0 w 1 2 ?", Invalid),
        // A failed write never takes effect.
        ("0 w 1 0 x; 1 r 1 2 3", Invalid),
        ("0 w 1 0 x; 1 r 0 2 3", Valid),
        ("0 r 5 0 ?; 0 r 7 0 x", Valid),
        // Everything unknown.
        ("0 w 1 0 ?; 1 c 5:6 1 ?; 2 r 9 2 ?", Valid),
    ];
    for (row, expected) in rows {
        check(&cas_register(), row, expected);
    }
}

#[test]
fn cas_histories() {
    let rows = [
        ("0 c 0:1 0 1; 1 r 1 2 3", Valid),
        ("0 c 5:1 0 1", Invalid),
        // A cas that found another value observed that.
        ("0 m 0:1 0 1", Invalid),
        ("0 m 5:1 0 1; 1 r 0 2 3", Valid),
        ("0 w 1 0 9; 1 m 0:2 1 2; 2 r 0 3 4", Invalid),
        // To the same value.
        ("0 c 0:0 0 1; 1 r 0 2 3", Valid),
        ("0 c 1:1 0 1", Invalid),
        ("0 w 0 0 1; 1 c 0:1 2 3; 1 c 0:1 4 5", Invalid),
        // What one unknown cas needs, only another gives.
        ("0 c 0:1 0 ?; 1 c 1:2 1 ?; 2 r 2 2 3", Valid),
        ("0 c 0:1 0 ?; 1 c 3:2 1 ?; 2 r 2 2 3", Invalid),
        // Used up.
        ("0 c 0:1 0 ?; 1 r 1 1 2; 1 w 0 3 4; 1 r 1 5 6", Invalid),
        (
            "0 c 0:1 0 ?; 0 c 0:1 0 ?; 1 r 1 1 2; 1 w 0 3 4; 1 r 1 5 6",
            Valid,
        ),
    ];
    for (row, expected) in rows {
        check(&cas_register(), row, expected);
    }
}

#[test]
fn both_families_of_names_mean_the_same() {
    let register = ModelOptions::new(ModelKind::Register);
    check(
        &register,
        "0 p a 0 1; 0 g a 2 3; 0 w b 4 5; 0 r b 6 7",
        Valid,
    );
    check(&register, "0 p a 0 1; 0 g nil 2 3", Invalid);
    let kv = ModelOptions::new(ModelKind::Kv);
    check(&kv, "0 w a 0 1; 0 r a 2 3; 0 p 5 4 5; 0 g 5 6 7", Valid);
}

#[test]
fn keys_are_independent() {
    let options = cas_register();
    let row = "0 w@a 1 0 1; 0 w@b 2 2 3; 1 r@a 1 4 5; 1 r@b 2 6 7; 1 r@c 0 8 9";
    check(&options, row, Valid);
    assert_eq!(judge(&options, row).keys, 3);
    let row = "0 w@a 1 0 1; 0 w@b 2 2 3; 1 r@a 1 4 5; 1 r@b 0 6 7";
    check(&options, row, Invalid);
    let counterexample = judge(&options, row).counterexample.unwrap();
    assert_eq!(counterexample.key, Some(value("b")));
    assert!(
        counterexample
            .core
            .iter()
            .all(|core| core.operation.key == Some(value("b")))
    );
}

#[test]
fn reads_of_nil_as_the_options_say() {
    let any = ModelOptions {
        nil_reads: NilReads::Any,
        ..cas_register()
    };
    check(&any, "0 w 1 0 1; 0 r nil 2 3", Valid);
    check(&cas_register(), "0 w 1 0 1; 0 r nil 2 3", Invalid);
    let kv = ModelOptions {
        nil_reads: NilReads::Any,
        ..ModelOptions::new(ModelKind::Kv)
    };
    check(&kv, "0 p a 0 1; 0 g nil 2 3", Valid);
}

#[test]
fn kv_histories() {
    let options = ModelOptions::new(ModelKind::Kv);
    let rows = [
        ("0 g nil 0 1; 0 a x 2 3; 0 a y 4 5; 0 g xy 6 7", Valid),
        ("0 a x 0 1; 0 a y 2 3; 0 g yx 4 5", Invalid),
        ("0 a x 0 3; 1 a y 1 2; 0 g yx 4 5", Valid),
        // Missing is not empty.
        ("0 g EMPTY 0 1", Invalid),
        ("0 p a 0 1; 0 d nil 2 3; 0 g nil 4 5", Valid),
        ("0 p a 0 1; 0 d nil 2 3; 0 g a 4 5", Invalid),
        ("0 c nil:a 0 1; 0 g a 2 3", Valid),
        ("0 p a 0 1; 0 c nil:b 2 3", Invalid),
        ("0 a x 0 ?; 1 g nil 1 2; 1 a y 3 4; 1 g yx 5 6", Valid),
        ("0 a x 0 ?; 1 g x 1 2; 1 g xx 3 4", Invalid),
    ];
    for (row, expected) in rows {
        let mut operations = operations(row);
        for operation in &mut operations {
            if operation.output == value("EMPTY") {
                operation.output = "".into();
            }
        }
        let judgement =
            judge_within(&options, &operations, &Limits::default(), &Cancel::new()).unwrap();
        assert_eq!(judgement.check.verdict, expected, "{row}\n{judgement:#?}");
    }
    let empty = ModelOptions {
        initial: Some("".into()),
        ..options
    };
    check(&empty, "0 g nil 0 1", Invalid);
    check(&empty, "0 a x 0 1; 0 g x 2 3", Valid);
}

#[test]
fn transactions_on_several_registers() {
    let step = |f: &str, register: &str, at: i64| {
        Value::List(vec![f.into(), register.into(), Value::Int(at)])
    };
    let initial = Value::Map(vec![
        ("x".into(), Value::Int(0)),
        ("y".into(), Value::Int(0)),
    ]);
    let options = ModelOptions {
        initial: Some(initial),
        ..ModelOptions::new(ModelKind::MultiRegister)
    };
    let judge = |txns: &[Vec<Value>]| {
        let mut operations = operations("0 txn 0 0 1; 0 txn 0 2 3; 0 txn 0 4 5");
        operations.truncate(txns.len());
        for (operation, txn) in operations.iter_mut().zip(txns) {
            operation.input = Value::List(txn.clone());
            operation.output = Value::List(txn.clone());
        }
        judge_within(&options, &operations, &Limits::default(), &Cancel::new()).unwrap()
    };
    let write = vec![step("write", "x", 1), step("write", "y", 2)];
    let judgement = judge(&[
        write.clone(),
        vec![step("read", "x", 1), step("read", "y", 2)],
    ]);
    assert_eq!((judgement.check.verdict, judgement.keys), (Valid, 1));
    let judgement = judge(&[write, vec![step("read", "x", 1), step("read", "y", 0)]]);
    assert_eq!(judgement.check.verdict, Invalid);
    // Where each touches one register only, each register is judged by itself.
    let judgement = judge(&[vec![step("w", "x", 1)], vec![step("r", "y", 0)]]);
    assert_eq!((judgement.check.verdict, judgement.keys), (Valid, 2));
    let judgement = judge(&[vec![step("w", "x", 1)], vec![step("r", "x", 0)]]);
    assert_eq!(judgement.check.verdict, Invalid);
}

/// Goal: registers never touched together, directly or through others, are judged apart; those
/// that are, are judged together. Method: transactions that join some of six registers, the
/// joining one last.
#[test]
fn registers_touched_together_are_judged_together() {
    let options = ModelOptions::new(ModelKind::MultiRegister);
    let row = |last: &str| {
        let txn = |text: &str| format!("txn [{text}] -> [{text}]");
        let txns = [
            "[:w a 1] [:w b 1]",
            "[:w c 1] [:r d nil]",
            "[:w e 1]",
            "[:w f 1]",
            last,
        ];
        samples(&txns.map(txn).join("; "))
    };
    let judge = |last: &str| {
        let judged = judge_within(&options, &row(last), &Limits::default(), &Cancel::new());
        let judged = judged.unwrap();
        let key = judged.counterexample.and_then(|found| found.key);
        (
            judged.check.verdict,
            judged.keys,
            key.map(|key| key.to_string()),
        )
    };
    assert_eq!(judge("[:r e 1]"), (Valid, 4, None));
    assert_eq!(judge("[:r b 1] [:r c 1]"), (Valid, 3, None));
    assert_eq!(judge("[:r a 1] [:r f 1] [:w e 2]"), (Valid, 2, None));
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(judge("[:r f nil]"), (Invalid, 4, named("\"f\"")));
    assert_eq!(
        judge("[:r b 1] [:r c nil]"),
        (Invalid, 3, named("[\"a\" \"b\" \"c\" \"d\"]"))
    );
    // The same registers of another key are others.
    let mut operations = row("[:r a nil] [:r b nil]");
    operations[4].key = Some(value("k"));
    let judged = judge_within(&options, &operations, &Limits::default(), &Cancel::new());
    let judged = judged.unwrap();
    assert_eq!((judged.check.verdict, judged.keys), (Valid, 5));
}

/// Goal: of events at the same time nobody knows the order; but a client knows its own.
#[test]
fn equal_times_overlap() {
    let at_same_time = |row: &str| {
        let mut operations = operations(row);
        for operation in &mut operations {
            operation.invoked.time_ns = 7;
            operation.ended = operation
                .ended
                .map(|end| histories::Point { time_ns: 7, ..end });
        }
        let limits = Limits::default();
        judge_within(&cas_register(), &operations, &limits, &Cancel::new()).unwrap()
    };
    let of_two = at_same_time("0 w 1 0 1; 1 r 0 2 3");
    assert_eq!(of_two.check.verdict, Valid);
    let of_one = at_same_time("0 w 1 0 1; 0 r 0 2 3");
    assert_eq!(of_one.check.verdict, Invalid);
    // Both at once: process 1 overlaps process 0, and its own read comes after its write.
    let of_both = at_same_time("0 w 1 0 1; 1 w 2 2 3; 1 r 0 4 5");
    assert_eq!(of_both.check.verdict, Invalid);
    let of_both = at_same_time("0 w 1 0 1; 1 w 2 2 3; 1 r 1 4 5");
    assert_eq!(of_both.check.verdict, Valid);
}

#[test]
fn what_a_model_does_not_know_is_named() {
    let rows = [
        (
            ModelKind::Register,
            "0 c 0:1 0 1",
            "the model register expects read (get) or write",
        ),
        (
            ModelKind::CasRegister,
            "0 enqueue 1 0 1",
            "has an operation \"enqueue\"",
        ),
        (
            ModelKind::CasRegister,
            "0 c 5 0 1",
            "a cas with the argument 5",
        ),
        (ModelKind::Kv, "0 p nil 0 1", "put with the value nil"),
        (ModelKind::MultiRegister, "0 txn 5 0 1", "txn with 5"),
        (
            ModelKind::Register,
            "0 w 1 5 2",
            "its end (event 2) before its beginning",
        ),
    ];
    for (kind, row, expected) in rows {
        let mut operations = operations(row);
        operations[0].line = Some(3);
        let options = ModelOptions::new(kind);
        let error = judge_within(&options, &operations, &Limits::default(), &Cancel::new());
        let message = error.unwrap_err().to_string();
        assert!(
            message.starts_with("line 3: operation ") && message.contains(expected),
            "{message}"
        );
    }
    let options = ModelOptions {
        initial: Some(Value::Int(3)),
        ..ModelOptions::new(ModelKind::MultiRegister)
    };
    let error = judge_within(&options, &[], &Limits::default(), &Cancel::new());
    assert!(error.unwrap_err().to_string().contains("as {x 0, y 0}"));
}

/// Goal: a limit is never taken for a verdict, and says how far the search came.
#[test]
fn a_limit_makes_the_verdict_unknown() {
    let options = ModelOptions::new(ModelKind::Kv);
    let operations = operations(&("9 w@k 0 0 1; 9 r@k 0 2 3;".to_owned() + &hard("k")));
    let limits = Limits {
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    let judgement = judge_within(&options, &operations, &limits, &Cancel::new()).unwrap();
    assert_eq!(judgement.check.verdict, Verdict::Unknown);
    assert_eq!(
        judgement.check.reason.as_deref(),
        Some("the memory limit of 1 MiB was reached")
    );
    let hint = judgement.check.hint.unwrap();
    assert!(
        hint.contains("--check-memory") && hint.contains("only once"),
        "{hint}"
    );
    assert_eq!(
        judgement.check.details,
        [
            "key \"k\": linearizable as far as 2 of 33 operations have ended; stuck where operation \
             90 of process 50 ends, with 31 under way and 0 of unknown outcome"
        ]
    );
    let cancel = Cancel::new();
    cancel.cancel();
    let judgement = judge_within(&options, &operations, &Limits::default(), &cancel).unwrap();
    assert_eq!(judgement.check.verdict, Verdict::Unknown);
    assert_eq!(
        judgement.check.reason.as_deref(),
        Some("the check was cancelled")
    );
}

/// Goal: an operation that is said to be done but not by when is done at some time.
#[test]
fn a_completion_without_a_time_bounds_nothing() {
    let mut operations = operations("0 w 1 0 1; 1 r 0 2 3; 1 r 1 4 5");
    operations[0].ended = None;
    assert_eq!(operations[0].outcome, Outcome::Ok);
    let options = cas_register();
    let judgement =
        judge_within(&options, &operations, &Limits::default(), &Cancel::new()).unwrap();
    assert_eq!(judgement.check.verdict, Valid);
}

/// Thirty appends under way at once, and a read that only a search of all their orders could
/// refute, for which of them a string is made of cannot be told.
fn hard(key: &str) -> String {
    let mut row = String::new();
    for n in 0..30 {
        row += &format!("{n} a@{key} {} {} {};", "x".repeat(n + 1), n + 10, n + 200);
    }
    row + &format!("50 r@{key} {} 90 190;", "x".repeat(500))
}

/// Goal: keys are judged side by side, and the worst of them counts.
#[test]
fn the_worst_of_many_keys_counts() {
    let good: String = (0..100)
        .map(|key| format!("0 w@{key} 1 {key} {key};"))
        .collect();
    let options = ModelOptions::new(ModelKind::Kv);
    check(&options, &good, Valid);
    assert_eq!(judge(&options, &good).keys, 100);
    let limits = Limits {
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    let judge =
        |row: String| judge_within(&options, &operations(&row), &limits, &Cancel::new()).unwrap();
    let unknown = judge(good.clone() + &hard("hard"));
    assert_eq!(unknown.check.verdict, Verdict::Unknown);
    let reason = unknown.check.reason.unwrap();
    assert_eq!(
        reason,
        "the memory limit of 1 MiB was reached with 1 of 101 keys undecided"
    );
    let detail = &unknown.check.details[0];
    assert!(
        detail.starts_with("key \"hard\": linearizable as far as 0 of 31"),
        "{detail}"
    );
    let bad = judge(good + &hard("hard") + "1 r@bad 7 500 501");
    assert_eq!(bad.check.verdict, Invalid);
    assert_eq!(bad.counterexample.unwrap().key, Some(value("bad")));
}

/// Goal: a violation of one key ends the search of all others. Method: the other would last until
/// a limit, which is then not what ended it.
#[test]
fn a_violation_ends_the_other_searches() {
    let history = History::from_operations(&operations(&(hard("hard") + "1 r@bad 7 500 501")));
    let model = Kv::new(None, NilReads::Observe).unwrap();
    let limits = Limits {
        threads: 2,
        ..Limits::default()
    };
    let budget = Budget::new(&limits, &Cancel::new());
    let operations = history.operations();
    let parts = normalise::parts(&model, &operations).unwrap();
    let parts: Vec<_> = parts.into_iter().map(Subject::Part).collect();
    let decided = decide_all(&model, &operations, &parts, &limits, &budget);
    let of = |key: &str| {
        let part = parts
            .iter()
            .position(|part| part.key() == Some(&value(key)));
        let decided = decided.iter().find(|decided| Some(decided.part) == part);
        &decided.unwrap().finding
    };
    assert!(matches!(of("bad"), Finding::Violated(_)));
    assert!(matches!(
        of("hard"),
        Finding::Undecided {
            limit: Exhausted::Cancelled,
            ..
        }
    ));
}

/// Goal: a contradiction that is plain to see by itself is found, though no search gets through what
/// stands beside it. Method: forty puts under way at once, a read of what none of them put, and then the
/// same appended twice, and read: nobody can say which of the two it was, so there is no special engine.
#[test]
fn a_local_contradiction_is_found_beside_what_no_search_gets_through() {
    let mut row = String::new();
    for n in 0..40 {
        row += &format!("{n} p@k v{n} {} {};", n + 10, n + 200);
    }
    row += "50 r@k nowhere 90 190; 52 a@k z 300 301; 51 p@k y 302 303; 52 a@k z 304 305; 51 r@k yz 306 307";
    let operations = operations(&row);
    let options = ModelOptions::new(ModelKind::Kv);
    let limits = Limits {
        memory_bytes: 512 << 20,
        ..Limits::default()
    };
    let judgement = judge_within(&options, &operations, &limits, &Cancel::new()).unwrap();
    assert_eq!(judgement.check.verdict, Invalid, "{judgement:#?}");
    let found = judgement.counterexample.unwrap();
    assert!(found.any_start);
    let culprit = &found.core[found.culprit].operation;
    assert_eq!(culprit.output, value("nowhere"));
}

#[test]
fn what_only_says_that_a_change_was_made_is_taken_for_that() {
    let rows = [
        (
            ModelKind::Register,
            "0 write 1 -> ACK @0 1; 1 read nil -> 1 @2 3",
        ),
        (
            ModelKind::CasRegister,
            "0 write 1 -> nil @0 1; 0 cas [1 2] -> ACK @2 3; 1 read nil -> 2 @4 5",
        ),
        (
            ModelKind::Kv,
            "0 put a -> ACK @0 1; 0 append b -> ACK @2 3; 1 get nil -> ab @4 5",
        ),
        (
            ModelKind::AppendList,
            "0 append 1 -> ACK @0 1; 1 read nil -> [1] @2 3",
        ),
        (
            ModelKind::Counter,
            "0 add 2 -> ACK @0 1; 1 read nil -> 2 @2 3",
        ),
        (
            ModelKind::FifoQueue,
            "0 enqueue 1 -> ACK @0 1; 1 dequeue nil -> 1 @2 3",
        ),
        (
            ModelKind::Stack,
            "0 push 1 -> ACK @0 1; 1 pop nil -> 1 @2 3",
        ),
    ];
    for (kind, row) in rows {
        let options = ModelOptions::new(kind);
        for said in ["nil", "true", "OK", "ok", "\"\""] {
            judge_rows(&options, &[(&row.replace("ACK", said), Valid)]);
        }
        for said in ["no", "7", "[]"] {
            let history = history_of(&row.replace("ACK", said));
            let (limits, cancel) = (Limits::default(), Cancel::new());
            let judged = linearizability(&history.operations(), &options, &limits, &cancel);
            assert!(
                matches!(judged, Err(JudgeError::Model(_))),
                "{kind:?} {said}"
            );
        }
    }
}
