//! What is under way at a moment, by slot and by value, and how much of each value is to come.

use super::rules::{Condition, Rules};
use super::supply::{NO_CLASS, Supply, Used};
use crate::registers::Access;
use crate::search::Mask;

/// A call under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub access: Access<u32>,
    pub begins: u64,
    /// When it returns: only the order counts.
    pub deadline: u64,
    pub call: u32,
}

/// What concerns one value.
#[derive(Debug, Clone)]
pub(super) struct OfValue<M> {
    /// Slots of reads that find it.
    pub reads: M,
    /// Slots of writes that leave it.
    pub writes: M,
    /// The class of open writes that leave it.
    pub open_writes: u32,
    /// Calls to come that find it. Open cas count as to come for ever.
    observers: u32,
    /// Those of them that must happen.
    required: u32,
    /// Calls to come that leave it.
    sources: u32,
}

/// What concerns one value where there are cas.
#[derive(Debug, Clone)]
pub(super) struct CasOfValue<M> {
    /// Slots of cas that find it, and that leave it.
    pub from: M,
    pub to: M,
    /// The first class of open cas that find it, and that leave it.
    pub open_from: u32,
    pub open_to: u32,
}

/// What concerns one value where there are calls that found another value.
#[derive(Debug, Clone)]
struct NotOfValue<M> {
    under_way: M,
    ahead: u32,
}

/// The calls under way.
#[derive(Debug)]
pub(super) struct Window<M> {
    /// How many slots the masks are made for.
    width: usize,
    slots: Vec<Slot>,
    occupied: M,
    pub reads: M,
    pub writes: M,
    pub cas: M,
    pub nots: M,
    values: Vec<OfValue<M>>,
    /// Empty before the first cas.
    cas_values: Vec<CasOfValue<M>>,
    /// Empty before the first such call.
    not_values: Vec<NotOfValue<M>>,
    /// Calls that find another value: to come and under way.
    nots_left: u32,
}

/// The same slots in a mask for a larger width.
pub(super) fn widened<M: Mask, N: Mask>(mask: &M, width: usize) -> N {
    let mut wide = N::empty(width);
    for slot in mask.slots() {
        wide.add(slot);
    }
    wide
}

/// A cas that changes nothing is a read.
pub(super) fn plain(access: Access<u32>) -> Access<u32> {
    match access {
        Access::Cas(old, new) if old == new => Access::Read(old),
        other => other,
    }
}

impl<M: Mask> Window<M> {
    pub(super) fn new(width: usize) -> Self {
        let empty = M::empty(width);
        Window {
            width,
            slots: Vec::new(),
            occupied: empty.clone(),
            reads: empty.clone(),
            writes: empty.clone(),
            cas: empty.clone(),
            nots: empty,
            values: Vec::new(),
            cas_values: Vec::new(),
            not_values: Vec::new(),
            nots_left: 0,
        }
    }

    /// Makes room for the values below a number.
    pub(super) fn make_room(&mut self, values: usize) {
        if self.values.len() < values {
            let empty = M::empty(self.width);
            let none = OfValue {
                reads: empty.clone(),
                writes: empty,
                open_writes: NO_CLASS,
                observers: 0,
                required: 0,
                sources: 0,
            };
            self.values.resize(values, none);
        }
    }

    fn make_room_for_cas(&mut self) {
        if self.cas_values.len() < self.values.len() {
            let empty = M::empty(self.width);
            let none = CasOfValue {
                from: empty.clone(),
                to: empty,
                open_from: NO_CLASS,
                open_to: NO_CLASS,
            };
            self.cas_values.resize(self.values.len(), none);
        }
    }

    fn make_room_for_nots(&mut self) {
        if self.not_values.len() < self.values.len() {
            let none = NotOfValue {
                under_way: M::empty(self.width),
                ahead: 0,
            };
            self.not_values.resize(self.values.len(), none);
        }
    }

    /// Says that a call is to come.
    pub(super) fn expect(&mut self, access: Access<u32>, open: bool) {
        match access {
            Access::Cas(old, _) if open => self.values[old as usize].observers += 1,
            Access::Not(_) => {
                self.make_room_for_nots();
                self.nots_left += 1;
            }
            _ => {}
        }
        self.shift_ahead(access, open, 1);
    }

