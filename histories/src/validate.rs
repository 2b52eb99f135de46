//! Consistency: what no history may say, whoever recorded it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::{Event, EventType, Process};

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

/// Proves that `events` do not contradict each other; `lines` say where they stood, if known.
pub(crate) fn validate(events: &[Event], lines: &[u32]) -> Result<(), Inconsistency> {
    let mut open: HashMap<u64, usize> = HashMap::new();
    for (position, event) in events.iter().enumerate() {
        let contradiction =
            follows(events, lines, position).or_else(|| pairs(events, lines, position, &mut open));
        if let Some(contradiction) = contradiction {
            return Err(Inconsistency {
                at: at(event, lines, position),
                contradiction,
            });
        }
    }
    Ok(())
}

/// Checks the order of an event and the one before it.
fn follows(events: &[Event], lines: &[u32], position: usize) -> Option<Contradiction> {
    let event = &events[position];
    let before = &events[position.checked_sub(1)?];
    let where_before = at(before, lines, position - 1);
    if event.index <= before.index {
        return Some(Contradiction::IndexGoesBack {
            index: event.index,
            before_index: before.index,
            before: where_before,
        });
    }
    (event.time_ns < before.time_ns).then_some(Contradiction::TimeGoesBack {
        time_ns: event.time_ns,
        before_ns: before.time_ns,
        before: where_before,
    })
}

/// Checks an event against the operation its process has open.
///
/// After an `info` the process has none open: Jepsen retires such a process, but some histories
/// go on under the same number. The old operation then stays of unknown outcome for ever.
fn pairs(
    events: &[Event],
    lines: &[u32],
    position: usize,
    open: &mut HashMap<u64, usize>,
) -> Option<Contradiction> {
    let event = &events[position];
    let Process::Client(process) = event.process else {
        return None;
    };
    let f = event.f.clone();
    if event.kind == EventType::Invoke {
        let began = open.insert(process, position)?;
        return Some(Contradiction::StillOpen {
            process,
            f,
            open: events[began].f.clone(),
            invoked: at(&events[began], lines, began),
        });
    }
    let Some(began) = open.remove(&process) else {
        return Some(Contradiction::NotInvoked {
            process,
            f,
            kind: event.kind.name(),
        });
    };
    let invocation = &events[began];
    let invoked = at(invocation, lines, began);
    if event.f != invocation.f {
        return Some(Contradiction::OtherName {
            process,
            f,
            open: invocation.f.clone(),
            invoked,
        });
    }
    match (&event.key, &invocation.key) {
        (Some(key), other) if Some(key) != other.as_ref() => Some(Contradiction::OtherKey {
            process,
            f,
            key: key.to_string(),
            invoked,
        }),
        _ => None,
    }
}

/// Puts times that a foreign recorder wrote slightly out of order into order, by widening
/// intervals only.
///
/// Jepsen's older workers stamped an event first and appended it to the history later, so that
/// neighbouring invocations (or neighbouring completions) can stand in another order than their
/// times. That says nothing about which operation preceded which, so it is no contradiction: an
/// invocation gets the earliest time of those after it, a completion the latest of those before
/// it. A completion and an invocation in the wrong order do contradict each other.
pub(crate) fn widen_times(events: &mut [Event], lines: &[u32]) -> Result<(), Inconsistency> {
    let mut invoked: Option<usize> = None;
    let mut completed: Option<usize> = None;
    for (position, event) in events.iter().enumerate() {
        let (invocation, completion) = (is_invocation(event), is_completion(event));
        // An event of the nemesis is both, so that it stays in order with every other.
        let bounds = [(completed, invocation), (invoked, completion)];
        for before in bounds
            .into_iter()
            .filter_map(|(before, applies)| before.filter(|_| applies))
        {
            if event.time_ns < events[before].time_ns {
                return Err(Inconsistency {
                    at: at(event, lines, position),
                    contradiction: Contradiction::TimeGoesBack {
                        time_ns: event.time_ns,
                        before_ns: events[before].time_ns,
                        before: at(&events[before], lines, before),
                    },
                });
            }
        }
        let later = |latest: Option<usize>| match latest {
            Some(latest) if events[latest].time_ns > event.time_ns => Some(latest),
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
    for event in events.iter_mut().filter(|event| is_completion(event)) {
        latest = latest.max(event.time_ns);
        event.time_ns = latest;
    }
    let mut earliest = u64::MAX;
    for event in events.iter_mut().rev().filter(|event| is_invocation(event)) {
        earliest = earliest.min(event.time_ns);
        event.time_ns = earliest;
    }
    Ok(())
}

fn is_invocation(event: &Event) -> bool {
    event.process == Process::Nemesis || event.kind == EventType::Invoke
}

fn is_completion(event: &Event) -> bool {
    event.process == Process::Nemesis || event.kind != EventType::Invoke
}

/// Where the event at `position` stands.
fn at(event: &Event, lines: &[u32], position: usize) -> At {
    lines
        .get(position)
        .map_or(At::Index(event.index), |line| At::Line(*line))
}
