//! The order of the calls that a configuration stands for.

use super::trail::Step;
use super::window::plain;
use crate::registers::{Access, OPEN, RegisterHistory};

/// Calls are put in order by going through the history once more with the decisions known.
struct Replay<'h> {
    history: &'h RegisterHistory,
    /// Calls before the last write: what is hidden goes to its end.
    covered: Vec<u32>,
    /// The last write and what came after it.
    rest: Vec<u32>,
    state: u32,
    /// The moment of the last write.
    cover: u64,
    /// Observers under way that nothing has served yet.
    waiting: Vec<u32>,
}

/// The order, by call numbers, in which the calls happened if these decisions are taken; open
/// calls that did not happen are left out. `None` if some call that returns found no place: the
/// decisions are not those of a whole history.
pub(super) fn replay(history: &RegisterHistory, start: u32, steps: &[Step]) -> Option<Vec<u32>> {
    let mut replay = Replay {
        history,
        covered: Vec::with_capacity(history.calls.len()),
        rest: Vec::new(),
        state: start,
        cover: 0,
        waiting: Vec::new(),
    };
    let mut steps = steps.iter().peekable();
    for (position, &moment) in (0_u64..).zip(&history.moments) {
        let call = moment >> 1;
        if moment & 1 == 0 {
            replay.begin(call);
        }
        while let Some(step) = steps.next_if(|step| step.moment == position) {
            replay.take(step);
        }
    }
    let Replay {
        mut covered, rest, ..
    } = replay;
    covered.extend(rest);
    let mut is_placed = vec![false; history.calls.len()];
    for &call in &covered {
        is_placed[call as usize] = true;
    }
    let all = history.calls.iter().zip(is_placed);
    let mut all = all.map(|(call, is_placed)| is_placed || call.returns == OPEN);
    all.all(|is_well| is_well).then_some(covered)
}

impl Replay<'_> {
    fn access(&self, call: u32) -> Access<u32> {
        plain(self.history.calls[call as usize].access)
    }

    fn begin(&mut self, call: u32) {
        let is_open = self.history.calls[call as usize].returns == OPEN;
        if let (Access::Read(_) | Access::Not(_), false) = (self.access(call), is_open) {
            match serves(self.state, self.access(call)) {
                true => self.rest.push(call),
                false => self.waiting.push(call),
            }
        }
    }

    fn take(&mut self, step: &Step) {
        let (value, covers) = match self.access(step.call) {
            Access::Write(value) => (value, true),
            Access::Cas(_, value) => (value, false),
            Access::Read(_) | Access::Not(_) => return,
        };
        if step.hidden {
            self.covered.push(step.call);
            self.serve(value, self.cover, |replay| &mut replay.covered);
            return;
        }
        if covers {
            self.covered.append(&mut self.rest);
            self.cover = step.moment;
        }
        self.rest.push(step.call);
        self.state = value;
        self.serve(value, u64::MAX, |replay| &mut replay.rest);
    }

    /// Places the observers that find the value, of those that began before the moment.
    fn serve(&mut self, value: u32, moment: u64, to: impl Fn(&mut Self) -> &mut Vec<u32>) {
        for call in std::mem::take(&mut self.waiting) {
            let begins = u64::from(self.history.calls[call as usize].begins);
            match begins < moment && serves(value, self.access(call)) {
                true => to(self).push(call),
                false => self.waiting.push(call),
            }
        }
    }
}

/// Whether the observer finds what it must when the register holds the value.
fn serves(value: u32, observer: Access<u32>) -> bool {
    match observer {
        Access::Read(wanted) => wanted == value,
        Access::Not(other) => other != value,
        Access::Write(_) | Access::Cas(..) => false,
    }
}
