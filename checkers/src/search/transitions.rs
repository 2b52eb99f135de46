//! The model's steps, on numbers: states and classes interned, steps remembered.
//!
//! The engines know nothing of models but this, so that they are compiled once for all of them.

use std::sync::{Arc, Mutex};

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

/// What a model does, remembered.
pub(crate) struct Transitions<'p> {
    steps: Box<dyn Steps + 'p>,
    /// How many classes there are for good, where there are few.
    row_classes: Option<usize>,
    /// `states × classes` when the classes are few.
    rows: Vec<u32>,
    /// Steps already tried, when they are many.
    tried: FxHashMap<(StateId, u32), u32>,
}

/// The steps of a model whose states and classes are numbered.
trait Steps: Send {
    /// The state after an operation of the class, or [`ILLEGAL`].
    fn step(&mut self, state: StateId, class: u32) -> u32;

    /// How many states there are.
    fn states(&self) -> usize;

    /// How many classes there are.
    fn classes(&self) -> usize;

    /// Forgets all but these, as [`Transitions::retain`] says.
    fn retain(&mut self, keeps_class: &[bool], states: &[StateId]);

    /// Memory held.
    fn bytes(&self) -> usize;
}

impl<'p> Transitions<'p> {
    /// The steps of a history whose classes are all known, and the numbers of its start states.
    pub(crate) fn new<M: Model>(
        model: &'p M,
        classes: &'p [M::Op],
        starts: &[M::State],
    ) -> (Self, Vec<StateId>) {
        let few = classes.len() <= ROW_CLASSES_MAX;
        let row_classes = few.then_some(classes.len());
        let numbered = Numbered::<M>::new(Held::Lent(model), Classes::Lent(classes));
        Self::with(numbered, row_classes, starts)
    }

    /// The steps of a history whose classes are added to `classes` as they come, and the number of
    /// its start state.
    pub(crate) fn growing<M: Model + 'static>(
        model: Arc<M>,
        classes: SharedClasses<M::Op>,
        start: M::State,
    ) -> (Self, StateId) {
        let numbered = Numbered::<M>::new(Held::Shared(model), Classes::Shared(classes));
        let (transitions, starts) = Self::with(numbered, None, &[start]);
        (transitions, starts[0])
    }

    fn with<M: Model>(
        mut numbered: Numbered<'p, M>,
        row_classes: Option<usize>,
        starts: &[M::State],
    ) -> (Self, Vec<StateId>) {
        let starts = starts.iter().cloned();
        let starts = starts.map(|state| numbered.intern(state)).collect();
        let transitions = Transitions {
            steps: Box::new(numbered),
            row_classes,
            rows: Vec::new(),
            tried: FxHashMap::default(),
        };
        (transitions, starts)
    }

    /// No step at all.
    fn none() -> Self {
        Transitions {
            steps: Box::new(NoSteps),
            row_classes: None,
            rows: Vec::new(),
            tried: FxHashMap::default(),
        }
    }

    /// The state after an operation of the class, or `None` when it cannot happen.
    pub(crate) fn step(&mut self, state: StateId, class: u32) -> Option<StateId> {
        let next = if let Some(classes) = self.row_classes {
            let at = state as usize * classes + class as usize;
            if at >= self.rows.len() {
                self.rows.resize(self.steps.states() * classes, UNTRIED);
            }
            if self.rows[at] == UNTRIED {
                self.rows[at] = self.steps.step(state, class);
            }
            self.rows[at]
        } else {
            let steps = &mut self.steps;
            let tried = self.tried.entry((state, class));
            *tried.or_insert_with(|| steps.step(state, class))
        };
        (next != ILLEGAL).then_some(next)
    }

    /// Everything remembered; nothing is left.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::none())
    }

    /// How many classes there are.
    pub(crate) fn classes(&self) -> usize {
        self.steps.classes()
    }

    /// How many things are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.steps.states() + self.steps.classes() + self.tried.len()
    }

    /// Forgets all classes but those that are kept and all states but these, and every step.
    /// Classes keep their order; the states are numbered from 0 in the order given. For growing
    /// ones only.
    pub(crate) fn retain(&mut self, keeps_class: &[bool], states: &[StateId]) {
        self.steps.retain(keeps_class, states);
        self.tried.clear();
        self.tried.shrink_to(KEPT_MIN);
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.capacity() * 4 + self.tried.capacity() * 16 + self.steps.bytes()
    }
}

