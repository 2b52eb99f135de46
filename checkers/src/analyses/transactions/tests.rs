use histories::Point;

use super::*;
use crate::{Cancel, Limits, Verdict};

mod oracle;

/// A row is transactions separated by `;`: `0-3 ok a1=2 r1=[2 3]`, from which event to which, how it
/// ended, and what it did: `a` appends, `w` writes, `r` reads, key before and value after the `=`.
/// Each transaction is of a process of its own.
fn operations(row: &str) -> Vec<Operation> {
    let txns = row.split(';').map(str::trim).filter(|txn| !txn.is_empty());
    txns.zip(0..)
        .map(|(txn, process)| operation(txn, process))
        .collect()
}

fn operation(txn: &str, process: u64) -> Operation {
    let (span, rest) = txn.split_once(' ').expect("a span");
    let (outcome, steps) = rest.split_once(' ').expect("an outcome");
    let (from, to) = span.split_once('-').expect("two events");
    let point = |index: &str| {
        let index = index.parse().expect("an event");
        Point {
            index,
            time_ns: index,
        }
    };
    let steps = Value::List(steps.split(", ").map(step).collect());
    let outcome = match outcome {
        "ok" => histories::Outcome::Ok,
        "fail" => histories::Outcome::Fail,
        _ => histories::Outcome::Info,
    };
    let is_ok = outcome == histories::Outcome::Ok;
    Operation {
        process,
        f: "txn".into(),
        key: None,
        input: steps.clone(),
        output: if is_ok { steps } else { Value::Nil },
        outcome,
        invoked: point(from),
        ended: Some(point(to)),
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    }
}

fn step(step: &str) -> Value {
    let (what, value) = step.split_once('=').unwrap_or((step, ""));
    let (f, key) = what.split_at(1);
    let f = match f {
        "a" => "append",
        other => other,
    };
    if value.is_empty() {
        return Value::List(vec![f.into(), int(key)]);
    }
    let value = match value.strip_prefix('[') {
        Some(list) => {
            let words = list.trim_end_matches(']').split_whitespace();
            Value::List(words.map(int).collect())
        }
        None if value == "nil" => Value::Nil,
        None => int(value),
    };
    Value::List(vec![f.into(), int(key), value])
}

fn int(word: &str) -> Value {
    Value::Int(word.parse().expect("a number"))
}

fn judge(row: &str, objects: Objects, wanted: &[Consistency]) -> Check {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let context = AnalysisContext {
        initial: None,
        linearizable: None,
        settled_index: None,
        consistency: wanted,
        limits: &limits,
        cancel: &cancel,
    };
    check(&operations(row), objects, &context)
}

/// Requires the anomalies of a row, by kind, and that exactly the models that forbid them are held
/// to be violated.
fn shows(row: &str, objects: Objects, kinds: &[&str]) {
    for wanted in Consistency::ALL {
        let check = judge(row, objects, &[wanted]);
        let findings = check.findings.as_ref().expect("counted");
        let mut found: Vec<&str> = findings.anomalies.iter().map(|one| one.kind).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, kinds, "{row}: {check:?}");
        let expected = match kinds.iter().any(|kind| wanted.forbids(kind)) {
            true => Verdict::Invalid,
            false => Verdict::Valid,
        };
        assert_eq!(check.verdict, expected, "{row} under {wanted}: {check:?}");
    }
}

