//! The configuration-set search: all ways to have explained the history so far, side by side.
//!
//! Operations are placed only when a return forces one (Lowe, "Testing for linearizability",
//! 2017, "just-in-time linearization"), so a configuration is the set of operations under way
//! that are placed, the state, and how many open ones were used: bounded by how many clients work
//! at a time, not by the length of the history. When the set becomes empty, the events up to
//! there have no explanation, and those before have one.

use super::frontier::{Config, Frontier};
use super::mask::Mask;
use super::race::Search;
use super::supply::{NONE_USED, Supply};
use super::transitions::Transitions;
use super::window::Window;
use super::{Decision, Problem, Progress, Reductions};
use crate::Model;
use crate::limits::{Account, Budget, Exhausted};

/// How many units of work pass between two looks at the clock.
const NODES_PER_LOOK: u64 = 512;

/// The search, resumable between turns.
pub(crate) struct SetSearch<'p, 'm, M: Model, K: Mask> {
    problem: &'p Problem<'m, M>,
    reductions: Reductions,
    transitions: Transitions<'p, M>,
    supply: Supply,
    window: Window<'p, 'm, M>,
    current: Frontier<K>,
    closure: Frontier<K>,
    after: Frontier<K>,
    budget: Budget,
    account: Account,
    nodes: u64,
    nodes_turn: u64,
}

/// The call that returns now.
struct Returning {
    class: u32,
    slot: u32,
    observes: bool,
}

/// Why a turn ended in the middle of a return.
enum Stopped {
    TurnOver,
    Exhausted(Exhausted),
}

impl<M: Model, K: Mask> Search for SetSearch<'_, '_, M, K> {
    fn advance(&mut self, nodes: u64) -> Progress {
        self.nodes_turn = self.nodes.saturating_add(nodes);
        while let Some(moment) = self.problem.moments.get(self.window.position) {
            let call = self.problem.calls[moment.call as usize];
            let slot = self.problem.slots[moment.call as usize];
            let observes = self.problem.observers[call.class as usize];
            if moment.returns {
                match self.pass_return(&Returning {
                    class: call.class,
                    slot,
                    observes,
                }) {
                    Ok(true) => {}
                    Ok(false) => {
                        let event = self.window.position;
                        return Progress::Done(Decision::NotLinearizable { event });
                    }
                    Err(Stopped::TurnOver) => return Progress::Paused,
                    Err(Stopped::Exhausted(limit)) => return Progress::GaveUp(limit),
                }
            } else if !call.open && observes && self.reductions.eager_observers {
                let transitions = &mut self.transitions;
                self.current
                    .add_observer(slot, |state| transitions.step(state, call.class).is_some());
            }
            self.window.seek(self.window.position + 1);
            if let Err(stopped) = self.count_node() {
                return match stopped {
                    Stopped::TurnOver => Progress::Paused,
                    Stopped::Exhausted(limit) => Progress::GaveUp(limit),
                };
            }
        }
        Progress::Done(Decision::Linearizable)
    }

    fn position(&self) -> usize {
        self.window.position
    }

    fn nodes(&self) -> u64 {
        self.nodes
    }
}

impl<'p, 'm, M: Model, K: Mask> SetSearch<'p, 'm, M, K> {
    pub(crate) fn new(
        problem: &'p Problem<'m, M>,
        reductions: Reductions,
        budget: &Budget,
    ) -> Self {
        let mut transitions = Transitions::new(problem.model, &problem.classes);
        let supply = Supply::new();
        let mut current = Frontier::new(reductions.dominance);
        for start in &problem.starts {
            let config = Config {
                updates: K::empty(problem.width),
                observers: K::empty(problem.width),
                state: transitions.intern(start.clone()),
                used: NONE_USED,
            };
            current.insert(config, &supply);
        }
        SetSearch {
            problem,
            reductions,
            transitions,
            supply,
            window: Window::new(problem),
            current,
            closure: Frontier::new(reductions.dominance),
            after: Frontier::new(reductions.dominance),
            budget: budget.clone(),
            account: Account::new(budget),
            nodes: 0,
            nodes_turn: 0,
        }
    }

    /// Keeps the configurations in which the call that returns is placed, placing what is needed
    /// for it; false when there is none.
    fn pass_return(&mut self, returning: &Returning) -> Result<bool, Stopped> {
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
        while number < self.closure.inserted() {
            if let Some(config) = self.closure.get(number).cloned() {
                self.count_node()?;
                self.expand(&config, returning)?;
            }
            number += 1;
        }
        std::mem::swap(&mut self.current, &mut self.after);
        Ok(self.current.len() > 0)
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
        for at in 0..self.window.updates.len() {
            let pending = self.window.updates[at];
            if pending.slot == returning.slot || config.updates.has(pending.slot) {
                continue;
            }
            if self.reductions.symmetry {
                // R2: of a class only the one with the earliest deadline, and the call that
                // returns has the earliest of all.
                if class_done == Some(pending.class) || pending.class == returning.class {
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
        for at in 0..self.window.observers.len() {
            let pending = self.window.observers[at];
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
        for at in 0..self.window.open.len() {
            let open = self.window.open[at];
            if self.supply.count(config.used, open.class) >= open.count {
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
            .window
            .updates
            .partition_point(|pending| pending.class < class);
        class == returning.class
            || self.window.updates[from..]
                .iter()
                .take_while(|pending| pending.class == class)
                .any(|pending| !config.updates.has(pending.slot))
    }

    fn emit(&mut self, before: &Config<K>, mut placed: Config<K>, returning: &Returning) {
        self.absorb(before, &mut placed);
        if placed.observers.has(returning.slot) {
            placed.observers.remove(returning.slot);
            self.after.insert(placed, &self.supply);
        } else {
            self.closure.insert(placed, &self.supply);
        }
    }

    fn absorb(&mut self, before: &Config<K>, placed: &mut Config<K>) {
        if self.reductions.eager_observers && placed.state != before.state {
            self.window
                .absorb(&mut self.transitions, placed.state, &mut placed.observers);
        }
    }

    fn count_node(&mut self) -> Result<(), Stopped> {
        self.nodes += 1;
        if self.nodes.is_multiple_of(NODES_PER_LOOK) {
            let bytes = self.current.bytes()
                + self.closure.bytes()
                + self.after.bytes()
                + self.transitions.bytes()
                + self.supply.bytes();
            self.account.set(bytes as u64);
            self.budget.check().map_err(Stopped::Exhausted)?;
        }
        match self.nodes >= self.nodes_turn {
            true => Err(Stopped::TurnOver),
            false => Ok(()),
        }
    }
}
