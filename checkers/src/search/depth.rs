//! The depth-first search: one way to explain the history after another, most likely first.
//!
//! It walks the graph of configurations of the set search, with a memory of those it has seen,
//! and so gives the same verdict. It finds an order soon where there are many (few values, many
//! clients), which is where the set search holds a great many configurations; where there is no
//! order it must see them all. Along the way it keeps the order that led to where it stands, so
//! that it can say not only that there is one, but which.

use rustc_hash::FxHashSet;

use super::frontier::Config;
use super::mask::{Fixed, Mask, Spilled};
use super::race::Search;
use super::supply::{NONE_USED, Supply};
use super::transitions::{StateId, Transitions};
use super::window::{Pending, Window};
use super::{Condition, Decision, Problem, Progress, Reductions, Timeline};
use crate::Model;
use crate::limits::{Account, Budget, Exhausted};

/// How many nodes pass between two looks at the clock.
const NODES_PER_LOOK: u64 = 256;
/// As much work as a node are so many classes of open calls, each of which is tried.
const OPEN_PER_NODE: u64 = 16;
/// No call.
const NOTHING: u32 = u32::MAX;

/// An order of the calls that explains everything observed, found depth first: every completed
/// call once, an open one at most once. `Ok(None)` when there is none.
///
/// # Errors
/// The limit reached before one was found.
pub(crate) fn order<M: Model>(
    problem: &Problem<'_, M>,
    budget: &Budget,
) -> Result<Option<Vec<u32>>, Exhausted> {
    match problem.width {
        0..=64 => DepthSearch::<Fixed<1>>::new(problem, Reductions::ALL, budget).order(),
        65..=256 => DepthSearch::<Fixed<4>>::new(problem, Reductions::ALL, budget).order(),
        _ => DepthSearch::<Spilled>::new(problem, Reductions::ALL, budget).order(),
    }
}

/// A configuration just before the moment at `position`, which is a return (or the end).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node<K> {
    position: u32,
    config: Config<K>,
}

/// A node to be visited, and how it is reached.
#[derive(Debug)]
struct Step<K> {
    node: Node<K>,
    /// How many calls the order has before this step.
    before: u32,
    /// The call that this step places, or [`NOTHING`].
    places: u32,
}

/// The search, resumable between turns.
pub(crate) struct DepthSearch<'p, K: Mask> {
    timeline: &'p Timeline,
    reductions: Reductions,
    transitions: Transitions<'p>,
    supply: Supply,
    window: Window<'p>,
    /// For each moment where the first return at or after it is.
    next_returns: Vec<u32>,
    /// For each class its open calls, in order of beginning.
    open_calls: Vec<Vec<u32>>,
    stack: Vec<Step<K>>,
    seen: FxHashSet<Node<K>>,
    /// What can follow, with the call that is placed thereby.
    successors: Vec<(Node<K>, u32)>,
    /// The calls placed on the way to the node visited last.
    order: Vec<u32>,
    furthest: u32,
    budget: Budget,
    account: Account,
    nodes: u64,
    /// Since the last look at the clock.
    work: u64,
}

impl<K: Mask> Search for DepthSearch<'_, K> {
    fn advance(&mut self, nodes: u64) -> Progress {
        let turn = self.nodes.saturating_add(nodes);
        while let Some(step) = self.stack.pop() {
            self.order.truncate(step.before as usize);
            if step.places != NOTHING {
                self.order.push(step.places);
            }
            let node = step.node;
            if node.position as usize >= self.timeline.moments.len() {
                return Progress::Done(Decision::Linearizable);
            }
            self.furthest = self.furthest.max(node.position);
            self.visit(node);
            self.nodes += 1;
            self.work += 1 + self.window.under_way.open.len() as u64 / OPEN_PER_NODE;
            if self.work >= NODES_PER_LOOK {
                self.work = 0;
                self.account.set(self.bytes());
                if let Err(limit) = self.budget.check() {
                    return Progress::GaveUp(limit);
                }
            }
            if self.nodes >= turn {
                return Progress::Paused;
            }
        }
        // What is to come was looked at: it may be there that it becomes impossible.
        let event = match self.window.outlook {
            Some(_) => self.timeline.moments.len().saturating_sub(1),
            None => self.furthest as usize,
        };
        Progress::Done(Decision::NotLinearizable { event })
    }

    fn position(&self) -> usize {
        self.furthest as usize
    }

    fn nodes(&self) -> u64 {
        self.nodes
    }
}

impl<'p, K: Mask> DepthSearch<'p, K> {
    pub(crate) fn new<M: Model>(
        problem: &'p Problem<'_, M>,
        reductions: Reductions,
        budget: &Budget,
    ) -> Self {
        let (transitions, starts) =
            Transitions::new(problem.model, &problem.classes, &problem.starts);
        Self::of(&problem.timeline, transitions, &starts, reductions, budget)
    }

