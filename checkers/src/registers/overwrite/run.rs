//! The set of configurations along a whole history.

use super::config::Config;
use super::engine::{Engine, Stopped};
use super::trail::Trail;
use super::unobserved::unobserved;
use super::window::{Slot, plain};
use super::{Options, Outcome};
use crate::limits::{Budget, Exhausted};
use crate::registers::{Access, OPEN, RegisterHistory};
use crate::search::{Decision, Mask, Progress, Search};

/// The slot of a call that has none: it is open, or left out.
const OPEN_SLOT: u32 = u32::MAX;
const LEFT_OUT: u32 = u32::MAX - 1;

/// How many moments lie between two checkpoints.
const CHECKPOINT_MOMENTS: usize = 1000;
/// The first beam, by how much each is wider than the last, and the widest that is one.
const BEAM_FIRST: usize = 4;
const BEAM_GROWTH: usize = 8;
const BEAM_LAST: usize = 1 << 14;
/// By how many times more checkpoints each attempt goes back than the last.
const BACK_GROWTH: usize = 4;

/// A run along a history, resumable between turns.
#[derive(Debug)]
pub(super) struct Run<'h, M: Mask, T: Trail> {
    history: &'h RegisterHistory,
    pub engine: Engine<M, T>,
    /// For each call its slot while it is under way.
    slots: Vec<u32>,
    position: usize,
    widening: Option<Widening<M, T::Mark>>,
}

/// The state of a beam that widens where it dies.
#[derive(Debug)]
struct Widening<M, K> {
    /// In order of position; the first is at 0.
    checkpoints: Vec<Checkpoint<M, K>>,
    /// How often it died without passing `trouble`.
    attempts: u32,
    /// Where it died last, and some moments more.
    trouble: usize,
}

/// The configurations at a moment.
#[derive(Debug)]
struct Checkpoint<M, K> {
    position: usize,
    configs: Vec<Config<M, K>>,
    /// Whether none had been left out.
    exact: bool,
}

impl<M: Mask, T: Trail> Search for Run<'_, M, T> {
    fn advance(&mut self, nodes: u64) -> Progress {
        self.engine.nodes_turn = self.engine.nodes.saturating_add(nodes);
        while self.position < self.history.moments.len() {
            self.save();
            match self.step() {
                Ok(true) => self.position += 1,
                Ok(false) if !self.engine.is_truncated() => {
                    let event = self.position;
                    return Progress::Done(Decision::NotLinearizable { event });
                }
                Ok(false) if self.widening.is_none() => return Progress::GaveUp(Exhausted::Nodes),
                Ok(false) => self.widen(),
                Err(Stopped::TurnOver) => return Progress::Paused,
                Err(Stopped::Exhausted(limit)) => return Progress::GaveUp(limit),
            }
            if self.engine.wants_compaction() {
                let checkpoints = self.widening.iter_mut().flat_map(|of| &mut of.checkpoints);
                self.engine
                    .compact(checkpoints.flat_map(|checkpoint| &mut checkpoint.configs));
            }
        }
        Progress::Done(Decision::Linearizable)
    }

    fn nodes(&self) -> u64 {
        self.engine.nodes
    }

    fn position(&self) -> usize {
        self.position
    }
}

impl<'h, M: Mask, T: Trail> Run<'h, M, T> {
    pub(super) fn new(
        history: &'h RegisterHistory,
        width: usize,
        options: &Options,
        budget: &Budget,
    ) -> Self {
        let rules = options.rules();
        let values = history.values as usize;
        let mut engine: Engine<M, T> = Engine::new(width, values, rules, budget);
        engine.beam = options.beam;
        engine.bytes_besides = history.calls.len() * size_of::<u32>();
        let mut slots = vec![OPEN_SLOT; history.calls.len()];
        for call in unobserved(history, &rules) {
            slots[call as usize] = LEFT_OUT;
        }
        if rules.look_ahead {
            for (call, &slot) in history.calls.iter().zip(&slots) {
                if slot != LEFT_OUT {
                    let open = call.returns == OPEN;
                    engine.window.expect(plain(call.access), open);
                }
            }
        }
        for &start in &history.starts {
            engine.start(start, width);
        }
        Run {
            history,
            engine,
            slots,
            position: 0,
            widening: None,
        }
    }

    /// From now on with a beam that widens where it dies.
    pub(super) fn widening(mut self) -> Self {
        self.engine.beam = Some(BEAM_FIRST);
        self.widening = Some(Widening {
            checkpoints: Vec::new(),
            attempts: 0,
            trouble: 0,
        });
        self
    }

    /// Runs to the end, or for as many nodes as the budget has.
    pub(super) fn finish(&mut self, budget: &Budget) -> Outcome {
        let limit = match self.advance(budget.nodes) {
            Progress::Done(decision) => return self.outcome(decision),
            Progress::Paused => Exhausted::Nodes,
            Progress::GaveUp(limit) => limit,
        };
        let event = self.position;
        self.outcome(Decision::Undecided { limit, event })
    }