#[test]
fn anomalies_of_lists() {
    let rows: [(&str, &[&str]); 30] = [
        ("0-1 ok a1=1; 2-3 ok r1=[1]", &[]),
        ("0-1 ok a1=1, r1=[1], a1=2, r1=[1 2]; 2-3 ok r1=[1 2]", &[]),
        ("0-3 ok a1=1; 1-4 ok a1=2; 5-6 ok r1=[2 1]", &[]),
        // Of unknown outcome: it may have happened, or not.
        ("0-9 info a1=1; 2-3 ok r1=[]; 4-5 ok r1=[1]", &[]),
        ("0-9 info a1=1, a2=1; 2-3 ok r1=[], r2=[]", &[]),
        // What was seen in part is there as a whole.
        ("0-9 info a1=1, a2=1; 2-3 ok r1=[1], r2=[]", &["G-single"]),
        // Two interleave.
        (
            "0-2 ok a1=1, a2=1; 1-3 ok a1=2, a2=2; 4-5 ok r1=[1 2], r2=[2 1]",
            &["G0"],
        ),
        // One appends in the middle of another.
        ("0-2 ok a1=1, a1=3; 1-3 ok a1=2; 4-5 ok r1=[1 2 3]", &["G0"]),
        ("0-1 fail a1=1; 2-3 ok r1=[1]", &["G1a"]),
        (
            "0-3 ok a1=1, a1=2; 1-2 ok r1=[1]; 4-5 ok r1=[1 2]",
            &["G1b", "G-single"],
        ),
        ("0-2 ok a1=1, r2=[2]; 1-3 ok a2=2, r1=[1]", &["G1c"]),
        (
            "0-9 ok a1=1; 1-8 ok a1=2; 2-3 ok r1=[1 2]; 4-5 ok r1=[2]",
            &["incompatible-order"],
        ),
        // Half of what one transaction appended, or in another order.
        (
            "0-9 ok a1=1, a1=2; 2-3 ok r1=[2]",
            &["G-single", "incompatible-order"],
        ),
        (
            "0-9 ok a1=1, a1=2; 1-8 ok a1=3; 2-3 ok r1=[2 1 3]",
            &["incompatible-order"],
        ),
        ("0-9 ok a1=1; 2-3 ok r1=[1 1]", &["duplicate-elements"]),
        ("0-9 ok a1=1; 2-3 ok r1=[1 7]", &["unwritten"]),
        ("0-9 ok a1=1; 2-3 ok r1=[7 1]", &["unwritten"]),
        ("0-1 ok a1=1; 2-3 ok a1=2, r1=[1]", &["internal"]),
        ("0-1 ok r1=[1], a1=1", &["future-read"]),
        ("0-1 ok a1=1, r1=[2 1], a1=2", &["future-read"]),
        // What is still to be read may be left out.
        ("0-9 info a1=1, r1; 2-3 ok r1=[1]", &[]),
        ("0-9 ok a1=1; 2-3 ok r1=[], r1=[1]", &["internal"]),
        // A lost update: both read nothing and appended.
        (
            "0-2 ok r1=[], a1=1; 1-3 ok r1=[], a1=2; 4-5 ok r1=[1 2]",
            &["G-single", "lost-update"],
        ),
        // And another that nobody read.
        (
            "0-2 ok r1=[], a1=1; 1-3 ok r1=[], a1=2",
            &["G-single", "lost-update"],
        ),
        // The second appended to key 1 what the third had not seen, and had seen key 2 before it.
        (
            "0-9 ok a2=5; 1-8 ok r2=[5], r1=[], a1=1; 2-7 ok r2=[], a1=2",
            &["G-single"],
        ),
        // Each overwrote what the other had read of a key, and wrote there too.
        (
            "0-2 ok r1=[], a1=1, a2=1; 1-3 ok r2=[], a2=2, a1=2",
            &["G-single"],
        ),
        // Write skew.
        (
            "0-2 ok r1=[], a2=1; 1-3 ok r2=[], a1=1; 4-5 ok r1=[1], r2=[1]",
            &["G2-item"],
        ),
        // A long fork: two readers disagree about which of two appends came first.
        (
            "0-9 ok a1=1; 1-8 ok a2=1; 2-5 ok r1=[1], r2=[]; 3-6 ok r1=[], r2=[1]",
            &["G-nonadjacent"],
        ),
        // Stale reads.
        (
            "0-1 ok a1=1; 2-3 ok r1=[]; 4-5 ok r1=[1]",
            &["G-single-realtime"],
        ),
        // Acknowledged and never read again.
        ("0-1 ok a1=1; 2-3 ok r1=[]", &["G-single-realtime"]),
    ];
    for (row, kinds) in rows {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        shows(row, Objects::Lists, &kinds);
    }
}

