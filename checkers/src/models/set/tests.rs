//! What operations on a set mean.

use histories::Value;

use super::{Element, Set, SetOp};
use crate::monitors::compare::{every, without_unobserved};
use crate::oracle::Interval;
use crate::testing::{judge_rows, samples};
use crate::{Model, ModelKind, ModelOptions, NilReads, Verdict};

fn set() -> Set {
    Set::new(None, NilReads::Observe).unwrap()
}

fn element(value: i64) -> Element {
    Element {
        set: Value::Nil,
        value: Value::Int(value),
    }
}

#[test]
fn operations_mean_what_they_say() {
    let rows = [
        ("add 5 -> nil", Some(SetOp::Add(element(5)))),
        ("add 5 -> 5", Some(SetOp::Add(element(5)))),
        ("add 5 -> true", Some(SetOp::AddNew(element(5)))),
        ("add 5 -> false", Some(SetOp::Contains(element(5), true))),
        ("add 5 -> ?", Some(SetOp::Add(element(5)))),
        ("remove 5 -> nil", Some(SetOp::Remove(element(5)))),
        ("remove 5 -> true", Some(SetOp::RemoveFound(element(5)))),
        (
            "remove 5 -> false",
            Some(SetOp::Contains(element(5), false)),
        ),
        (
            "contains 5 -> true",
            Some(SetOp::Contains(element(5), true)),
        ),
        ("read 5 -> false", Some(SetOp::Contains(element(5), false))),
        ("contains 5 -> ?", None),
        ("read nil -> ?", None),
    ];
    for (row, expected) in rows {
        assert_eq!(set().parse(&samples(row)[0]), Ok(expected), "{row}");
    }
    for row in ["read nil -> [2 1]", "read nil -> #{1 2}"] {
        let shown = [Value::Int(1), Value::Int(2)].as_slice().into();
        let expected = SetOp::ReadAll(Value::Nil, shown);
        assert_eq!(set().parse(&samples(row)[0]), Ok(Some(expected)), "{row}");
    }
    let any = Set::new(None, NilReads::Any).unwrap();
    assert_eq!(any.parse(&samples("read nil -> nil")[0]), Ok(None));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let rows = [
        ("add nil -> nil", "an element as argument"),
        ("add 1 -> 7", "whether the set changed"),
        ("contains 1 -> nil", "true or false: whether"),
        ("read nil -> nil", "the list of all elements"),
        ("read nil -> true", "the list of all elements"),
        ("union 1 -> nil", "expects add, remove, contains, or read"),
    ];
    for (row, expected) in rows {
        let message = set().parse(&samples(row)[0]).unwrap_err().to_string();
        assert!(message.contains(expected), "{row}: {message}");
    }
    let error = Set::new(Some(&Value::Int(1)), NilReads::Observe).unwrap_err();
    assert!(error.to_string().contains("a list of elements"), "{error}");
}

#[test]
fn set_histories() {
    use Verdict::{Invalid, Valid};
    let options = |initial| ModelOptions {
        initial,
        ..ModelOptions::new("set".parse::<ModelKind>().unwrap())
    };
    judge_rows(
        &options(None),
        &[
            (
                "add 1 -> nil; contains 1 -> true; remove 1 -> true; add 1 -> true",
                Valid,
            ),
            ("add 1 -> nil; remove 1 -> nil; contains 1 -> true", Invalid),
            ("add 1 -> true; add 2 -> true; add 1 -> true", Invalid),
            (
                "add@a 1 -> nil; contains@b 1 -> false; contains@a 1 -> true",
                Valid,
            ),
            (
                "add 1 -> nil; add 2 -> ?; read nil -> [1 2]; read nil -> #{2 1}",
                Valid,
            ),
            ("add 1 -> nil; add 2 -> ?; read nil -> [2]", Invalid),
            (
                "add 1 -> nil; remove 1 -> ?; read nil -> [1]; read nil -> []",
                Valid,
            ),
            (
                "add 1 -> nil; remove 1 -> ?; read nil -> []; read nil -> [1]",
                Invalid,
            ),
            ("add 1 -> nil; read nil -> [1 1]", Invalid),
        ],
    );
    judge_rows(
        &options(Some(Value::List(vec![Value::Int(1), Value::Int(2)]))),
        &[
            (
                "read nil -> [1 2]; remove 1 -> true; read nil -> [2]",
                Valid,
            ),
            (
                "contains 1 -> true; contains 3 -> false; add 2 -> false",
                Valid,
            ),
            ("remove 2 -> nil; read nil -> [2]", Invalid),
        ],
    );
}

fn ops() -> Vec<SetOp> {
    vec![
        SetOp::Add(element(1)),
        SetOp::AddNew(element(1)),
        SetOp::Remove(element(1)),
        SetOp::RemoveFound(element(1)),
        SetOp::Contains(element(1), true),
        SetOp::Contains(element(1), false),
        SetOp::ReadAll(Value::Nil, [Value::Int(1)].as_slice().into()),
        SetOp::ReadAll(Value::Nil, [].as_slice().into()),
    ]
}

/// Goal: what the model leaves out makes no difference. Method: every small history with and
/// without.
#[test]
fn leaving_out_the_unobserved_changes_nothing() {
    every(
        3,
        &ops(),
        |_| true,
        |history| without_unobserved(&set(), history),
    )
    .assert_right();
}

/// Goal: an element is the register it is said to be. Method: every step from every state.
#[test]
fn an_element_is_a_register() {
    use crate::Access;
    let element_ops = &ops()[..6];
    let set = set();
    let out = set.initial(None);
    let inside = set.step(&out, &element_ops[0]).unwrap();
    let history: Vec<Interval<SetOp>> = (0..)
        .zip(element_ops)
        .map(|(begins, op)| Interval {
            op: op.clone(),
            begins,
            ends: None,
        })
        .collect();
    let view = set.register_view(&out, &history).unwrap();
    // 0 is what it starts with: out.
    for (op, access) in element_ops.iter().zip(view.accesses) {
        for (state, held) in [(&out, 0), (&inside, 1)] {
            let next = match access {
                Access::Read(value) => (held == value).then_some(held),
                Access::Write(value) => Some(value),
                Access::Cas(from, to) => (held == from).then_some(to),
                Access::Not(value) => (held != value).then_some(held),
            };
            let next = next.map(|held| if held == 0 { &out } else { &inside });
            assert_eq!(set.step(state, op).as_ref(), next, "{op:?}");
        }
    }
    let mixed: Vec<Interval<SetOp>> = (0..)
        .zip(ops())
        .map(|(begins, op)| Interval {
            op,
            begins,
            ends: None,
        })
        .collect();
    assert_eq!(set.register_view(&out, &mixed), None);
}