    /// A call that was to come is there. Open cas go on counting as observers, and observers of
    /// another value are counted until they are [over](Window::shift_nots).
    pub(super) fn came(&mut self, access: Access<u32>, open: bool) {
        self.shift_ahead(access, open, -1);
    }

    /// Takes back [`came`](Window::came).
    pub(super) fn uncame(&mut self, access: Access<u32>, open: bool) {
        self.shift_ahead(access, open, 1);
    }

    #[inline]
    fn shift_ahead(&mut self, access: Access<u32>, open: bool, by: i32) {
        let shift = |number: &mut u32| *number = number.wrapping_add_signed(by);
        match access {
            Access::Read(value) => {
                let of = &mut self.values[value as usize];
                shift(&mut of.observers);
                shift(&mut of.required);
            }
            Access::Write(value) => shift(&mut self.values[value as usize].sources),
            Access::Cas(old, new) => {
                if !open {
                    let of = &mut self.values[old as usize];
                    shift(&mut of.observers);
                    shift(&mut of.required);
                }
                shift(&mut self.values[new as usize].sources);
            }
            Access::Not(value) => shift(&mut self.not_values[value as usize].ahead),
        }
    }

    /// A call that found another value has returned, or (`by` 1) has not after all.
    pub(super) fn shift_nots(&mut self, by: i32) {
        self.nots_left = self.nots_left.wrapping_add_signed(by);
    }

    /// The lowest slot that is free; `None` when the width is used up.
    pub(super) fn free_slot(&self) -> Option<u32> {
        self.occupied
            .words()
            .iter()
            .position(|&word| word != u64::MAX)
            .map(|at| at as u32 * 64 + self.occupied.words()[at].trailing_ones())
    }

    /// A call takes a slot.
    pub(super) fn occupy(&mut self, slot: u32, call: Slot) {
        if self.slots.len() <= slot as usize {
            self.slots.resize(slot as usize + 1, call);
        }
        self.slots[slot as usize] = call;
        self.occupied.add(slot);
        match call.access {
            Access::Read(value) => {
                self.reads.add(slot);
                self.values[value as usize].reads.add(slot);
            }
            Access::Write(value) => {
                self.writes.add(slot);
                self.values[value as usize].writes.add(slot);
            }
            Access::Cas(old, new) => {
                self.make_room_for_cas();
                self.cas.add(slot);
                self.cas_values[old as usize].from.add(slot);
                self.cas_values[new as usize].to.add(slot);
            }
            Access::Not(value) => {
                self.make_room_for_nots();
                self.nots.add(slot);
                self.not_values[value as usize].under_way.add(slot);
            }
        }
    }

    /// The call in a slot is over.
    pub(super) fn vacate(&mut self, slot: u32) {
        self.occupied.remove(slot);
        match self.slots[slot as usize].access {
            Access::Read(value) => {
                self.reads.remove(slot);
                self.values[value as usize].reads.remove(slot);
            }
            Access::Write(value) => {
                self.writes.remove(slot);
                self.values[value as usize].writes.remove(slot);
            }
            Access::Cas(old, new) => {
                self.cas.remove(slot);
                self.cas_values[old as usize].from.remove(slot);
                self.cas_values[new as usize].to.remove(slot);
            }
            Access::Not(value) => {
                self.nots.remove(slot);
                self.not_values[value as usize].under_way.remove(slot);
            }
        }
    }

