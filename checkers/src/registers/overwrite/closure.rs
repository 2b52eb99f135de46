//! What can happen before a call is placed where there are cas: these do not cover what was there
//! before, so that every order of them counts.

use super::config::{Config, ConfigSet};
use super::engine::{ConfigOf, Engine, Returning, Stopped};
use super::rules::Condition;
use super::supply::NO_CLASS;
use super::trail::Trail;
use crate::registers::Access;
use crate::search::Mask;

/// With a beam of so many configurations, one return may look at so many times more.
const CLOSURE_PER_BEAM: usize = 16;

/// What came last on the way to a place in the closure: what may come next depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// Anything may follow.
    Free = 0,
    /// A write placed only because a cas from its value follows.
    Enabling = 1,
    /// An open cas whose value nobody has seen yet: it happened for no reason, unless something
    /// that sees its value follows.
    Unseen = 2,
}

/// What has to be looked at, by what came last.
#[derive(Debug)]
pub(super) struct Closure<M, K> {
    sets: [ConfigSet<M, K>; 3],
    done: [usize; 3],
}

impl<M: Mask, T: Trail> Engine<M, T> {
    /// All ways to place the call that returns after everything placed so far, cas and the writes
    /// that enable them before it.
    pub(super) fn close(
        &mut self,
        config: &ConfigOf<M, T>,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        let nodes_max = self
            .beam
            .map_or(usize::MAX, |beam| beam.saturating_mul(CLOSURE_PER_BEAM));
        self.closure.clear();
        self.reach(config.clone(), Last::Free, returning)?;
        let mut looked_at = 0;
        while let Some((config, last)) = self.closure.next() {
            self.count()?;
            looked_at += 1;
            if looked_at > nodes_max {
                self.truncated = true;
                break;
            }
            self.place(config.clone(), last, returning)?;
            self.move_pending_cas(&config, returning)?;
            self.move_open_cas(&config, returning)?;
            if last == Last::Free && !self.rules.drops(Condition::Enabling) {
                self.move_enabling(&config, returning)?;
            }
        }
        Ok(())
    }

    /// A cas under way that is possible happens.
    fn move_pending_cas(
        &mut self,
        config: &ConfigOf<M, T>,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        let Some(of) = self.window.cas_value(config.state) else {
            return Ok(());
        };
        let mut left = of.from.without(&config.placed);
        // R2: of its class the call that returns goes first.
        left = match self.rules.drops(Condition::MatesOnly) {
            false => left.without(&returning.mates),
            true if matches!(returning.access, Access::Cas(..)) => left.without(&left),
            true => left,
        };
        while let Some(slot) = left.slots().next() {
            let Access::Cas(_, to) = self.window.slot(slot).access else {
                return Ok(());
            };
            let same = match self.window.cas_value(to) {
                Some(of) => left.and(&of.to),
                None => left.clone(),
            };
            left = left.without(&same);
            if let Some(first) = self.window.earliest(&same, &self.rules) {
                let mut moved = config.clone();
                moved.placed.add(first);
                let call = self.window.slot(first).call;
                moved.mark = self.record(moved.mark, call, false);
                self.enter(&mut moved, to);
                if !self.is_doomed(config.state, &moved, returning) {
                    self.reach(moved, Last::Free, returning)?;
                }
            }
        }
        Ok(())
    }

    /// An open cas that is possible happens.
    fn move_open_cas(
        &mut self,
        config: &ConfigOf<M, T>,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        let Some(of) = self.window.cas_value(config.state) else {
            return Ok(());
        };
        let (from, mut next) = (of.from.clone(), of.open_from);
        while next != NO_CLASS {
            let class = next;
            let of = &self.supply.classes()[class as usize];
            let access = of.access;
            next = of.next_from;
            let Access::Cas(_, to) = access else {
                continue;
            };
            let Some((_, call)) = self.supply.next(config.used, class) else {
                continue;
            };
            // R2: one that must return goes first.
            let closed = self.window.cas_value(to).map(|of| from.and(&of.to));
            if closed.is_some_and(|closed| !config.placed.contains_all(&closed))
                && !self.rules.drops(Condition::OpenLast)
            {
                continue;
            }
            let mut moved = config.clone();
            moved.used = self.use_one(&moved, class);
            moved.mark = self.record(moved.mark, call, false);
            self.enter(&mut moved, to);
            let is_seen = moved.placed != config.placed && !self.rules.drops(Condition::RunServed);
            if !self.is_doomed(config.state, &moved, returning) {
                let last = if is_seen { Last::Free } else { Last::Unseen };
                self.reach(moved, last, returning)?;
            }
        }
        Ok(())
    }

    /// A write happens after which a cas is possible.
    fn move_enabling(
        &mut self,
        config: &ConfigOf<M, T>,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        for value in self.enabling(config) {
            // The call that returns goes first of its class, and then all is done.
            if returning.access == Access::Write(value) {
                continue;
            }
            if let Some(source) = self.source(value, config, None) {
                let mut moved = config.clone();
                if self.cover_with(&mut moved, source, value, returning) {
                    self.reach(moved, Last::Enabling, returning)?;
                }
            }
        }
        Ok(())
    }

    /// The values from which a cas that is not placed could go on, if there were a write of them.
    fn enabling(&self, config: &ConfigOf<M, T>) -> Vec<u32> {
        let window = &self.window;
        let is_open = |value: u32| window.has_open_from(value, config.used, &self.supply);
        let mut values = Vec::new();
        for slot in window.cas.without(&config.placed).slots() {
            if let Access::Cas(old, _) = window.slot(slot).access {
                values.push(old);
            }
        }
        if self.supply.has_cas() {
            for slot in window.writes.without(&config.placed).slots() {
                if let Access::Write(value) = window.slot(slot).access
                    && is_open(value)
                {
                    values.push(value);
                }
            }
            let joints = self.supply.joints.iter().copied();
            values.extend(joints.filter(|&value| is_open(value)));
        }
        values.sort_unstable();
        values.dedup();
        values
    }

    /// A place in the closure is reached, or the call that returns is placed.
    fn reach(
        &mut self,
        config: ConfigOf<M, T>,
        last: Last,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        if config.placed.has(returning.slot) {
            return self.emit(config, returning);
        }
        self.closure.sets[last as usize].insert(config, &self.supply, &self.rules);
        Ok(())
    }
}

impl<M: Mask, K: Copy> Closure<M, K> {
    pub(super) fn new() -> Self {
        Closure {
            sets: [ConfigSet::new(), ConfigSet::new(), ConfigSet::new()],
            done: [0; 3],
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.sets.iter().map(ConfigSet::bytes).sum()
    }

    fn clear(&mut self) {
        for set in &mut self.sets {
            set.clear();
        }
        self.done = [0; 3];
    }

    /// The next configuration to look at.
    fn next(&mut self) -> Option<(Config<M, K>, Last)> {
        for last in [Last::Free, Last::Enabling, Last::Unseen] {
            let (set, done) = (&self.sets[last as usize], &mut self.done[last as usize]);
            while *done < set.inserted() {
                *done += 1;
                if let Some(config) = set.get(*done - 1) {
                    return Some((config.clone(), last));
                }
            }
        }
        None
    }
}
