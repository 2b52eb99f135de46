//! The ways to place a call that returns: behind the last write, or after everything so far.

use super::closure::Last;
use super::config::DEAD;
use super::engine::{ConfigOf, Engine, Returning, Stopped};
use super::rules::Condition;
use super::supply::{NO_CLASS, Used};
use super::trail::{Step, Trail};
use crate::registers::Access;
use crate::search::Mask;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The write in this slot.
    Slot(u32),
    /// An open write of this class.
    Open(u32),
}

impl<M: Mask, T: Trail> Engine<M, T> {
    pub(super) fn force_all(
        &mut self,
        current: &[ConfigOf<M, T>],
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        for config in current {
            if config.placed.has(returning.slot) {
                let mut kept = config.clone();
                kept.placed.remove(returning.slot);
                self.after.insert(kept, &self.supply, &self.rules);
                self.count()?;
            } else {
                self.force(config, returning)?;
            }
        }
        Ok(())
    }

    /// All ways to place the call that returns, which the configuration has not placed.
    fn force(&mut self, config: &ConfigOf<M, T>, returning: &Returning<M>) -> Result<(), Stopped> {
        let has_begun = returning.begins < config.cover || self.rules.drops(Condition::HideBegun);
        if has_begun && self.hide(config, returning)? {
            return Ok(());
        }
        let is_cas = matches!(returning.access, Access::Cas(..));
        if is_cas || self.supply.has_cas() || !config.placed.contains_all(&self.window.cas) {
            self.close(config, returning)
        } else {
            self.place(config.clone(), Last::Free, returning)?;
            Ok(())
        }
    }

    /// Places the call that returns just before the last write. True when nothing is gained by
    /// placing it later.
    fn hide(&mut self, config: &ConfigOf<M, T>, returning: &Returning<M>) -> Result<bool, Stopped> {
        match returning.access {
            // Placing it again is at least as good.
            Access::Write(value) if value == config.state => Ok(false),
            Access::Write(value) => {
                let mut hidden = config.clone();
                hidden.placed.add(returning.slot);
                let call = self.window.slot(returning.slot).call;
                hidden.mark = self.record(hidden.mark, call, true);
                self.serve_hidden(&mut hidden, value);
                let no_use = self.is_never_seen(value, &hidden.placed);
                if !self.is_doomed(value, &hidden, returning) {
                    self.emit(hidden, returning)?;
                }
                Ok(no_use)
            }
            Access::Read(value) => {
                self.hide_source(config, value, returning)?;
                Ok(false)
            }
            Access::Not(value) => {
                for source in self.sources_but(value, config, Some(config.cover)) {
                    self.hide_source(config, source, returning)?;
                }
                Ok(false)
            }
            Access::Cas(..) => Ok(false),
        }
    }

    /// R5: whether a write of the value, once hidden, need not be tried in the open. Nobody will
    /// see the value; and a call that must still find "not this value" might be served by it.
    fn is_never_seen(&self, value: u32, placed: &M) -> bool {
        let rules = &self.rules;
        (self.window.is_dead(value, placed, rules) || rules.drops(Condition::HideOnlyDead))
            && (!self.window.wants_another(placed) || rules.drops(Condition::HideOnlyNots))
    }

    /// Serves the observer that returns by a write placed just before the last one.
    fn hide_source(
        &mut self,
        config: &ConfigOf<M, T>,
        value: u32,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        if let Some(source) = self.source(value, config, Some(config.cover)) {
            let mut hidden = config.clone();
            self.take(&mut hidden, source, true);
            self.serve_hidden(&mut hidden, value);
            if hidden.state == value || !self.is_doomed(value, &hidden, returning) {
                self.emit(hidden, returning)?;
            }
        }
        Ok(())
    }

    /// Places the observers under way that a hidden write serves.
    fn serve_hidden(&self, config: &mut ConfigOf<M, T>, value: u32) {
        let served = self.window.served(value).without(&config.placed);
        let served = match self.rules.drops(Condition::ReaderBegun) {
            false => self.window.begun_before(&served, config.cover),
            true => served,
        };
        config.placed.add_all(&served);
    }

