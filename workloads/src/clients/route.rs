//! Which node a client turns to, and what it does when that did not help.

use std::sync::Arc;
use std::time::Duration;

use seeds::{Purpose, Stream};
use tokio::time::sleep;

use crate::clients::{Class, Node};
use crate::{Completion, Outcome};

/// One operation in so many goes to the home node instead of the one that answered last.
const HOME_ONE_IN: u64 = 5;
/// Added to a client's number: where a client turns must not change what it does, so it has a
/// stream of its own.
const ROUTES_STREAM: u32 = 1 << 31;
/// After an operation that failed a client waits so long before it returns, in milliseconds: a
/// cluster without a leader refuses at once, and would be asked many thousand times a second. What
/// failed took no effect, so that it seems to last longer misleads nobody.
pub(crate) const FAIL_PAUSE_MS: u64 = 20;

/// Which node a client turns to: the one that answered last, and now and then its home, whoever
/// leads, so that followers and isolated nodes are asked too.
#[derive(Debug)]
pub(crate) struct Route {
    nodes: Arc<[Node]>,
    home: usize,
    /// The node that answered last, or the next after one that did not.
    preferred: usize,
    stream: Stream,
    fail_pause_ms: u64,
}

impl Route {
    /// The route of client number `client` of the run with this seed, for the cluster of these
    /// nodes.
    pub fn new(seed: u64, client: u32, nodes: Arc<[Node]>, fail_pause_ms: u64) -> Self {
        let home = (client as usize).checked_rem(nodes.len()).unwrap_or(0);
        Route {
            nodes,
            home,
            preferred: home,
            stream: Stream::new(seed, Purpose::Client, ROUTES_STREAM | client),
            fail_pause_ms,
        }
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The place of the client's own node.
    pub fn home(&self) -> usize {
        self.home
    }

    /// The place of the node for the next operation, and the node; nothing where there is none.
    pub fn next(&mut self) -> Option<(usize, Node)> {
        let place = match self.stream.chance(1, HOME_ONE_IN) {
            true => self.home,
            false => self.preferred,
        };
        Some((place, self.nodes.get(place)?.clone()))
    }

    /// The node at this place answered, or did not.
    pub fn learn(&mut self, place: usize, answered: bool) {
        self.preferred = match answered {
            true => place,
            false => (place + 1).checked_rem(self.nodes.len()).unwrap_or(0),
        };
    }

    /// The completion of an operation at the node of this place, after the pause where it failed.
    pub async fn complete(&mut self, place: usize, class: Class) -> Completion {
        self.learn(place, matches!(class, Class::Done(_)));
        let node = self.nodes.get(place).map(|node| node.name.clone());
        let class = class.about(node.as_deref().unwrap_or_default());
        pause_if_failed(class.complete(node), self.fail_pause_ms).await
    }

    /// The completion of an operation that no node was asked for.
    pub async fn refuse(&mut self, why: String) -> Completion {
        pause_if_failed(Class::NotDone(why).complete(None), self.fail_pause_ms).await
    }
}

/// Lets an operation that failed last so much longer, as [`FAIL_PAUSE_MS`] says why.
pub(crate) async fn pause_if_failed(completion: Completion, pause_ms: u64) -> Completion {
    if completion.outcome == Outcome::Fail {
        sleep(Duration::from_millis(pause_ms)).await;
    }
    completion
}