#[test]
fn anomalies_of_registers() {
    let rows: [(&str, &[&str]); 19] = [
        ("0-1 ok w1=1; 2-3 ok r1=1", &[]),
        (
            "0-1 ok r1=nil, w1=1, r1=1; 2-3 ok r1=1, w1=2; 4-5 ok r1=2",
            &[],
        ),
        // Without a read nobody knows which came later.
        ("0-3 ok w1=1; 1-4 ok w1=2; 5-6 ok r1=1; 7-8 ok r1=1", &[]),
        ("0-9 info w1=1; 2-3 ok r1=nil; 4-5 ok r1=1", &[]),
        ("0-9 info w1=1, w2=1; 2-3 ok r1=1, r2=nil", &["G-single"]),
        ("0-1 fail w1=1; 2-3 ok r1=1", &["G1a"]),
        ("0-3 ok w1=1, w1=2; 1-2 ok r1=1", &["G1b"]),
        ("0-2 ok w1=1, r2=2; 1-3 ok w2=2, r1=1", &["G1c"]),
        ("0-9 ok w1=1; 2-3 ok r1=7", &["unwritten"]),
        ("0-1 ok w1=1; 2-3 ok w1=2, r1=1", &["internal"]),
        ("0-1 ok r1=1, w1=1", &["future-read"]),
        // Overwritten before the read began, and by whom is said by nothing but time.
        (
            "0-1 ok w1=1; 2-3 ok w1=2; 4-5 ok r1=1",
            &["G-single-realtime"],
        ),
        ("0-2 ok w1=1; 1-3 ok w1=2; 4-5 ok r1=1", &[]),
        ("0-1 ok w1=1; 2-9 info w1=2; 4-5 ok r1=1", &[]),
        (
            "0-1 ok w1=1; 2-3 info w1=2; 4-5 ok r1=2; 6-7 ok r1=1",
            &["G-single-realtime"],
        ),
        // A lost update.
        (
            "0-1 ok w1=1; 2-4 ok r1=1, w1=2; 3-5 ok r1=1, w1=3; 6-7 ok r1=3, w1=4",
            &["G-single", "lost-update"],
        ),
        ("0-2 ok r1=nil, w2=1; 1-3 ok r2=nil, w1=1", &["G2-item"]),
        (
            "0-9 ok w1=1; 1-8 ok w2=1; 2-5 ok r1=1, r2=nil; 3-6 ok r1=nil, r2=1",
            &["G-nonadjacent"],
        ),
        ("0-1 ok w1=1; 2-3 ok r1=nil", &["G-single-realtime"]),
    ];
    for (row, kinds) in rows {
        shows(row, Objects::Registers, kinds);
    }
    // Each read what the other wrote, and wrote after it.
    let check = judge(
        "0-2 ok r1=1, w1=2; 1-3 ok r1=2, w1=1",
        Objects::Registers,
        &[],
    );
    assert_eq!(check.verdict, Verdict::Invalid, "{check:?}");
    assert!(
        check
            .reason
            .is_some_and(|why| why.contains("cyclic-versions"))
    );
}

#[test]
fn what_says_nothing_is_unknown() {
    for row in [
        "",
        "0-1 ok a1=1",
        "0-1 fail r1=[]",
        "0-1 ok a1=1; 2-3 ok a1=1; 4-5 ok r1=[1]",
    ] {
        let check = judge(row, Objects::Lists, &[]);
        assert_eq!(check.verdict, Verdict::Unknown, "{row}: {check:?}");
    }
    // Registers are no lists.
    let check = judge("0-1 ok w1=1; 2-3 ok r1=1", Objects::Lists, &[]);
    assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
}

#[test]
fn a_circle_is_told_step_by_step() {
    let row = "0-2 ok r1=[], a2=1; 1-3 ok r2=[], a1=1; 4-5 ok r1=[1], r2=[1]";
    let check = judge(row, Objects::Lists, &[]);
    let reason = check.reason.expect("invalid");
    for part in [
        "G2-item (1)",
        "operation 0 read key 1 before operation 1 wrote 1 there",
        "operation 1 read key 2 before operation 0 wrote 1 there",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    let last = check.details.last().expect("what holds");
    assert!(
        last.contains("nothing contradicts read-uncommitted, read-committed, snapshot-isolation"),
        "{last}"
    );
}

/// What a serial execution made is never blamed, whatever is lost of its answers.
#[test]
fn serial_executions_are_never_blamed() {
    use std::collections::BTreeMap;
    for seed in 0..200 {
        let mut stream = seeds::Stream::new(seed, seeds::Purpose::Client, 0);
        let mut lists: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut next = 0;
        let mut rows = Vec::new();
        for number in 0..30 {
            let outcome = ["ok", "ok", "ok", "info", "fail"][stream.below(5) as usize];
            let happens = outcome == "ok" || outcome == "info" && stream.chance(1, 2);
            let mut after = lists.clone();
            let steps: Vec<String> = (0..=stream.below(3))
                .map(|_| {
                    let key = stream.below(3);
                    let list = after.entry(key).or_default();
                    if stream.chance(1, 2) {
                        next += 1;
                        list.push(next);
                        return format!("a{key}={next}");
                    }
                    let words: Vec<String> = list.iter().map(u64::to_string).collect();
                    format!("r{key}=[{}]", words.join(" "))
                })
                .collect();
            // Each takes effect in the middle of its time, and overlaps the one before and after.
            let (from, to) = (4 * number, 4 * number + 7);
            rows.push(format!("{from}-{to} {outcome} {}", steps.join(", ")));
            if happens {
                lists = after;
            }
        }
        let row = rows.join("; ");
        let check = judge(&row, Objects::Lists, &[]);
        assert_ne!(
            check.verdict,
            Verdict::Invalid,
            "seed {seed}: {row}: {check:?}"
        );
    }
}
