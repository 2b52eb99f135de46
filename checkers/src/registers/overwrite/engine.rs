//! One step of the set of configurations: a call begins, or a call returns.

use super::config::{Config, ConfigSet, DEAD};
use super::prune::prune;
use super::rules::{Condition, Rules};
use super::supply::{NO_CLASS, NONE_USED, Supply, Used};
use super::trail::{Step, Trail};
use super::window::{Slot, Window, plain, widened};
use crate::limits::{Account, Budget, Exhausted};
use crate::registers::Access;
use crate::search::Mask;

/// How many units of work pass between two looks at the clock.
const NODES_PER_LOOK: u64 = 2048;
/// With a beam of so many configurations, one return may look at so many times more.
const CLOSURE_PER_BEAM: usize = 16;

/// Why a return was not worked out: it can be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The work asked for is done.
    TurnOver,
    /// A limit is reached.
    Exhausted(Exhausted),
}

/// The set of configurations after some moments of a history.
#[derive(Debug)]
pub(super) struct Engine<M: Mask, T: Trail> {
    pub rules: Rules,
    /// The moment being worked on.
    pub now: u64,
    pub window: Window<M>,
    pub supply: Supply,
    pub current: Vec<Config<M, T::Mark>>,
    pub trail: T,
    /// At most so many configurations are kept.
    pub beam: Option<usize>,
    /// Whether some were left out because of that.
    pub truncated: bool,
    /// Work done, and when this turn ends.
    pub nodes: u64,
    pub nodes_turn: u64,
    /// The most configurations there were.
    pub configs_max: usize,
    after: ConfigSet<M, T::Mark>,
    closure: Closure<M, T::Mark>,
    budget: Budget,
    account: Account,
    nodes_look: u64,
    /// Memory of whoever uses it, for the account.
    pub bytes_besides: usize,
}

/// The call that returns now.
#[derive(Debug)]
struct Returning<M> {
    slot: u32,
    access: Access<u32>,
    begins: u64,
    /// The slots of all calls that do the same.
    mates: M,
}

/// What came last on the way to a place in the closure: what may come next depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
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
struct Closure<M, K> {
    sets: [ConfigSet<M, K>; 3],
    done: [usize; 3],
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The write in this slot.
    Slot(u32),
    /// An open write of this class.
    Open(u32),
}

type ConfigOf<M, T> = Config<M, <T as Trail>::Mark>;

impl<M: Mask, T: Trail> Engine<M, T> {
    /// An engine for up to `width` calls under way and values below `values`, before the first
    /// moment.
    pub(super) fn new(width: usize, values: usize, rules: Rules, budget: &Budget) -> Self {
        let mut window = Window::new(width);
        window.make_room(values);
        Engine {
            rules,
            now: 0,
            window,
            supply: Supply::new(),
            current: Vec::new(),
            trail: T::default(),
            beam: None,
            truncated: false,
            nodes: 0,
            nodes_turn: u64::MAX,
            configs_max: 0,
            after: ConfigSet::new(),
            closure: Closure {
                sets: [ConfigSet::new(), ConfigSet::new(), ConfigSet::new()],
                done: [0; 3],
            },
            budget: budget.clone(),
            account: Account::new(budget),
            nodes_look: NODES_PER_LOOK,
            bytes_besides: 0,
        }
    }

    /// Adds a value that may be there at the start.
    pub(super) fn start(&mut self, value: u32, width: usize) {
        let mut config = Config {
            placed: M::empty(width),
            cover: 0,
            state: value,
            used: NONE_USED,
            mark: self.trail.start(value),
        };
        self.canonicalise(&mut config);
        if !self.current.iter().any(|other| other.state == config.state) {
            self.current.push(config);
        }
        self.configs_max = self.current.len();
    }

    /// A call begins that will return, before those with a later deadline. It must find a free
    /// slot. Returns the slot.
    pub(super) fn begin(&mut self, slot: u32, call: u32, access: Access<u32>, deadline: u64) {
        let access = plain(access);
        if self.rules.look_ahead {
            self.window.came(access, false);
        }
        let begins = self.now;
        self.window.occupy(
            slot,
            Slot {
                access,
                begins,
                deadline,
                call,
            },
        );
        let mut current = std::mem::take(&mut self.current);
        match access {
            Access::Read(value) => {
                for config in &mut current {
                    if config.state == value || self.rules.drops(Condition::ObserverLegal) {
                        config.placed.add(slot);
                        self.canonicalise(config);
                    }
                }
            }
            Access::Not(value) => {
                for config in &mut current {
                    if config.state != value {
                        config.placed.add(slot);
                    }
                }
            }
            Access::Write(_) | Access::Cas(..) => {}
        }
        self.current = current;
    }

