//! What the faults of packets have in common: whose packets, and a rule of the network.

use std::collections::BTreeSet;

use histories::Value;

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::names::named;
use crate::standing::Standing;
use crate::{
    CLIENTS, Direction, Link, Name, Network, NetworkAbility, Role, Rule, RuleCounts, Target,
    TargetError, Treatment, Unavailable, Undo,
};

named! {
    /// Whose connections with the nodes that a fault is about.
    Peers, "peers" {
        /// The other nodes'.
        Nodes = "nodes",
        /// The clients'.
        Clients = "clients",
        /// The other nodes' and the clients'.
        All = "all",
    }
}

impl Default for Peers {
    /// Clients go on reaching every node, so that a node that is alone is still asked and can
    /// still give a wrong answer.
    fn default() -> Self {
        Peers::Nodes
    }
}

impl Peers {
    pub(crate) fn has_nodes(self) -> bool {
        self != Peers::Clients
    }

    pub(crate) fn has_clients(self) -> bool {
        self != Peers::Nodes
    }
}

/// The most TCP or UDP ports that a fault may name.
const PORTS_MAX: usize = 64;

/// Declares the parameters of a fault of packets: its own, with their defaults, after those that
/// all have.
macro_rules! packet_fault {
    ($(#[$about:meta])* $name:ident $(for $peers:ident)? {
        $($(#[$field_about:meta])* $field:ident: $type:ty = $default:expr),* $(,)?
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Which nodes.
            pub target: $crate::Role,
            /// Whose connections with them.
            pub peers: $crate::Peers,
            /// Packets to these nodes, from them, or both.
            pub direction: $crate::Direction,
            /// Exactly these directed links instead, as `[from, to]`: names of nodes, or `clients`.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub links: Vec<(crate::Name, crate::Name)>,
            /// Only packets to or from one of these TCP or UDP ports; none for all packets.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub ports: Vec<u16>,
            $($(#[$field_about])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    target: $crate::Role::default(),
                    // The first of these counts.
                    peers: [$($crate::Peers::$peers,)? $crate::Peers::default()][0],
                    direction: $crate::Direction::default(),
                    links: Vec::new(),
                    ports: Vec::new(),
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            /// Whose packets.
            fn scope_of(&self) -> $crate::packets::Scope<'_> {
                $crate::packets::Scope {
                    target: self.target,
                    peers: self.peers,
                    direction: self.direction,
                    links: &self.links,
                    ports: &self.ports,
                }
            }

            /// For these nodes' packets, with every other parameter as by default.
            fn drawn(scope: $crate::packets::DrawnScope) -> Self {
                Self {
                    target: scope.target,
                    peers: scope.peers,
                    direction: scope.direction,
                    ..Self::default()
                }
            }
        }
    };
}
pub(crate) use packet_fault;

/// Whose packets a fault is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub target: Role,
    pub peers: Peers,
    pub direction: Direction,
    pub links: &'a [(Name, Name)],
    pub ports: &'a [u16],
}

/// Whose packets a drawn fault is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrawnScope {
    pub target: Role,
    pub peers: Peers,
    pub direction: Direction,
}

impl DrawnScope {
    /// Draws from decks of their own for each kind; `None` where a node has no peers.
    pub fn draw(draws: &mut Draws<'_>, decks: [&'static str; 3]) -> Option<Self> {
        use Role::{All, Follower, Leader, Minority, One};
        if draws.nodes.len() < 2 {
            return None;
        }
        let [targets, peers, directions] = decks;
        Some(DrawnScope {
            target: draws.target_among(targets, &[Leader, Leader, Follower, One, Minority, All])?,
            peers: draws.deal(peers, &[Peers::Nodes, Peers::Nodes, Peers::All])?,
            direction: draws.deal(
                directions,
                &[
                    Direction::Both,
                    Direction::Both,
                    Direction::In,
                    Direction::Out,
                ],
            )?,
        })
    }
}

