//! Which calls are under way at a position in the history, moved forward and backward.

use super::facts::Outlook;
use super::mask::Mask;
use super::transitions::{StateId, Transitions};
use super::{Condition, Moment, Reductions, Timeline};

/// A call under way that will return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pending {
    pub class: u32,
    /// Where it returns: later ones are greater.
    pub deadline: u64,
    pub slot: u32,
}

/// Open calls of one class begun so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub class: u32,
    pub count: u32,
}

/// The calls under way at one moment.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    /// Updates, by class, then deadline.
    pub updates: Vec<Pending>,
    /// Observers.
    pub observers: Vec<Pending>,
    /// Open calls, by class in order of first appearance; counts may be zero after going back.
    pub open: Vec<Open>,
    /// For each class its place in `open`.
    places: Vec<u32>,
}

impl UnderWay {
    /// A call that will return comes under way (`enters`) or is so no more.
    pub(crate) fn count(&mut self, pending: Pending, observes: bool, enters: bool) {
        let list = match observes {
            true => &mut self.observers,
            false => &mut self.updates,
        };
        match (list.binary_search(&pending), enters) {
            (Err(at), true) => list.insert(at, pending),
            (Ok(at), false) => {
                list.remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }

    /// An open call of the class begins, or (going back) has not begun any more.
    pub(crate) fn count_open(&mut self, class: u32, enters: bool) {
        if self.places.len() <= class as usize {
            self.places.resize(class as usize + 1, u32::MAX);
        }
        let place = &mut self.places[class as usize];
        if *place == u32::MAX {
            *place = self.open.len() as u32;
            self.open.push(Open { class, count: 0 });
        }
        let count = &mut self.open[*place as usize].count;
        *count = if enters {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
    }

    /// R1: places every observer under way that is legal in the state.
    pub(crate) fn absorb<K: Mask>(
        &self,
        transitions: &mut Transitions<'_>,
        state: StateId,
        observers: &mut K,
        reductions: &Reductions,
    ) {
        for pending in &self.observers {
            if !observers.has(pending.slot)
                && (transitions.step(state, pending.class).is_some()
                    || reductions.drops(Condition::ObserverLegal))
            {
                observers.add(pending.slot);
            }
        }
    }

    /// Gives classes other numbers, which must be in the same order; open classes without a number
    /// go.
    pub(crate) fn renumber(&mut self, numbers: &[Option<u32>]) {
        let number = |class: u32| numbers[class as usize];
        for pending in self.updates.iter_mut().chain(&mut self.observers) {
            if let Some(class) = number(pending.class) {
                pending.class = class;
            }
        }
        let open = std::mem::take(&mut self.open);
        self.places = Vec::new();
        for Open { class, count } in open {
            if let Some(class) = number(class) {
                self.count_open(class, true);
                if let Some(last) = self.open.last_mut() {
                    last.count = count;
                }
            }
        }
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        (self.updates.capacity() + self.observers.capacity()) * size_of::<Pending>()
            + self.open.capacity() * size_of::<Open>()
            + self.places.capacity() * 4
    }
}

/// A cursor in the moments of a timeline.
#[derive(Debug)]
pub(crate) struct Window<'p> {
    timeline: &'p Timeline,
    /// How many moments have passed.
    pub position: usize,
    /// What is under way there.
    pub under_way: UnderWay,
    /// What is to come from there on, where that is asked for.
    pub outlook: Option<Outlook>,
}

impl<'p> Window<'p> {
    pub(crate) fn new(timeline: &'p Timeline) -> Self {
        Window {
            timeline,
            position: 0,
            under_way: UnderWay::default(),
            outlook: None,
        }
    }

    /// The same with a look at what is to come, where there are facts (R6).
    pub(crate) fn looking_ahead(mut self, reductions: &Reductions) -> Self {
        let timeline = self.timeline;
        let calls = timeline.calls.iter().map(|call| (call.class, call.open));
        let facts = timeline.facts.as_ref();
        self.outlook = facts.map(|facts| Outlook::new(facts, calls, reductions));
        self
    }

    /// Moves to where exactly `position` moments have passed.
    pub(crate) fn seek(&mut self, position: usize) {
        while self.position < position.min(self.timeline.moments.len()) {
            let moment = self.timeline.moments[self.position];
            self.pass(moment, true);
            self.position += 1;
        }
        while self.position > position {
            self.position -= 1;
            let moment = self.timeline.moments[self.position];
            self.pass(moment, false);
        }
    }

    fn pass(&mut self, moment: Moment, forward: bool) {
        let enters = moment.returns != forward;
        apply(self.timeline, &mut self.under_way, moment.call, enters);
        if let Some(outlook) = &mut self.outlook {
            let call = self.timeline.calls[moment.call as usize];
            match moment.returns {
                true => outlook.end(call.class, forward),
                false => outlook.begin(call.class, call.open, forward),
            }
        }
    }
}

/// A call comes under way (`enters`) or is so no more.
pub(crate) fn apply(timeline: &Timeline, under_way: &mut UnderWay, call: u32, enters: bool) {
    let number = call as usize;
    let class = timeline.calls[number].class;
    if timeline.calls[number].open {
        under_way.count_open(class, enters);
        return;
    }
    let pending = Pending {
        class,
        deadline: u64::from(timeline.returns[number]),
        slot: timeline.slots[number],
    };
    under_way.count(pending, timeline.observers[class as usize], enters);
}