    /// Places the call that returns, or for an observer a write that serves it, after everything
    /// placed so far.
    pub(super) fn place(
        &mut self,
        config: ConfigOf<M, T>,
        last: Last,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        // A write covers what came just before it: then that was for nothing.
        let may_cover = last == Last::Free;
        match returning.access {
            Access::Write(value) if may_cover => {
                self.place_write(config, Source::Slot(returning.slot), value, returning)
            }
            Access::Read(value) if may_cover => match self.source(value, &config, None) {
                Some(source) => self.place_write(config, source, value, returning),
                None => Ok(()),
            },
            Access::Not(value) if may_cover => {
                for other in self.sources_but(value, &config, None) {
                    if let Some(source) = self.source(other, &config, None) {
                        self.place_write(config.clone(), source, other, returning)?;
                    }
                }
                Ok(())
            }
            Access::Cas(old, new) if config.state == old => {
                let mut placed = config;
                placed.placed.add(returning.slot);
                let call = self.window.slot(returning.slot).call;
                placed.mark = self.record(placed.mark, call, false);
                self.enter(&mut placed, new);
                match self.is_doomed(old, &placed, returning) {
                    true => Ok(()),
                    false => self.emit(placed, returning),
                }
            }
            _ => Ok(()),
        }
    }

    /// Places a write after everything placed so far, by which the call that returns is placed.
    fn place_write(
        &mut self,
        mut config: ConfigOf<M, T>,
        source: Source,
        value: u32,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        match self.cover_with(&mut config, source, value, returning) {
            true => self.emit(config, returning),
            false => Ok(()),
        }
    }

    /// Places a write after everything placed so far; false when the configuration is doomed.
    pub(super) fn cover_with(
        &mut self,
        config: &mut ConfigOf<M, T>,
        source: Source,
        value: u32,
        returning: &Returning<M>,
    ) -> bool {
        let left = config.state;
        self.take(config, source, false);
        self.enter(config, value);
        config.cover = self.now;
        left == value || !self.is_doomed(left, config, returning)
    }

    /// The values other than this one of which there is a write that is not placed. Of the dead
    /// ones (R5) all are equal, so that R2 goes for their writes together: the one to use first.
    fn sources_but(&self, value: u32, config: &ConfigOf<M, T>, cover: Option<u64>) -> Vec<u32> {
        let mut values = Vec::new();
        for slot in self.window.writes.without(&config.placed).slots() {
            if let Access::Write(other) = self.window.slot(slot).access {
                values.push(other);
            }
        }
        for (class, of) in (0..).zip(self.supply.classes()) {
            if let Access::Write(other) = of.access
                && self.supply.next(config.used, class).is_some()
            {
                values.push(other);
            }
        }
        values.sort_unstable();
        values.dedup();
        values.retain(|&other| other != value);
        if self.rules.look_ahead {
            self.keep_one_dead(&mut values, config, cover);
        }
        values
    }

    fn keep_one_dead(&self, values: &mut Vec<u32>, config: &ConfigOf<M, T>, cover: Option<u64>) {
        let first = |value: u32| match self.source(value, config, cover)? {
            Source::Slot(slot) => Some((self.window.slot(slot).deadline, 0)),
            Source::Open(class) => {
                let (begins, _) = self.supply.next(config.used, class)?;
                Some((u64::MAX, begins))
            }
        };
        let is_dead = |value: u32| {
            self.window.is_dead(value, &config.placed, &self.rules)
                || self.rules.drops(Condition::OneDead)
        };
        let mut best: Option<((u64, u64), u32)> = None;
        values.retain(|&value| {
            if !is_dead(value) {
                return true;
            }
            if let Some(order) = first(value)
                && best.is_none_or(|(least, _)| order < least)
            {
                best = Some((order, value));
            }
            false
        });
        values.extend(best.map(|(_, value)| value));
    }

