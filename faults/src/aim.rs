//! Whom a fault hits: the nodes of a role, or links.

use histories::Value;

use crate::kind::Prepared;
use crate::packets::{Scope, links_value};
use crate::standing::Standing;
use crate::{Link, Name, Partition, Role};

/// Whom a fault hits, as its parameters say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim<'a> {
    /// The nodes of this role.
    Nodes(Role),
    /// The packets of some links.
    Packets(Scope<'a>),
    /// The links that this partition cuts.
    Cut(&'a Partition),
}

impl Aim<'_> {
    /// The field that says whom, and what stands there.
    pub fn choice(&self) -> (&'static str, String) {
        match self {
            Aim::Nodes(role) => ("target", role.to_string()),
            Aim::Packets(scope) => scope.choice(),
            Aim::Cut(partition) => ("shape", partition.shape.to_string()),
        }
    }

    /// Whether these are a majority of the nodes.
    pub fn is_majority(&self) -> bool {
        matches!(self, Aim::Nodes(role) if role.is_majority())
    }

    /// The order in which nodes are chosen, given the plan's and what is in force: a node that is down
    /// has nothing to take from it, and no packets. A partition sets nodes apart whatever they do.
    pub fn preferred(&self, order: &[Name], standing: &Standing) -> Vec<Name> {
        match self {
            Aim::Nodes(_) | Aim::Packets(_) => standing.running_first(order),
            Aim::Cut(_) => order.to_vec(),
        }
    }

    /// Whom that is, given the order of preference and the leader at this moment. Without targets
    /// where so few nodes leave nothing to do.
    pub fn resolve(&self, order: &[Name], leader: Option<&str>) -> Prepared {
        match self {
            Aim::Nodes(role) => Prepared {
                targets: role.resolve(order, leader),
                choices: leader_choice(role.is_about_leader(), leader),
                ..Prepared::default()
            },
            Aim::Packets(scope) => {
                let (targets, links) = scope.resolve(order, leader);
                let about_leader = leader_choice(scope.is_about_leader(), leader);
                on_links(targets, links, about_leader, "on")
            }
            Aim::Cut(partition) => {
                let links = partition.links(order, leader);
                if links.is_empty() {
                    return Prepared::default();
                }
                let targets = partition.shape.targets(order, leader);
                let about_leader = leader_choice(partition.shape.is_about_leader(), leader);
                on_links(targets, links, about_leader, "cut")
            }
        }
    }
}

/// For a fault of links, which the history records under this name after the leader.
fn on_links(
    targets: Vec<Name>,
    links: Vec<Link>,
    mut choices: Vec<(Value, Value)>,
    name: &str,
) -> Prepared {
    choices.push((name.into(), links_value(&links)));
    Prepared {
        targets,
        links,
        choices,
    }
}

/// What a history records of a choice that depended on who led: the leader at that moment. `nil`
/// means that none was known and the first in the plan's order stood in for it.
pub(crate) fn leader_choice(about_leader: bool, leader: Option<&str>) -> Vec<(Value, Value)> {
    match about_leader {
        true => vec![("leader".into(), leader.map_or(Value::Nil, Value::from))],
        false => Vec::new(),
    }
}
