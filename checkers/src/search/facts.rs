//! R6 for models whose state is values at places: what somebody must still find, and who could
//! bring it (`checker.md` section 2).
//!
//! A *fact* is a value at a place. When a call leaves another value there, the fact is gone until a
//! call that leaves it comes after. So a configuration in which it is gone, some call must still find
//! it and no call is left that brings it cannot be completed.

use std::sync::Arc;

use histories::Value;
use rustc_hash::FxHashMap;

use super::window::UnderWay;
use super::{Condition, Reductions, Timeline};
use crate::Model;

/// A value at a place.
type Fact = u32;

/// The facts of a history, by class of operations.
#[derive(Debug)]
pub(crate) struct Facts {
    /// For each class what it must find.
    finds: Vec<Vec<Fact>>,
    /// For each class what it leaves.
    leaves: Vec<Vec<Fact>>,
    /// For each fact its place.
    places: Vec<u32>,
}

impl Facts {
    /// `None` when the model cannot say of every class.
    pub(crate) fn of<M: Model>(model: &M, classes: &[M::Op]) -> Option<Self> {
        let mut places: FxHashMap<Value, u32> = FxHashMap::default();
        let mut numbers: FxHashMap<(u32, Value), Fact> = FxHashMap::default();
        let mut facts = Facts {
            finds: Vec::with_capacity(classes.len()),
            leaves: Vec::with_capacity(classes.len()),
            places: Vec::new(),
        };
        for op in classes {
            let touches = model.touches(op)?;
            let mut number = |(place, value): (Value, Value)| {
                let next = places.len() as u32;
                let place = *places.entry(place).or_insert(next);
                *numbers.entry((place, value)).or_insert_with(|| {
                    facts.places.push(place);
                    facts.places.len() as Fact - 1
                })
            };
            let finds = touches.finds.into_iter().map(&mut number).collect();
            let leaves = touches.leaves.into_iter().map(&mut number).collect();
            facts.finds.push(finds);
            facts.leaves.push(leaves);
        }
        Some(facts)
    }

    fn leaves(&self, class: u32, fact: Fact) -> bool {
        self.leaves[class as usize].contains(&fact)
    }

    fn finds(&self, class: u32, fact: Fact) -> bool {
        self.finds[class as usize].contains(&fact)
    }
}

/// Up to so many calls are named that bring the same fact.
const SOURCES_NAMED_MAX: usize = 16;

/// Calls that contradict each other, all others being of unknown outcome: one that finds a fact, one that
/// certainly came before it, left something else at that place and certainly came after all that
/// bring the fact, and these.
pub(crate) fn stale(timeline: &Timeline, reductions: &Reductions) -> Option<Vec<u32>> {
    let drops = |condition| reductions.drops(condition);
    let facts = timeline.facts.as_ref()?;
    let spans = spans(timeline);
    let mut sources: Vec<Vec<u32>> = vec![Vec::new(); facts.places.len()];
    let places = facts.places.iter().max().map_or(0, |last| last + 1);
    // For each place what is left there, in order of end; and each with the one of those up to it
    // that began last.
    let mut left: Vec<Vec<(u32, u32)>> = vec![Vec::new(); places as usize];
    for (call, of) in (0..).zip(&timeline.calls) {
        for &fact in &facts.leaves[of.class as usize] {
            sources[fact as usize].push(call);
            let place = facts.places[fact as usize] as usize;
            left[place].push((spans[call as usize].1, call));
        }
    }
    for left in &mut left {
        left.sort_unstable();
        let mut last = 0;
        for (at, (_, call)) in left.iter_mut().enumerate() {
            if at > 0 && spans[last as usize].0 > spans[*call as usize].0 {
                *call = last;
            }
            last = *call;
        }
    }
    (0..).zip(&timeline.calls).find_map(|(call, of)| {
        let (begins, ends) = spans[call as usize];
        let found = facts.finds[of.class as usize].iter().copied();
        let mut found = found.filter(|_| !of.open || drops(Condition::OpenNeedNot));
        found.find_map(|fact| {
            let left = &left[facts.places[fact as usize] as usize];
            let before = match drops(Condition::OverwriterOver) {
                true => left.len(),
                false => left.partition_point(|(ended, _)| *ended < begins),
            };
            let overwriter = left[before.checked_sub(1)?].1;
            let sources = &sources[fact as usize];
            // In order of beginning.
            let until = match drops(Condition::SourceUnderWay) {
                true => begins,
                false => ends,
            };
            let begun = sources.partition_point(|&source| spans[source as usize].0 < until);
            let sources = &sources[..begun];
            let limit = match drops(Condition::SourceOver) {
                true => spans[overwriter as usize].1,
                false => spans[overwriter as usize].0,
            };
            let over = |&source: &u32| {
                let ended = spans[source as usize].1;
                ended < limit || ended == u32::MAX && drops(Condition::SourceOpen)
            };
            if sources.len() > SOURCES_NAMED_MAX || !sources.iter().all(over) {
                return None;
            }
            Some([&[overwriter, call], sources].concat())
        })
    })
}

