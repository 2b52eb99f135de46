//! Limits that faults put on nodes: several at once, the least of which stands.

use histories::Value;

use crate::kind::Effect;
use crate::standing::Standing;
use crate::{LimitShown, Limits, Name, Resource, Target, TargetError};

/// One fault's limit on a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limited {
    fault: u64,
    amount: u64,
    /// Whether a limit that stood while this one was asked for was reached.
    was_reached: bool,
}

/// Limits these nodes for this fault. Whether it takes effect is not known before it is reached.
pub(crate) fn impose(
    id: u64,
    nodes: &[Name],
    (resource, amount): (Resource, u64),
    target: &dyn Target,
    standing: &mut Standing,
) -> Effect {
    let mut is_reached = false;
    let mut effect = Effect::on_each(nodes, |node| {
        // A node that is down has nothing to limit but its next start.
        if standing.down.is_held(node) && resource != Resource::CpuPercent {
            return Ok(Value::Nil);
        }
        let held = standing.limits.entry((resource, node.clone())).or_default();
        // Held even if the call fails: some of its processes may be limited.
        held.push(Limited {
            fault: id,
            amount,
            was_reached: false,
        });
        let shown = set(node, resource, held, target)?;
        for limited in held.iter_mut() {
            limited.was_reached |= match limited.fault == id {
                true => shown.is_reached,
                false => shown.was_reached,
            };
        }
        is_reached |= shown.is_reached;
        Ok(shown.evidence)
    });
    let was_possible = effect.any(|shown| *shown != Value::Nil);
    effect.effective = match (was_possible, is_reached) {
        (false, _) => Some(false),
        (true, true) => Some(true),
        (true, false) => None,
    };
    effect
}

/// Lifts this fault's limits, as far as no other fault asks for one.
pub(crate) fn lift(
    id: u64,
    nodes: &[Name],
    resource: Resource,
    target: &dyn Target,
    standing: &mut Standing,
) -> Effect {
    let mut was_reached = false;
    let mut effect = Effect::on_each(nodes, |node| {
        let place = (resource, node.clone());
        let mut held = standing.limits.remove(&place).unwrap_or_default();
        let own = held.iter().position(|limited| limited.fault == id);
        let own = own.map(|at| held.remove(at));
        let shown = set(node, resource, &held, target);
        if let Ok(shown) = &shown {
            was_reached |= own.is_some_and(|own| own.was_reached || shown.was_reached);
            for limited in &mut held {
                limited.was_reached |= shown.was_reached;
            }
        }
        if !held.is_empty() {
            standing.limits.insert(place, held);
        }
        shown.map(|shown| shown.evidence)
    });
    effect.effective = Some(was_reached);
    effect
}

/// Makes the least of what is asked for stand; no limit where nothing is.
fn set(
    node: &Name,
    resource: Resource,
    held: &[Limited],
    target: &dyn Target,
) -> Result<LimitShown, TargetError> {
    let least = held.iter().map(|limited| limited.amount).min();
    limits(target)?.limit(node, resource, least)
}

fn limits(target: &dyn Target) -> Result<&dyn Limits, TargetError> {
    target
        .limits()
        .map_err(|unavailable| TargetError(unavailable.to_string()))
}
