//! Sets to which elements are only added, and which are read whole.
//!
//! An element that is never removed is in from one moment on. That moment is in a span `[b, c]`:
//! after the first of its additions begins, and after the beginning of every look that did not
//! find it, and of an addition that says it was new; before the end of every look that found it,
//! and of every addition that certainly happened (`c = ∞` where there is none of these). Within its
//! span it can be at any time: the addition that begins first then makes it, or the one that says
//! it was new, and the looks happen close to it.
//!
//! A read of the whole set comes after the moments of all elements it shows, and before those of
//! all others. So two reads of different sets must show one inside the other, and then the
//! different sets `S₀ ⊂ S₁ ⊂ …` put everything into layers: the elements of `S₀`, the reads of `S₀`,
//! the elements that are new in `S₁`, the reads of `S₁`, and so on; last come the elements that no
//! read shows. Whatever is in one layer must come before whatever is in a later one (there is no read between
//! an element and the reads after it in the same set, and there is one between any two layers of
//! elements), and nothing else is asked. The history has an order exactly when
//!
//! 1. no read shows an element twice, no two additions of an element say it was new, and of any two
//!    reads one shows all that the other shows,
//! 2. every element's span is one (`b < c`),
//! 3. nothing ends before something of an earlier layer begins (the span of an element that was
//!    never added begins at `∞`).
//!
//! Why this is enough: go through the layers, and let each happen at the latest beginning in it and
//! all earlier ones; by 3 no end is missed. Linear in all that was read, sorting apart. This is
//! our own; that whole reads of a growing set must form a chain is what Jepsen's `set-full` and
//! lattice agreement rest on too.

use histories::Value;
use rustc_hash::FxHashMap;

use super::NEVER;
use crate::Monitored;
use crate::models::{Element, SetOp};
use crate::oracle::Interval;

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// A read shows no element twice.
    pub twice: bool,
    /// Two additions do not both find the element new.
    pub new_once: bool,
    /// An addition that found the element new is the one that put it in.
    pub new: bool,
    /// Reads show one inside the other.
    pub chain: bool,
    /// Each element by itself.
    pub spans: bool,
    /// Layers happen one after the other.
    pub layers: bool,
    /// Between two elements a read belongs to the contradiction.
    pub link: bool,
    /// The method does not apply to removals.
    pub no_removals: bool,
    /// What is in at the start.
    pub initial: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        twice: true,
        new_once: true,
        new: true,
        chain: true,
        spans: true,
        layers: true,
        link: true,
        no_removals: true,
        initial: true,
    };
}

/// Decides the history of sets that all start with the elements `initial`, which `starts_in` is
/// true for; `None` where elements are removed.
pub(crate) fn decide(
    initial: &[Value],
    starts_in: impl Fn(&Element) -> bool,
    history: &[Interval<SetOp>],
    conditions: Conditions,
) -> Option<Monitored> {
    let removes = |op: &SetOp| matches!(op, SetOp::Remove(_) | SetOp::RemoveFound(_));
    if conditions.no_removals && history.iter().any(|interval| removes(&interval.op)) {
        return None;
    }
    let mut found = match Moments::of(starts_in, history, conditions) {
        Ok(moments) => moments.contradiction(initial, history, conditions),
        Err(contradiction) => Some(contradiction),
    };
    if let Some(calls) = &mut found {
        calls.sort_unstable();
        calls.dedup();
    }
    Some(found.map_or(Monitored::Linearizable, Monitored::Violated))
}

/// A bound in time, and the call that sets it; where none does it is the beginning of an
/// addition that need not have happened, the start, or [`NEVER`].
#[derive(Debug, Clone, Copy)]
struct Bound {
    time: u64,
    call: Option<usize>,
}

/// When an element comes in.
#[derive(Debug, Clone, Copy)]
struct Moment {
    after: Bound,
    before: Bound,
    /// The beginning of the first addition.
    added: u64,
    /// The addition that found it new.
    new: Option<usize>,
}

impl Moment {
    fn not_before(&mut self, time: u64, call: usize) {
        if self.after.time < time {
            self.after = Bound {
                time,
                call: Some(call),
            };
        }
    }

