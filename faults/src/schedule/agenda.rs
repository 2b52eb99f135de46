//! The agenda: what a schedule asks for next, given the time and what has been seen.

use super::{Planned, Schedule};
use crate::{Condition, Kind, Observed, Waiting};

/// A schedule on its way. Whoever walks it asks [`next`](Agenda::next) again and again, and does
/// what it says.
#[derive(Debug)]
pub struct Agenda<'a> {
    waiting: Vec<(&'a Planned, Waiting<'a>)>,
    /// With the time at which each begins.
    due: Vec<(u64, &'a Planned)>,
    open: Vec<Open<'a>>,
}

/// A fault in force.
#[derive(Debug)]
struct Open<'a> {
    planned: &'a Planned,
    /// When it ends at the latest.
    ends_ms: u64,
    /// What ends it before that.
    until: Waiting<'a>,
    beats: u64,
    /// When its next beat is due.
    beat_ms: Option<u64>,
    /// Whether that has been decided: not before what was done last is over.
    is_timed: bool,
}

impl Open<'_> {
    /// Takes in what has been seen by now: what it lasts until may have come.
    fn look(&mut self, now_ms: u64, observed: &Observed) {
        let has_end = !self.planned.until.is_empty();
        if has_end && self.until.look(observed) {
            self.ends_ms = self.ends_ms.min(now_ms);
        }
    }

    /// When something is next to be done about it.
    fn next_ms(&self) -> u64 {
        let beat_ms = self.beat_ms.unwrap_or(u64::MAX);
        self.ends_ms.min(beat_ms)
    }
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// Begin and inject this fault, now.
    Inject(&'a Planned),
    /// Heal this fault, now.
    Heal(&'a Planned),
    /// Let this fault do again what it does again and again, now.
    Beat(&'a Planned),
    /// Nothing before this time, in milliseconds after the start.
    At(u64),
    /// Nothing until something waited for has come.
    Look,
    /// Nothing any more.
    Over,
}

impl<'a> Agenda<'a> {
    /// For the faults of these kinds; the others are passed over.
    pub fn new(schedule: &'a Schedule, kinds: &[Kind]) -> Self {
        let mut agenda = Agenda {
            waiting: Vec::new(),
            due: Vec::new(),
            open: Vec::new(),
        };
        for planned in &schedule.faults {
            if kinds.contains(&planned.action.kind()) {
                let waiting = Waiting::new(&planned.after);
                agenda.waiting.push((planned, waiting));
            }
        }
        agenda.look(0, &Observed::default());
        agenda
    }

    /// Takes in what has been seen by `now_ms` (milliseconds after the start), and says what to do.
    /// What ends comes before what begins at the same time.
    pub fn next(&mut self, now_ms: u64, observed: &Observed) -> Next<'a> {
        self.look(now_ms, observed);
        for open in &mut self.open {
            open.look(now_ms, observed);
        }
        self.time_beats(now_ms);
        let open_at = soonest(self.open.iter().map(Open::next_ms));
        let due_at = soonest(self.due.iter().map(|(at_ms, _)| *at_ms));
        match (open_at, due_at) {
            (Some((at_ms, place)), other) if other.is_none_or(|(begins, _)| at_ms <= begins) => {
                if at_ms > now_ms {
                    return Next::At(at_ms);
                }
                self.end_or_beat(place, now_ms)
            }
            (_, Some((at_ms, place))) => {
                if at_ms > now_ms {
                    return Next::At(at_ms);
                }
                let (_, planned) = self.due.remove(place);
                self.open.push(Open {
                    planned,
                    ends_ms: at_ms.saturating_add(planned.for_ms),
                    until: Waiting::since(&planned.until, observed.clone()),
                    beats: 0,
                    beat_ms: None,
                    is_timed: false,
                });
                Next::Inject(planned)
            }
            _ if self.waiting.is_empty() => Next::Over,
            _ => Next::Look,
        }
    }

    fn end_or_beat(&mut self, place: usize, now_ms: u64) -> Next<'a> {
        let open = &mut self.open[place];
        if open.ends_ms <= now_ms {
            return Next::Heal(self.open.remove(place).planned);
        }
        open.beats += 1;
        (open.beat_ms, open.is_timed) = (None, false);
        Next::Beat(open.planned)
    }

    /// Decides when the next beats are due. Counted from now, when what was done last is over: a
    /// beat that came late or took long does not make the next ones pile up.
    fn time_beats(&mut self, now_ms: u64) {
        for open in self.open.iter_mut().filter(|open| !open.is_timed) {
            let wait_ms = open.planned.action.fault().next_beat_ms(open.beats);
            open.beat_ms = wait_ms.map(|wait_ms| now_ms.saturating_add(wait_ms.max(1)));
            open.is_timed = true;
        }
    }

    /// Whether something is still waited for, so that it is worth looking again before the next
    /// time.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.open.iter().any(|open| !open.until.is_over())
    }

    /// The faults for which what they wait for has not come, with that.
    pub fn never_begun(&self) -> impl Iterator<Item = (&'a Planned, &'a Condition)> {
        let next =
            |(planned, waiting): &(&'a Planned, Waiting<'a>)| Some((*planned, waiting.next()?));
        self.waiting.iter().filter_map(next)
    }

    fn look(&mut self, now_ms: u64, observed: &Observed) {
        let due = &mut self.due;
        self.waiting.retain_mut(|(planned, waiting)| {
            let has_come = waiting.look(observed);
            if has_come {
                // Without conditions everything has come at time zero.
                let from_ms = planned
                    .at_ms
                    .max(now_ms * u64::from(!planned.after.is_empty()));
                due.push((from_ms.saturating_add(planned.delay_ms), *planned));
            }
            !has_come
        });
    }
}

