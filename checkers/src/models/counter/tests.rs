//! What operations on a counter mean.

use histories::Value;

use super::{Counter, CounterOp};
use crate::monitors::compare::{every, without_unobserved};
use crate::testing::{judge_rows, samples};
use crate::{Model, ModelKind, ModelOptions, NilReads, Verdict};

fn counter() -> Counter {
    Counter::new(None, NilReads::Observe).unwrap()
}

#[test]
fn operations_mean_what_they_say() {
    let rows = [
        ("add 5 -> nil", Some(CounterOp::Add(5))),
        ("add -5 -> -5", Some(CounterOp::Add(-5))),
        ("increment nil -> true", Some(CounterOp::Add(1))),
        ("increment 2 -> ?", Some(CounterOp::Add(2))),
        ("decrement nil -> nil", Some(CounterOp::Add(-1))),
        ("decrement 3 -> 3", Some(CounterOp::Add(-3))),
        ("add-and-get 3 -> 7", Some(CounterOp::AddAndGet(3, 7))),
        ("add-and-get 3 -> ?", Some(CounterOp::Add(3))),
        ("read nil -> 7", Some(CounterOp::Read(7))),
        ("get nil -> ?", None),
    ];
    for (row, expected) in rows {
        assert_eq!(counter().parse(&samples(row)[0]), Ok(expected), "{row}");
    }
    let any = Counter::new(None, NilReads::Any).unwrap();
    assert_eq!(any.parse(&samples("read nil -> nil")[0]), Ok(None));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let rows = [
        ("add x -> nil", "the argument \"x\""),
        (
            "increment 1 -> 7",
            "hint: add-and-get answers the new value",
        ),
        (
            "increment nil -> false",
            "fail is for a change that was not made",
        ),
        ("add-and-get 1 -> nil", "the whole number it led to"),
        ("read nil -> nil", "read with the result nil"),
        ("write 1 -> nil", "expects add or increment"),
        ("decrement -9223372036854775808 -> nil", "a smaller number"),
    ];
    for (row, expected) in rows {
        let message = counter().parse(&samples(row)[0]).unwrap_err().to_string();
        assert!(message.contains(expected), "{row}: {message}");
    }
    let error = Counter::new(Some(&"x".into()), NilReads::Observe).unwrap_err();
    assert!(error.to_string().contains("a whole number"), "{error}");
}

#[test]
fn counter_histories() {
    use Verdict::{Invalid, Valid};
    let options = |initial| ModelOptions {
        initial,
        ..ModelOptions::new("counter".parse::<ModelKind>().unwrap())
    };
    judge_rows(
        &options(None),
        &[
            ("add 2 -> nil; add 3 -> nil; read nil -> 5", Valid),
            (
                "add 2 -> nil; add 3 -> ?; read nil -> 5; add 2 -> nil; read nil -> 7",
                Valid,
            ),
            (
                "increment nil -> nil; increment nil -> ?; read nil -> 3",
                Invalid,
            ),
            ("increment nil -> nil; read nil -> 0", Invalid),
            (
                "0 add 1 -> nil @0 9; 1 add 2 -> nil @1 8; 2 read nil -> 2 @2 5",
                Valid,
            ),
            (
                "0 add 1 -> nil @0 9; 1 add 2 -> nil @1 3; 2 read nil -> 1 @4 5",
                Invalid,
            ),
            ("add@a 1 -> nil; read@b nil -> 0; read@a nil -> 1", Valid),
        ],
    );
    judge_rows(
        &options(Some(Value::Int(7))),
        &[
            (
                "read nil -> 7; add-and-get 1 -> 8; decrement nil -> nil; read nil -> 7",
                Valid,
            ),
            ("add-and-get 1 -> 1", Invalid),
        ],
    );
}

/// Goal: what the model leaves out makes no difference. Method: every small history with and
/// without.
#[test]
fn leaving_out_the_unobserved_changes_nothing() {
    let ops = [
        CounterOp::Add(1),
        CounterOp::AddAndGet(1, 1),
        CounterOp::Read(1),
    ];
    every(
        3,
        &ops,
        |_| true,
        |history| without_unobserved(&counter(), history),
    )
    .assert_right();
}
