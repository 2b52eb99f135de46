//! Changes of members by raft-kv's own interface, from the controller's host, which reaches every
//! node whatever is cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::Entrance;
use faults::{Membership, Part, TargetError};
use histories::Value;
use serde_json::json;
use workloads::clients::Node;
use workloads::clients::raft_kv::{ChangeAnswer, Members, change_members, members};

/// Between two attempts while there is no leader, or it cannot make the change yet.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The members of a cluster of raft-kv.
pub struct RaftKvMembers {
    /// The nodes, members or not.
    pub nodes: Arc<[Node]>,
    /// The way to a host from which all of them can be reached.
    pub entrance: Entrance,
}

impl Membership for RaftKvMembers {
    fn change(
        &self,
        node: &str,
        part: Part,
        leader: Option<&str>,
        wait_ms: u64,
    ) -> Result<Value, TargetError> {
        let problem =
            |why: String| TargetError(format!("failed to change the part of {node}: {why}"));
        let address = self.nodes.iter().find(|known| &*known.name == node);
        let address = address.ok_or_else(|| problem("there is no such node".to_owned()))?;
        let member = format!("{node}={}", address.address.ip());
        let change = match part {
            Part::Voter => json!({ "add": member }),
            Part::Learner => json!({ "learner": member }),
            Part::Outside => json!({ "remove": node }),
        };
        let asked = self.entrance.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            runtime.block_on(self.ask(&change, leader, wait_ms))
        });
        asked
            .map_err(|error| problem(error.to_string()))?
            .map_err(problem)
    }
}

impl RaftKvMembers {
    /// Asks whoever leads until the cluster has agreed or the time is over. Once the change may
    /// have been made, it is asked for again only where it makes no difference: the same change
    /// twice is one.
    async fn ask(
        &self,
        change: &serde_json::Value,
        leader: Option<&str>,
        wait_ms: u64,
    ) -> Result<Value, String> {
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let position = self
            .nodes
            .iter()
            .position(|node| Some(&*node.name) == leader);
        let mut place = position.unwrap_or(0);
        // Who took it up, without having agreed with the others as far as known.
        let mut taken_up = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            if left_ms == 0 {
                break;
            }
            let node = &self.nodes[place];
            let why = match change_members(node.address, change, left_ms).await {
                ChangeAnswer::Agreed => return report(node, true).await,
                ChangeAnswer::Redirected(address) => {
                    place = self.at(address).unwrap_or((place + 1) % self.nodes.len());
                    tokio::time::sleep(RETRY_PAUSE / 4).await;
                    continue;
                }
                ChangeAnswer::Unknown(why) => {
                    taken_up = Some(place);
                    why
                }
                // The leader may be ready in a moment; who does not lead says where to go.
                ChangeAnswer::Refused(why) => why,
            };
            if Instant::now() + RETRY_PAUSE >= deadline && taken_up.is_none() {
                return Err(format!("{why} (from {})", node.name));
            }
            if !why.contains("hint: try again") {
                place = (place + 1) % self.nodes.len();
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        match taken_up {
            Some(place) => report(&self.nodes[place], false).await,
            None => Err(format!("nobody took it up within {wait_ms} ms")),
        }
    }

    fn at(&self, address: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == address)
    }
}

/// The members as this node reports them.
async fn report(node: &Node, agreed: bool) -> Result<Value, String> {
    let Members { members, learners } = members(node.address)
        .await
        .map_err(|error| error.to_string())?;
    let list = |names: Vec<&String>| {
        let names = names.into_iter().map(|name| Value::from(name.as_str()));
        Value::List(names.collect())
    };
    Ok(Value::Map(vec![
        ("leader".into(), Value::Text(node.name.clone())),
        ("agreed".into(), agreed.into()),
        ("members".into(), list(members.keys().collect())),
        ("learners".into(), list(learners.iter().collect())),
    ]))
}
