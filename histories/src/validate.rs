//! Consistency: what no history may say, whoever recorded it.

use std::fmt;
use std::sync::Arc;

use crate::events::NEMESIS;
use crate::{EventType, Events};

/// Where an event stands, as a person finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// A line of the file it was read from, 1-based.
    Line(u32),
    /// Its index, where there is no file.
    Index(u64),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Line(line) => write!(f, "line {line}"),
            At::Index(index) => write!(f, "index {index}"),
        }
    }
}

/// A history that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {contradiction}")]
pub struct Inconsistency {
    /// The event with which it begins to.
    pub at: At,
    /// What it contradicts.
    pub contradiction: Contradiction,
}

/// What a history cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A completion and no open invocation.
    #[error("{kind} of {f} completes an operation that process {process} has not invoked")]
    NotInvoked {
        /// The process.
        process: u64,
        /// What the completion calls the operation.
        f: Arc<str>,
        /// The completion's type.
        kind: &'static str,
    },
    /// A second invocation while the first is open.
    #[error("process {process} invokes {f} while its {open} of {invoked} is still open")]
    StillOpen {
        /// The process.
        process: u64,
        /// What it invokes.
        f: Arc<str>,
        /// What is open.
        open: Arc<str>,
        /// Where that was invoked.
        invoked: At,
    },
    /// A completion that names another operation than its invocation.
    #[error("process {process} completes {f}, but what it invoked on {invoked} is {open}")]
    OtherName {
        /// The process.
        process: u64,
        /// What the completion calls it.
        f: Arc<str>,
        /// What the invocation calls it.
        open: Arc<str>,
        /// Where that is.
        invoked: At,
    },
    /// A completion that names another key than its invocation.
    #[error("process {process} completes {f} of key {key}, but invoked it of another on {invoked}")]
    OtherKey {
        /// The process.
        process: u64,
        /// The operation.
        f: Arc<str>,
        /// The completion's key.
        key: String,
        /// Where the invocation is.
        invoked: At,
    },
    /// Time that goes back.
    #[error("time {time_ns} is before the time {before_ns} of {before}: time must not go back")]
    TimeGoesBack {
        /// The event's time.
        time_ns: u64,
        /// The time of the event it follows.
        before_ns: u64,
        /// Where that is.
        before: At,
    },
    /// An index that does not follow the one before.
    #[error("index {index} does not come after the index {before_index} of {before}")]
    IndexGoesBack {
        /// The event's index.
        index: u64,
        /// The index of the event it follows.
        before_index: u64,
        /// Where that is.
        before: At,
    },
}

/// Proves that the events do not contradict each other.
pub(crate) fn validate(events: &Events) -> Result<(), Inconsistency> {
    // The invocation that each process has open, as its position plus one; 0 for none.
    let mut open: Vec<u32> = vec![0; events.processes.len()];
    let (mut index, mut time_ns) = (events.indexes.get(0), 0);
    let rows = events.kinds.iter().zip(&events.slots).zip(&events.times);
    for (position, ((kind, slot), time)) in rows.enumerate() {
        let next = events.indexes.get(position);
        let goes_on = *time >= time_ns && (next > index || position == 0);
        let contradiction = if goes_on {
            pairs(events, position, *kind, *slot, &mut open)
        } else {
            Some(goes_back(events, position))
        };
        if let Some(contradiction) = contradiction {
            return Err(Inconsistency {
                at: at(events, position),
                contradiction,
            });
        }
        (index, time_ns) = (next, *time);
    }
    Ok(())
}

/// What is wrong with the order of an event and the one before it.
fn goes_back(events: &Events, position: usize) -> Contradiction {
    let before = at(events, position - 1);
    let (index, before_index) = (events.index(position), events.index(position - 1));
    if index <= before_index {
        return Contradiction::IndexGoesBack {
            index,
            before_index,
            before,
        };
    }
    Contradiction::TimeGoesBack {
        time_ns: events.times[position],
        before_ns: events.times[position - 1],
        before,
    }
}

