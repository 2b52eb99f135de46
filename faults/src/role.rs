//! Which nodes a fault acts on, by the part they play.

use crate::Name;
use crate::names::named;

named! {
    /// Which nodes a kill or a pause acts on.
    Role, "target" {
        /// The leader; the first in the plan's order when no leader is known.
        Leader = "leader",
        /// The first in the plan's order that is not the leader.
        Follower = "follower",
        /// Every node but the leader; every node but the first in the plan's order when no leader is
        /// known.
        Followers = "followers",
        /// As many as can be lost while a majority goes on: 2 of 5, 1 of 4.
        Minority = "minority",
        /// The smallest majority: 3 of 5, 3 of 4.
        Majority = "majority",
        /// One node, whatever its part.
        One = "one",
        /// Every node.
        All = "all",
    }
}

impl Role {
    /// The nodes meant, given the plan's order of preference and the leader at this moment. Draws
    /// nothing, so that a replay chooses alike. Empty where there is no such node.
    pub fn resolve(self, order: &[Name], leader: Option<&str>) -> Vec<Name> {
        let minority = order.len().saturating_sub(1) / 2;
        let first = |count: usize| order.iter().take(count).cloned().collect();
        match self {
            Role::Leader => leader_or_first(order, leader)
                .cloned()
                .into_iter()
                .collect(),
            Role::Follower => order
                .iter()
                .find(|node| Some(&***node) != leader)
                .cloned()
                .into_iter()
                .collect(),
            Role::Followers => {
                let leader = leader_or_first(order, leader);
                let others = order.iter().filter(|node| Some(*node) != leader);
                others.cloned().collect()
            }
            Role::Minority => first(minority),
            Role::Majority => first(order.len() - minority),
            Role::One => first(1),
            Role::All => first(order.len()),
        }
    }
}

impl Role {
    /// Whether a majority of the nodes is meant, or more (of two nodes, one of them).
    pub fn is_majority(self) -> bool {
        matches!(self, Role::Followers | Role::Majority | Role::All)
    }

    /// Whether the nodes meant depend on who leads.
    pub fn is_about_leader(self) -> bool {
        matches!(self, Role::Leader | Role::Follower | Role::Followers)
    }
}

impl Default for Role {
    /// One node, whatever its part.
    fn default() -> Self {
        Role::One
    }
}

/// The leader where it is one of `order`, else the first of `order`.
pub(crate) fn leader_or_first<'a>(order: &'a [Name], leader: Option<&str>) -> Option<&'a Name> {
    order
        .iter()
        .find(|node| Some(&***node) == leader)
        .or_else(|| order.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes that `role` means, with n2 as the leader, written without their `n`.
    fn check(role: Role, order: &str, leader: Option<&str>, expected: &str) {
        let order: Vec<Name> = order
            .chars()
            .map(|node| format!("n{node}").into())
            .collect();
        let found: String = role
            .resolve(&order, leader)
            .iter()
            .map(|node| node.trim_start_matches('n'))
            .collect();
        assert_eq!(found, expected, "{role} of {order:?} led by {leader:?}");
    }

    #[test]
    fn roles_resolve_to_the_first_fitting_nodes() {
        check(Role::Leader, "31245", Some("n2"), "2");
        check(Role::Leader, "31245", None, "3");
        check(Role::Leader, "31245", Some("n9"), "3");
        check(Role::Follower, "31245", Some("n3"), "1");
        check(Role::Follower, "31245", None, "3");
        check(Role::Follower, "1", Some("n1"), "");
        check(Role::Followers, "31245", Some("n2"), "3145");
        check(Role::Followers, "31245", None, "1245");
        check(Role::Followers, "1", Some("n1"), "");
        check(Role::Minority, "31245", Some("n2"), "31");
        check(Role::Minority, "3124", None, "3");
        check(Role::Minority, "21", None, "");
        check(Role::Minority, "", None, "");
        check(Role::Majority, "31245", None, "312");
        check(Role::Majority, "3124", None, "312");
        check(Role::Majority, "21", None, "21");
        check(Role::Majority, "1", None, "1");
        check(Role::One, "312", Some("n2"), "3");
        check(Role::All, "312", None, "312");
        check(Role::Leader, "", None, "");
    }
}