/// A model, lent for as long as a history is looked at, or shared with whoever streams one.
enum Held<'p, M> {
    Lent(&'p M),
    Shared(Arc<M>),
}

impl<M> Held<'_, M> {
    fn get(&self) -> &M {
        match self {
            Held::Lent(model) => model,
            Held::Shared(model) => model,
        }
    }
}

/// Classes that are added as they come.
pub(crate) type SharedClasses<Op> = Arc<Mutex<Vec<Op>>>;

enum Classes<'p, Op> {
    Lent(&'p [Op]),
    Shared(SharedClasses<Op>),
}

impl<Op> Classes<'_, Op> {
    /// Does something with them. A lock whose holder panicked holds what it held.
    fn with<T>(&self, done: impl FnOnce(&[Op]) -> T) -> T {
        match self {
            Classes::Lent(classes) => done(classes),
            Classes::Shared(classes) => match classes.lock() {
                Ok(classes) => done(&classes),
                Err(held) => done(&held.into_inner()),
            },
        }
    }
}

/// A model whose states are numbered as they come up.
struct Numbered<'p, M: Model> {
    model: Held<'p, M>,
    classes: Classes<'p, M::Op>,
    states: Vec<M::State>,
    numbers: FxHashMap<M::State, StateId>,
    state_bytes: usize,
}

impl<'p, M: Model> Numbered<'p, M> {
    fn new(model: Held<'p, M>, classes: Classes<'p, M::Op>) -> Self {
        Numbered {
            model,
            classes,
            states: Vec::new(),
            numbers: FxHashMap::default(),
            state_bytes: 0,
        }
    }

    fn intern(&mut self, state: M::State) -> StateId {
        if let Some(&number) = self.numbers.get(&state) {
            return number;
        }
        let number = self.states.len() as StateId;
        self.state_bytes += 2 * self.model.get().state_bytes(&state) + 16;
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        number
    }
}

impl<M: Model> Steps for Numbered<'_, M> {
    fn step(&mut self, state: StateId, class: u32) -> u32 {
        let state = &self.states[state as usize];
        let model = self.model.get();
        let next = self
            .classes
            .with(|classes| model.step(state, &classes[class as usize]));
        next.map_or(ILLEGAL, |next| self.intern(next))
    }

    fn states(&self) -> usize {
        self.states.len()
    }

    fn classes(&self) -> usize {
        self.classes.with(<[M::Op]>::len)
    }

    fn retain(&mut self, keeps_class: &[bool], states: &[StateId]) {
        if let Classes::Shared(classes) = &self.classes
            && let Ok(mut classes) = classes.lock()
        {
            let mut keeps = keeps_class.iter();
            classes.retain(|_| keeps.next().copied().unwrap_or(false));
            classes.shrink_to(KEPT_MIN);
        }
        let kept: Vec<M::State> = states
            .iter()
            .map(|&state| self.states[state as usize].clone())
            .collect();
        self.states.clear();
        self.numbers.clear();
        self.states.shrink_to(KEPT_MIN);
        self.numbers.shrink_to(KEPT_MIN);
        self.state_bytes = 0;
        for state in kept {
            self.intern(state);
        }
    }

    fn bytes(&self) -> usize {
        let classes = match &self.classes {
            Classes::Lent(_) => 0,
            Classes::Shared(_) => self.classes() * size_of::<M::Op>(),
        };
        self.state_bytes + classes
    }
}

/// What is left where the steps were taken.
struct NoSteps;

impl Steps for NoSteps {
    fn step(&mut self, _state: StateId, _class: u32) -> u32 {
        ILLEGAL
    }

    fn states(&self) -> usize {
        0
    }

    fn classes(&self) -> usize {
        0
    }

    fn retain(&mut self, _keeps_class: &[bool], _states: &[StateId]) {}

    fn bytes(&self) -> usize {
        0
    }
}
