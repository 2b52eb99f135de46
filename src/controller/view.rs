//! The controller's own view of the cluster: who leads, as the nodes themselves say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use workloads::clients::Node;
use workloads::clients::raft_kv::{Status, status};

use super::signal::{Phase, Signal};

/// How often every node is asked.
const POLL_MS: u64 = 100;

/// Who leads, as far as known.
#[derive(Debug, Clone, Default)]
pub struct View(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    leader: Option<Leader>,
    /// How often a newer leader was seen.
    changes: u64,
}

/// A leader, with its term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The node.
    pub node: Arc<str>,
    /// Its term.
    pub term: u64,
}

impl View {
    /// A view in which this node leads.
    pub fn of(leader: Leader) -> Self {
        View(Arc::new(Mutex::new(Seen {
            leader: Some(leader),
            changes: 0,
        })))
    }

    /// The newest known leader.
    pub fn leader(&self) -> Option<Leader> {
        self.seen().leader.clone()
    }

    /// How often a newer leader was seen since the view was made.
    pub fn changes(&self) -> u64 {
        self.seen().changes
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a newer leader; tells whether it is news.
    fn update(&self, newest: &Leader) -> bool {
        let mut seen = self.seen();
        let known = seen.leader.as_ref();
        let news = known.is_none_or(|known| known.term < newest.term);
        if news {
            seen.leader = Some(newest.clone());
            seen.changes += 1;
        }
        news
    }
}

/// Asks every node again and again, on the calling thread, until the run is over; `changed` is told
/// of every new leader.
pub fn watch(nodes: &[Node], view: &View, signal: &Signal, changed: &dyn Fn(&Leader)) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    while signal.phase() != Phase::Over {
        let statuses = runtime.block_on(ask(nodes));
        if let Some(newest) = newest_leader(nodes, &statuses)
            && view.update(&newest)
        {
            changed(&newest);
        }
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(POLL_MS)).await });
    }
}

/// Waits until a majority of the nodes follows one leader. Called before the run starts, where
/// everything is quiet.
///
/// # Errors
/// What each node says, when that does not come about within the limit.
pub fn await_leader(nodes: &[Node], limit_ms: u64) -> Result<Leader, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("failed to start a runtime: {error}"))?;
    let deadline = std::time::Instant::now() + Duration::from_millis(limit_ms);
    loop {
        let statuses = runtime.block_on(ask(nodes));
        if let Some(leader) = newest_leader(nodes, &statuses) {
            let follows = |status: &&Option<Status>| {
                status.as_ref().is_some_and(|status| {
                    status.term == leader.term && status.leader.as_deref() == Some(&*leader.node)
                })
            };
            if statuses.iter().filter(follows).count() > nodes.len() / 2 {
                return Ok(leader);
            }
        }
        if std::time::Instant::now() >= deadline {
            let told: Vec<String> = nodes
                .iter()
                .zip(&statuses)
                .map(|(node, status)| match status {
                    Some(status) => {
                        format!("{} is {} in term {}", node.name, status.role, status.term)
                    }
                    None => format!("{} does not answer", node.name),
                })
                .collect();
            return Err(format!(
                "no leader within {limit_ms} ms of the start: {} (hint: the nodes' logs are in the run folder)",
                told.join(", ")
            ));
        }
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(POLL_MS / 4)).await });
    }
}

async fn ask(nodes: &[Node]) -> Vec<Option<Status>> {
    let asked = nodes
        .iter()
        .map(|node| async { status(node.address).await.ok() });
    futures_util::future::join_all(asked).await
}

/// Of the nodes that say they lead, the one of the highest term.
fn newest_leader(nodes: &[Node], statuses: &[Option<Status>]) -> Option<Leader> {
    nodes
        .iter()
        .zip(statuses)
        .filter_map(|(node, status)| {
            let status = status.as_ref().filter(|status| status.role == "leader")?;
            Some(Leader {
                node: node.name.clone(),
                term: status.term,
            })
        })
        .max_by_key(|leader| leader.term)
}
