//! Sets: every acknowledged element is in every later read, once, and nothing else is.

use histories::Operation;

use super::by_key;
use super::elements::{COUNTS, Copies, Elements, say_what_is_unknown};
use super::tally::Tally;
use crate::Check;

/// The operations that add, as different systems call them.
const ADD_NAMES: [&str; 2] = ["add", "broadcast"];

/// Judges `add` (or `broadcast`) and `read`; elements that somebody may have removed are looked for
/// by nobody.
pub(super) fn check(operations: &[Operation]) -> Check {
    let mut tally = Tally::new("set", &COUNTS);
    for (key, operations) in by_key(operations) {
        Elements::of(&operations, &ADD_NAMES).judge(&key, Copies::One, &mut tally);
    }
    say_what_is_unknown(&mut tally);
    tally.finish()
}
