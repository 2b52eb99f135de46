//! Locks: never two holders at once, and fencing tokens that grow.
//!
//! An owner surely *holds* a lock from the end of an acquire that was granted until it begins to
//! release it, unless an earlier release of that owner may have taken effect since. An owner that
//! never gives it back surely held it as long as its process did anything at all: a lock with a
//! lease may have expired after that.

use std::collections::BTreeMap;

use histories::{Operation, Point, Value};
use rustc_hash::FxHashMap;

use super::tally::Tally;
use super::{by_key, done_at, is_before, is_ok, may_have_happened, name_of};
use crate::Check;
use crate::models::Owner;

const TWO_HOLDERS: &str = "two holders";
const COUNTS: [&str; 10] = [
    "granted",
    "refused",
    "released",
    "unknown",
    TWO_HOLDERS,
    "tokens given twice",
    "tokens not larger",
    "writes refused",
    "stale writes accepted",
    "strange",
];
/// Names under which a map may hold a token.
const TOKEN_NAMES: [&str; 2] = ["token", "fence"];

/// Judges `acquire` and `release`, and `write`: of something that the lock protects, with the
/// token of an earlier acquire, accepted unless the result is false.
pub(super) fn check(operations: &[Operation]) -> Check {
    let mut tally = Tally::new("lock", &COUNTS);
    let last_act = last_acts(operations);
    for (key, operations) in by_key(operations) {
        count(&operations, &mut tally);
        judge_holds(&key, holds(&operations, &last_act, &mut tally), &mut tally);
        judge_tokens(&key, &operations, &mut tally);
        judge_writes(&key, &operations, &mut tally);
    }
    if tally.count("granted") == 0 {
        tally.unknown("no acquire was granted");
    }
    tally.unknown_if_strange("locks");
    tally.finish()
}

/// When each process did something last.
fn last_acts(operations: &[Operation]) -> FxHashMap<u64, Point> {
    let mut last: FxHashMap<u64, Point> = FxHashMap::default();
    for operation in operations {
        let at = operation
            .ended
            .unwrap_or(operation.invoked)
            .max(operation.invoked);
        let known = last.entry(operation.process).or_insert(at);
        *known = at.max(*known);
    }
    last
}

fn count(operations: &[&Operation], tally: &mut Tally) {
    for operation in operations {
        let refused = operation.output == Value::Bool(false);
        let name = match (&*operation.f, is_ok(operation), refused) {
            ("acquire" | "release" | "write", false, _) if may_have_happened(operation) => {
                "unknown"
            }
            ("acquire" | "release" | "write", false, _) => continue,
            ("acquire", _, true) => "refused",
            ("acquire", _, false) => "granted",
            ("release", _, false) => "released",
            ("write", _, true) => "writes refused",
            ("release", _, true) | ("write", _, false) => continue,
            _ => "strange",
        };
        tally.add(name, 1);
    }
}

/// A time in which somebody surely holds the lock.
struct Hold<'a> {
    owner: Owner,
    acquire: &'a Operation,
    from: Point,
    until: Point,
}

fn is_granted(operation: &Operation) -> bool {
    &*operation.f == "acquire"
        && done_at(operation).is_some()
        && operation.output != Value::Bool(false)
}

/// All of them, in order of beginning.
fn holds<'a>(
    operations: &[&'a Operation],
    last_act: &FxHashMap<u64, Point>,
    tally: &mut Tally,
) -> Vec<Hold<'a>> {
    let mut releases: FxHashMap<Owner, Vec<&Operation>> = FxHashMap::default();
    let mut granted: Vec<(Owner, &Operation, Point)> = Vec::new();
    for &operation in operations {
        let takes = is_granted(operation);
        if !takes && &*operation.f != "release" {
            continue;
        }
        match (Owner::of("lock", operation), operation.ended) {
            (Err(_), _) => tally.add("strange", 1),
            (Ok(owner), Some(ended)) if takes => granted.push((owner, operation, ended)),
            (Ok(owner), _) => releases.entry(owner).or_default().push(operation),
        }
    }
    let mut holds: Vec<Hold<'_>> = granted
        .into_iter()
        .map(|(owner, acquire, from)| {
            let of_owner = releases.get(&owner).map_or(&[][..], Vec::as_slice);
            let next = of_owner.partition_point(|release| release.invoked.index <= from.index);
            let (earlier, later) = of_owner.split_at(next);
            // One that began earlier may have taken effect since.
            let is_sure = earlier.iter().all(|release| {
                !may_have_happened(release)
                    || release.output == Value::Bool(false)
                    || is_before(release, acquire)
            });
            let last = last_act.get(&acquire.process).copied().unwrap_or(from);
            let until = match is_sure {
                true => later.first().map_or(last, |release| release.invoked),
                false => from,
            };
            Hold {
                owner,
                acquire,
                from,
                until,
            }
        })
        .collect();
    holds.sort_by_key(|hold| hold.from);
    holds
}