    /// R2: the write of the value to use first. With a `cover`, one that began before it.
    pub(super) fn source(
        &self,
        value: u32,
        config: &ConfigOf<M, T>,
        cover: Option<u64>,
    ) -> Option<Source> {
        let of = self.window.value(value);
        let mut left = of.writes.without(&config.placed);
        if let Some(cover) = cover
            && !self.rules.drops(Condition::SourceBegun)
        {
            left = self.window.begun_before(&left, cover);
        }
        let open = || {
            let (begins, _) = (of.open_writes != NO_CLASS)
                .then(|| self.supply.next(config.used, of.open_writes))??;
            let has_begun = cover.is_none_or(|cover| begins < cover)
                || self.rules.drops(Condition::OpenSourceBegun);
            has_begun.then_some(Source::Open(of.open_writes))
        };
        let bounded = self.window.earliest(&left, &self.rules).map(Source::Slot);
        match self.rules.drops(Condition::OpenLast) {
            false => bounded.or_else(open),
            true => open().or(bounded),
        }
    }

    /// Places the write, without saying where.
    pub(super) fn take(&mut self, config: &mut ConfigOf<M, T>, source: Source, hidden: bool) {
        let call = match source {
            Source::Slot(slot) => {
                config.placed.add(slot);
                self.window.slot(slot).call
            }
            Source::Open(class) => {
                let next = self.supply.next(config.used, class);
                config.used = self.use_one(config, class);
                next.map_or(u32::MAX, |(_, call)| call)
            }
        };
        config.mark = self.record(config.mark, call, hidden);
    }

    /// The register holds the value from now on; observers of it are served.
    pub(super) fn enter(&self, config: &mut ConfigOf<M, T>, value: u32) {
        config.state = value;
        config.placed.add_all(&self.window.served(value));
    }

    /// One more open call of the class is used. The counts of writes of dead values are dropped
    /// (R4: nobody will ever need one again), so that configurations do not differ by them.
    pub(super) fn use_one(&mut self, config: &ConfigOf<M, T>, class: u32) -> Used {
        let Engine {
            supply,
            window,
            rules,
            ..
        } = self;
        supply.plus_one(config.used, class, |supply, class| {
            let Access::Write(value) = supply.classes()[class as usize].access else {
                return false;
            };
            let is_dead = window.is_dead(value, &config.placed, rules)
                && (!window.wants_another(&config.placed) || rules.drops(Condition::ForgetNots));
            is_dead || rules.drops(Condition::ForgetDead)
        })
    }

    /// A configuration in which the call that returns is placed.
    pub(super) fn emit(
        &mut self,
        mut config: ConfigOf<M, T>,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        self.canonicalise(&mut config);
        config.placed.remove(returning.slot);
        self.after.insert(config, &self.supply, &self.rules);
        self.count()
    }

    /// R5: values that nobody will ever tell apart become one.
    #[inline]
    pub(super) fn canonicalise(&self, config: &mut ConfigOf<M, T>) {
        if config.state != DEAD
            && self
                .window
                .is_dead(config.state, &config.placed, &self.rules)
        {
            config.state = DEAD;
        }
    }

    /// R6: whether the value cannot be left, or used up, in this way.
    #[inline]
    pub(super) fn is_doomed(
        &self,
        value: u32,
        config: &ConfigOf<M, T>,
        returning: &Returning<M>,
    ) -> bool {
        self.rules.dooms
            && value != DEAD
            && self.window.is_doomed(
                value,
                &config.placed,
                config.used,
                returning.slot,
                &self.supply,
                &self.rules,
            )
    }

    pub(super) fn record(&mut self, mark: T::Mark, call: u32, hidden: bool) -> T::Mark {
        let moment = self.now;
        self.trail.add(
            mark,
            Step {
                call,
                hidden,
                moment,
            },
        )
    }
}