    fn not_after(&mut self, time: u64, call: usize) {
        if time < self.before.time {
            self.before = Bound {
                time,
                call: Some(call),
            };
        }
    }

    /// Of an element that is in from the start, or of which nothing is known.
    fn new(starts_in: bool) -> Self {
        let none = |time| Bound { time, call: None };
        Moment {
            after: none(0),
            before: none(if starts_in { 0 } else { NEVER }),
            added: if starts_in { 0 } else { NEVER },
            new: None,
        }
    }
}

/// A read of a whole set, by its call.
struct Read<'a> {
    call: usize,
    shown: &'a [Value],
    begins: u64,
    ends: u64,
}

/// The history, by elements and sets. All times are above 0, which is the start.
struct Moments<'a> {
    elements: FxHashMap<(&'a Value, &'a Value), Moment>,
    reads: FxHashMap<&'a Value, Vec<Read<'a>>>,
}

impl<'a> Moments<'a> {
    /// What is known of each element by itself; or calls that contradict each other.
    fn of(
        starts_in: impl Fn(&Element) -> bool,
        history: &'a [Interval<SetOp>],
        conditions: Conditions,
    ) -> Result<Self, Vec<usize>> {
        let mut moments = Moments {
            elements: FxHashMap::default(),
            reads: FxHashMap::default(),
        };
        for (call, interval) in history.iter().enumerate() {
            let begins = interval.begins.saturating_add(1);
            let ends = interval.ends.map(|ends| ends.saturating_add(1));
            if let Some(element) = interval.op.element() {
                let starts_in = starts_in(element) && conditions.initial;
                let moment = moments
                    .elements
                    .entry((&element.set, &element.value))
                    .or_insert_with(|| Moment::new(starts_in));
                moment.learn(call, &interval.op, begins, ends, conditions)?;
            } else if let (SetOp::ReadAll(set, shown), Some(ends)) = (&interval.op, ends) {
                if conditions.twice && shown.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(vec![call]);
                }
                moments.reads.entry(set).or_default().push(Read {
                    call,
                    shown,
                    begins,
                    ends,
                });
            }
        }
        for moment in moments.elements.values_mut() {
            if moment.after.time < moment.added {
                moment.after = Bound {
                    time: moment.added,
                    call: None,
                };
            }
            if conditions.spans && moment.after.time > moment.before.time {
                let calls = [moment.after.call, moment.before.call];
                return Err(calls.into_iter().flatten().collect());
            }
        }
        Ok(moments)
    }
}

impl Moment {
    /// What one call tells of it.
    fn learn(
        &mut self,
        call: usize,
        op: &SetOp,
        begins: u64,
        ends: Option<u64>,
        conditions: Conditions,
    ) -> Result<(), Vec<usize>> {
        match (op, ends) {
            (SetOp::Add(_) | SetOp::AddNew(_), None) => self.added = self.added.min(begins),
            (SetOp::Add(_), Some(ends)) => {
                self.added = self.added.min(begins);
                self.not_after(ends, call);
            }
            (SetOp::AddNew(_), Some(ends)) => {
                self.added = self.added.min(begins);
                self.not_after(ends, call);
                if conditions.new {
                    self.not_before(begins, call);
                }
                if let Some(other) = self.new.replace(call).filter(|_| conditions.new_once) {
                    return Err(vec![other, call]);
                }
            }
            (SetOp::Contains(_, false), Some(_)) => self.not_before(begins, call),
            (SetOp::Contains(_, true), Some(ends)) => self.not_after(ends, call),
            _ => {}
        }
        Ok(())
    }
}

/// Something in a layer.
#[derive(Clone, Copy)]
struct Node {
    after: Bound,
    before: Bound,
    /// Of an element, a read that shows it and nothing that comes later.
    link: Option<usize>,
    is_element: bool,
}