impl Scope<'_> {
    /// The nodes and the links meant, given the order of preference and the leader.
    pub fn resolve(&self, order: &[Name], leader: Option<&str>) -> (Vec<Name>, Vec<Link>) {
        if !self.links.is_empty() {
            return self.given(order);
        }
        let targets = self.target.resolve(order, leader);
        let clients = Name::from(CLIENTS);
        let mut peers: Vec<&Name> = Vec::new();
        if self.peers.has_nodes() {
            peers.extend(order);
        }
        if self.peers.has_clients() {
            peers.push(&clients);
        }
        let mut links = Vec::new();
        for node in &targets {
            for peer in peers.iter().copied().filter(|peer| *peer != node) {
                links.extend(self.direction.includes(true).then(|| link(node, peer)));
                links.extend(self.direction.includes(false).then(|| link(peer, node)));
            }
        }
        // Between two targets each link is meant by both.
        links.sort();
        links.dedup();
        if links.is_empty() {
            return (Vec::new(), links);
        }
        (targets, links)
    }

    /// The links that were given, and their nodes; none where one is not there.
    fn given(&self, order: &[Name]) -> (Vec<Name>, Vec<Link>) {
        let is_there = |name: &Name| order.contains(name) || &**name == CLIENTS;
        let is_link = |(from, to): &(Name, Name)| from != to && is_there(from) && is_there(to);
        if !self.links.iter().all(is_link) {
            return (Vec::new(), Vec::new());
        }
        let links: BTreeSet<Link> = self.links.iter().map(|(from, to)| link(from, to)).collect();
        let links = Vec::from_iter(links);
        let is_end = |node: &&Name| {
            let mut ends = links.iter().flat_map(|link| [&link.from, &link.to]);
            ends.any(|end| end == *node)
        };
        (order.iter().filter(is_end).cloned().collect(), links)
    }

    /// Whether it depends on who leads.
    pub fn is_about_leader(&self) -> bool {
        self.links.is_empty() && self.target.is_about_leader()
    }

    /// The field that says whose, and what stands there.
    pub fn choice(&self) -> (&'static str, String) {
        if self.links.is_empty() {
            return ("target", self.target.to_string());
        }
        let links = self
            .links
            .iter()
            .map(|(from, to)| format!("{from} to {to}"));
        ("links", links.collect::<Vec<_>>().join(", "))
    }

    /// What is wrong with it, where that can be told without knowing the nodes.
    fn problem(&self) -> Option<(&'static str, String)> {
        ports_problem(self.ports)
    }
}

pub(crate) fn ports_problem(ports: &[u16]) -> Option<(&'static str, String)> {
    if ports.contains(&0) {
        return Some(("ports", "0 is no port".to_owned()));
    }
    let count = ports.len();
    (count > PORTS_MAX).then(|| ("ports", format!("{count} are more than {PORTS_MAX}")))
}

/// Refuses a share above all or none at all.
pub(crate) fn permille_problem(permille: u32) -> Option<(&'static str, String)> {
    let is_share = (1..=1000).contains(&permille);
    (!is_share).then(|| ("permille", format!("{permille}, expected 1 to 1000")))
}

/// Refuses a correlation that would never end.
pub(crate) fn correlation_problem(permille: u32) -> Option<(&'static str, String)> {
    (permille > 999).then(|| {
        let why = format!("{permille}, expected 0 to 999");
        ("correlation_permille", why)
    })
}

/// Refuses a time beyond an hour.
pub(crate) fn time_problem(field: &'static str, ms: u64) -> Option<(&'static str, String)> {
    (ms > 3_600_000).then(|| (field, format!("{ms} ms is more than an hour")))
}

/// A fault that is a rule about packets.
pub(crate) trait PacketFault {
    /// One of this kind for a drawn schedule.
    fn draw(draws: &mut Draws<'_>) -> Option<Self>
    where
        Self: Sized;

    /// What is wrong with its own parameters.
    fn problem(&self) -> Option<(&'static str, String)>;

    /// Whose packets.
    fn scope(&self) -> Scope<'_>;

    /// What is done to them.
    fn treatment(&self) -> Treatment;

    /// What is to be done besides, once the rule is in force, and what shows it.
    fn once_in_force(&self, _: &Prepared, _: &dyn Target) -> Vec<(Value, Value)> {
        Vec::new()
    }

    /// What shows what it did: names and numbers.
    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)>;

    /// Whether it did anything.
    fn was_effective(&self, counts: &RuleCounts) -> bool {
        counts.affected > 0
    }
}

impl<T: PacketFault> FaultKind for T {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.network()?.can(NetworkAbility::TreatPackets)
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        <T as PacketFault>::draw(draws)
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let own = PacketFault::problem(self);
        own.or_else(|| self.scope().problem())
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Packets(self.scope())
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Clear(prepared.links.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let rule = Rule {
            fault: id,
            links: prepared.links.clone(),
            ports: self.scope().ports.to_vec(),
            treatment: self.treatment(),
        };
        let mut effect = impose(rule, target, standing);
        if let (Value::Map(evidence), true) = (&mut effect.evidence, effect.errors.is_empty()) {
            evidence.extend(self.once_in_force(prepared, target));
        }
        effect
    }

