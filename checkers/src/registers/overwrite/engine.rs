//! One step of the set of configurations: a call begins, or a call returns.

use super::closure::Closure;
use super::config::{Config, ConfigSet};
use super::prune::prune;
use super::rules::{Condition, Rules};
use super::supply::{NONE_USED, Supply, Used};
use super::trail::Trail;
use super::window::{Slot, Window, plain, widened};
use crate::limits::{Account, Budget, Exhausted};
use crate::registers::Access;
use crate::search::Mask;

/// How many units of work pass between two looks at the clock.
const NODES_PER_LOOK: u64 = 2048;

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
    pub after: ConfigSet<M, T::Mark>,
    pub closure: Closure<M, T::Mark>,
    budget: Budget,
    account: Account,
    nodes_look: u64,
    /// Memory of whoever uses it, for the account.
    pub bytes_besides: usize,
}

/// The call that returns now.
#[derive(Debug)]
pub(super) struct Returning<M> {
    pub slot: u32,
    pub access: Access<u32>,
    pub begins: u64,
    /// The slots of all calls that do the same.
    pub mates: M,
}

/// A configuration of an engine.
pub(super) type ConfigOf<M, T> = Config<M, <T as Trail>::Mark>;

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
            closure: Closure::new(),
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
        if self.current.iter().all(|config| config.placed.has(slot)) {
            // Nothing else changes: what can be told apart, and what dominates what, was settled
            // when the call was placed.
            for config in &mut self.current {
                config.placed.remove(slot);
            }
        } else {
            let current = std::mem::take(&mut self.current);
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
        let heap = self
            .current
            .first()
            .map_or(0, |config| config.placed.heap_bytes());
        self.window.bytes()
            + self.supply.bytes()
            + self.trail.bytes()
            + self.after.bytes()
            + self.closure.bytes()
            + self.current.capacity() * (size_of::<ConfigOf<M, T>>() + heap)
            + self.bytes_besides
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
