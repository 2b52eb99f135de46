//! The configuration-set search: all ways to have explained the history so far, side by side.
//!
//! Operations are placed only when a return forces one (Lowe, "Testing for linearizability",
//! 2017, "just-in-time linearization"), so a configuration is the set of operations under way
//! that are placed, the state, and how many open ones were used: bounded by how many clients work
//! at a time, not by the length of the history. When the set becomes empty, the events up to
//! there have no explanation, and those before have one.

use rustc_hash::FxHashMap;

use super::beam::{Beams, Widening};
use super::frontier::{Config, Frontier};
use super::mask::Mask;
use super::race::Search;
use super::supply::{NONE_USED, Supply};
use super::transitions::{StateId, Transitions};
use super::window::{self, UnderWay};
use super::{Condition, Decision, Moment, Problem, Progress, Reductions, Timeline};
use crate::Model;
use crate::limits::{Account, Budget, Exhausted};

/// How many units of work pass between two looks at the clock.
const NODES_PER_LOOK: u64 = 512;
/// So many times the beam's width may be reached at a return before the best are chosen, and be tried
/// on the way.
const PLACED_PER_BEAM: usize = 4;
const TRIED_PER_BEAM: usize = 32;

/// The configurations at one moment, and what it takes to go on from there.
pub(crate) struct Sets<'p, K: Mask> {
    reductions: Reductions,
    pub(super) transitions: Transitions<'p>,
    supply: Supply,
    pub(super) under_way: UnderWay,
    current: Frontier<K>,
    closure: Frontier<K>,
    after: Frontier<K>,
    /// At most so many configurations are kept, the most promising; `None` for all.
    pub(super) beam: Option<usize>,
    /// Whether some were left out: then an empty set proves nothing.
    pub(super) truncated: bool,
    /// Memory that somebody holds for it, in bytes.
    pub(super) bytes_besides: usize,
    budget: Budget,
    account: Account,
    nodes: u64,
    nodes_turn: u64,
}

/// The call that returns now.
pub(super) struct Returning {
    pub class: u32,
    pub slot: u32,
    pub observes: bool,
}

/// Why a turn ended in the middle of a return.
#[derive(Debug)]
pub(super) enum Stopped {
    TurnOver,
    Exhausted(Exhausted),
}

/// The search of a whole problem, resumable between turns.
pub(crate) struct SetSearch<'p, K: Mask> {
    timeline: &'p Timeline,
    sets: Sets<'p, K>,
    position: usize,
    /// The furthest position reached.
    furthest: usize,
    widening: Option<Widening<K>>,
}

impl<'p, K: Mask> SetSearch<'p, K> {
    pub(crate) fn new<M: Model>(
        problem: &'p Problem<'_, M>,
        reductions: Reductions,
        budget: &Budget,
    ) -> Self {
        let (transitions, starts) =
            Transitions::new(problem.model, &problem.classes, &problem.starts);
        let mut sets = Sets::new(transitions, reductions, budget);
        for start in starts {
            sets.start_from(start, problem.width);
        }
        SetSearch {
            timeline: &problem.timeline,
            sets,
            position: 0,
            furthest: 0,
            widening: None,
        }
    }

    /// After the first turn, or at once, with a beam that widens where it dies.
    pub(crate) fn widening(mut self, beams: Beams) -> Self {
        let mut widening = Widening::new(beams);
        if beams.at_once {
            widening.begin(&mut self.sets);
        }
        self.widening = Some(widening);
        self
    }

    /// Passes the moment at `position`; false when nothing explains it.
    fn pass(&mut self, moment: Moment) -> Result<bool, Stopped> {
        let call = self.timeline.calls[moment.call as usize];
        let slot = self.timeline.slots[moment.call as usize];
        let observes = self.timeline.observers[call.class as usize];
        if moment.returns {
            let class = call.class;
            if !self.sets.pass_return(&Returning {
                class,
                slot,
                observes,
            })? {
                return Ok(false);
            }
        } else if !call.open && observes {
            self.sets.add_observer(slot, call.class);
        }
        let under_way = &mut self.sets.under_way;
        window::apply(self.timeline, under_way, moment.call, !moment.returns);
        self.position += 1;
        self.sets.count_node()?;
        Ok(true)
    }
}