    fn of(
        timeline: &'p Timeline,
        transitions: Transitions<'p>,
        starts: &[StateId],
        reductions: Reductions,
        budget: &Budget,
    ) -> Self {
        let next_returns = next_returns(timeline);
        let stack = starts
            .iter()
            .map(|&state| Step {
                node: Node {
                    position: next_returns[0],
                    config: Config {
                        updates: K::empty(timeline.width),
                        observers: K::empty(timeline.width),
                        state,
                        used: NONE_USED,
                    },
                },
                before: 0,
                places: NOTHING,
            })
            .collect();
        DepthSearch {
            timeline,
            reductions,
            transitions,
            supply: Supply::new(),
            window: match reductions.dooms {
                true => Window::new(timeline).looking_ahead(&reductions),
                false => Window::new(timeline),
            },
            next_returns,
            open_calls: open_calls(timeline),
            stack,
            seen: FxHashSet::default(),
            successors: Vec::new(),
            order: Vec::new(),
            furthest: 0,
            budget: budget.clone(),
            account: Account::new(budget),
            nodes: 0,
            work: 0,
        }
    }

    /// Searches to the end: the order found, or `None` when there is none.
    fn order(mut self) -> Result<Option<Vec<u32>>, Exhausted> {
        match self.advance(self.budget.nodes) {
            Progress::Done(Decision::Linearizable) => Ok(Some(self.order)),
            Progress::Done(_) => Ok(None),
            Progress::Paused => Err(Exhausted::Nodes),
            Progress::GaveUp(limit) => Err(limit),
        }
    }

    /// Pushes what can follow, the most promising last.
    fn visit(&mut self, mut node: Node<K>) {
        self.window.seek(node.position as usize);
        let call = self.timeline.moments[node.position as usize].call as usize;
        let (class, slot) = (self.timeline.calls[call].class, self.timeline.slots[call]);
        let observes = self.timeline.observers[class as usize];
        if self.reductions.eager_observers {
            self.absorb(&mut node.config);
        }
        if node.config.updates.has(slot) || node.config.observers.has(slot) {
            node.config.updates.remove(slot);
            node.config.observers.remove(slot);
            node.position = self.next_returns[node.position as usize + 1];
            self.push(node, NOTHING);
            return;
        }
        let goal = self.transitions.step(node.config.state, class);
        if goal.is_none() || !observes || !self.reductions.eager_observers {
            self.successors_open(&node, class);
            self.successors_updates(&node, class, slot);
            if !self.reductions.eager_observers {
                self.successors_observers(&node, slot);
            }
        }
        if let Some(state) = goal {
            let position = self.next_returns[node.position as usize + 1];
            let config = Config {
                state,
                ..node.config
            };
            if !self.is_doomed(class, &config, Some(slot)) {
                self.successors
                    .push((Node { position, config }, call as u32));
            }
        }
        let mut successors = std::mem::take(&mut self.successors);
        for (successor, places) in successors.drain(..) {
            self.push(successor, places);
        }
        self.successors = successors;
    }

    /// R1: places every observer under way that is legal now.
    fn absorb(&mut self, config: &mut Config<K>) {
        let before = config.observers.clone();
        self.window.under_way.absorb(
            &mut self.transitions,
            config.state,
            &mut config.observers,
            &self.reductions,
        );
        for pending in &self.window.under_way.observers {
            if config.observers.has(pending.slot) && !before.has(pending.slot) {
                self.order.push(self.call_of(pending));
            }
        }
    }

    /// The call that is under way: the one that returns where it must.
    fn call_of(&self, pending: &Pending) -> u32 {
        self.timeline.moments[pending.deadline as usize].call
    }

    fn successors_open(&mut self, node: &Node<K>, returning: u32) {
        for at in (0..self.window.under_way.open.len()).rev() {
            let open = self.window.under_way.open[at];
            let bounded = || {
                let updates = &self.window.under_way.updates;
                let from = updates.partition_point(|pending| pending.class < open.class);
                updates[from..]
                    .iter()
                    .take_while(|pending| pending.class == open.class)
                    .any(|pending| {
                        !node.config.updates.has(pending.slot)
                            || self.reductions.drops(Condition::MatesLeft)
                    })
            };
            let used = self.supply.count(node.config.used, open.class);
            if used >= open.count
                || (self.reductions.symmetry && (open.class == returning || bounded()))
            {
                continue;
            }
            match self.transitions.step(node.config.state, open.class) {
                Some(state) if state != node.config.state => {
                    // Calls of one class are interchangeable: the earliest that is left will do.
                    let call = self.open_calls[open.class as usize][used as usize];
                    let used = self.supply.plus_one(node.config.used, open.class);
                    let config = Config {
                        state,
                        used,
                        ..node.config.clone()
                    };
                    if !self.is_doomed(open.class, &config, None) {
                        self.successors.push((Node { config, ..*node }, call));
                    }
                }
                _ => {}
            }
        }
    }