    fn outcome(&self, decision: Decision) -> Outcome {
        Outcome {
            decision,
            nodes: self.engine.nodes,
            configs_max: self.engine.configs_max,
        }
    }

    /// What happens at this moment: false when no configuration is left.
    fn step(&mut self) -> Result<bool, Stopped> {
        let moment = self.history.moments[self.position];
        let call = moment >> 1;
        let slot = self.slots[call as usize];
        if slot == LEFT_OUT {
            return Ok(true);
        }
        self.engine.now = self.position as u64;
        if moment & 1 == 1 {
            return self.engine.end(slot);
        }
        self.engine.count()?;
        let of = &self.history.calls[call as usize];
        if of.returns == OPEN {
            self.engine.begin_open(call, of.access);
        } else if let Some(slot) = self.engine.window.free_slot() {
            self.slots[call as usize] = slot;
            self.engine
                .begin(slot, call, of.access, u64::from(of.returns));
        }
        Ok(!self.engine.current.is_empty())
    }

    /// Goes back to a moment, without the configurations.
    fn rewind(&mut self, position: usize) {
        let look_ahead = self.engine.rules.look_ahead;
        while self.position > position {
            self.position -= 1;
            let moment = self.history.moments[self.position];
            let (number, returned) = (moment >> 1, moment & 1 == 1);
            let call = &self.history.calls[number as usize];
            let (slot, access) = (self.slots[number as usize], plain(call.access));
            let window = &mut self.engine.window;
            if slot == LEFT_OUT {
                continue;
            }
            if returned {
                let call = Slot {
                    access,
                    begins: u64::from(call.begins),
                    deadline: u64::from(call.returns),
                    call: number,
                };
                window.occupy(slot, call);
                if look_ahead && matches!(access, Access::Not(_)) {
                    window.shift_nots(1);
                }
                continue;
            }
            let open = call.returns == OPEN;
            if look_ahead {
                window.uncame(access, open);
            }
            match window.class(access, &self.engine.supply) {
                Some(class) if open => self.engine.supply.unbegin(class),
                _ if open => {}
                _ => window.vacate(slot),
            }
        }
    }

    /// Remembers the configurations, if it is time.
    fn save(&mut self) {
        let Some(widening) = &mut self.widening else {
            return;
        };
        let last = widening.checkpoints.last().map(|last| last.position);
        if last.is_none_or(|last| self.position >= last + CHECKPOINT_MOMENTS) {
            let configs = self.engine.current.clone();
            self.engine.bytes_besides += configs.len() * size_of::<Config<M, T::Mark>>();
            widening.checkpoints.push(Checkpoint {
                position: self.position,
                configs,
                exact: !self.engine.truncated,
            });
        }
        if self.position > widening.trouble && widening.attempts > 0 {
            widening.attempts = 0;
            self.engine.beam = Some(BEAM_FIRST);
        }
    }

    /// The beam died though there were other configurations: goes back, and on with a wider one;
    /// when even a very wide one dies, with all configurations from where none is missing.
    fn widen(&mut self) {
        let Some(widening) = &mut self.widening else {
            return;
        };
        widening.trouble = widening.trouble.max(self.position + CHECKPOINT_MOMENTS);
        widening.attempts += 1;
        let beam = BEAM_FIRST.saturating_mul(BEAM_GROWTH.saturating_pow(widening.attempts));
        let checkpoints = &mut widening.checkpoints;
        let back = if beam > BEAM_LAST {
            self.engine.beam = None;
            let missing = checkpoints.partition_point(|checkpoint| checkpoint.exact);
            checkpoints.len() - missing
        } else {
            self.engine.beam = Some(beam);
            BACK_GROWTH.pow(widening.attempts - 1) - 1
        };
        let kept = checkpoints.len().saturating_sub(back).max(1);
        for gone in checkpoints.drain(kept..) {
            self.engine.bytes_besides -= gone.configs.len() * size_of::<Config<M, T::Mark>>();
        }
        let Some(last) = checkpoints.last() else {
            return;
        };
        self.engine.current = last.configs.clone();
        self.engine.truncated = !last.exact;
        let position = last.position;
        // The return at which it died has taken place.
        self.position += 1;
        self.rewind(position);
    }
}

/// How many calls that return are under way at most.
pub(super) fn width(history: &RegisterHistory) -> usize {
    let (mut width, mut most) = (0_usize, 0);
    for moment in &history.moments {
        if moment & 1 == 1 {
            width -= 1;
        } else if history.calls[(moment >> 1) as usize].returns != OPEN {
            width += 1;
            most = most.max(width);
        }
    }
    most
}