    /// How many calls may be under way.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The calls under way.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Slot> {
        self.occupied.slots().map(|slot| &self.slots[slot as usize])
    }

    /// Whether no other call under way returns before the one in the slot.
    pub(super) fn is_first_to_return(&self, slot: u32) -> bool {
        let deadline = self.slot(slot).deadline;
        self.under_way().all(|other| other.deadline >= deadline)
    }

    /// The same for more calls under way.
    pub(super) fn with_width<N: Mask>(&self, width: usize) -> Window<N> {
        let wide = |mask: &M| widened::<M, N>(mask, width);
        let of_value = |of: &OfValue<M>| OfValue {
            reads: wide(&of.reads),
            writes: wide(&of.writes),
            open_writes: of.open_writes,
            observers: of.observers,
            required: of.required,
            sources: of.sources,
        };
        let of_cas = |of: &CasOfValue<M>| CasOfValue {
            from: wide(&of.from),
            to: wide(&of.to),
            open_from: of.open_from,
            open_to: of.open_to,
        };
        let of_not = |of: &NotOfValue<M>| NotOfValue {
            under_way: wide(&of.under_way),
            ahead: of.ahead,
        };
        Window {
            width,
            slots: self.slots.clone(),
            occupied: wide(&self.occupied),
            reads: wide(&self.reads),
            writes: wide(&self.writes),
            cas: wide(&self.cas),
            nots: wide(&self.nots),
            values: self.values.iter().map(of_value).collect(),
            cas_values: self.cas_values.iter().map(of_cas).collect(),
            not_values: self.not_values.iter().map(of_not).collect(),
            nots_left: self.nots_left,
        }
    }

    #[inline]
    pub(super) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    #[inline]
    pub(super) fn value(&self, value: u32) -> &OfValue<M> {
        &self.values[value as usize]
    }

    /// What concerns the value, if there ever was a cas.
    #[inline]
    pub(super) fn cas_value(&self, value: u32) -> Option<&CasOfValue<M>> {
        self.cas_values.get(value as usize)
    }

    /// The observers that are served when the register holds the value.
    #[inline]
    pub(super) fn served(&self, value: u32) -> M {
        let mut served = self.values[value as usize].reads.clone();
        if !self.nots.is_empty() {
            match self.not_values.get(value as usize) {
                Some(of) => served.add_all(&self.nots.without(&of.under_way)),
                None => served.add_all(&self.nots),
            }
        }
        served
    }

    /// Those of the slots whose calls began before the moment.
    #[inline]
    pub(super) fn begun_before(&self, slots: &M, moment: u64) -> M {
        let mut begun = slots.clone();
        for slot in slots.slots() {
            if self.slots[slot as usize].begins >= moment {
                begun.remove(slot);
            }
        }
        begun
    }

    /// R2: the one that must return first.
    #[inline]
    pub(super) fn earliest(&self, slots: &M, rules: &Rules) -> Option<u32> {
        let deadline = |slot: &u32| self.slots[*slot as usize].deadline;
        match rules.drops(Condition::EarliestFirst) {
            false => slots.slots().min_by_key(deadline),
            true => slots.slots().max_by_key(deadline),
        }
    }

    /// Whether some observer that finds another value is to come, or under way and not placed.
    pub(super) fn wants_another(&self, placed: &M) -> bool {
        self.nots_left > 0 && (self.nots_left > self.nots.len() || !placed.contains_all(&self.nots))
    }

    /// R5: whether no call could ever tell this value from any other that nobody looks for.
    #[inline]
    pub(super) fn is_dead(&self, value: u32, placed: &M, rules: &Rules) -> bool {
        if !rules.look_ahead {
            return false;
        }
        let of = &self.values[value as usize];
        (of.observers == 0 || rules.drops(Condition::DeadAhead))
            && (!self.is_observed_now(value, placed) || rules.drops(Condition::DeadUnderWay))
            && (!self.is_refused(value, placed) || rules.drops(Condition::DeadNots))
    }

    /// R6: whether some call must still find this value and nothing is left to bring it.
    #[inline]
    pub(super) fn is_doomed(
        &self,
        value: u32,
        placed: &M,
        used: Used,
        returning: u32,
        supply: &Supply,
        rules: &Rules,
    ) -> bool {
        let of = &self.values[value as usize];
        let required = of.required
            + match rules.drops(Condition::DoomOpenCas) {
                true => of.observers,
                false => 0,
            };
        (required > 0 || self.is_observed_now(value, placed))
            && !self.has_source(value, placed, used, returning, supply, rules)
    }

    /// Whether a call under way and not placed finds the value.
    fn is_observed_now(&self, value: u32, placed: &M) -> bool {
        !placed.contains_all(&self.values[value as usize].reads)
            || self
                .cas_value(value)
                .is_some_and(|of| !placed.contains_all(&of.from))
    }

    /// Whether a call to come, or one under way and not placed, finds another value than this.
    fn is_refused(&self, value: u32, placed: &M) -> bool {
        self.not_values
            .get(value as usize)
            .is_some_and(|of| of.ahead > 0 || !placed.contains_all(&of.under_way))
    }

    fn has_source(
        &self,
        value: u32,
        placed: &M,
        used: Used,
        returning: u32,
        supply: &Supply,
        rules: &Rules,
    ) -> bool {
        let of = &self.values[value as usize];
        let is_left = |slots: &M| match rules.drops(Condition::DoomReturning) {
            false => !placed.contains_all(slots),
            true => slots.without(placed).slots().any(|slot| slot != returning),
        };
        if (of.sources > 0 && !rules.drops(Condition::DoomAhead)) || is_left(&of.writes) {
            return true;
        }
        let is_open =
            |class| supply.next(used, class).is_some() && !rules.drops(Condition::DoomOpen);
        if of.open_writes != NO_CLASS && is_open(of.open_writes) {
            return true;
        }
        let Some(cas) = self.cas_value(value) else {
            return false;
        };
        if rules.drops(Condition::DoomCas) {
            return false;
        }
        let mut class = cas.open_to;
        while class != NO_CLASS {
            if is_open(class) {
                return true;
            }
            class = supply.classes()[class as usize].next_to;
        }
        is_left(&cas.to)
    }

    /// The class of open calls that do this.
    pub(super) fn class(&self, access: Access<u32>, supply: &Supply) -> Option<u32> {
        match access {
            Access::Write(value) => {
                let class = self.values[value as usize].open_writes;
                (class != NO_CLASS).then_some(class)
            }
            Access::Cas(old, _) => {
                let mut class = self.cas_value(old)?.open_from;
                while class != NO_CLASS {
                    let of = &supply.classes()[class as usize];
                    if of.access == access {
                        return Some(class);
                    }
                    class = of.next_from;
                }
                None
            }
            Access::Read(_) | Access::Not(_) => None,
        }
    }

    /// The class of open calls that do this, made if need be; `access` is a write or a cas.
    pub(super) fn class_or_new(&mut self, access: Access<u32>, supply: &mut Supply) -> u32 {
        if let Some(class) = self.class(access, supply) {
            return class;
        }
        let class = supply.add_class(access);
        self.link(class, supply);
        class
    }

    /// Lets every class of open calls be found by its values: after they were numbered anew.
    pub(super) fn link_anew(&mut self, before: &[Access<u32>], supply: &mut Supply) {
        for access in before {
            match *access {
                Access::Write(value) => self.values[value as usize].open_writes = NO_CLASS,
                Access::Cas(old, new) => {
                    self.cas_values[old as usize].open_from = NO_CLASS;
                    self.cas_values[new as usize].open_to = NO_CLASS;
                }
                Access::Read(_) | Access::Not(_) => {}
            }
        }
        for class in 0..supply.classes().len() as u32 {
            self.link(class, supply);
        }
    }

    fn link(&mut self, class: u32, supply: &mut Supply) {
        match supply.classes()[class as usize].access {
            Access::Write(value) => {
                self.values[value as usize].open_writes = class;
                if self
                    .cas_value(value)
                    .is_some_and(|of| of.open_from != NO_CLASS)
                {
                    supply.joints.push(value);
                }
            }
            Access::Cas(old, new) => {
                self.make_room_for_cas();
                let from = std::mem::replace(&mut self.cas_values[old as usize].open_from, class);
                let to = std::mem::replace(&mut self.cas_values[new as usize].open_to, class);
                supply.set_links(class, from, to);
                if from == NO_CLASS && self.values[old as usize].open_writes != NO_CLASS {
                    supply.joints.push(old);
                }
            }
            Access::Read(_) | Access::Not(_) => {}
        }
    }

    /// Whether there is an open cas that finds the value and is not used.
    pub(super) fn has_open_from(&self, value: u32, used: Used, supply: &Supply) -> bool {
        let mut class = self.cas_value(value).map_or(NO_CLASS, |of| of.open_from);
        while class != NO_CLASS {
            if supply.next(used, class).is_some() {
                return true;
            }
            class = supply.classes()[class as usize].next_from;
        }
        false
    }

    pub(super) fn bytes(&self) -> usize {
        let heap = self.reads.heap_bytes();
        self.slots.capacity() * size_of::<Slot>()
            + self.values.capacity() * (size_of::<OfValue<M>>() + 2 * heap)
            + self.cas_values.capacity() * (size_of::<CasOfValue<M>>() + 2 * heap)
            + self.not_values.capacity() * (size_of::<NotOfValue<M>>() + heap)
    }
}
