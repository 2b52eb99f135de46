//! The model's steps, on numbers: states and classes interned, steps remembered.

use rustc_hash::FxHashMap;

use crate::Model;

/// A number for a state.
pub(crate) type StateId = u32;

const ILLEGAL: u32 = u32::MAX;
const UNTRIED: u32 = u32::MAX - 1;
/// Up to so many classes a row of the table is kept for every state.
const ROW_CLASSES_MAX: usize = 256;

/// What a model does, remembered.
#[derive(Debug)]
pub(crate) struct Transitions<'p, M: Model> {
    model: &'p M,
    classes: &'p [M::Op],
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
            model,
            classes,
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
        self.state_bytes += 2 * self.model.state_bytes(&state) + 16;
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        if self.has_rows() {
            self.rows
                .resize(self.states.len() * self.classes.len(), UNTRIED);
        }
        number
    }

    /// The state after an operation of the class, or `None` when it cannot happen.
    pub(crate) fn step(&mut self, state: StateId, class: u32) -> Option<StateId> {
        let next = if self.has_rows() {
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
            .step(&self.states[state as usize], &self.classes[class as usize]);
        next.map_or(ILLEGAL, |next| self.intern(next))
    }

    fn has_rows(&self) -> bool {
        self.classes.len() <= ROW_CLASSES_MAX
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.capacity() * 4 + self.tried.capacity() * 16 + self.state_bytes
    }
}
