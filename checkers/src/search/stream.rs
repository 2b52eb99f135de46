//! The configuration-set search of a history that is still being made.
//!
//! The same set, told of calls one by one: what it holds depends on what is under way, not on how
//! much came before. Operations and states are numbered as they come, and forgotten when neither a
//! configuration nor a call under way, nor an open one that may still happen, needs them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Reductions;
use super::mask::{Fixed, Spilled};
use super::sets::{Returning, Sets, Stopped};
use super::transitions::{SharedClasses, Transitions};
use super::window::Pending;
use crate::limits::Budget;
use crate::{Model, OnlineLimit};

/// So many slots fit the masks of a fixed width.
const NARROW_SLOTS: usize = 64;
const WIDE_SLOTS: usize = 256;

/// So much room is kept in a table that is cleared, in entries.
const KEPT_MIN: usize = 16;

/// The set, with the masks that the number of slots asks for.
enum Masked {
    Narrow(Box<Sets<'static, Fixed<1>>>),
    Wide(Box<Sets<'static, Fixed<4>>>),
    Spilled(Box<Sets<'static, Spilled>>),
}

/// Does the same with the set, whatever its masks.
macro_rules! with_sets {
    ($masked:expr, $sets:ident => $done:expr) => {
        match $masked {
            Masked::Narrow($sets) => $done,
            Masked::Wide($sets) => $done,
            Masked::Spilled($sets) => $done,
        }
    };
}

/// A call under way that will return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    slot: u32,
}

/// What a slot is held for.
#[derive(Debug, Clone, Copy)]
struct Held {
    pending: Pending,
    observes: bool,
}

/// What one return may cost, and what may be left after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamLimits {
    /// Configurations looked at and steps tried for one return.
    pub nodes_per_return_max: u64,
    /// Configurations kept from one return to the next.
    pub configurations_max: usize,
    /// So many things are remembered before it is worth forgetting.
    pub remembered_min: usize,
}

/// The search.
pub(crate) struct Stream<M: Model + 'static> {
    model: Arc<M>,
    sets: Masked,
    limits: StreamLimits,
    /// The operations of the classes, shared with the sets, which forget those of no use.
    ops: SharedClasses<M::Op>,
    classes: FxHashMap<M::Op, u32>,
    held: Vec<Option<Held>>,
    free: BinaryHeap<Reverse<u32>>,
    under_way: usize,
    /// How much may be remembered before it is sorted out.
    remembered_max: usize,
    resting: bool,
}