    fn successors_updates(&mut self, node: &Node<K>, returning: u32, slot: u32) {
        let mut candidates = Vec::new();
        let mut class_done = None;
        let updates = &self.window.under_way.updates;
        for at in 0..updates.len() {
            let pending = match self.reductions.drops(Condition::EarliestFirst) {
                true => &updates[updates.len() - 1 - at],
                false => &updates[at],
            };
            if pending.slot == slot || node.config.updates.has(pending.slot) {
                continue;
            }
            if self.reductions.symmetry {
                let any = class_done.is_some() && self.reductions.drops(Condition::MatesOnly);
                if any || class_done == Some(pending.class) || pending.class == returning {
                    continue;
                }
                class_done = Some(pending.class);
            }
            candidates.push(*pending);
        }
        // The earliest deadline last, so that it is tried first.
        candidates.sort_unstable_by_key(|pending| std::cmp::Reverse(pending.deadline));
        for pending in candidates {
            if let Some(state) = self.transitions.step(node.config.state, pending.class) {
                let mut config = Config {
                    state,
                    ..node.config.clone()
                };
                config.updates.add(pending.slot);
                let call = self.call_of(&pending);
                if !self.is_doomed(pending.class, &config, None) {
                    self.successors.push((Node { config, ..*node }, call));
                }
            }
        }
    }

    /// R6: whether the configuration cannot be completed, in which a call of the class is the last that
    /// was placed, and perhaps returns now.
    fn is_doomed(&mut self, class: u32, config: &Config<K>, returning: Option<u32>) -> bool {
        let Window {
            under_way, outlook, ..
        } = &self.window;
        let Some(outlook) = outlook else {
            return false;
        };
        let mut observers = config.observers.clone();
        if self.reductions.eager_observers {
            under_way.absorb(
                &mut self.transitions,
                config.state,
                &mut observers,
                &self.reductions,
            );
        }
        let is_placed =
            |slot: u32| config.updates.has(slot) || observers.has(slot) || returning == Some(slot);
        let has_open = |class: u32| {
            let mut open = under_way.open.iter().filter(|open| open.class == class);
            open.any(|open| self.supply.count(config.used, class) < open.count)
        };
        outlook.is_doomed(class, under_way, is_placed, has_open)
    }

    /// Without R1 observers are placed like anything else.
    fn successors_observers(&mut self, node: &Node<K>, slot: u32) {
        for pending in &self.window.under_way.observers {
            if pending.slot != slot
                && !node.config.observers.has(pending.slot)
                && self
                    .transitions
                    .step(node.config.state, pending.class)
                    .is_some()
            {
                let mut config = node.config.clone();
                config.observers.add(pending.slot);
                let call = self.call_of(pending);
                self.successors.push((Node { config, ..*node }, call));
            }
        }
    }

    /// Leaves for later what has not been seen yet, reached by placing this call now.
    fn push(&mut self, node: Node<K>, places: u32) {
        if self.seen.insert(node.clone()) {
            let before = self.order.len() as u32;
            self.stack.push(Step {
                node,
                before,
                places,
            });
        }
    }

    fn bytes(&self) -> u64 {
        let heap = self
            .stack
            .first()
            .map_or(0, |step| 2 * step.node.config.updates.heap_bytes());
        let nodes = (self.seen.capacity() + self.stack.capacity()) * (size_of::<Step<K>>() + heap);
        (nodes + self.transitions.bytes() + self.supply.bytes()) as u64
    }
}

/// For each class its open calls, in order of beginning.
fn open_calls(timeline: &Timeline) -> Vec<Vec<u32>> {
    let mut calls = vec![Vec::new(); timeline.observers.len()];
    for moment in timeline.moments.iter().filter(|moment| !moment.returns) {
        let call = timeline.calls[moment.call as usize];
        if call.open {
            calls[call.class as usize].push(moment.call);
        }
    }
    calls
}

/// For each position, the end included, where the first return at or after it is.
fn next_returns(timeline: &Timeline) -> Vec<u32> {
    let end = timeline.moments.len();
    let mut next = vec![end as u32; end + 1];
    for position in (0..end).rev() {
        let returns = timeline.moments[position].returns;
        next[position] = if returns {
            position as u32
        } else {
            next[position + 1]
        };
    }
    next
}
