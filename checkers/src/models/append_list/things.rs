//! On which elements of a list it may show that operations contradict each other.

use histories::Value;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{AppendListOp, THINGS_MAX};

/// One element each, or two, the likely ones first: what was found more often than it was appended,
/// what one read shows and another lacks, what is appended, and what two reads show in two orders.
pub(super) fn of(
    initial: &[Value],
    ops: &[&AppendListOp],
    among: &[&AppendListOp],
) -> Vec<Vec<Value>> {
    let reads: Vec<&[Value]> = ops.iter().copied().filter_map(found).collect();
    let mut things: Vec<Vec<Value>> = Vec::new();
    let mut add = |more: Vec<Vec<&Value>>| {
        let owned = more.into_iter().take(THINGS_MAX);
        things.extend(owned.map(|thing| thing.into_iter().cloned().collect()));
    };
    add(surplus(initial, among));
    add(missed(&reads));
    let appended: Vec<&Value> = ops.iter().copied().filter_map(element).collect();
    add(appended.iter().map(|element| vec![*element]).collect());
    let pairs = appended.windows(2).filter(|pair| pair[0] != pair[1]);
    add(pairs.map(<[&Value]>::to_vec).collect());
    add(turned(&reads, among));
    things
}

fn found(op: &AppendListOp) -> Option<&[Value]> {
    match op {
        AppendListOp::Read(found) => Some(found),
        AppendListOp::Append(_) | AppendListOp::Shows { .. } => None,
    }
}

fn element(op: &AppendListOp) -> Option<&Value> {
    match op {
        AppendListOp::Append(element) => Some(element),
        AppendListOp::Read(_) | AppendListOp::Shows { .. } => None,
    }
}

/// What any read shows more often than it was ever appended.
fn surplus<'a>(initial: &'a [Value], among: &[&'a AppendListOp]) -> Vec<Vec<&'a Value>> {
    let mut appended: FxHashMap<&Value, usize> = FxHashMap::default();
    for element in initial
        .iter()
        .chain(among.iter().copied().filter_map(element))
    {
        *appended.entry(element).or_default() += 1;
    }
    let mut surplus = Vec::new();
    let mut shown: FxHashMap<&Value, usize> = FxHashMap::default();
    for read in among.iter().copied().filter_map(found) {
        shown.clear();
        for element in read {
            let count = shown.entry(element).or_default();
            *count += 1;
            if *count > appended.get(element).copied().unwrap_or(0) {
                surplus.push(vec![element]);
            }
        }
        if surplus.len() >= THINGS_MAX {
            break;
        }
    }
    surplus
}

/// What one read shows and the next, or the one before, does not.
fn missed<'a>(reads: &[&'a [Value]]) -> Vec<Vec<&'a Value>> {
    let mut missed = Vec::new();
    for pair in reads.windows(2) {
        for (one, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let there: FxHashSet<&Value> = other.iter().collect();
            let lacks = |element: &&Value| !there.contains(element);
            missed.extend(
                one.iter()
                    .filter(lacks)
                    .take(2)
                    .map(|element| vec![element]),
            );
        }
    }
    missed
}

/// Where a read and another of all that are there part, the two elements that come next: each read shows
/// its own before the other, or without it.
fn turned<'a>(reads: &[&'a [Value]], among: &[&'a AppendListOp]) -> Vec<Vec<&'a Value>> {
    let mut turned = Vec::new();
    for read in reads {
        for other in among.iter().copied().filter_map(found) {
            let mut both = read.iter().zip(other);
            if let Some((here, there)) = both.find(|(here, there)| here != there)
                && !turned.contains(&vec![here, there])
            {
                turned.push(vec![here, there]);
                if turned.len() == THINGS_MAX {
                    return turned;
                }
            }
        }
    }
    turned
}
