//! What operations on a lock mean.

use histories::Value;

use super::{Mutex, MutexOp};
use crate::models::Owner;
use crate::monitors::compare::{every, without_unobserved_from};
use crate::testing::{judge_rows, samples};
use crate::{Model, ModelKind, ModelOptions, Verdict};

fn mutex() -> Mutex {
    Mutex::new(None).unwrap()
}

#[test]
fn operations_mean_what_they_say() {
    let process = Owner::Process(3);
    let client = Owner::Client("a".into());
    let rows = [
        ("3 acquire nil -> nil", MutexOp::Acquire(process.clone())),
        ("3 acquire nil -> true", MutexOp::Acquire(process.clone())),
        ("3 acquire nil -> ?", MutexOp::Acquire(process.clone())),
        ("3 acquire nil -> false", MutexOp::AcquireRefused),
        ("3 release nil -> nil", MutexOp::Release(process.clone())),
        ("3 release nil -> false", MutexOp::ReleaseRefused(process)),
        ("3 acquire a -> a", MutexOp::Acquire(client.clone())),
        ("4 release {:client a} -> ?", MutexOp::Release(client)),
    ];
    for (row, expected) in rows {
        assert_eq!(mutex().parse(&samples(row)[0]), Ok(Some(expected)), "{row}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let rows = [
        ("acquire [1] -> nil", "with the argument [1]"),
        ("acquire nil -> 17", "fenced-lock knows tokens"),
        ("lock nil -> nil", "expects acquire or release"),
    ];
    for (row, expected) in rows {
        let message = mutex().parse(&samples(row)[0]).unwrap_err().to_string();
        assert!(message.contains(expected), "{row}: {message}");
    }
    let error = Mutex::new(Some(&Value::Int(1))).unwrap_err();
    assert!(error.to_string().contains("a lock starts free"), "{error}");
}

#[test]
fn mutex_histories() {
    use Verdict::{Invalid, Valid};
    judge_rows(
        &ModelOptions::new("mutex".parse::<ModelKind>().unwrap()),
        &[
            (
                "1 acquire nil -> nil; 1 release nil -> nil; 2 acquire nil -> nil",
                Valid,
            ),
            ("1 acquire nil -> nil; 2 acquire nil -> nil", Invalid),
            (
                "1 acquire nil -> nil; 2 acquire nil -> false; 2 release nil -> false",
                Valid,
            ),
            ("2 acquire nil -> false", Invalid),
            ("1 acquire nil -> nil; 1 acquire nil -> nil", Invalid),
            ("1 acquire nil -> nil; 2 release nil -> nil", Invalid),
            // The process that goes on for one of unknown outcome is another owner.
            ("1 acquire nil -> ?; 11 release nil -> nil", Invalid),
            ("1 acquire a -> ?; 11 release a -> nil", Valid),
            (
                "1 acquire a -> nil; 1 release a -> ?; 2 acquire b -> nil",
                Valid,
            ),
            (
                "1 acquire a -> nil; 2 acquire b -> nil; 1 release a -> ?",
                Invalid,
            ),
            ("1 acquire@x nil -> nil; 2 acquire@y nil -> nil", Valid),
        ],
    );
}

/// Goal: what the model leaves out makes no difference. Method: every small history with and
/// without.
#[test]
fn leaving_out_the_unobserved_changes_nothing() {
    let (one, two) = (Owner::Process(1), Owner::Process(2));
    let ops = [
        MutexOp::Acquire(one.clone()),
        MutexOp::Release(one.clone()),
        MutexOp::Acquire(two.clone()),
        MutexOp::Release(two.clone()),
        MutexOp::AcquireRefused,
        MutexOp::ReleaseRefused(one.clone()),
    ];
    let starts = [
        vec![None],
        vec![None, Some(one.clone()), Some(two)],
        vec![Some(one)],
    ];
    for starts in starts {
        for (count, ops) in [(3, &ops[..]), (4, &ops[..4])] {
            let judge = |history: &[_]| without_unobserved_from(&mutex(), &starts, history);
            every(count, ops, |_| true, judge).assert_right();
        }
    }
}
