//! The controller's own view of the cluster: who leads, as the nodes themselves say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use systems::{Roles, Standing};
use workloads::clients::Node;

use super::probe::Asker;
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
    /// How many nodes said at once, when they were last asked, that they lead.
    leading: u64,
}

/// A leader, with its term where the system has terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The node.
    pub node: Arc<str>,
    /// Its term.
    pub term: Option<u64>,
}

impl std::fmt::Display for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.term {
            Some(term) => write!(f, "{} (term {term})", self.node),
            None => write!(f, "{}", self.node),
        }
    }
}

impl View {
    /// A view in which this node leads, or none is known to.
    pub fn of(leader: Option<Leader>) -> Self {
        View(Arc::new(Mutex::new(Seen {
            leader,
            ..Seen::default()
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

    /// How many nodes said that they lead, when all were last asked: more than one where a leader
    /// does not know yet that it was deposed, or two were elected.
    pub fn leading(&self) -> u64 {
        self.seen().leading
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a newer leader; tells whether it is news. Without terms, another one is newer.
    fn update(&self, newest: &Leader) -> bool {
        let mut seen = self.seen();
        let news = seen
            .leader
            .as_ref()
            .is_none_or(|known| match (known.term, newest.term) {
                (Some(known), Some(newest)) => known < newest,
                _ => known.node != newest.node,
            });
        if news {
            seen.leader = Some(newest.clone());
            seen.changes += 1;
        }
        news
    }
}

/// The nodes, and how each is asked who leads.
pub struct Watch<'a> {
    /// The nodes.
    pub nodes: &'a [Node],
    /// How each is asked.
    pub(super) askers: &'a [RoleAsker],
}

/// How one node is asked who leads.
#[derive(Debug, Clone)]
pub(super) struct RoleAsker {
    /// The question.
    pub asker: Asker,
    /// What the answer says.
    pub roles: Roles,
}

impl Watch<'_> {
    /// Asks every node again and again, on the calling thread, until the run is over; `changed` is
    /// told of every new leader.
    pub fn watch(&self, view: &View, signal: &Signal, changed: &dyn Fn(&Leader)) {
        let Ok(runtime) = runtime() else {
            return;
        };
        while signal.phase() != Phase::Over {
            let answers = runtime.block_on(self.ask());
            let leading = answers.iter().flatten().filter(|standing| standing.leads);
            view.seen().leading = leading.count() as u64;
            if let Some(newest) = self.newest_leader(&answers, view)
                && view.update(&newest)
            {
                changed(&newest);
            }
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(POLL_MS)).await });
        }
    }

    /// Waits until a node leads whom a majority follows. Called before the run starts, where
    /// everything is quiet.
    ///
    /// # Errors
    /// What each node says, when that does not come about within the limit.
    pub fn await_leader(&self, limit_ms: u64) -> Result<Leader, String> {
        let runtime = runtime()?;
        let deadline = Instant::now() + Duration::from_millis(limit_ms);
        loop {
            let answers = runtime.block_on(self.ask());
            if let Some(leader) = self.newest_leader(&answers, &View::default())
                && self.is_followed(&leader, &answers)
            {
                return Ok(leader);
            }
            if Instant::now() >= deadline {
                let named = self.nodes.iter().zip(&answers);
                let told: Vec<String> = named
                    .map(|(node, answer)| format!("{} {}", node.name, told(answer)))
                    .collect();
                return Err(format!(
                    "no leader within {limit_ms} ms of the start: {} (hint: the nodes' logs are in \
                     the run folder)",
                    told.join(", ")
                ));
            }
            let pause = Duration::from_millis(POLL_MS / 4);
            runtime.block_on(async { tokio::time::sleep(pause).await });
        }
    }

    async fn ask(&self) -> Vec<Result<Standing, String>> {
        let asked = self.askers.iter().map(|one| async {
            let answer = one.asker.ask().await?;
            Ok(one.roles.judge(&answer))
        });
        futures_util::future::join_all(asked).await
    }

    /// Whether a majority of the nodes says of the leader what it says of itself.
    fn is_followed(&self, leader: &Leader, answers: &[Result<Standing, String>]) -> bool {
        if self.askers.iter().all(|one| one.roles.follows.is_none()) {
            return true;
        }
        let place = self.nodes.iter().position(|node| node.name == leader.node);
        let Some(Ok(own)) = place.map(|place| &answers[place]) else {
            return false;
        };
        let agrees = |answer: &&Result<Standing, String>| {
            let Ok(answer) = answer else { return false };
            answer.follows.is_some() && answer.follows == own.follows && answer.term == own.term
        };
        answers.iter().filter(agrees).count() > answers.len() / 2
    }

    /// Of the nodes that say they lead, the one of the highest term; without terms one that was not
    /// known to lead, since the one that was may not know better yet.
    fn newest_leader(&self, answers: &[Result<Standing, String>], view: &View) -> Option<Leader> {
        let known = view.leader().map(|leader| leader.node);
        let leads = |(node, answer): (&Node, &Result<Standing, String>)| {
            let standing = answer.as_ref().ok().filter(|standing| standing.leads)?;
            Some(Leader {
                node: node.name.clone(),
                term: standing.term,
            })
        };
        let leaders = self.nodes.iter().zip(answers).filter_map(leads);
        leaders.max_by_key(|leader| (leader.term, known.as_ref() != Some(&leader.node)))
    }
}

/// What a node says of itself, for people.
fn told(answer: &Result<Standing, String>) -> String {
    match answer {
        Err(why) => format!("does not answer ({why})"),
        Ok(standing) => {
            let leads = if standing.leads {
                "leads"
            } else {
                "does not lead"
            };
            let term = standing.term.map(|term| format!(" in term {term}"));
            let follows = standing.follows.as_ref();
            let follows = follows.map(|leader| format!(" and follows {leader}"));
            [
                leads.to_owned(),
                term.unwrap_or_default(),
                follows.unwrap_or_default(),
            ]
            .concat()
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("failed to start a runtime: {error}"))
}
