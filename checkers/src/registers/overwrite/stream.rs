//! The set of configurations of a history that is still being made.

use std::fmt::Debug;

use rustc_hash::FxHashMap;

use super::engine::{Engine, Stopped};
use super::rules::Rules;
use super::trail::Untold;
use crate::limits::{Budget, Exhausted};
use crate::registers::Access;
use crate::search::{Fixed, Mask, Spilled};

/// Up to so many values are known without looking for ones no longer needed.
const VALUES_MIN: usize = 64;
/// The widths with masks of a fixed size.
const NARROW: usize = 64;
const WIDE: usize = 256;

/// Decides a history call by call: holds the configurations after what has come so far, and
/// memory for no more than the calls under way, the open ones and the values they concern.
///
/// A call must be announced when it begins together with what came of it, since what a read will
/// find is needed then: whoever feeds it lets events wait until the outcome of every earlier one
/// is known.
#[derive(Debug)]
pub(crate) struct Stream {
    live: Box<dyn Live>,
    values: Values,
    /// No configuration is left.
    violated: bool,
}

/// A call under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

/// Why a stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    /// The feeder broke its promise.
    #[error("a call returned before one that was announced to return earlier")]
    OutOfOrder,
    /// Asking again goes on where it stopped.
    #[error("the limit on {0:?} is reached")]
    Exhausted(Exhausted),
}

/// An engine of some width.
trait Live: Debug + Send {
    fn begin(&mut self, access: Access<u32>, ends: u64) -> Option<u32>;
    fn begin_open(&mut self, access: Access<u32>);
    fn end(&mut self, slot: u32) -> Result<bool, StreamError>;
    fn begin_turn(&mut self, nodes: u64);
    fn configurations(&self) -> usize;
    fn bytes(&self) -> usize;
    /// Says every value that is needed.
    fn needed(&self, say: &mut dyn FnMut(u32));
    /// The same for more calls under way; this one is of no use afterwards.
    fn wider(&mut self) -> Box<dyn Live>;
}

/// Values by small numbers, which are used again when nobody needs them any more.
#[derive(Debug, Default)]
struct Values {
    numbers: FxHashMap<u64, u32>,
    free: Vec<u32>,
    /// How many values were needed when last looked.
    needed: usize,
}

impl Stream {
    /// Before the first call, when the register holds one of these values.
    pub(crate) fn new(starts: &[u64], budget: &Budget) -> Self {
        let rules = Rules {
            look_ahead: false,
            dooms: false,
            #[cfg(test)]
            dropped: None,
        };
        let mut values = Values::default();
        let mut engine: Engine<Fixed<1>, Untold> = Engine::new(NARROW, 0, rules, budget);
        for &start in starts {
            engine.start(values.number(start), NARROW);
        }
        Stream {
            live: Box::new(engine),
            values,
            violated: starts.is_empty(),
        }
    }

    /// A call begins that will return at the time `ends`; times count by their order only.
    pub(crate) fn begins(&mut self, access: Access<u64>, ends: u64) -> Ticket {
        let access = self.number(access);
        loop {
            if let Some(slot) = self.live.begin(access, ends) {
                return Ticket(slot);
            }
            self.live = self.live.wider();
        }
    }

    /// A call begins that may happen at any time from now on, or never.
    pub(crate) fn begins_open(&mut self, access: Access<u64>) {
        let access = self.number(access);
        self.live.begin_open(access);
    }

    /// The call returns. False when what has come so far has no order, from then on for ever.
    pub(crate) fn returns(&mut self, ticket: Ticket) -> Result<bool, StreamError> {
        if !self.violated {
            self.violated = !self.live.end(ticket.0)?;
        }
        Ok(!self.violated)
    }

    /// From here on so much work may be done in one go.
    pub(crate) fn begin_turn(&mut self, nodes: u64) {
        self.live.begin_turn(nodes);
    }

    /// Whether it still has to do with this value.
    pub(crate) fn knows(&self, value: u64) -> bool {
        self.values.numbers.contains_key(&value)
    }

    /// How many configurations there are.
    pub(crate) fn configurations(&self) -> usize {
        self.live.configurations()
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.live.bytes() + self.values.numbers.capacity() * 16 + self.values.free.capacity() * 4
    }

    fn number(&mut self, access: Access<u64>) -> Access<u32> {
        if self.values.wants_collection() {
            self.values.collect(&*self.live);
        }
        let values = &mut self.values;
        match access {
            Access::Read(value) => Access::Read(values.number(value)),
            Access::Write(value) => Access::Write(values.number(value)),
            Access::Cas(old, new) => {
                let old = values.number(old);
                Access::Cas(old, values.number(new))
            }
            Access::Not(value) => Access::Not(values.number(value)),
        }
    }
}

impl Values {
    fn number(&mut self, value: u64) -> u32 {
        let next = self.numbers.len() + self.free.len();
        let free = &mut self.free;
        *self
            .numbers
            .entry(value)
            .or_insert_with(|| free.pop().unwrap_or(next as u32))
    }

    fn wants_collection(&self) -> bool {
        self.numbers.len() > VALUES_MIN + 2 * self.needed
    }

    /// Frees the numbers of the values that nobody needs.
    fn collect(&mut self, live: &dyn Live) {
        let mut needed = vec![false; self.numbers.len() + self.free.len()];
        live.needed(&mut |value| needed[value as usize] = true);
        let free = &mut self.free;
        self.numbers.retain(|_, number| {
            let is_needed = needed[*number as usize];
            if !is_needed {
                free.push(*number);
            }
            is_needed
        });
        self.needed = self.numbers.len();
    }
}

impl<M: Mask + 'static> Live for Engine<M, Untold> {
    fn begin(&mut self, access: Access<u32>, ends: u64) -> Option<u32> {
        let slot = self.window.free_slot()?;
        self.make_room(access);
        self.begin(slot, 0, access, ends);
        self.now += 1;
        Some(slot)
    }

    fn begin_open(&mut self, access: Access<u32>) {
        self.make_room(access);
        self.begin_open(0, access);
        self.now += 1;
    }

    fn end(&mut self, slot: u32) -> Result<bool, StreamError> {
        if !self.window.is_first_to_return(slot) {
            return Err(StreamError::OutOfOrder);
        }
        let left = self.end(slot).map_err(|stopped| match stopped {
            Stopped::Exhausted(limit) => StreamError::Exhausted(limit),
            Stopped::TurnOver => StreamError::Exhausted(Exhausted::Nodes),
        })?;
        self.now += 1;
        if self.wants_compaction() {
            self.compact(std::iter::empty());
        }
        Ok(left)
    }

    fn begin_turn(&mut self, nodes: u64) {
        self.nodes_turn = self.nodes.saturating_add(nodes);
    }

    fn configurations(&self) -> usize {
        self.current.len()
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn needed(&self, say: &mut dyn FnMut(u32)) {
        for config in &self.current {
            say(config.state);
        }
        let under_way = self.window.under_way().map(|call| call.access);
        let open = self.supply.classes().iter().map(|class| class.access);
        for access in under_way.chain(open) {
            match access {
                Access::Read(value) | Access::Write(value) | Access::Not(value) => say(value),
                Access::Cas(old, new) => {
                    say(old);
                    say(new);
                }
            }
        }
    }

    fn wider(&mut self) -> Box<dyn Live> {
        match self.window.width() {
            0..WIDE => Box::new(self.with_width::<Fixed<4>>(WIDE)),
            width => Box::new(self.with_width::<Spilled>(2 * width)),
        }
    }
}
