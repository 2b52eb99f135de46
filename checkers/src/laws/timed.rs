//! The laws that are about histories: small ones made up by chance, judged by the oracle.

use histories::{History, Operation, Value};
use seeds::Stream;

use super::{Law, LawViolation, Trial};
use crate::dispatch::{self, Finding};
use crate::limits::Budget;
use crate::monitors::{self, Replayed};
use crate::normalise::Part;
use crate::oracle::{self, Interval, OPERATIONS_MAX};
use crate::subject::Subject;
use crate::{Access, Cancel, Limits, Model, ModelError, Monitored};

/// Sets of placed operations the oracle may look at for one history.
const NODES_MAX: u64 = 100_000;
/// How many different operations a history is made of at most.
const PALETTE_MAX: u64 = 6;
/// How many operations are under way together at most.
const WIDTH_MAX: u64 = 4;
/// How many operations are looked at to find one that is possible.
const PICKS: usize = 3;

/// The laws tried on every history.
const LAWS: [Law; 5] = [
    Law::UnknownOutcome,
    Law::Unobserved,
    Law::RegisterView,
    Law::Monitor,
    Law::Verdict,
];
/// The whole check is made of one history of so many.
const HISTORIES_PER_VERDICT: u64 = 4;

/// A history: operations, by their places in the group, and their times.
type Timed = Vec<Interval<usize>>;

/// What came of a law and a history.
enum Tried {
    /// The model says nothing about it.
    Nothing,
    Held,
    Broken(String),
}