    /// A call begins that may happen at any time from now on, or never. Open observers say
    /// nothing.
    pub(super) fn begin_open(&mut self, call: u32, access: Access<u32>) {
        let access = plain(access);
        if let Access::Write(_) | Access::Cas(..) = access {
            if self.rules.look_ahead {
                self.window.came(access, true);
            }
            let class = self.window.class_or_new(access, &mut self.supply);
            self.supply.begin(class, self.now, call);
        }
    }

    /// The call in the slot returns: keeps the configurations in which it is placed, placing what
    /// is needed for it. False when there is none; when stopped, nothing has changed.
    pub(super) fn end(&mut self, slot: u32) -> Result<bool, Stopped> {
        self.count()?;
        let call = *self.window.slot(slot);
        let current = std::mem::take(&mut self.current);
        if current.iter().all(|config| config.placed.has(slot)) {
            self.current = current;
            self.keep_all(slot);
        } else {
            let returning = Returning {
                slot,
                access: call.access,
                begins: call.begins,
                mates: self.mates(call.access),
            };
            self.after.clear();
            let worked = self.force_all(&current, &returning);
            self.current = current;
            worked?;
            self.settle();
        }
        if self.rules.look_ahead && matches!(call.access, Access::Not(_)) {
            self.window.shift_nots(-1);
        }
        self.window.vacate(slot);
        Ok(!self.current.is_empty())
    }

    /// Makes room for the values of a call that is about to begin.
    pub(super) fn make_room(&mut self, access: Access<u32>) {
        let last = match access {
            Access::Read(value) | Access::Write(value) | Access::Not(value) => value,
            Access::Cas(old, new) => old.max(new),
        };
        self.window.make_room(last as usize + 1);
    }

    /// The same for more calls under way, in exchange for itself.
    pub(super) fn with_width<N: Mask>(&mut self, width: usize) -> Engine<N, T> {
        let wide = |config: ConfigOf<M, T>| Config {
            placed: widened(&config.placed, width),
            cover: config.cover,
            state: config.state,
            used: config.used,
            mark: config.mark,
        };
        Engine {
            now: self.now,
            window: self.window.with_width(width),
            supply: std::mem::take(&mut self.supply),
            current: self.current.drain(..).map(wide).collect(),
            trail: std::mem::take(&mut self.trail),
            beam: self.beam,
            truncated: self.truncated,
            nodes: self.nodes,
            configs_max: self.configs_max,
            ..Engine::new(width, 0, self.rules, &self.budget)
        }
    }

    /// Whether some configurations were left out: then an empty set proves nothing.
    pub(super) fn is_truncated(&self) -> bool {
        self.truncated && !self.rules.drops(Condition::BeamTruncated)
    }

    /// Whether it is time to forget what is no longer needed.
    pub(super) fn wants_compaction(&self) -> bool {
        self.supply.wants_compaction() || self.trail.wants_compaction()
    }