/// The earliest time, the first of its kind, and where it stands.
fn soonest(times: impl Iterator<Item = u64>) -> Option<(u64, usize)> {
    let places = times.enumerate();
    places.map(|(place, at_ms)| (at_ms, place)).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, CrashLoop, Kill};

    fn planned(id: u64, at_ms: u64, after: &[&str], delay_ms: u64, for_ms: u64) -> Planned {
        Planned {
            id,
            at_ms,
            after: after
                .iter()
                .map(|text| text.parse().expect("a condition"))
                .collect(),
            delay_ms,
            for_ms,
            until: Vec::new(),
            action: Action::Kill(Kill::default()),
            order: Vec::new(),
        }
    }

    /// Walks the faults with a leader elected at each of these times, and faults injected and
    /// healed as told; `i`nject or `h`eal with the time and the number, then what never began.
    fn walk(faults: Vec<Planned>, leaders_ms: &[u64], end_ms: u64) -> String {
        let schedule = Schedule { faults };
        let mut agenda = Agenda::new(&schedule, Kind::ALL);
        let (mut log, mut observed, mut now_ms) = (Vec::new(), Observed::default(), 0);
        while now_ms <= end_ms {
            observed.leaders = leaders_ms.iter().filter(|at| **at <= now_ms).count() as u64;
            match agenda.next(now_ms, &observed) {
                Next::Inject(planned) => {
                    observed.injected.insert(planned.id);
                    log.push(format!("{now_ms}i{}", planned.id));
                }
                Next::Heal(planned) => {
                    observed.healed.insert(planned.id);
                    log.push(format!("{now_ms}h{}", planned.id));
                }
                Next::Beat(planned) => log.push(format!("{now_ms}b{}", planned.id)),
                Next::At(at) => now_ms = if agenda.is_waiting() { now_ms + 1 } else { at },
                Next::Look => now_ms += 1,
                Next::Over => break,
            }
        }
        let never = agenda.never_begun();
        log.extend(never.map(|(planned, condition)| format!("{} never: {condition}", planned.id)));
        log.join(" ")
    }

    #[test]
    fn times_are_kept_and_ends_come_before_beginnings() {
        let faults = vec![planned(1, 200, &[], 0, 100), planned(2, 100, &[], 0, 100)];
        assert_eq!(walk(faults, &[], 1_000), "100i2 200h2 200i1 300h1");
        assert_eq!(
            walk(vec![planned(1, 50, &[], 7, 3)], &[], 1_000),
            "57i1 60h1"
        );
    }

    #[test]
    fn conditions_delays_and_chains_of_faults() {
        let elected = &["leader elected"][..];
        assert_eq!(
            walk(vec![planned(1, 0, elected, 0, 10)], &[40], 200),
            "40i1 50h1"
        );
        assert_eq!(
            walk(vec![planned(1, 100, elected, 0, 10)], &[40], 200),
            "100i1 110h1"
        );
        assert_eq!(
            walk(vec![planned(1, 0, elected, 5, 10)], &[40], 200),
            "45i1 55h1"
        );
        assert_eq!(
            walk(vec![planned(1, 0, elected, 0, 10)], &[], 200),
            "1 never: leader elected"
        );
        let after_heal = &["fault 1 healed", "leader elected"][..];
        let faults = vec![planned(1, 20, &[], 0, 30), planned(2, 0, after_heal, 0, 5)];
        assert_eq!(walk(faults, &[10, 70], 200), "20i1 50h1 70i2 75h2");
    }

    #[test]
    fn what_a_fault_lasts_until_ends_it_before_its_time() {
        let until = |id, until: &[&str]| Planned {
            until: (until.iter())
                .map(|text| text.parse().expect("a condition"))
                .collect(),
            ..planned(id, 20, &[], 0, 100)
        };
        // Leaders elected before it began do not count.
        let elected = || vec![until(1, &["leader elected"])];
        assert_eq!(walk(elected(), &[10], 200), "20i1 120h1");
        assert_eq!(walk(elected(), &[10, 70], 200), "20i1 70h1");
        assert_eq!(walk(elected(), &[20, 150], 200), "20i1 120h1");
        let both = until(1, &["fault 2 injected", "leader elected"]);
        let faults = vec![both, planned(2, 50, &[], 0, 10)];
        assert_eq!(walk(faults, &[40, 70], 200), "20i1 50i2 60h2 70h1");
        let beside = vec![
            until(1, &["fault 2 healed"]),
            planned(2, 0, &["leader elected"], 0, 5),
        ];
        assert_eq!(walk(beside, &[40], 200), "20i1 40i2 45h2 45h1");
    }

    /// Bug found: a kill that took long left no time between a start and the kill after it.
    #[test]
    fn beats_are_counted_from_when_the_one_before_was_done() {
        let action = Action::CrashLoop(CrashLoop {
            up_ms: 20,
            down_ms: 10,
            ..CrashLoop::default()
        });
        let faults = vec![Planned {
            action,
            ..planned(1, 100, &[], 0, 75)
        }];
        assert_eq!(
            walk(faults.clone(), &[], 1_000),
            "100i1 110b1 130b1 140b1 160b1 170b1 175h1"
        );
        let schedule = Schedule { faults };
        let mut agenda = Agenda::new(&schedule, Kind::ALL);
        let none = Observed::default();
        assert!(matches!(agenda.next(100, &none), Next::Inject(_)));
        // Injecting took 30 ms.
        assert_eq!(agenda.next(130, &none), Next::At(140));
        assert!(matches!(agenda.next(140, &none), Next::Beat(_)));
        assert_eq!(agenda.next(150, &none), Next::At(170));
        assert!(matches!(agenda.next(190, &none), Next::Heal(_)));
    }

    #[test]
    fn kinds_that_are_not_there_are_passed_over() {
        let schedule = Schedule {
            faults: vec![planned(1, 0, &[], 0, 10)],
        };
        let mut agenda = Agenda::new(&schedule, &[Kind::Pause]);
        assert_eq!(agenda.next(5, &Observed::default()), Next::Over);
    }
}
