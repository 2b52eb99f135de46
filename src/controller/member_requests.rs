//! Changes of members by the requests of a system's definition, from the controller's host, which
//! reaches every node whatever is cut.

use std::time::{Duration, Instant};

use cluster::Entrance;
use faults::{Membership, Part, TargetError};
use histories::Value;
use systems::MemberRequests;
use workloads::Pattern;

use super::probe::Asker;
use super::system::System;

/// Between two attempts, and two looks at the members.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// A node that does not answer may keep at most this part of the time from the others.
const ATTEMPTS_MIN: u64 = 3;

/// The members of a cluster, as requests change and show them.
pub(super) struct RequestedMembers {
    nodes: Vec<Member>,
    /// The way to a host from which every node can be reached.
    entrance: Entrance,
}

/// A node, member or not.
struct Member {
    name: String,
    is_member: Pattern,
    is_learner: Option<Pattern>,
    /// Asks this node for the members.
    list: Asker,
    /// What changes this node's part, asked of each node in order.
    changes: Vec<Changes>,
}

struct Changes {
    add: Asker,
    remove: Asker,
    learner: Option<Asker>,
}

impl Member {
    fn new(requests: &MemberRequests, system: &System, at: usize) -> Result<Self, String> {
        let scope = system.scope(at)?;
        let changes = |asked: usize| {
            let scope = scope.clone().asking(system.place(asked));
            let asker = |probe| Asker::about(probe, system, asked, &scope);
            Ok(Changes {
                add: asker(&requests.add)?,
                remove: asker(&requests.remove)?,
                learner: requests.learner.as_ref().map(asker).transpose()?,
            })
        };
        let own = scope.clone().asking(system.place(at));
        let is_learner = requests.is_learner.as_ref();
        Ok(Member {
            name: system.place(at).name.clone(),
            is_member: own.pattern(&requests.is_member)?,
            is_learner: is_learner.map(|text| own.pattern(text)).transpose()?,
            list: Asker::about(&requests.list, system, at, &own)?,
            changes: (0..system.nodes_count())
                .map(changes)
                .collect::<Result<_, String>>()?,
        })
    }

    /// The part that it plays, as an answer to `list` says.
    fn part_in(&self, answer: &str) -> Part {
        let found = |pattern: &Pattern| pattern.regex().is_match(answer);
        match (found(&self.is_member), &self.is_learner) {
            (_, Some(is_learner)) if found(is_learner) => Part::Learner,
            (true, _) => Part::Voter,
            (false, _) => Part::Outside,
        }
    }
}

impl RequestedMembers {
    /// Those of this system, by these requests.
    pub fn new(
        requests: &MemberRequests,
        system: &System,
        entrance: Entrance,
    ) -> Result<Self, String> {
        let nodes = (0..system.nodes_count()).map(|at| Member::new(requests, system, at));
        Ok(RequestedMembers {
            nodes: nodes.collect::<Result<_, _>>()?,
            entrance,
        })
    }

    /// Asks the leader, then the others, until one says that it is done or the time is over.
    async fn ask(
        &self,
        node: &Member,
        part: Part,
        leader: Option<&str>,
        wait_ms: u64,
    ) -> Result<Value, String> {
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let first = self.nodes.iter().position(|at| Some(&*at.name) == leader);
        let order = (0..self.nodes.len()).cycle().skip(first.unwrap_or(0));
        let once = order.clone().take(self.nodes.len());
        let mut why = "there was no time to ask".to_owned();
        for asked in order {
            let left = deadline.saturating_duration_since(Instant::now());
            let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            if left_ms == 0 {
                break;
            }
            let changes = &node.changes[asked];
            let request = match part {
                Part::Voter => Some(&changes.add),
                Part::Outside => Some(&changes.remove),
                Part::Learner => changes.learner.as_ref(),
            };
            let request = request.ok_or(
                "its definition has no request `learner` (hint: `learner = false` in the schedule)",
            )?;
            let limit_ms = left_ms.min((wait_ms / ATTEMPTS_MIN).max(1));
            match request.clone().within(limit_ms).ask().await {
                Ok(_) => return self.shown(asked, node, part, deadline).await,
                Err(error) => why = format!("{error} (from {})", self.nodes[asked].name),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        // It may have come about all the same, or may yet.
        for asked in once {
            if let Ok(answer) = self.nodes[asked].list.ask().await {
                return Ok(self.report(asked, &answer, Some(why)));
            }
        }
        Err(why)
    }

    /// The members as the node reports them that made the change, once it has learnt of it itself.
    async fn shown(
        &self,
        asked: usize,
        node: &Member,
        part: Part,
        deadline: Instant,
    ) -> Result<Value, String> {
        loop {
            let answer = self.nodes[asked].list.ask().await;
            let is_shown = answer.as_ref().is_ok_and(|said| node.part_in(said) == part);
            if is_shown || Instant::now() >= deadline {
                return answer.map(|said| self.report(asked, &said, None));
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// What a node's answer to `list` says of every node; `why` nobody is known to have agreed.
    fn report(&self, asked: usize, answer: &str, why: Option<String>) -> Value {
        let named = |is: fn(Part) -> bool| {
            let nodes = self.nodes.iter().filter(|node| is(node.part_in(answer)));
            Value::List(nodes.map(|node| node.name.as_str().into()).collect())
        };
        let mut entries = vec![
            ("leader".into(), self.nodes[asked].name.as_str().into()),
            ("agreed".into(), why.is_none().into()),
            ("members".into(), named(|part| part != Part::Outside)),
            ("learners".into(), named(|part| part == Part::Learner)),
        ];
        entries.extend(why.map(|why| ("error".into(), why.as_str().into())));
        Value::Map(entries)
    }
}

impl Membership for RequestedMembers {
    fn change(
        &self,
        node: &str,
        part: Part,
        leader: Option<&str>,
        wait_ms: u64,
    ) -> Result<Value, TargetError> {
        let problem =
            |why: String| TargetError(format!("failed to change the part of {node}: {why}"));
        let known = self.nodes.iter().find(|known| known.name == node);
        let known = known.ok_or_else(|| problem("there is no such node".to_owned()))?;
        let asked = self.entrance.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            runtime.block_on(self.ask(known, part, leader, wait_ms))
        });
        asked
            .map_err(|error| problem(error.to_string()))?
            .map_err(problem)
    }
}
