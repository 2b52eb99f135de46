//! What is mended against every order tried.

use std::sync::Arc;

use super::*;
use crate::testing::{chance, random_intervals};
use crate::{Cancel, Kv, KvOp, Limits, NilReads, oracle};

const NODES_MAX: u64 = 10_000_000;

/// A key that is put, appended to and deleted, where it is there or missing about as often; what is found is
/// mostly what was left lately.
fn history(seed: u64) -> Vec<Interval<KvOp>> {
    let mut chance = chance(seed);
    let (count, width) = (4 + chance.below(6) as usize, 2 + chance.below(3) as usize);
    let (mut there, mut next): (Option<Arc<str>>, _) = (None, 0_u8);
    random_intervals(&mut chance, count, width, |chance| {
        let mut new = || {
            next += 1;
            char::from(b'a' + next).to_string()
        };
        let lately = there.clone();
        let op = match chance.below(10) {
            0..=1 => KvOp::Put(new().into()),
            2..=3 => KvOp::Append(new().into()),
            4..=6 => KvOp::DeleteFound,
            7 => KvOp::Mismatch(lately),
            8 => KvOp::Get(None),
            _ => KvOp::Get(lately),
        };
        there = match &op {
            KvOp::Put(text) => Some(Arc::clone(text)),
            KvOp::Append(text) => Some([there.as_deref().unwrap_or(""), text].concat().into()),
            KvOp::DeleteFound => None,
            _ => there.clone(),
        };
        op
    })
}

/// Goal: what is mended is an order, and nearly always one is found where there is one. Method: random
/// histories whose views allow more, against the oracle.
#[test]
fn what_is_mended_is_an_order() {
    let model = Kv::new(None, NilReads::default()).unwrap();
    let budget = Budget::new(&Limits::default(), &Cancel::new());
    let (mut right, mut changed, mut missed, mut none) = (0, 0, 0, 0);
    for seed in 0..6_000 {
        let mut history = history(seed);
        history.sort_by_key(|interval| interval.begins);
        history.retain(|interval| interval.ends.is_some() || !model.is_observer(&interval.op));
        let Some(view) = model.register_view(&None, &history) else {
            continue;
        };
        if !view.allows_more {
            continue;
        }
        let registers = RegisterHistory::from_view(&view, &history);
        let truth = oracle::is_linearizable(&model, &None, &history, NODES_MAX).unwrap();
        let mended = mend(&model, &None, &history, &registers, &budget);
        assert_eq!(
            mended.is_some(),
            has_order(&model, &None, &history, &registers, &budget),
            "{history:#?}"
        );
        match (truth, mended) {
            (false, Some(order)) => panic!("{order:?} of {history:#?}"),
            (true, Some(order)) => {
                right += 1;
                let as_viewed = registers::order(&registers, &budget);
                changed += u32::from(as_viewed != Some(order));
            }
            (true, None) => missed += 1,
            (false, None) => none += 1,
        }
    }
    assert!(
        right > 500 && changed > 50 && none > 500,
        "{right} {changed} {none}"
    );
    assert!(missed < right / 100, "{missed} of {right}");
}
