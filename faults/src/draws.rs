//! What a kind of fault draws its parameters from: the seed's stream, and decks of choices.

use std::collections::BTreeMap;

use seeds::Stream;

use crate::{Name, Role};

/// Whom faults of nodes hit, by weight: the leader about half the time, for most of what can go
/// wrong in Raft goes wrong around a change of leader.
const TARGETS: [Role; 9] = [
    Role::Leader,
    Role::Leader,
    Role::Leader,
    Role::Leader,
    Role::Follower,
    Role::One,
    Role::Minority,
    Role::Majority,
    Role::All,
];

/// Chance for one schedule.
pub(crate) struct Draws<'a> {
    /// The stream of the seed.
    pub stream: Stream,
    /// The cluster's nodes.
    pub nodes: &'a [Name],
    /// For each kind of choice, the cards left, as places in the full deck.
    decks: BTreeMap<&'static str, Vec<usize>>,
}

impl<'a> Draws<'a> {
    /// From this stream, for these nodes.
    pub fn new(stream: Stream, nodes: &'a [Name]) -> Self {
        Draws {
            stream,
            nodes,
            decks: BTreeMap::new(),
        }
    }

    /// The next card of the deck of this name, which is shuffled anew when it has run out, so that
    /// no choice is missed for long. The same name must always mean the same cards. `None` when
    /// there are none.
    pub fn deal<T: Clone>(&mut self, deck: &'static str, cards: &[T]) -> Option<T> {
        let left = self.decks.entry(deck).or_default();
        if left.is_empty() {
            left.extend(0..cards.len());
            self.stream.shuffle(left);
        }
        cards.get(left.pop()?).cloned()
    }

    /// The role that a fault of nodes hits, from a deck of its own.
    pub fn target(&mut self, deck: &'static str) -> Option<Role> {
        self.target_among(deck, &TARGETS)
    }

    /// The role that a fault of nodes hits, among these, from a deck of its own.
    pub fn target_among(&mut self, deck: &'static str, roles: &[Role]) -> Option<Role> {
        let leader = self.nodes.first().map(|node| &**node);
        let possible = |role: &&Role| !role.resolve(self.nodes, leader).is_empty();
        let roles: Vec<Role> = roles.iter().filter(possible).copied().collect();
        self.deal(deck, &roles)
    }

    /// A whole number from `least` to `most`, each equally likely.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least.saturating_add(
            self.stream
                .below(most.saturating_sub(least).saturating_add(1)),
        )
    }
}