    /// Forgets what is behind neither the current configurations nor these.
    pub(super) fn compact<'c>(&mut self, others: impl Iterator<Item = &'c mut ConfigOf<M, T>>)
    where
        M: 'c,
        T: 'c,
    {
        let mut alive: Vec<&mut ConfigOf<M, T>> = Vec::new();
        alive.extend(&mut self.current);
        // One by one, since these live longer.
        for other in others {
            alive.push(other);
        }
        let before: Vec<Access<u32>> = self.supply.classes().iter().map(|of| of.access).collect();
        let mut used: Vec<Used> = alive.iter().map(|config| config.used).collect();
        used.sort_unstable();
        used.dedup();
        let moved = self.supply.compact(&used);
        for config in &mut alive {
            let at = used.partition_point(|&used| used < config.used);
            config.used = moved[at];
        }
        self.window.link_anew(&before, &mut self.supply);
        let mut marks: Vec<_> = alive.iter_mut().map(|config| &mut config.mark).collect();
        self.trail.compact(&mut marks);
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        let closure: usize = self.closure.sets.iter().map(ConfigSet::bytes).sum();
        let heap = self
            .current
            .first()
            .map_or(0, |config| config.placed.heap_bytes());
        self.window.bytes()
            + self.supply.bytes()
            + self.trail.bytes()
            + self.after.bytes()
            + closure
            + self.current.capacity() * (size_of::<ConfigOf<M, T>>() + heap)
            + self.bytes_besides
    }

    /// Every configuration has placed the call.
    fn keep_all(&mut self, slot: u32) {
        let mut merged = false;
        let mut current = std::mem::take(&mut self.current);
        for config in &mut current {
            merged |= self.canonicalise(config);
            config.placed.remove(slot);
        }
        self.current = current;
        if merged && self.current.len() > 1 {
            self.after.clear();
            for config in self.current.drain(..) {
                self.after.insert(config, &self.supply, &self.rules);
            }
            self.settle();
        }
    }

    fn force_all(
        &mut self,
        current: &[ConfigOf<M, T>],
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        for config in current {
            if config.placed.has(returning.slot) {
                self.emit(config.clone(), returning)?;
            } else {
                self.force(config, returning)?;
            }
        }
        Ok(())
    }

    /// What came out of a return becomes the set.
    fn settle(&mut self) {
        self.after.swap(&mut self.current);
        if self.current.len() > 1 {
            prune(&mut self.current, &self.window, &self.supply, &self.rules);
        }
        if let Some(beam) = self.beam
            && self.current.len() > beam
        {
            let supply = &self.supply;
            self.current
                .sort_by_key(|config| (supply.total(config.used), u64::MAX - config.cover));
            self.current.truncate(beam);
            self.truncated = true;
        }
        self.configs_max = self.configs_max.max(self.current.len());
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

    /// All ways to place the call that returns after everything placed so far, cas and the writes
    /// that enable them before it.
    fn close(&mut self, config: &ConfigOf<M, T>, returning: &Returning<M>) -> Result<(), Stopped> {
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

    /// Places the call that returns, or for an observer a write that serves it, after everything
    /// placed so far.
    fn place(
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
    fn cover_with(
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
    fn source(&self, value: u32, config: &ConfigOf<M, T>, cover: Option<u64>) -> Option<Source> {
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
    fn take(&mut self, config: &mut ConfigOf<M, T>, source: Source, hidden: bool) {
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
    fn enter(&self, config: &mut ConfigOf<M, T>, value: u32) {
        config.state = value;
        config.placed.add_all(&self.window.served(value));
    }

    /// One more open call of the class is used. The counts of writes of dead values are dropped
    /// (R4: nobody will ever need one again), so that configurations do not differ by them.
    fn use_one(&mut self, config: &ConfigOf<M, T>, class: u32) -> Used {
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

    /// A configuration in which the call that returns is placed.
    fn emit(
        &mut self,
        mut config: ConfigOf<M, T>,
        returning: &Returning<M>,
    ) -> Result<(), Stopped> {
        self.canonicalise(&mut config);
        config.placed.remove(returning.slot);
        self.after.insert(config, &self.supply, &self.rules);
        self.count()
    }

    /// R5: values that nobody will ever tell apart become one. True when the state changed.
    #[inline]
    fn canonicalise(&self, config: &mut ConfigOf<M, T>) -> bool {
        let dies = config.state != DEAD
            && self
                .window
                .is_dead(config.state, &config.placed, &self.rules);
        if dies {
            config.state = DEAD;
        }
        dies
    }

    /// R6: whether the value cannot be left, or used up, in this way.
    #[inline]
    fn is_doomed(&self, value: u32, config: &ConfigOf<M, T>, returning: &Returning<M>) -> bool {
        self.rules.look_ahead
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

    /// The slots of the calls that do this.
    fn mates(&self, access: Access<u32>) -> M {
        let none = || self.window.writes.without(&self.window.writes);
        match access {
            Access::Write(value) => self.window.value(value).writes.clone(),
            Access::Cas(old, new) => {
                let of = |value| self.window.cas_value(value);
                match (of(old), of(new)) {
                    (Some(old), Some(new)) => old.from.and(&new.to),
                    _ => none(),
                }
            }
            Access::Read(_) | Access::Not(_) => none(),
        }
    }

    fn record(&mut self, mark: T::Mark, call: u32, hidden: bool) -> T::Mark {
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

    /// One more unit of work.
    #[inline]
    pub(super) fn count(&mut self) -> Result<(), Stopped> {
        self.nodes += 1;
        if self.nodes >= self.nodes_look {
            self.look()?;
        }
        match self.nodes > self.nodes_turn {
            true => Err(Stopped::TurnOver),
            false => Ok(()),
        }
    }

    /// Looks at the clock, the memory account and the flags.
    #[cold]
    fn look(&mut self) -> Result<(), Stopped> {
        self.nodes_look = self.nodes + NODES_PER_LOOK;
        let bytes = self.bytes() as u64;
        self.account.set(bytes);
        self.budget.check().map_err(Stopped::Exhausted)
    }
}

impl<M: Mask, K: Copy> Closure<M, K> {
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
