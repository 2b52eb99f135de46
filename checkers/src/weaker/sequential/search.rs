//! The search for an order in which each process' operations are in their order.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::limits::Budget;
use crate::registers::{Access, OPEN};
use crate::weaker::facts::{Call, Facts};

/// How many steps are taken at most.
const STEPS_MAX: u64 = 100_000;
/// What is remembered of them may take so much memory, in bytes.
const REMEMBERED_BYTES_MAX: usize = 128 << 20;
/// What one of them takes beside what it takes for each process.
const STEP_BYTES: usize = 128;
/// What one of them takes for each process: twice how far it is, and what it may do next.
const STEP_BYTES_PER_PROCESS: usize = 16;
/// How many steps pass between two looks at the clock.
const STEPS_PER_LOOK: u64 = 256;

/// What came of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Order,
    /// There is none, for certain.
    None,
    /// So many steps were not enough.
    StepsMax(u64),
    NoTime,
}

/// How far each process is, and the value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    places: Box<[u32]>,
    value: u32,
}

/// Where the search stands, and what can follow, the most promising last.
struct Frame {
    node: Node,
    moves: Vec<Move>,
}

/// The next operation of a process happens, or (one of unknown outcome) never does.
#[derive(Debug, Clone, Copy)]
struct Move {
    process: u32,
    /// The value that is there then.
    value: u32,
}

/// Searches depth first, updates that somebody waits for first.
pub(super) fn search(facts: &Facts, budget: &Budget) -> Found {
    let step_bytes = STEP_BYTES + STEP_BYTES_PER_PROCESS * facts.processes.len();
    let steps_max = STEPS_MAX.min((REMEMBERED_BYTES_MAX / step_bytes) as u64);
    let mut start = Node {
        places: vec![0; facts.processes.len()].into(),
        value: facts.writes[0].value,
    };
    observe(facts, &mut start);
    if is_done(facts, &start) {
        return Found::Order;
    }
    let mut seen = FxHashSet::from_iter([start.clone()]);
    let mut stack = vec![Frame {
        moves: moves(facts, &start),
        node: start,
    }];
    let mut steps = 0;
    while let Some(frame) = stack.last_mut() {
        let Some(next) = frame.moves.pop() else {
            stack.pop();
            continue;
        };
        steps += 1;
        if steps > steps_max {
            return Found::StepsMax(steps_max);
        }
        if steps % STEPS_PER_LOOK == 0 && budget.check().is_err() {
            return Found::NoTime;
        }
        let mut node = frame.node.clone();
        node.places[next.process as usize] += 1;
        node.value = next.value;
        observe(facts, &mut node);
        if is_done(facts, &node) {
            return Found::Order;
        }
        if seen.insert(node.clone()) {
            stack.push(Frame {
                moves: moves(facts, &node),
                node,
            });
        }
    }
    Found::None
}

/// The operation that a process is at.
fn head<'f>(facts: &'f Facts, node: &Node, process: usize) -> Option<&'f Call> {
    let number = facts.processes[process].get(node.places[process] as usize)?;
    Some(&facts.calls[*number as usize])
}

/// Whether only operations of unknown outcome are left, which need not happen.
fn is_done(facts: &Facts, node: &Node) -> bool {
    let mut processes = facts.processes.iter().zip(&node.places);
    processes.all(|(operations, &place)| {
        let mut left = operations[place as usize..].iter();
        left.all(|&call| !facts.calls[call as usize].is_completed())
    })
}

/// Makes every observation that can be made: it changes nothing, and waiting gains nothing.
fn observe(facts: &Facts, node: &mut Node) {
    for process in 0..node.places.len() {
        while head(facts, node, process).is_some_and(|call| match call.access {
            Access::Read(value) => value == node.value,
            Access::Not(value) => value != node.value,
            Access::Write(_) | Access::Cas(..) => false,
        }) {
            node.places[process] += 1;
        }
    }
}

/// What can follow, the most urgent last: what somebody waits for who must end first; then what
/// must end first; and that something never happens, least of all.
fn moves(facts: &Facts, node: &Node) -> Vec<Move> {
    // For each value when the first of those ends who wait for it.
    let mut waiting: FxHashMap<u32, u32> = FxHashMap::default();
    for process in 0..node.places.len() {
        if let Some(call) = head(facts, node, process)
            && let Access::Read(value) | Access::Cas(value, _) = call.access
        {
            let first = waiting.entry(value).or_insert(call.ends);
            *first = call.ends.min(*first);
        }
    }
    let mut found: Vec<((bool, u32, u32), Move)> = Vec::new();
    for process in 0..node.places.len() {
        let Some(call) = head(facts, node, process) else {
            continue;
        };
        let to = |value| Move {
            process: process as u32,
            value,
        };
        let left = match call.access {
            Access::Write(value) => Some(value),
            Access::Cas(old, new) => (old == node.value).then_some(new),
            Access::Read(_) | Access::Not(_) => None,
        };
        found.extend(left.map(|value| {
            let waits = waiting.get(&value).copied().unwrap_or(OPEN);
            ((false, waits, call.ends), to(value))
        }));
        if !call.is_completed() {
            found.push(((true, OPEN, OPEN), to(node.value)));
        }
    }
    found.sort_by_key(|(urgency, _)| std::cmp::Reverse(*urgency));
    found.into_iter().map(|(_, next)| next).collect()
}
