//! What every kind of fault has in common: one file per kind implements [`FaultKind`].

use std::collections::{BTreeMap, BTreeSet};

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::{Kill, Link, Name, Partition, Pause, Target, TargetError, Unavailable};

named! {
    /// The kinds of faults.
    Kind, "fault" {
        /// SIGKILL to a node's processes, and a restart on the data left behind.
        Kill = "kill",
        /// SIGSTOP to a node's processes, and SIGCONT.
        Pause = "pause",
        /// Links between nodes cut, and joined again.
        Partition = "partition",
    }
}

impl Kind {
    /// Whether this kind can be injected into this cluster at all.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub fn available(self, target: &dyn Target) -> Result<(), Unavailable> {
        match self {
            Kind::Kill | Kind::Pause => Ok(()),
            Kind::Partition => target.network().map(|_| ()),
        }
    }
}

/// A fault with its parameters, before it is known whom it will hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Kill these nodes.
    Kill(Kill),
    /// Pause these nodes.
    Pause(Pause),
    /// Divide the nodes in this shape.
    Partition(Partition),
}

impl Action {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Action::Kill(_) => Kind::Kill,
            Action::Pause(_) => Kind::Pause,
            Action::Partition(_) => Kind::Partition,
        }
    }

    /// How it is done.
    pub(crate) fn fault(&self) -> &dyn FaultKind {
        match self {
            Action::Kill(kill) => kill,
            Action::Pause(pause) => pause,
            Action::Partition(partition) => partition,
        }
    }
}

/// A kind of fault: how to prepare, inject and heal it. Every call blocks until it is done.
///
/// Faults of one kind may overlap. Each notes in [`Standing`] what it holds down, stopped or cut,
/// and heals only what no other fault still holds.
pub(crate) trait FaultKind {
    /// Who will be hit and how, given the plan's order of preference and the leader at this
    /// moment. Pure: does nothing and draws nothing.
    fn prepare(&self, order: &[Name], leader: Option<&str>) -> Prepared;

    /// What will take it back, known before anything is done.
    fn undo(&self, prepared: &Prepared) -> Undo;

    /// Does it.
    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect;

    /// Takes it back, as far as no other fault is in the way. Harmless when done twice, and when
    /// the fault was never injected.
    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect;
}

/// A fault about to be injected: every choice made.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// The nodes it acts on.
    pub targets: Vec<Name>,
    /// The links it cuts.
    pub links: Vec<Link>,
    /// What the history records of the choices.
    pub parameters: Value,
}

/// What takes a fault back: data, so that it can be written down before the fault is injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Start these nodes.
    Start(Vec<Name>),
    /// Let these nodes go on.
    Resume(Vec<Name>),
    /// Join these links again.
    Rejoin(Vec<Link>),
}

/// What injecting or healing a fault did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effect {
    /// What shows it.
    pub evidence: Value,
    /// Whether the evidence shows that the fault took effect, where it can tell.
    pub effective: Option<bool>,
    /// What went wrong, for each node or for the network.
    pub errors: Vec<TargetError>,
}

impl Effect {
    /// Does something to each node in turn, not stopping at errors; the evidence is a map from
    /// node to what each call returned.
    pub fn on_each(
        nodes: &[Name],
        mut act: impl FnMut(&Name) -> Result<Value, TargetError>,
    ) -> Effect {
        let mut effect = Effect::default();
        let mut evidence = Vec::new();
        for node in nodes {
            match act(node) {
                Ok(found) => evidence.push((Value::Text(node.clone()), found)),
                Err(error) => effect.errors.push(error),
            }
        }
        effect.evidence = Value::Map(evidence);
        effect
    }

    /// Whether what `on_each` found of any node passes this test.
    pub fn any(&self, shows_effect: impl Fn(&Value) -> bool) -> bool {
        match &self.evidence {
            Value::Map(nodes) => nodes.iter().any(|(_, found)| shows_effect(found)),
            _ => false,
        }
    }
}

/// The numbers and texts that evidence holds, at any depth, without the names they stand under.
pub(crate) fn facts(evidence: &Value) -> Vec<&Value> {
    match evidence {
        Value::List(values) => values.iter().flat_map(facts).collect(),
        Value::Map(entries) => entries.iter().flat_map(|(_, value)| facts(value)).collect(),
        Value::Nil => Vec::new(),
        fact => vec![fact],
    }
}

/// What is in force now, and by which faults.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Nodes held down by kills.
    pub down: Holds<Name>,
    /// Nodes held stopped by pauses; a node that is killed is not stopped any more.
    pub stopped: Holds<Name>,
    /// Links held cut by partitions.
    pub cut: Holds<Link>,
    /// For each partition, how many packets its links had dropped before it.
    pub dropped_before: BTreeMap<u64, u64>,
}

impl Standing {
    /// The order in which nodes are chosen: for kills and pauses those come last that are down or
    /// stopped already, for there a fault would have no effect.
    pub fn preferred(&self, order: &[Name], kind: Kind) -> Vec<Name> {
        let mut order = order.to_vec();
        if matches!(kind, Kind::Kill | Kind::Pause) {
            // Stable, so that the others keep their order.
            order.sort_by_key(|node| self.down.is_held(node) || self.stopped.is_held(node));
        }
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

    /// Everything held by anyone.
    pub fn things(&self) -> Vec<T> {
        self.0.keys().cloned().collect()
    }
}

/// The parameters every fault records: its target or shape, and where that depends on who leads,
/// the leader at that moment. `nil` means that none was known and the first in the plan's order
/// stood in for it.
pub(crate) fn choice_parameters(
    (what, choice): (&str, &str),
    about_leader: bool,
    leader: Option<&str>,
) -> Vec<(Value, Value)> {
    let mut parameters = vec![(what.into(), choice.into())];
    if about_leader {
        parameters.push(("leader".into(), leader.map_or(Value::Nil, Value::from)));
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_found_at_any_depth_and_names_are_none() {
        let pids = Value::List(vec![4.into(), 5.into()]);
        let process = Value::Map(vec![("pid".into(), 4.into()), ("state".into(), "T".into())]);
        let rows = [
            (Value::Nil, vec![]),
            (
                Value::Map(vec![("gone".into(), Value::List(vec![]))]),
                vec![],
            ),
            (
                Value::Map(vec![("gone".into(), pids)]),
                vec![4.into(), 5.into()],
            ),
            (Value::List(vec![process]), vec![4.into(), "T".into()]),
        ];
        for (evidence, expected) in rows {
            assert_eq!(
                facts(&evidence),
                expected.iter().collect::<Vec<&Value>>(),
                "{evidence}"
            );
        }
    }
}