fn judge_holds(key: &Value, holds: Vec<Hold<'_>>, tally: &mut Tally) {
    // The two of different owners that last longest of those begun.
    let mut longest: [Option<&Hold<'_>>; 2] = [None, None];
    for hold in &holds {
        let other = longest
            .into_iter()
            .flatten()
            .find(|other| other.owner != hold.owner);
        // Who surely held it at no time was at least granted it while the other one surely did.
        let is_granted_meanwhile = |other: &&Hold<'_>| {
            hold.from.index < hold.until.index || other.from.index < hold.acquire.invoked.index
        };
        let meets = |other: &&Hold<'_>| hold.from.index < other.until.index;
        if let Some(other) = other.filter(meets).filter(is_granted_meanwhile) {
            let until = hold.until.min(other.until);
            let text = || {
                format!(
                    "{} and {} hold it at once: granted by {}, and by {} before it was given back",
                    other.owner,
                    hold.owner,
                    name_of(other.acquire),
                    name_of(hold.acquire)
                )
            };
            tally.violation(TWO_HOLDERS, key, text, &[other.acquire, hold.acquire]);
            tally.time(
                "two holders for",
                until.time_ns.saturating_sub(hold.from.time_ns),
            );
        }
        remember(&mut longest, hold);
    }
}

fn remember<'h, 'a>(longest: &mut [Option<&'h Hold<'a>>; 2], hold: &'h Hold<'a>) {
    let [first, second] = longest;
    let outlasts = |other: &Option<&Hold<'_>>| other.is_none_or(|other| hold.until > other.until);
    if first.is_some_and(|one| one.owner == hold.owner) {
        *first = if outlasts(first) { Some(hold) } else { *first };
    } else if outlasts(first) {
        *second = *first;
        *first = Some(hold);
    } else if outlasts(second) {
        *second = Some(hold);
    }
}

/// The token in an argument or result.
fn token(value: &Value) -> Option<i64> {
    match value {
        Value::Map(_) => TOKEN_NAMES
            .into_iter()
            .find_map(|name| value.get(name))?
            .as_int(),
        other => other.as_int(),
    }
}

/// An operation with its token.
type Tokened<'a> = (&'a Operation, i64);

/// For each, in order of invocation, the one with the largest number among those that had ended
/// before it began.
fn each_with_largest_before<'a>(
    all: &[Tokened<'a>],
) -> Vec<(&'a Operation, i64, Option<Tokened<'a>>)> {
    let mut ended: Vec<(u64, &Operation, i64)> = all
        .iter()
        .filter_map(|(operation, number)| Some((done_at(operation)?, *operation, *number)))
        .collect();
    ended.sort_by_key(|(at, ..)| *at);
    let mut ended = ended.into_iter().peekable();
    let mut largest: Option<(&Operation, i64)> = None;
    let mut begun: Vec<(&Operation, i64)> = all.to_vec();
    begun.sort_by_key(|(operation, _)| operation.invoked.index);
    begun
        .into_iter()
        .map(|(operation, number)| {
            while let Some((_, other, token)) =
                ended.next_if(|(at, ..)| *at < operation.invoked.index)
            {
                if largest.is_none_or(|(_, known)| known < token) {
                    largest = Some((other, token));
                }
            }
            (operation, number, largest)
        })
        .collect()
}

fn judge_tokens(key: &Value, operations: &[&Operation], tally: &mut Tally) {
    let granted = operations
        .iter()
        .copied()
        .filter(|operation| is_granted(operation));
    let granted: Vec<(&Operation, i64)> = granted
        .filter_map(|acquire| Some((acquire, token(&acquire.output)?)))
        .collect();
    let mut given: BTreeMap<i64, &Operation> = BTreeMap::new();
    for (acquire, number, before) in each_with_largest_before(&granted) {
        let name = name_of(acquire);
        if let Some(first) = given.insert(number, acquire) {
            let text = || {
                format!(
                    "the token {number} was given by {} and by {name}",
                    name_of(first)
                )
            };
            tally.violation("tokens given twice", key, text, &[first, acquire]);
        } else if let Some((other, larger)) = before.filter(|(_, larger)| *larger > number) {
            let text = || {
                format!(
                    "{name} was given the token {number} after {} had {larger}",
                    name_of(other)
                )
            };
            tally.violation("tokens not larger", key, text, &[other, acquire]);
        }
    }
}

fn judge_writes(key: &Value, operations: &[&Operation], tally: &mut Tally) {
    let accepted = operations.iter().copied().filter(|operation| {
        &*operation.f == "write"
            && done_at(operation).is_some()
            && operation.output != Value::Bool(false)
    });
    let accepted: Vec<(&Operation, i64)> = accepted
        .filter_map(|write| Some((write, token(&write.input)?)))
        .collect();
    for (write, number, before) in each_with_largest_before(&accepted) {
        if let Some((other, larger)) = before.filter(|(_, larger)| *larger > number) {
            let text = || {
                format!(
                    "{} was accepted with the token {number}, after {} with {larger}",
                    name_of(write),
                    name_of(other)
                )
            };
            tally.violation("stale writes accepted", key, text, &[other, write]);
        }
    }
}