impl Moments<'_> {
    /// Calls that contradict each other, if there are some.
    fn contradiction(
        &self,
        initial: &[Value],
        history: &[Interval<SetOp>],
        conditions: Conditions,
    ) -> Option<Vec<usize>> {
        let mut unseen: FxHashMap<&Value, Vec<(&Value, Moment)>> = FxHashMap::default();
        for ((set, value), moment) in &self.elements {
            unseen.entry(set).or_default().push((value, *moment));
        }
        let nobody = Vec::new();
        let mut sets: Vec<(&Value, &Vec<Read<'_>>)> = self
            .reads
            .iter()
            .map(|(set, reads)| (*set, reads))
            .collect();
        // Sets are told of in the order in which they were read first.
        sets.sort_unstable_by_key(|(_, reads)| reads.first().map(|read| history[read.call].begins));
        sets.into_iter().find_map(|(set, reads)| {
            let told = unseen.get(set).unwrap_or(&nobody);
            Layers::of(initial, told, reads, conditions)
                .map_or_else(Some, |layers| layers.missed(conditions))
        })
    }
}

/// What must happen one after the other in one set.
struct Layers {
    layers: Vec<Vec<Node>>,
}

impl Layers {
    /// The layers; or two reads of which neither shows all that the other does.
    fn of(
        initial: &[Value],
        told: &[(&Value, Moment)],
        reads: &[Read<'_>],
        conditions: Conditions,
    ) -> Result<Self, Vec<usize>> {
        let start = initial.iter().filter(|_| conditions.initial);
        let mut unseen: FxHashMap<&Value, Moment> =
            start.map(|value| (value, Moment::new(true))).collect();
        unseen.extend(told.iter().copied());
        let mut order: Vec<&Read<'_>> = reads.iter().collect();
        order.sort_by_key(|read| read.shown.len());
        let mut seen: rustc_hash::FxHashSet<&Value> = rustc_hash::FxHashSet::default();
        let mut layers = Vec::new();
        let mut last: Option<&Read<'_>> = None;
        for read in order {
            let known = read
                .shown
                .iter()
                .filter(|value| seen.contains(value))
                .count();
            if let Some(last) = last.filter(|_| known < seen.len() && conditions.chain) {
                return Err(vec![last.call, read.call]);
            }
            let mut elements = Vec::new();
            for value in read.shown.iter().filter(|value| !seen.contains(value)) {
                let moment = unseen.remove(value).unwrap_or_else(|| {
                    let never = Bound {
                        time: NEVER,
                        call: None,
                    };
                    Moment {
                        after: never,
                        ..Moment::new(false)
                    }
                });
                elements.push(Node {
                    after: moment.after,
                    before: moment.before,
                    link: Some(read.call),
                    is_element: true,
                });
            }
            seen.extend(read.shown);
            let bound = |time| Bound {
                time,
                call: Some(read.call),
            };
            let node = Node {
                after: bound(read.begins),
                before: bound(read.ends),
                link: None,
                is_element: false,
            };
            match layers.last_mut() {
                Some(reads) if elements.is_empty() && last.is_some() => Vec::push(reads, node),
                _ => layers.extend([elements, vec![node]]),
            }
            last = Some(read);
        }
        // Nothing comes after these, so nothing need be said of when they begin.
        layers.push(
            unseen
                .into_values()
                .map(|moment| Node {
                    after: moment.after,
                    before: moment.before,
                    link: None,
                    is_element: true,
                })
                .collect(),
        );
        Ok(Layers { layers })
    }

    /// Something that ends before something of an earlier layer begins, and what shows that it
    /// must come later.
    fn missed(&self, conditions: Conditions) -> Option<Vec<usize>> {
        let mut latest: Option<Node> = None;
        for layer in &self.layers {
            let first = layer.iter().min_by_key(|node| node.before.time);
            if let (Some(earlier), Some(later)) = (latest, first)
                && earlier.after.time > later.before.time
                && conditions.layers
            {
                let link = earlier.link.filter(|_| later.is_element && conditions.link);
                let calls = [earlier.after.call, link, later.before.call];
                return Some(calls.into_iter().flatten().collect());
            }
            let last = layer.iter().max_by_key(|node| node.after.time);
            if let Some(node) = last
                && latest.is_none_or(|latest| latest.after.time < node.after.time)
            {
                latest = Some(*node);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