    fn heal(&self, id: u64, _: &Prepared, target: &dyn Target, standing: &mut Standing) -> Effect {
        lift(id, target, standing, |counts| {
            (self.evidence(counts), self.was_effective(counts))
        })
    }
}

/// Adds a rule to those that stand. Whether it takes effect shows when packets come.
pub(crate) fn impose(rule: Rule, target: &dyn Target, standing: &mut Standing) -> Effect {
    let (fault, links) = (rule.fault, rule.links.len() as u64);
    standing.rules.insert(fault, rule);
    match set_rules(target, standing) {
        Ok(_) => Effect {
            evidence: numbers(&[("links", links)]),
            ..Effect::default()
        },
        Err(error) => {
            // Not in force, so the next swap by another fault must not bring it in.
            standing.rules.remove(&fault);
            Effect {
                effective: Some(false),
                errors: vec![error],
                ..Effect::default()
            }
        }
    }
}

/// Takes a fault's rule away, and tells what it did.
pub(crate) fn lift(
    fault: u64,
    target: &dyn Target,
    standing: &mut Standing,
    tell: impl FnOnce(&RuleCounts) -> (Vec<(&'static str, u64)>, bool),
) -> Effect {
    standing.rules.remove(&fault);
    match set_rules(target, standing) {
        Ok(network) => {
            let (evidence, was_effective) = tell(&network.counts(fault));
            Effect {
                evidence: numbers(&evidence),
                effective: Some(was_effective),
                errors: Vec::new(),
            }
        }
        Err(error) => Effect {
            errors: vec![error],
            ..Effect::default()
        },
    }
}

fn set_rules<'a>(
    target: &'a dyn Target,
    standing: &Standing,
) -> Result<&'a dyn Network, TargetError> {
    let network = target
        .network()
        .map_err(|unavailable| TargetError(unavailable.to_string()))?;
    let rules: Vec<Rule> = standing.rules.values().cloned().collect();
    network.set_rules(&rules)?;
    Ok(network)
}

fn numbers(numbers: &[(&str, u64)]) -> Value {
    let entry = |(name, number): &(&str, u64)| {
        let number = i64::try_from(*number).unwrap_or(i64::MAX);
        ((*name).into(), number.into())
    };
    Value::Map(numbers.iter().map(entry).collect())
}

pub(crate) fn link(from: &Name, to: &Name) -> Link {
    Link {
        from: from.clone(),
        to: to.clone(),
    }
}

/// Links as a history records them.
pub(crate) fn links_value(links: &[Link]) -> Value {
    let link = |link: &Link| {
        Value::List(vec![
            Value::Text(link.from.clone()),
            Value::Text(link.to.clone()),
        ])
    };
    Value::List(links.iter().map(link).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(scope: Scope<'_>) -> String {
        let order: Vec<Name> = ["n2", "n1", "n3"].map(Name::from).to_vec();
        let (targets, links) = scope.resolve(&order, Some("n1"));
        let short = |name: &Name| name.trim_start_matches('n')[..1].to_owned();
        let links = links
            .iter()
            .map(|link| short(&link.from) + &short(&link.to));
        let targets: Vec<String> = targets.iter().map(short).collect();
        format!(
            "{}: {}",
            targets.join(""),
            links.collect::<Vec<_>>().join(" ")
        )
    }

    #[test]
    fn a_scope_means_these_links() {
        use Direction::{Both, In, Out};
        let rows = [
            (Role::Leader, Peers::Nodes, Both, "1: 12 13 21 31"),
            (Role::Leader, Peers::Nodes, In, "1: 21 31"),
            (Role::Leader, Peers::Nodes, Out, "1: 12 13"),
            (Role::One, Peers::Nodes, Out, "2: 21 23"),
            (Role::One, Peers::Clients, Both, "2: c2 2c"),
            (Role::One, Peers::Clients, In, "2: c2"),
            (Role::Leader, Peers::All, Out, "1: 1c 12 13"),
            (Role::All, Peers::Nodes, Both, "213: 12 13 21 23 31 32"),
            (Role::All, Peers::Nodes, In, "213: 12 13 21 23 31 32"),
            (Role::All, Peers::Clients, In, "213: c1 c2 c3"),
            (Role::Majority, Peers::Nodes, In, "21: 12 21 31 32"),
        ];
        for (target, peers, direction, expected) in rows {
            let scope = Scope {
                target,
                peers,
                direction,
                links: &[],
                ports: &[],
            };
            assert_eq!(links(scope), expected, "{target} {peers} {direction}");
        }
    }

    #[test]
    fn links_can_be_given() {
        let given = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(Name, Name)> = pairs
                .iter()
                .map(|(from, to)| (Name::from(*from), Name::from(*to)))
                .collect();
            links(Scope {
                target: Role::Leader,
                peers: Peers::All,
                direction: Direction::In,
                links: &pairs,
                ports: &[],
            })
        };
        assert_eq!(given(&[("n1", "n2")]), "21: 12");
        assert_eq!(
            given(&[("n3", "n1"), ("clients", "n1"), ("n3", "n1")]),
            "13: c1 31"
        );
        assert_eq!(given(&[("n1", "n1")]), ": ");
        assert_eq!(given(&[("n1", "n2"), ("n1", "n9")]), ": ");
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused_by_name() {
        let rows = [
            ("fault = 'loss'", None),
            ("fault = 'loss'\npermille = 0", Some("permille")),
            ("fault = 'loss'\npermille = 1001", Some("permille")),
            (
                "fault = 'loss'\ncorrelation_permille = 1000",
                Some("correlation_permille"),
            ),
            ("fault = 'loss'\nports = [0]", Some("ports")),
            (
                "fault = 'delay'\nmean_ms = 0\njitter_ms = 0",
                Some("mean_ms"),
            ),
            (
                "fault = 'delay'\nmean_ms = 5\njitter_ms = 6",
                Some("jitter_ms"),
            ),
            (
                "fault = 'delay'\nmean_ms = 5\njitter_ms = 6\ndistribution = 'normal'",
                None,
            ),
            ("fault = 'delay'\nmean_ms = 3600001", Some("mean_ms")),
            ("fault = 'duplicate'\napart_ms = 3600001", Some("apart_ms")),
            ("fault = 'reorder'\nhold_ms = 0", Some("hold_ms")),
            ("fault = 'corrupt'\npermille = 0", Some("permille")),
            ("fault = 'rate-limit'\nkbit_per_s = 0", Some("kbit_per_s")),
            ("fault = 'rate-limit'\nqueue_ms = 3600001", Some("queue_ms")),
            (
                "fault = 'refuse-connections'\npermille = 0",
                Some("permille"),
            ),
            ("fault = 'reset-connections'\nports = [0]", Some("ports")),
            ("fault = 'partition'\nports = [0]", Some("ports")),
            (
                "fault = 'partition'\nflap_period_ms = 3600001",
                Some("flap_period_ms"),
            ),
            ("fault = 'partition'\nshape = 'bridge'\npeers = 'all'", None),
            (
                "fault = 'partition'\nshape = 'majorities-ring'\npeers = 'all'",
                Some("peers"),
            ),
        ];
        for (text, expected) in rows {
            let action: crate::Action = toml::from_str(text).expect(text);
            let problem = action.fault().problem();
            assert_eq!(problem.map(|(field, _)| field), expected, "{text}");
        }
        let typo = "fault = 'delay'\nmaen_ms = 5";
        let error = toml::from_str::<crate::Action>(typo).expect_err("a typo");
        assert!(error.to_string().contains("maen_ms"), "{error}");
    }

    #[test]
    fn a_node_alone_has_no_peers() {
        let order = [Name::from("n1")];
        let scope = Scope {
            target: Role::All,
            peers: Peers::Nodes,
            direction: Direction::Both,
            links: &[],
            ports: &[],
        };
        assert_eq!(scope.resolve(&order, None), (Vec::new(), Vec::new()));
    }
}
