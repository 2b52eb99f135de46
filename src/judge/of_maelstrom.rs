//! What a run of Maelstrom's protocol says of itself in its history, and what follows from it.

use checkers::{Check, Consistency, Verdict};
use histories::{Event, Operations, Outcome, Value};
use maelstrom::Availability;

/// The nemesis' event for how many operations are to be acknowledged: value `{wanted}`.
pub const AVAILABILITY: &str = "availability";
/// The nemesis' event for what transactions must be: value `{models}`.
pub const CONSISTENCY: &str = "consistency";
/// The nemesis' event for how many messages there were, in the end.
pub const MESSAGES: &str = "messages";

/// The nemesis' event for the end of the time in which nodes were left alone.
pub const SETTLED: &str = "settled";

/// Whether as many operations were acknowledged as should be, where that was asked for.
pub fn availability(nemesis: &[Event], operations: &Operations<'_>) -> Option<Check> {
    const NAME: &str = "availability";
    let wanted = last(nemesis, AVAILABILITY)?.get("wanted")?.as_text()?;
    let Ok(availability) = wanted.parse::<Availability>() else {
        let reason = format!("{wanted:?} is asked for, which is no availability");
        return Some(Check::unknown(NAME, reason));
    };
    let count = operations.len() as u64;
    let is_ok = |number: &usize| operations.outcome(*number).0 == Outcome::Ok;
    let ok = (0..operations.len()).filter(is_ok).count() as u64;
    let found = format!("{ok} of {count} operations were acknowledged");
    let is_enough = ok * 1_000_000 >= count * u64::from(availability.ppm);
    Some(match (count, is_enough) {
        (0, _) => Check::unknown(NAME, "there are no operations"),
        (_, true) => Check::valid(NAME).with_details(vec![found]),
        (_, false) => Check {
            verdict: Verdict::Invalid,
            ..Check::invalid(NAME, format!("{found}, and {wanted} was asked for"))
        },
    })
}

/// What transactions must be, where that was asked for.
pub fn consistency(nemesis: &[Event]) -> Vec<Consistency> {
    let models = last(nemesis, CONSISTENCY).and_then(|value| value.get("models"));
    let names = models.and_then(Value::as_list).unwrap_or(&[]).iter();
    // Written by us, from names that were read before.
    names
        .filter_map(|name| name.as_text()?.parse().ok())
        .collect()
}

/// From which event on what one node knew had had time to become known to all.
pub fn settled_index(nemesis: &[Event]) -> Option<u64> {
    let settled = nemesis.iter().rev().find(|event| &*event.f == SETTLED);
    settled.map(|event| event.index)
}

/// How many messages there were.
pub fn messages(nemesis: &[Event]) -> Option<Value> {
    last(nemesis, MESSAGES).cloned()
}

fn last<'a>(nemesis: &'a [Event], f: &str) -> Option<&'a Value> {
    let mut events = nemesis.iter().rev();
    events
        .find(|event| &*event.f == f)
        .map(|event| &event.value)
}
