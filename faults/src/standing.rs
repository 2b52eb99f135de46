//! What is in force now, and by which faults: so that faults that overlap are healed apart.

use std::collections::{BTreeMap, BTreeSet};

use histories::Value;

use crate::limit::Limited;
use crate::{Clock, Distortion, Name, Resource, Rule};

/// What is in force now, and by which faults.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Nodes held down by kills.
    pub down: Holds<Name>,
    /// Nodes held stopped by pauses; a node that is killed is not stopped any more.
    pub stopped: Holds<Name>,
    /// How each clock is distorted, and by which faults, in the order in which they came.
    pub clocks: BTreeMap<(Name, Clock), Vec<(u64, Distortion)>>,
    /// The network's rules, each by the fault whose it is.
    pub rules: BTreeMap<u64, Rule>,
    /// Nodes kept out of the cluster, or without a vote in it.
    pub without_vote: Holds<Name>,
    /// For each fault that kills again and again, the evidence of every kill so far, by node.
    pub crashes: BTreeMap<u64, BTreeMap<Name, Vec<Value>>>,
    /// For each fault that kills nodes while they start, the evidence of that second kill.
    pub killed_again: BTreeMap<u64, Value>,
    /// What nodes are limited to, by which faults.
    pub limits: BTreeMap<(Resource, Name), Vec<Limited>>,
}

impl Standing {
    /// These nodes, but those last that are down or stopped already: there another fault of
    /// processes would have no effect.
    pub fn running_first(&self, order: &[Name]) -> Vec<Name> {
        let mut order = order.to_vec();
        // Stable, so that the others keep their order.
        order.sort_by_key(|node| self.down.is_held(node) || self.stopped.is_held(node));
        order
    }
}

/// Things held in some state, each by one fault or more.
#[derive(Debug)]
pub(crate) struct Holds<T>(BTreeMap<T, BTreeSet<u64>>);

impl<T> Default for Holds<T> {
    fn default() -> Self {
        Holds(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Holds<T> {
    /// This fault holds this thing, too.
    pub fn hold(&mut self, thing: &T, fault: u64) {
        self.0.entry(thing.clone()).or_default().insert(fault);
    }

    /// This fault holds it no longer. Whether nobody does.
    pub fn release(&mut self, thing: &T, fault: u64) -> bool {
        let Some(holders) = self.0.get_mut(thing) else {
            return true;
        };
        holders.remove(&fault);
        let free = holders.is_empty();
        if free {
            self.0.remove(thing);
        }
        free
    }

    /// Nobody holds it any longer.
    pub fn release_all(&mut self, thing: &T) {
        self.0.remove(thing);
    }

    /// Whether anyone holds it.
    pub fn is_held(&self, thing: &T) -> bool {
        self.0.contains_key(thing)
    }
}
