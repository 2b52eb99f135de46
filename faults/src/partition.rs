//! Partition: directed links between nodes cut in one swap; healed by a swap without them.

use histories::Value;

use serde::{Deserialize, Serialize};

use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared, leader_choice};
use crate::standing::Standing;
use crate::{Link, Name, Network, Shape, Target, TargetError, Unavailable, Undo};

/// Divides the nodes. Clients go on reaching every node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Partition {
    /// How.
    pub shape: Shape,
}

impl FaultKind for Partition {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.network().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let divides = |shape: &&Shape| !shape.cuts(draws.nodes, None).is_empty();
        let shapes: Vec<Shape> = Shape::ALL.iter().filter(divides).copied().collect();
        let shape = draws.deal("partition", &shapes)?;
        Some(Partition { shape })
    }

    fn choice(&self) -> (&'static str, String) {
        ("shape", self.shape.to_string())
    }

    fn prepare(&self, order: &[Name], leader: Option<&str>) -> Prepared {
        let links = self.shape.cuts(order, leader);
        if links.is_empty() {
            return Prepared::default();
        }
        let mut choices = leader_choice(self.shape.is_about_leader(), leader);
        let cut = links.iter().map(link_value).collect();
        choices.push(("cut".into(), Value::List(cut)));
        Prepared {
            targets: self.shape.targets(order, leader),
            links,
            choices,
        }
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Rejoin(prepared.links.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let links = &prepared.links;
        match cut(links, id, target, standing) {
            Ok(dropped_before) => {
                standing.dropped_before.insert(id, dropped_before);
                let evidence = vec![("links_cut".into(), Value::Int(links.len() as i64))];
                // Whether it takes effect shows when packets have been dropped.
                Effect {
                    evidence: Value::Map(evidence),
                    ..Effect::default()
                }
            }
            Err(error) => Effect {
                effective: Some(false),
                errors: vec![error],
                ..Effect::default()
            },
        }
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        for link in &prepared.links {
            standing.cut.release(link, id);
        }
        let joined = network(target).and_then(|network| {
            network.set_cuts(&standing.cut.things())?;
            Ok(network.dropped_packets(&prepared.links))
        });
        let dropped_after = match joined {
            Ok(dropped_after) => dropped_after,
            Err(error) => {
                return Effect {
                    errors: vec![error],
                    ..Effect::default()
                };
            }
        };
        // Of a partition that was never in force nothing is known from before, nor needed.
        let dropped_before = standing.dropped_before.remove(&id).unwrap_or(dropped_after);
        let dropped = dropped_after.saturating_sub(dropped_before);
        let dropped_value = Value::Int(i64::try_from(dropped).unwrap_or(i64::MAX));
        Effect {
            evidence: Value::Map(vec![("dropped_packets".into(), dropped_value)]),
            effective: Some(dropped > 0),
            errors: Vec::new(),
        }
    }
}

/// Cuts these links besides those that are cut already. Returns how many packets they had dropped
/// before.
fn cut(
    links: &[Link],
    id: u64,
    target: &dyn Target,
    standing: &mut Standing,
) -> Result<u64, TargetError> {
    let network = network(target)?;
    let dropped_before = network.dropped_packets(links);
    for link in links {
        standing.cut.hold(link, id);
    }
    if let Err(error) = network.set_cuts(&standing.cut.things()) {
        // Not in force, so the next swap by another partition must not bring it in.
        for link in links {
            standing.cut.release(link, id);
        }
        return Err(error);
    }
    Ok(dropped_before)
}

fn network(target: &dyn Target) -> Result<&dyn Network, TargetError> {
    target
        .network()
        .map_err(|unavailable| TargetError(unavailable.to_string()))
}

fn link_value(link: &Link) -> Value {
    Value::List(vec![
        Value::Text(link.from.clone()),
        Value::Text(link.to.clone()),
    ])
}