impl<K: Mask> Search for SetSearch<'_, K> {
    fn advance(&mut self, nodes: u64) -> Progress {
        self.sets.begin_turn(nodes);
        while let Some(&moment) = self.timeline.moments.get(self.position) {
            if let Some(widening) = &mut self.widening {
                widening.save(self.position, &mut self.sets);
            }
            match self.pass(moment) {
                Ok(true) => self.furthest = self.furthest.max(self.position),
                Ok(false) if self.sets.truncated && self.sets.reductions.truncation => {
                    self.widen();
                }
                Ok(false) => {
                    let event = self.position;
                    return Progress::Done(Decision::NotLinearizable { event });
                }
                Err(Stopped::TurnOver) => {
                    self.begin_beam();
                    return Progress::Paused;
                }
                Err(Stopped::Exhausted(limit)) => return Progress::GaveUp(limit),
            }
        }
        Progress::Done(Decision::Linearizable)
    }

    fn position(&self) -> usize {
        self.position.max(self.furthest)
    }

    fn nodes(&self) -> u64 {
        self.sets.nodes
    }
}

impl<K: Mask> SetSearch<'_, K> {
    /// The first turn, without a beam, was not enough.
    fn begin_beam(&mut self) {
        if let Some(widening) = &mut self.widening
            && let Some(position) = widening.begin(&mut self.sets)
        {
            self.rewind(position);
        }
    }

    /// The beam died though there were other configurations.
    fn widen(&mut self) {
        if let Some(widening) = &mut self.widening
            && let Some(position) = widening.widen(self.position, &mut self.sets)
        {
            self.rewind(position);
        }
    }

    /// Goes back to a moment, without the configurations.
    fn rewind(&mut self, position: usize) {
        while self.position > position {
            self.position -= 1;
            let moment = self.timeline.moments[self.position];
            let under_way = &mut self.sets.under_way;
            window::apply(self.timeline, under_way, moment.call, moment.returns);
        }
    }
}

impl<'p, K: Mask> Sets<'p, K> {
    /// With no configuration yet.
    pub(super) fn new(
        transitions: Transitions<'p>,
        reductions: Reductions,
        budget: &Budget,
    ) -> Self {
        Sets {
            reductions,
            transitions,
            supply: Supply::new(),
            under_way: UnderWay::default(),
            current: Frontier::new(reductions),
            closure: Frontier::new(reductions),
            after: Frontier::new(reductions),
            beam: None,
            truncated: false,
            bytes_besides: 0,
            budget: budget.clone(),
            account: Account::new(budget),
            nodes: 0,
            nodes_turn: u64::MAX,
        }
    }

    /// A state that may be there at the start, for slots below `width`.
    pub(super) fn start_from(&mut self, state: StateId, width: usize) {
        let config = Config {
            updates: K::empty(width),
            observers: K::empty(width),
            state,
            used: NONE_USED,
        };
        self.current.insert(config, &self.supply);
    }

    /// From here on so much work may be done in one go.
    pub(super) fn begin_turn(&mut self, nodes: u64) {
        self.nodes_turn = self.nodes.saturating_add(nodes);
    }

    /// How many configurations there are.
    pub(super) fn len(&self) -> usize {
        self.current.len()
    }

    /// R1: places an observer that begins, and will return, wherever it is legal.
    pub(super) fn add_observer(&mut self, slot: u32, class: u32) {
        if self.reductions.eager_observers {
            let transitions = &mut self.transitions;
            self.current
                .add_observer(slot, |state| transitions.step(state, class).is_some());
        }
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        self.current.bytes()
            + self.closure.bytes()
            + self.after.bytes()
            + self.transitions.bytes()
            + self.supply.bytes()
            + self.under_way.bytes()
            + self.bytes_besides
    }

    /// The configurations, to be remembered.
    pub(super) fn configs(&self) -> Vec<Config<K>> {
        self.current.iter().cloned().collect()
    }

    /// Goes on from these.
    pub(super) fn put_back(&mut self, configs: &[Config<K>]) {
        self.current.clear();
        for config in configs {
            self.current.insert(config.clone(), &self.supply);
        }
    }

