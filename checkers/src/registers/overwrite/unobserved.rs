//! R4: open calls that nobody could tell of.

use super::rules::{Condition, Rules};
use super::window::plain;
use crate::registers::{Access, OPEN, RegisterHistory};

/// The open calls that can be left out (`checker.md` section 2, R4): observers; and, where what is
/// still to come may be used, updates whose value nobody finds. An open cas whose value somebody
/// finds counts as somebody who finds the value it needs. Somebody who finds "not this value" may
/// find any other.
pub(super) fn unobserved(history: &RegisterHistory, rules: &Rules) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    for (number, call) in (0..).zip(&history.calls) {
        if call.returns == OPEN {
            match plain(call.access) {
                Access::Read(_) | Access::Not(_) => found.push(number),
                update => open.push((number, update)),
            }
        }
    }
    if rules.look_ahead && !open.is_empty() {
        let seen = seen(history, &open, rules);
        found.extend(open.iter().filter_map(|&(number, update)| match update {
            Access::Write(value) | Access::Cas(_, value) => {
                (!seen[value as usize]).then_some(number)
            }
            Access::Read(_) | Access::Not(_) => None,
        }));
    }
    found
}

/// For each value whether somebody may find it.
fn seen(history: &RegisterHistory, open: &[(u32, Access<u32>)], rules: &Rules) -> Vec<bool> {
    let values = history.values as usize;
    let mut seen = vec![false; values];
    let mut refused: Option<u32> = None;
    let mut refused_two = false;
    for call in history.calls.iter().filter(|call| call.returns != OPEN) {
        match plain(call.access) {
            Access::Read(value) | Access::Cas(value, _) => seen[value as usize] = true,
            Access::Not(value) => {
                refused_two |= refused.is_some_and(|other| other != value);
                refused = Some(value);
            }
            Access::Write(_) => {}
        }
    }
    if let Some(refused) = refused
        && !rules.drops(Condition::UnobservedNots)
    {
        for (value, seen) in (0..).zip(&mut seen) {
            *seen |= refused_two || value != refused;
        }
    }
    // From every value found on to those that an open cas to it needs.
    let mut by_new: Vec<(u32, u32)> = open
        .iter()
        .filter_map(|&(_, update)| match update {
            Access::Cas(old, new) => Some((new, old)),
            _ => None,
        })
        .collect();
    by_new.sort_unstable();
    let mut left: Vec<u32> = (0..history.values)
        .filter(|&value| seen[value as usize])
        .collect();
    while let Some(value) = left.pop() {
        let from = by_new.partition_point(|&(new, _)| new < value);
        for &(_, old) in by_new[from..].iter().take_while(|&&(new, _)| new == value) {
            if !seen[old as usize] && !rules.drops(Condition::UnobservedOpenCas) {
                seen[old as usize] = true;
                left.push(old);
            }
        }
    }
    seen
}
