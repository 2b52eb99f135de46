//! Logs: what everybody reads is the beginning of one and the same sequence, and everything that
//! was acknowledged is in it.

use histories::{Operation, Value};

use super::elements::{COUNTS, Copies, Elements, Read, say_what_is_unknown};
use super::tally::Tally;
use super::{by_key, name_of};
use crate::Check;

/// The operations that add, as different systems call them.
const ADD_NAMES: [&str; 3] = ["append", "broadcast", "send"];

/// Judges `append` (or `broadcast`, `send`) and `read`.
pub(super) fn check(operations: &[Operation]) -> Check {
    let counts: Vec<&str> = COUNTS.into_iter().chain(["gaps", "reordered"]).collect();
    let mut tally = Tally::new("log", &counts);
    for (key, operations) in by_key(operations) {
        let elements = Elements::of(&operations, &ADD_NAMES);
        elements.judge(&key, Copies::AsAdded, &mut tally);
        judge_order(&key, &elements.reads, &mut tally);
    }
    say_what_is_unknown(&mut tally);
    tally.finish()
}

/// Holds every read against the longest one, of which it has to be a beginning.
fn judge_order(key: &Value, reads: &[Read<'_>], tally: &mut Tally) {
    // Of several as long the first.
    let longest = reads.iter().rev().max_by_key(|read| read.elements.len());
    let Some(longest) = longest else { return };
    for read in reads {
        let pairs = read.elements.iter().zip(longest.elements);
        let Some(place) = pairs
            .into_iter()
            .position(|(found, expected)| found != expected)
        else {
            continue;
        };
        let (found, expected) = (&read.elements[place], &longest.elements[place]);
        let (name, other) = (name_of(read.operation), name_of(longest.operation));
        let shown_by = [read.operation, longest.operation];
        if is_subsequence(&read.elements[place..], &longest.elements[place..]) {
            let text = || format!("{name} has {found} where {other} has {expected} before it");
            tally.violation("gaps", key, text, &shown_by);
        } else {
            let text =
                || format!("{name} has {found} in place {place}, where {other} has {expected}");
            tally.violation("reordered", key, text, &shown_by);
        }
    }
}

/// Whether the elements come in this order, with others in between.
fn is_subsequence(elements: &[Value], of: &[Value]) -> bool {
    let mut rest = of.iter();
    elements
        .iter()
        .all(|element| rest.any(|one| one == element))
}