    /// Moves everything to a set with masks of another kind, for slots below `width`: wide enough
    /// for every slot in use.
    pub(super) fn take_with_masks<L: Mask>(&mut self, width: usize) -> Sets<'p, L> {
        let transitions = self.transitions.take();
        let mut sets = Sets::new(transitions, self.reductions, &self.budget);
        sets.supply = std::mem::replace(&mut self.supply, Supply::new());
        sets.under_way = std::mem::take(&mut self.under_way);
        for config in self.current.iter() {
            let config = Config {
                updates: L::from_words(config.updates.words(), width),
                observers: L::from_words(config.observers.words(), width),
                state: config.state,
                used: config.used,
            };
            sets.current.insert(config, &sets.supply);
        }
        sets
    }

    /// Accounts for the memory held; whether everybody together holds too much.
    pub(super) fn look(&mut self) -> Result<(), Exhausted> {
        self.account.set(self.bytes() as u64);
        self.budget.check()
    }

    /// How many things are remembered that may be of no use any more.
    pub(super) fn remembered(&self) -> usize {
        self.transitions.remembered() + self.supply.len()
    }

    /// Forgets everything that no configuration, no call under way and no open call needs; between
    /// returns only. Says for each class its new number, `None` when it is forgotten.
    pub(super) fn forget(&mut self) -> Vec<Option<u32>> {
        let consumed = self.consume();
        let mut keeps = vec![false; self.transitions.classes()];
        let under_way = &self.under_way;
        let returning = under_way.updates.iter().chain(&under_way.observers);
        let open = under_way.open.iter().filter(|open| open.count > 0);
        for class in returning
            .map(|pending| pending.class)
            .chain(open.map(|open| open.class))
        {
            keeps[class as usize] = true;
        }
        let mut next = 0;
        let numbers: Vec<Option<u32>> = keeps
            .iter()
            .map(|&keeps| {
                next += u32::from(keeps);
                keeps.then(|| next - 1)
            })
            .collect();
        self.under_way.renumber(&numbers);

        let mut states: Vec<StateId> = self.current.iter().map(|config| config.state).collect();
        states.sort_unstable();
        states.dedup();
        self.transitions.retain(&keeps, &states);
        let mut supply = Supply::new();
        let mut current = Frontier::new(self.reductions);
        for config in self.current.iter() {
            let used = self.supply.pairs(config.used).filter_map(|(class, count)| {
                let gone = consumed.get(&class).copied().unwrap_or(0);
                let class = numbers[class as usize]?;
                (count > gone).then(|| (class, count - gone))
            });
            let config = Config {
                state: states.binary_search(&config.state).unwrap_or(0) as StateId,
                used: supply.intern(used.collect()),
                ..config.clone()
            };
            current.insert(config, &supply);
        }
        self.supply = supply;
        self.current = current;
        self.closure = Frontier::new(self.reductions);
        self.after = Frontier::new(self.reductions);
        numbers
    }

    /// Open calls that every configuration has used are over: takes them out of the supply. Says
    /// how many of which class; the configurations still count them.
    fn consume(&mut self) -> FxHashMap<u32, u32> {
        let mut consumed: Option<FxHashMap<u32, u32>> = None;
        for config in self.current.iter() {
            let used = self.supply.pairs(config.used);
            match &mut consumed {
                None => consumed = Some(used.collect()),
                Some(consumed) => consumed.retain(|&class, count| {
                    *count = self.supply.count(config.used, class).min(*count);
                    *count > 0
                }),
            }
        }
        let consumed = consumed.unwrap_or_default();
        for open in &mut self.under_way.open {
            open.count -= consumed
                .get(&open.class)
                .copied()
                .unwrap_or(0)
                .min(open.count);
        }
        consumed
    }

    /// Keeps the configurations in which the call that returns is placed, placing what is needed
    /// for it; false when there is none.
    pub(super) fn pass_return(&mut self, returning: &Returning) -> Result<bool, Stopped> {
        let slot = returning.slot;
        if let Some(single) = self.current.single_mut()
            && (single.updates.has(slot) || single.observers.has(slot))
        {
            single.updates.remove(slot);
            single.observers.remove(slot);
            return Ok(true);
        }
        self.after.clear();
        self.closure.clear();
        for config in self.current.iter() {
            if config.updates.has(slot) || config.observers.has(slot) {
                let mut config = config.clone();
                config.updates.remove(slot);
                config.observers.remove(slot);
                self.after.insert(config, &self.supply);
            } else {
                self.closure.insert(config.clone(), &self.supply);
            }
        }
        let mut number = 0;
        let enough = self.beam.map_or(usize::MAX, |beam| beam * PLACED_PER_BEAM);
        while number < self.closure.inserted() {
            if self.after.len() >= enough {
                self.truncated = true;
                break;
            }
            if let Some(config) = self.closure.get(number).cloned() {
                self.count_node()?;
                self.expand(&config, returning)?;
            }
            number += 1;
        }
        std::mem::swap(&mut self.current, &mut self.after);
        self.narrow();
        Ok(self.current.len() > 0)
    }

    /// Leaves only the most promising: those that used few open calls and placed few updates before
    /// they had to, and of those rather what must return soon.
    fn narrow(&mut self) {
        let Some(beam) = self.beam.filter(|&beam| self.current.len() > beam) else {
            return;
        };
        self.truncated = true;
        let updates = &self.under_way.updates;
        let supply = &self.supply;
        self.current.keep_least(beam, supply, |config| {
            let early = updates.iter();
            let early = early.filter(|pending| config.updates.has(pending.slot));
            let deadlines: u64 = early.map(|pending| pending.deadline).sum();
            (supply.total(config.used), config.updates.len(), deadlines)
        });
    }

    /// Everything that can be placed next in a configuration in which the call that returns is
    /// not placed.
    fn expand(&mut self, config: &Config<K>, returning: &Returning) -> Result<(), Stopped> {
        if let Some(state) = self.transitions.step(config.state, returning.class) {
            let mut placed = Config {
                state,
                ..config.clone()
            };
            self.absorb(config, &mut placed);
            self.after.insert(placed, &self.supply);
            if returning.observes && self.reductions.eager_observers {
                return Ok(());
            }
        }
        self.expand_updates(config, returning)?;
        if !self.reductions.eager_observers {
            self.expand_observers(config, returning);
        }
        self.expand_open(config, returning)
    }

    fn expand_updates(&mut self, config: &Config<K>, returning: &Returning) -> Result<(), Stopped> {
        let mut class_done = None;
        let count = self.under_way.updates.len();
        for at in 0..count {
            let at = match self.reductions.drops(Condition::EarliestFirst) {
                true => count - 1 - at,
                false => at,
            };
            let pending = self.under_way.updates[at];
            if pending.slot == returning.slot || config.updates.has(pending.slot) {
                continue;
            }
            if self.reductions.symmetry {
                // R2: of a class only the one with the earliest deadline, and the call that
                // returns has the earliest of all.
                let any = class_done.is_some() && self.reductions.drops(Condition::MatesOnly);
                if any || class_done == Some(pending.class) || pending.class == returning.class {
                    continue;
                }
                class_done = Some(pending.class);
            }
            if let Some(state) = self.transitions.step(config.state, pending.class) {
                let mut placed = Config {
                    state,
                    ..config.clone()
                };
                placed.updates.add(pending.slot);
                self.emit(config, placed, returning);
                self.count_node()?;
            }
        }
        Ok(())
    }

    /// Without R1 observers are placed like anything else.
    fn expand_observers(&mut self, config: &Config<K>, returning: &Returning) {
        for at in 0..self.under_way.observers.len() {
            let pending = self.under_way.observers[at];
            if pending.slot != returning.slot
                && !config.observers.has(pending.slot)
                && self.transitions.step(config.state, pending.class).is_some()
            {
                let mut placed = config.clone();
                placed.observers.add(pending.slot);
                self.emit(config, placed, returning);
            }
        }
    }

    fn expand_open(&mut self, config: &Config<K>, returning: &Returning) -> Result<(), Stopped> {
        for at in 0..self.under_way.open.len() {
            let open = self.under_way.open[at];
            if self.supply.count(config.used, open.class) >= open.count
                && !self.reductions.drops(Condition::OpenBegun)
            {
                continue;
            }
            if self.reductions.symmetry && self.has_bounded(config, open.class, returning) {
                continue;
            }
            match self.transitions.step(config.state, open.class) {
                // Using up an open call to change nothing gains nothing.
                Some(state) if state != config.state => {
                    let used = self.supply.plus_one(config.used, open.class);
                    let placed = Config {
                        state,
                        used,
                        ..config.clone()
                    };
                    self.emit(config, placed, returning);
                    self.count_node()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// R2: whether a call of the class that must return is under way and not placed: it is placed
    /// before an open one.
    fn has_bounded(&self, config: &Config<K>, class: u32, returning: &Returning) -> bool {
        let from = self
            .under_way
            .updates
            .partition_point(|pending| pending.class < class);
        class == returning.class
            || self.under_way.updates[from..]
                .iter()
                .take_while(|pending| pending.class == class)
                .any(|pending| {
                    !config.updates.has(pending.slot) || self.reductions.drops(Condition::MatesLeft)
                })
    }

    fn emit(&mut self, before: &Config<K>, mut placed: Config<K>, returning: &Returning) {
        self.absorb(before, &mut placed);
        if placed.observers.has(returning.slot) {
            placed.observers.remove(returning.slot);
            self.after.insert(placed, &self.supply);
            return;
        }
        let most = self.beam.map_or(usize::MAX, |beam| beam * TRIED_PER_BEAM);
        match self.closure.inserted() < most {
            true => self.closure.insert(placed, &self.supply),
            false => self.truncated = true,
        }
    }

    fn absorb(&mut self, before: &Config<K>, placed: &mut Config<K>) {
        if self.reductions.eager_observers && placed.state != before.state {
            self.under_way.absorb(
                &mut self.transitions,
                placed.state,
                &mut placed.observers,
                &self.reductions,
            );
        }
    }

    pub(super) fn count_node(&mut self) -> Result<(), Stopped> {
        self.nodes += 1;
        if self.nodes.is_multiple_of(NODES_PER_LOOK) {
            self.look().map_err(Stopped::Exhausted)?;
        }
        match self.nodes >= self.nodes_turn {
            true => Err(Stopped::TurnOver),
            false => Ok(()),
        }
    }
}