/// Checks an event against the operation its process has open.
///
/// After an `info` the process has none open: Jepsen retires such a process, but some histories
/// go on under the same number. The old operation then stays of unknown outcome for ever.
#[inline]
fn pairs(
    events: &Events,
    position: usize,
    kind: EventType,
    slot: u32,
    open: &mut [u32],
) -> Option<Contradiction> {
    if slot == NEMESIS {
        return None;
    }
    let open = &mut open[slot as usize];
    if kind == EventType::Invoke {
        let before = std::mem::replace(open, position as u32 + 1);
        return (before != 0).then(|| Contradiction::StillOpen {
            process: events.processes.client(slot),
            f: name(events, position),
            open: name(events, before as usize - 1),
            invoked: at(events, before as usize - 1),
        });
    }
    let began = std::mem::take(open);
    if began == 0 {
        return Some(Contradiction::NotInvoked {
            process: events.processes.client(slot),
            f: name(events, position),
            kind: kind.name(),
        });
    }
    let began = began as usize - 1;
    if events.fs[position] != events.fs[began] {
        return Some(Contradiction::OtherName {
            process: events.processes.client(slot),
            f: name(events, position),
            open: name(events, began),
            invoked: at(events, began),
        });
    }
    let key = events.key(position);
    (!key.is_nil() && key != events.key(began)).then(|| Contradiction::OtherKey {
        process: events.processes.client(slot),
        f: name(events, position),
        key: events.value_of(key).to_string(),
        invoked: at(events, began),
    })
}

/// What the operation of an event is called.
fn name(events: &Events, position: usize) -> Arc<str> {
    events.shared_name(events.fs[position])
}

/// Puts times that a foreign recorder wrote slightly out of order into order, by widening
/// intervals only.
///
/// Jepsen's older workers stamped an event first and appended it to the history later, so that
/// neighbouring invocations (or neighbouring completions) can stand in another order than their
/// times. That says nothing about which operation preceded which, so it is no contradiction: an
/// invocation gets the earliest time of those after it, a completion the latest of those before
/// it. A completion and an invocation in the wrong order do contradict each other.
pub(crate) fn widen_times(events: &mut Events) -> Result<(), Inconsistency> {
    let mut invoked: Option<usize> = None;
    let mut completed: Option<usize> = None;
    for (position, time_ns) in events.times.iter().copied().enumerate() {
        let (invocation, completion) = sides(events, position);
        // An event of the nemesis is both, so that it stays in order with every other.
        let bounds = [(completed, invocation), (invoked, completion)];
        for before in bounds
            .into_iter()
            .filter_map(|(before, applies)| before.filter(|_| applies))
        {
            if time_ns < events.times[before] {
                return Err(Inconsistency {
                    at: at(events, position),
                    contradiction: Contradiction::TimeGoesBack {
                        time_ns,
                        before_ns: events.times[before],
                        before: at(events, before),
                    },
                });
            }
        }
        let later = |latest: Option<usize>| match latest {
            Some(latest) if events.times[latest] > time_ns => Some(latest),
            _ => Some(position),
        };
        if invocation {
            invoked = later(invoked);
        }
        if completion {
            completed = later(completed);
        }
    }
    let mut latest = 0;
    for position in 0..events.len() {
        if sides(events, position).1 {
            latest = latest.max(events.times[position]);
            events.times[position] = latest;
        }
    }
    let mut earliest = u64::MAX;
    for position in (0..events.len()).rev() {
        if sides(events, position).0 {
            earliest = earliest.min(events.times[position]);
            events.times[position] = earliest;
        }
    }
    Ok(())
}

/// Whether an event counts as an invocation, and whether as a completion.
fn sides(events: &Events, position: usize) -> (bool, bool) {
    let nemesis = events.slots[position] == NEMESIS;
    let invocation = events.kinds[position] == EventType::Invoke;
    (nemesis || invocation, nemesis || !invocation)
}

/// Where the event at `position` stands.
fn at(events: &Events, position: usize) -> At {
    events
        .line(position)
        .map_or_else(|| At::Index(events.index(position)), At::Line)
}