impl<M: Model + 'static> Stream<M> {
    /// A search of a history that begins in this state. The memory of `budget` is for all streams
    /// that share it.
    pub(crate) fn new(
        model: Arc<M>,
        start: M::State,
        reductions: Reductions,
        limits: StreamLimits,
        budget: &Budget,
    ) -> Self {
        let ops = SharedClasses::default();
        let (transitions, start) =
            Transitions::growing(Arc::clone(&model), Arc::clone(&ops), start);
        let mut sets = Sets::new(transitions, reductions, budget);
        sets.start_from(start, NARROW_SLOTS);
        Stream {
            model,
            ops,
            sets: Masked::Narrow(Box::new(sets)),
            limits,
            classes: FxHashMap::default(),
            held: Vec::new(),
            free: BinaryHeap::new(),
            under_way: 0,
            remembered_max: limits.remembered_min,
            resting: false,
        }
    }

    /// A call begins that will return; later ends have greater `deadline`s.
    pub(crate) fn begins(&mut self, op: M::Op, deadline: u64) -> Ticket {
        self.resting = false;
        let observes = self.model.is_observer(&op);
        let class = self.class(op);
        let slot = match self.free.pop() {
            Some(Reverse(slot)) => slot,
            None => self.new_slot(),
        };
        let pending = Pending {
            class,
            deadline,
            slot,
        };
        with_sets!(&mut self.sets, sets => {
            if observes {
                sets.add_observer(slot, class);
            }
            sets.under_way.count(pending, observes, true);
        });
        self.held[slot as usize] = Some(Held { pending, observes });
        self.under_way += 1;
        Ticket { slot }
    }

    /// A call begins of which nobody knows whether it ever takes effect.
    pub(crate) fn begins_open(&mut self, op: M::Op) {
        self.resting = false;
        // R4: an observer that nobody saw return constrains nothing.
        if !self.model.is_observer(&op) {
            let class = self.class(op);
            with_sets!(&mut self.sets, sets => sets.under_way.count_open(class, true));
        }
    }

    /// A call returns; false when no order explains that any more. After that, and after an error,
    /// the stream says nothing of use.
    ///
    /// # Errors
    ///
    /// The limit that was reached: then it is not known whether there is an order.
    pub(crate) fn returns(&mut self, ticket: Ticket) -> Result<bool, OnlineLimit> {
        let slot = ticket.slot;
        let Some(Held { pending, observes }) = self.held[slot as usize].take() else {
            return Ok(true);
        };
        let returning = Returning {
            class: pending.class,
            slot,
            observes,
        };
        let nodes_max = self.limits.nodes_per_return_max;
        let (passed, configurations) = with_sets!(&mut self.sets, sets => {
            sets.begin_turn(nodes_max);
            let passed = sets.pass_return(&returning);
            sets.under_way.count(pending, observes, false);
            (passed, sets.len())
        });
        self.free.push(Reverse(slot));
        self.under_way -= 1;
        let passed = passed.map_err(|stopped| match stopped {
            Stopped::TurnOver => OnlineLimit::Work,
            Stopped::Exhausted(_) => OnlineLimit::Memory,
        })?;
        if configurations > self.limits.configurations_max {
            return Err(OnlineLimit::Configurations);
        }
        if passed && with_sets!(&self.sets, sets => sets.remembered()) > self.remembered_max {
            self.forget();
            let looked = with_sets!(&mut self.sets, sets => sets.look());
            looked.map_err(|_| OnlineLimit::Memory)?;
        }
        Ok(passed)
    }

    /// Whether it has given back what memory it can, and nothing happened since.
    pub(crate) fn is_resting(&self) -> bool {
        self.resting
    }

    /// Gives back what memory it can.
    pub(crate) fn rest(&mut self) {
        self.forget();
        if self.under_way == 0 {
            self.held = Vec::new();
            self.free = BinaryHeap::new();
            let narrow = with_sets!(&mut self.sets, sets => sets.take_with_masks(NARROW_SLOTS));
            self.sets = Masked::Narrow(Box::new(narrow));
        }
        self.resting = true;
    }

    /// Memory held, by account of its tables.
    pub(crate) fn bytes(&self) -> usize {
        let sets = with_sets!(&self.sets, sets => size_of_val(&**sets) + sets.bytes());
        sets + self.classes.capacity() * (size_of::<(M::Op, u32)>() + 1)
            + self.held.capacity() * size_of::<Option<Held>>()
            + self.free.capacity() * 4
    }

    fn class(&mut self, op: M::Op) -> u32 {
        if let Some(&class) = self.classes.get(&op) {
            return class;
        }
        let mut ops = match self.ops.lock() {
            Ok(ops) => ops,
            Err(held) => held.into_inner(),
        };
        let class = ops.len() as u32;
        ops.push(op.clone());
        drop(ops);
        self.classes.insert(op, class);
        class
    }

    fn new_slot(&mut self) -> u32 {
        let slot = self.held.len();
        self.held.push(None);
        match slot {
            NARROW_SLOTS => {
                let wide = with_sets!(&mut self.sets, sets => sets.take_with_masks(WIDE_SLOTS));
                self.sets = Masked::Wide(Box::new(wide));
            }
            WIDE_SLOTS.. if slot.is_power_of_two() => {
                let wider = with_sets!(&mut self.sets, sets => sets.take_with_masks(2 * slot));
                self.sets = Masked::Spilled(Box::new(wider));
            }
            _ => {}
        }
        slot as u32
    }

    /// Forgets what is of no use any more.
    fn forget(&mut self) {
        let numbers = with_sets!(&mut self.sets, sets => sets.forget());
        self.classes
            .retain(|_, class| match numbers[*class as usize] {
                Some(number) => {
                    *class = number;
                    true
                }
                None => false,
            });
        self.classes.shrink_to(KEPT_MIN);
        for held in self.held.iter_mut().flatten() {
            if let Some(number) = numbers[held.pending.class as usize] {
                held.pending.class = number;
            }
        }
        let left = with_sets!(&self.sets, sets => sets.remembered());
        self.remembered_max = self.limits.remembered_min.max(2 * left);
    }
}