impl<M: Model> Trial<'_, M> {
    /// Tries every law about histories, which start from the initial state or from others.
    pub(super) fn laws_of_histories(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        for number in 0..self.effort.histories {
            let start = match self.chance.chance(1, 2) {
                true => &states[0],
                false => self.any(states),
            };
            let history = self.make(start);
            let Some(truth) = self.truth(start, &self.intervals(&history)) else {
                continue;
            };
            self.report.judged(truth);
            let is_judged = number.is_multiple_of(HISTORIES_PER_VERDICT);
            for law in LAWS {
                if law == Law::Verdict && !is_judged {
                    continue;
                }
                match self.try_law(law, start, &history) {
                    Tried::Nothing => {}
                    Tried::Held => self.report.count(law, 1),
                    Tried::Broken(_) => return Err(self.shrunk(law, start, history)),
                }
            }
        }
        Ok(())
    }

    fn try_law(&self, law: Law, start: &M::State, history: &Timed) -> Tried {
        match law {
            Law::UnknownOutcome => self.unknown_outcome(start, history),
            Law::Unobserved => self.unobserved(start, history),
            Law::RegisterView => self.register_view(start, history),
            Law::Monitor => self.monitor(start, history),
            _ => self.verdict(start, history),
        }
    }

    /// An answer lost leaves an order for what had one.
    fn unknown_outcome(&self, start: &M::State, history: &Timed) -> Tried {
        let intervals = self.intervals(history);
        if self.truth(start, &intervals) != Some(true) {
            return Tried::Nothing;
        }
        for (place, item) in history.iter().enumerate() {
            let entry = &self.group.entries[item.op];
            if entry.open || item.ends.is_none() {
                continue;
            }
            let mut weaker = intervals.clone();
            match &entry.unknown {
                Some(op) => {
                    weaker[place].op = op.clone();
                    weaker[place].ends = None;
                }
                None => {
                    weaker.remove(place);
                }
            }
            if self.truth(start, &weaker) == Some(false) {
                let op = self.model.describe(&entry.op);
                return Tried::Broken(format!(
                    "the operations have an order; if the answer of the {op} had been lost they \
                     would have none"
                ));
            }
        }
        Tried::Held
    }

    /// What nobody could tell of makes no difference.
    ///
    /// It is asked of histories that start from the initial state, or from others where the model
    /// can name them.
    fn unobserved(&self, start: &M::State, history: &Timed) -> Tried {
        let is_initial = *start == self.model.initial(self.group.key.as_ref());
        let intervals = self.intervals(history);
        let leaves_one = || {
            let entries = &self.group.entries;
            let among: Vec<&M::Op> = entries.iter().map(|entry| &entry.op).collect();
            among
                .iter()
                .any(|op| self.model.leaves(op, &among).is_some())
        };
        if !is_initial && self.model.states_after(&[], &[]).is_none() && !leaves_one() {
            return Tried::Nothing;
        }
        let is_observer: Vec<bool> = intervals
            .iter()
            .map(|interval| self.model.is_observer(&interval.op))
            .collect();
        let mut completed: Vec<&M::Op> = Vec::new();
        let mut open: Vec<&M::Op> = Vec::new();
        for (interval, observes) in intervals.iter().zip(&is_observer) {
            let list = match interval.ends {
                Some(_) => &mut completed,
                None if *observes => continue,
                None => &mut open,
            };
            if !list.contains(&&interval.op) {
                list.push(&interval.op);
            }
        }
        let dead = self
            .model
            .unobserved(std::slice::from_ref(start), &completed, &open);
        if dead.len() != open.len() {
            let (said, asked) = (dead.len(), open.len());
            return Tried::Broken(format!(
                "it is asked about {asked} operations, and speaks of {said}"
            ));
        }
        let gone: Vec<&M::Op> = open
            .into_iter()
            .zip(dead)
            .filter_map(|(op, dead)| dead.then_some(op))
            .collect();
        if gone.is_empty() {
            return Tried::Nothing;
        }
        let left: Vec<Interval<M::Op>> = intervals
            .iter()
            .zip(&is_observer)
            .filter(|(interval, observes)| {
                interval.ends.is_some() || !**observes && !gone.contains(&&interval.op)
            })
            .map(|(interval, _)| interval.clone())
            .collect();
        match (self.truth(start, &intervals), self.truth(start, &left)) {
            (Some(whole), Some(part)) if whole != part => {
                let gone: Vec<String> = gone.iter().map(|op| self.model.describe(op)).collect();
                Tried::Broken(format!(
                    "the operations have {} order, but without the open ones that nobody could \
                     tell of ({}) they have {}",
                    if whole { "an" } else { "no" },
                    gone.join(", "),
                    if part { "one" } else { "none" },
                ))
            }
            (None, _) | (_, None) => Tried::Nothing,
            (Some(_), Some(_)) => Tried::Held,
        }
    }

    /// The view has an order when the history has one, and so for every prefix; and no other time, unless
    /// it says so.
    fn register_view(&self, start: &M::State, history: &Timed) -> Tried {
        let intervals = self.intervals(history);
        let Some(view) = self.model.register_view(start, &intervals) else {
            return Tried::Nothing;
        };
        // With its place in the view.
        let intervals: Vec<Interval<(usize, M::Op)>> = (0..)
            .zip(intervals)
            .map(|(place, interval)| Interval {
                op: (place, interval.op),
                begins: interval.begins,
                ends: interval.ends,
            })
            .collect();
        let (said, asked) = (view.accesses.len(), intervals.len());
        if said != asked {
            return Tried::Broken(format!(
                "it is asked about {asked} operations, and views {said}"
            ));
        }
        if view
            .accesses
            .iter()
            .any(|access| highest(access) >= view.values)
        {
            let values = view.values;
            return Tried::Broken(format!("a value in the view is not below {values}"));
        }
        // The whole; and unless it looks ahead every prefix, and each operation made open.
        let mut weakened = vec![intervals.clone()];
        if !view.looks_ahead {
            let ends = intervals.iter().filter_map(|interval| interval.ends);
            weakened.extend(ends.map(|end| prefix(&intervals, end)));
            weakened.extend((0..intervals.len()).map(|place| opened(&intervals, place)));
        }
        for history in weakened {
            let viewed: Vec<Interval<Access<u32>>> = history
                .iter()
                .map(|interval| Interval {
                    op: view.accesses[interval.op.0],
                    begins: interval.begins,
                    ends: interval.ends,
                })
                .collect();
            let known: Vec<Interval<M::Op>> = history
                .into_iter()
                .map(|interval| Interval {
                    op: interval.op.1,
                    begins: interval.begins,
                    ends: interval.ends,
                })
                .collect();
            let viewed = oracle::is_linearizable(&Plain, &0, &viewed, NODES_MAX);
            match (self.truth(start, &known), viewed) {
                (Some(false), Some(true)) if view.allows_more => {}
                (Some(truth), Some(viewed)) if truth != viewed => {
                    let last = known.iter().filter_map(|interval| interval.ends).max();
                    let open = known.iter().filter(|interval| interval.ends.is_none());
                    return Tried::Broken(format!(
                        "up to {}, {} of them open, the operations have {} order, and their view \
                         has {}: {:?}",
                        last.unwrap_or_default(),
                        open.count(),
                        if truth { "an" } else { "no" },
                        if viewed { "one" } else { "none" },
                        view.accesses,
                    ));
                }
                _ => {}
            }
        }
        Tried::Held
    }

    /// The monitor is right, and so is whom it blames.
    fn monitor(&self, start: &M::State, history: &Timed) -> Tried {
        let intervals = self.intervals(history);
        let Some(found) = self.model.monitor(start, &intervals) else {
            return Tried::Nothing;
        };
        let Some(truth) = self.truth(start, &intervals) else {
            return Tried::Nothing;
        };
        let blamed = match found {
            Monitored::Linearizable if truth => return Tried::Held,
            Monitored::Ordered(order)
                if monitors::replay(self.model, start, &intervals, &order) == Replayed::DoesNot =>
            {
                return Tried::Broken("the order it finds does not explain the history".to_owned());
            }
            Monitored::Ordered(_) if truth => return Tried::Held,
            Monitored::Linearizable | Monitored::Ordered(_) => {
                return Tried::Broken("it finds an order where there is none".to_owned());
            }
            Monitored::Violated(_) | Monitored::ViolatedAt(_) if truth => {
                return Tried::Broken("it finds no order where there is one".to_owned());
            }
            Monitored::Violated(blamed) => blamed,
            Monitored::ViolatedAt(place) => return self.violated_at(start, &intervals, place),
        };
        if let Some(place) = blamed.iter().find(|place| **place >= intervals.len()) {
            return Tried::Broken(format!("it blames operation {place}, which there is not"));
        }
        let core: Vec<Interval<M::Op>> = intervals
            .iter()
            .enumerate()
            .filter_map(|(place, interval)| {
                let mut interval = interval.clone();
                if !blamed.contains(&place) {
                    interval.ends = None;
                }
                let stays = interval.ends.is_some() || !self.model.is_observer(&interval.op);
                stays.then_some(interval)
            })
            .collect();
        match self.truth(start, &core) {
            Some(true) => {
                let shown: Vec<String> = blamed
                    .iter()
                    .map(|&place| self.model.describe(&intervals[place].op))
                    .collect();
                Tried::Broken(format!(
                    "it blames operations that do not contradict each other: {}",
                    shown.join(", ")
                ))
            }
            Some(false) | None => Tried::Held,
        }
    }

    /// Up to the return of the operation there is no order, and before it there is one.
    fn violated_at(&self, start: &M::State, intervals: &[Interval<M::Op>], place: usize) -> Tried {
        let Some(end) = intervals.get(place).and_then(|interval| interval.ends) else {
            return Tried::Broken(format!(
                "it blames operation {place}, which does not return"
            ));
        };
        let before = |end: u64| {
            let begun = intervals.iter().filter(|interval| interval.begins < end);
            let cut = begun.map(|interval| Interval {
                ends: interval.ends.filter(|ends| *ends < end),
                ..interval.clone()
            });
            let seen = |interval: &Interval<M::Op>| {
                interval.ends.is_some() || !self.model.is_observer(&interval.op)
            };
            self.truth(start, &cut.filter(seen).collect::<Vec<_>>())
        };
        match (before(end), before(end + 1)) {
            (Some(false), _) | (_, Some(true)) => {
                let op = self.model.describe(&intervals[place].op);
                Tried::Broken(format!("the first place without an order is not the {op}"))
            }
            _ => Tried::Held,
        }
    }

    /// The engines, as a check asks them, decide as the oracle does.
    fn verdict(&self, start: &M::State, history: &Timed) -> Tried {
        if *start != self.model.initial(self.group.key.as_ref()) {
            return Tried::Nothing;
        }
        let mut intervals = self.intervals(history);
        intervals.sort_by_key(|interval| interval.begins);
        let Some(truth) = self.truth(start, &intervals) else {
            return Tried::Nothing;
        };
        let subject = Subject::Part(Part::of_intervals(self.group.key.clone(), &intervals));
        let nothing = History::default();
        let budget = Budget::new(&Limits::default(), &Cancel::new());
        let found = dispatch::decide(self.model, &nothing.operations(), &subject, &budget, false);
        match found {
            Finding::Linearizable if truth => Tried::Held,
            Finding::Violated(_) if !truth => Tried::Held,
            Finding::Linearizable => Tried::Broken("the check finds no violation".to_owned()),
            Finding::Violated(_) => {
                Tried::Broken("the check finds a violation where there is none".to_owned())
            }
            Finding::Undecided { .. } => Tried::Nothing,
            Finding::Disagreement(who) => Tried::Broken(format!("{who} contradict each other")),
        }
    }

    fn truth(&self, start: &M::State, intervals: &[Interval<M::Op>]) -> Option<bool> {
        oracle::is_linearizable(self.model, start, intervals, NODES_MAX)
    }

    fn intervals(&self, history: &Timed) -> Vec<Interval<M::Op>> {
        history
            .iter()
            .map(|item| Interval {
                op: self.group.entries[item.op].op.clone(),
                begins: item.begins,
                ends: item.ends,
            })
            .collect()
    }

    /// Some operations that overlap: of a few kinds, so that they have to do with each other, and
    /// mostly such as are possible one after the other.
    fn make(&mut self, start: &M::State) -> Timed {
        let entries = &self.group.entries;
        let kinds = 1 + self.chance.below(PALETTE_MAX);
        let palette: Vec<usize> = (0..kinds)
            .map(|_| self.chance.below(entries.len() as u64) as usize)
            .collect();
        let operations_max = self.effort.history_operations_max.clamp(1, OPERATIONS_MAX);
        let count = 1 + self.chance.below(operations_max as u64) as usize;
        let width = 1 + self.chance.below(WIDTH_MAX) as usize;
        let open_of_six = [0, 1, 3, 4][below(self.chance, 4)];
        let mut states = [start.clone(), start.clone()];
        let mut history: Timed = Vec::new();
        let mut under_way: Vec<usize> = Vec::new();
        let mut time = 0;
        while history.len() < count || !under_way.is_empty() {
            let begins = history.len() < count && under_way.len() < width;
            if begins && (under_way.is_empty() || self.chance.chance(1, 2)) {
                let op = self.next(&palette, &mut states);
                if !entries[op].open && !self.chance.chance(open_of_six, 6) {
                    under_way.push(history.len());
                }
                history.push(Interval {
                    op,
                    begins: time,
                    ends: None,
                });
            } else {
                let ends = under_way.swap_remove(below(self.chance, under_way.len()));
                history[ends].ends = Some(time);
            }
            time += 1;
        }
        // Half of them with something else in the place of one: that may have no order.
        if self.chance.chance(1, 2) {
            let item = below(self.chance, history.len());
            let op = palette[below(self.chance, palette.len())];
            history[item].op = op;
            history[item].ends = history[item].ends.filter(|_| !entries[op].open);
        }
        self.chance.shuffle(&mut history);
        history
    }

    /// The next operation: sometimes any that the last one made possible, so that one leads to
    /// another; else one of the palette, mostly a possible one.
    fn next(&mut self, palette: &[usize], states: &mut [M::State; 2]) -> usize {
        let entries = &self.group.entries;
        let [before, now] = &*states;
        let can = |state: &M::State, op: usize| self.model.step(state, &entries[op].op);
        let mut op = palette[below(self.chance, palette.len())];
        if self.chance.chance(1, 2) {
            let led_to: Vec<usize> = (0..entries.len())
                .filter(|&op| can(before, op).is_none() && can(now, op).is_some())
                .collect();
            op = self.chance.pick(&led_to).copied().unwrap_or(op);
        }
        for _ in 0..PICKS {
            if let Some(next) = can(now, op) {
                *states = [now.clone(), next];
                break;
            }
            op = palette[below(self.chance, palette.len())];
        }
        op
    }

    /// The violation, by as few of the operations as possible.
    fn shrunk(&self, law: Law, start: &M::State, mut history: Timed) -> LawViolation {
        let mut place = 0;
        while place < history.len() {
            let mut fewer = history.clone();
            fewer.remove(place);
            match self.try_law(law, start, &fewer) {
                Tried::Broken(_) => (history, place) = (fewer, 0),
                Tried::Nothing | Tried::Held => place += 1,
            }
        }
        let what = match self.try_law(law, start, &history) {
            Tried::Broken(what) => what,
            Tried::Nothing | Tried::Held => "it says one thing, and then another".to_owned(),
        };
        history.sort_by_key(|item| item.begins);
        let shown = history.iter().map(|item| self.item(item)).collect();
        self.violation(law, what, Some(start), shown)
    }

    fn item(&self, item: &Interval<usize>) -> String {
        let op = self.model.describe(&self.group.entries[item.op].op);
        match item.ends {
            Some(ends) => format!("{op}, from {} to {ends}", item.begins),
            None => format!("{op}, from {}, of unknown outcome", item.begins),
        }
    }
}

