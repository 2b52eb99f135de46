//! The model's steps, on numbers: states and classes interned, steps remembered.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::Model;

/// A number for a state.
pub(crate) type StateId = u32;

const ILLEGAL: u32 = u32::MAX;
const UNTRIED: u32 = u32::MAX - 1;
/// What is kept of a table's room when it is cleared, in entries.
const KEPT_MIN: usize = 16;
/// Up to so many classes a row of the table is kept for every state.
const ROW_CLASSES_MAX: usize = 256;

/// A model, lent for as long as a history is looked at, or shared with whoever streams one.
#[derive(Debug)]
enum Held<'p, M> {
    Lent(&'p M),
    Shared(Arc<M>),
}

impl<M> Clone for Held<'_, M> {
    fn clone(&self) -> Self {
        match self {
            Held::Lent(model) => Held::Lent(model),
            Held::Shared(model) => Held::Shared(Arc::clone(model)),
        }
    }
}

impl<M> Held<'_, M> {
    fn get(&self) -> &M {
        match self {
            Held::Lent(model) => model,
            Held::Shared(model) => model,
        }
    }
}

/// What a model does, remembered.
#[derive(Debug)]
pub(crate) struct Transitions<'p, M: Model> {
    model: Held<'p, M>,
    classes: Cow<'p, [M::Op]>,
    keeps_rows: bool,
    states: Vec<M::State>,
    numbers: FxHashMap<M::State, StateId>,
    /// `states × classes` when the classes are few.
    rows: Vec<u32>,
    /// Steps already tried, when they are many.
    tried: FxHashMap<(StateId, u32), u32>,
    state_bytes: usize,
}

impl<'p, M: Model> Transitions<'p, M> {
    pub(crate) fn new(model: &'p M, classes: &'p [M::Op]) -> Self {
        Transitions {
            classes: Cow::Borrowed(classes),
            keeps_rows: classes.len() <= ROW_CLASSES_MAX,
            ..Transitions::growing_with(Held::Lent(model))
        }
    }

    /// With no class yet: they are added as they come.
    pub(crate) fn growing(model: Arc<M>) -> Self {
        Transitions::growing_with(Held::Shared(model))
    }

    fn growing_with(model: Held<'p, M>) -> Self {
        Transitions {
            model,
            classes: Cow::Owned(Vec::new()),
            keeps_rows: false,
            states: Vec::new(),
            numbers: FxHashMap::default(),
            rows: Vec::new(),
            tried: FxHashMap::default(),
            state_bytes: 0,
        }
    }

    pub(crate) fn intern(&mut self, state: M::State) -> StateId {
        if let Some(&number) = self.numbers.get(&state) {
            return number;
        }
        let number = self.states.len() as StateId;
        self.state_bytes += 2 * self.model.get().state_bytes(&state) + 16;
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        if self.keeps_rows {
            self.rows
                .resize(self.states.len() * self.classes.len(), UNTRIED);
        }
        number
    }

    /// The state after an operation of the class, or `None` when it cannot happen.
    pub(crate) fn step(&mut self, state: StateId, class: u32) -> Option<StateId> {
        let next = if self.keeps_rows {
            let at = state as usize * self.classes.len() + class as usize;
            if self.rows[at] == UNTRIED {
                let next = self.try_step(state, class);
                self.rows[at] = next;
            }
            self.rows[at]
        } else if let Some(&next) = self.tried.get(&(state, class)) {
            next
        } else {
            let next = self.try_step(state, class);
            self.tried.insert((state, class), next);
            next
        };
        (next != ILLEGAL).then_some(next)
    }

    fn try_step(&mut self, state: StateId, class: u32) -> u32 {
        let next = self
            .model
            .get()
            .step(&self.states[state as usize], &self.classes[class as usize]);
        next.map_or(ILLEGAL, |next| self.intern(next))
    }

    /// Everything remembered; nothing is left.
    pub(crate) fn take(&mut self) -> Self {
        let empty = Transitions::growing_with(self.model.clone());
        std::mem::replace(self, empty)
    }

    /// The model.
    pub(crate) fn model(&self) -> &M {
        self.model.get()
    }

    /// The operations of a class.
    pub(crate) fn class(&self, class: u32) -> &M::Op {
        &self.classes[class as usize]
    }

    /// A number for another class of operations.
    pub(crate) fn add_class(&mut self, op: M::Op) -> u32 {
        let classes = self.classes.to_mut();
        classes.push(op);
        classes.len() as u32 - 1
    }

    /// How many classes there are.
    pub(crate) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// How many things are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.states.len() + self.classes.len() + self.tried.len()
    }

    /// Forgets all classes but those that are kept and all states but these, and every step.
    /// Classes keep their order; the states are numbered from 0 in the order given. For growing
    /// ones only.
    pub(crate) fn retain(&mut self, keeps_class: &[bool], states: &[StateId]) {
        let mut keeps = keeps_class.iter();
        let classes = self.classes.to_mut();
        classes.retain(|_| keeps.next().copied().unwrap_or(false));
        classes.shrink_to(KEPT_MIN);
        let kept: Vec<M::State> = states
            .iter()
            .map(|&state| self.states[state as usize].clone())
            .collect();
        self.states.clear();
        self.numbers.clear();
        self.tried.clear();
        self.states.shrink_to(KEPT_MIN);
        self.numbers.shrink_to(KEPT_MIN);
        self.tried.shrink_to(KEPT_MIN);
        self.state_bytes = 0;
        for state in kept {
            self.intern(state);
        }
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        let classes = match &self.classes {
            Cow::Borrowed(_) => 0,
            Cow::Owned(classes) => classes.capacity() * size_of::<M::Op>(),
        };
        self.rows.capacity() * 4 + self.tried.capacity() * 16 + self.state_bytes + classes
    }
}