/// When each call begins and returns, by the numbers of moments; `u32::MAX` for never.
fn spans(timeline: &Timeline) -> Vec<(u32, u32)> {
    let mut spans = vec![(0, u32::MAX); timeline.calls.len()];
    for (position, moment) in (0..).zip(&timeline.moments) {
        match moment.returns {
            true => spans[moment.call as usize].1 = position,
            false => spans[moment.call as usize].0 = position,
        }
    }
    spans
}

/// What is to come from a moment on, moved forward and backward.
#[derive(Debug)]
pub(super) struct Outlook {
    facts: Arc<Facts>,
    /// For each fact, how many calls to come must find it, and how many may bring it.
    finders: Vec<u32>,
    sources: Vec<u32>,
    /// How many calls under way must find it.
    found_now: Vec<u32>,
    /// For each place its facts that somebody must find and nobody to come brings.
    scarce: Vec<Vec<Fact>>,
    reductions: Reductions,
}

impl Outlook {
    /// At the beginning: every call of these classes is to come, open or not.
    pub(super) fn new(
        facts: &Arc<Facts>,
        calls: impl Iterator<Item = (u32, bool)>,
        reductions: &Reductions,
    ) -> Self {
        let count = facts.places.len();
        let places = facts.places.iter().max().map_or(0, |last| last + 1);
        let mut outlook = Outlook {
            facts: Arc::clone(facts),
            finders: vec![0; count],
            sources: vec![0; count],
            found_now: vec![0; count],
            scarce: vec![Vec::new(); places as usize],
            reductions: *reductions,
        };
        for (class, open) in calls {
            outlook.shift_ahead(class, open, 1);
        }
        for fact in 0..count as Fact {
            outlook.look_again(fact);
        }
        outlook
    }

    fn shift_ahead(&mut self, class: u32, open: bool, by: i32) {
        let shift = |number: &mut u32| *number = number.wrapping_add_signed(by);
        for &fact in &self.facts.leaves[class as usize] {
            shift(&mut self.sources[fact as usize]);
        }
        if !open || self.reductions.drops(Condition::OpenNeedNot) {
            for &fact in &self.facts.finds[class as usize] {
                shift(&mut self.finders[fact as usize]);
            }
        }
    }

    /// A call begins, or (going back) has not begun any more.
    pub(super) fn begin(&mut self, class: u32, open: bool, forward: bool) {
        let by = if forward { 1 } else { -1 };
        self.shift_ahead(class, open, -by);
        self.shift_found_now(class, if open { 0 } else { by });
    }

    /// A call returns, or has not returned any more.
    pub(super) fn end(&mut self, class: u32, forward: bool) {
        self.shift_found_now(class, if forward { -1 } else { 1 });
    }

    fn shift_found_now(&mut self, class: u32, by: i32) {
        let facts = Arc::clone(&self.facts);
        let (finds, leaves) = (&facts.finds[class as usize], &facts.leaves[class as usize]);
        for &fact in finds {
            let found = &mut self.found_now[fact as usize];
            *found = found.wrapping_add_signed(by);
        }
        for &fact in finds.iter().chain(leaves) {
            self.look_again(fact);
        }
    }

    /// Puts the fact in the list of its place, or takes it out.
    fn look_again(&mut self, fact: Fact) {
        let at = fact as usize;
        let is_scarce = (self.sources[at] == 0 || self.reductions.drops(Condition::SourceAhead))
            && self.finders[at] + self.found_now[at] > 0;
        let scarce = &mut self.scarce[self.facts.places[at] as usize];
        match (scarce.iter().position(|other| *other == fact), is_scarce) {
            (None, true) => scarce.push(fact),
            (Some(place), false) => _ = scarce.swap_remove(place),
            _ => {}
        }
    }

    /// Whether what a call of the class left, being the last so far, makes it impossible to go on: of
    /// those under way these are placed, and of these classes open calls are left.
    pub(super) fn is_doomed(
        &self,
        class: u32,
        under_way: &UnderWay,
        is_placed: impl Fn(u32) -> bool,
        has_open: impl Fn(u32) -> bool,
    ) -> bool {
        let facts = &self.facts;
        let left = &facts.leaves[class as usize];
        let places = left.iter().map(|&fact| facts.places[fact as usize]);
        places.into_iter().any(|place| {
            let gone = self.scarce[place as usize].iter().copied();
            gone.filter(|fact| !left.contains(fact)).any(|fact| {
                let is_left =
                    |slot: u32| !is_placed(slot) || self.reductions.drops(Condition::NeededStill);
                let both = under_way.updates.iter().chain(&under_way.observers);
                let is_needed = self.finders[fact as usize] > 0
                    || both
                        .into_iter()
                        .any(|call| is_left(call.slot) && facts.finds(call.class, fact));
                let brings = || {
                    let mut updates = under_way.updates.iter();
                    let mut open = under_way.open.iter();
                    updates.any(|call| !is_placed(call.slot) && facts.leaves(call.class, fact))
                        && !self.reductions.drops(Condition::SourceUnderWay)
                        || open.any(|open| facts.leaves(open.class, fact) && has_open(open.class))
                            && !self.reductions.drops(Condition::SourceOpen)
                };
                is_needed && !brings()
            })
        })
    }
}