fn below(chance: &mut Stream, bound: usize) -> usize {
    chance.below(bound as u64) as usize
}

fn highest(access: &Access<u32>) -> u32 {
    match access {
        Access::Read(value) | Access::Write(value) | Access::Not(value) => *value,
        Access::Cas(old, new) => *old.max(new),
    }
}

/// What has begun by `end`; what returns later is open.
fn prefix<Op: Clone>(intervals: &[Interval<Op>], end: u64) -> Vec<Interval<Op>> {
    intervals
        .iter()
        .filter(|interval| interval.begins <= end)
        .map(|interval| Interval {
            ends: interval.ends.filter(|ends| *ends <= end),
            ..interval.clone()
        })
        .collect()
}

/// One of them made open.
fn opened<Op: Clone>(intervals: &[Interval<Op>], place: usize) -> Vec<Interval<Op>> {
    let mut intervals = intervals.to_vec();
    intervals[place].ends = None;
    intervals
}

/// A register, for the oracle to judge views by: nothing but the steps.
struct Plain;

impl Model for Plain {
    type State = u32;
    type Op = Access<u32>;

    fn name(&self) -> &'static str {
        "view"
    }

    fn parse(&self, _operation: &Operation) -> Result<Option<Access<u32>>, ModelError> {
        Ok(None)
    }

    fn part(&self, _operation: &Operation, _op: &Access<u32>) -> Option<Value> {
        None
    }

    fn initial(&self, _part: Option<&Value>) -> u32 {
        0
    }

    fn step(&self, state: &u32, op: &Access<u32>) -> Option<u32> {
        match op {
            Access::Read(value) => (state == value).then_some(*state),
            Access::Write(value) => Some(*value),
            Access::Cas(old, new) => (state == old).then_some(*new),
            Access::Not(value) => (state != value).then_some(*state),
        }
    }

    fn describe(&self, op: &Access<u32>) -> String {
        format!("{op:?}")
    }

    fn describe_state(&self, state: &u32) -> String {
        state.to_string()
    }
}
