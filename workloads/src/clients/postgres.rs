//! The client of PostgreSQL: a primary, and replicas that stream from it.
//!
//! | data | operation | statements |
//! |---|---|---|
//! | register, kv | `read`, `get` | `SELECT` |
//! | | `write`, `put` | `INSERT … ON CONFLICT DO UPDATE` |
//! | | `cas` | `UPDATE … WHERE` the value is the expected one; `INSERT … ON CONFLICT DO NOTHING` for nil |
//! | kv | `delete`, `append` | `DELETE`, an upsert that concatenates |
//! | list, counter | `append`, `add` | an upsert that concatenates, or adds |
//! | set | `add`, `read` | `INSERT … ON CONFLICT DO NOTHING`, `SELECT` |
//! | bank | `transfer` | one transaction, serializable: look at the account, move the amount, `COMMIT` |
//! | | `read` | `SELECT` of all accounts: one snapshot |
//!
//! Changes go to the primary; reads too, or with [`PostgresOptions::read_replicas`] to the client's
//! own node, whatever that is. Nothing is ever sent twice, also what PostgreSQL asks to be tried
//! again (40001): that is for the generator to decide.
//!
//! What came of an operation: an error that the server answers has rolled the transaction back, so
//! it certainly did nothing, but for a few that say they do not know. A connection that is lost
//! before `COMMIT` was sent has done nothing either. Once `COMMIT` was sent, or the one statement
//! that is a transaction of its own, only an answer tells; a session that the server ends (FATAL)
//! may have been committed.

mod session;
mod statements;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use histories::Value;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::clients::route::{FAIL_PAUSE_MS, Route};
use crate::clients::{Class, Data, Node};
use crate::{Client, Completion, Invocation};
use session::Session;

/// How a client of PostgreSQL behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresOptions {
    /// What the keys hold: the workload's business.
    #[serde(skip)]
    pub data: Data,
    /// How long an operation may take before its outcome is unknown, in milliseconds: the plan's
    /// business.
    #[serde(skip)]
    pub timeout_ms: u64,
    /// The user.
    pub user: String,
    /// The user's password, where the server asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// Whether reads go to the client's own node, which may be a replica.
    pub read_replicas: bool,
    /// How transfers between accounts are isolated.
    pub isolation: Isolation,
    /// How long the client waits before it returns after an operation that failed, in milliseconds.
    pub fail_pause_ms: u64,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions {
            data: Data::default(),
            timeout_ms: 1_000,
            user: "postgres".to_owned(),
            password: None,
            database: "postgres".to_owned(),
            read_replicas: false,
            isolation: Isolation::default(),
            fail_pause_ms: FAIL_PAUSE_MS,
        }
    }
}

/// How transactions of several statements are isolated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// As if they were done one after another.
    #[default]
    Serializable,
    /// Snapshot isolation, which is what PostgreSQL calls so. Transfers look only at what they
    /// change, so here it comes to the same, at fewer refusals.
    RepeatableRead,
}

impl Isolation {
    /// The statement that begins such a transaction.
    fn begin(self) -> &'static str {
        match self {
            Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Isolation::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        }
    }
}

/// A client of PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
    route: Route,
    /// The session with each node, where there is one.
    sessions: Vec<Option<Session>>,
    /// The place of the node taken for the primary.
    primary: usize,
}

impl Postgres {
    /// Client number `client` of the run with this seed, for the cluster of these nodes.
    pub fn new(seed: u64, client: u32, nodes: Arc<[Node]>, options: PostgresOptions) -> Self {
        Postgres {
            sessions: nodes.iter().map(|_| None).collect(),
            route: Route::new(seed, client, nodes, options.fail_pause_ms),
            options,
            primary: 0,
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let is_read = matches!(&*invocation.f, "read" | "get");
        let at_home = is_read && self.options.read_replicas;
        let place = match at_home {
            true => self.route.home(),
            false => self.primary,
        };
        let Some(node) = self.route.nodes().get(place).cloned() else {
            return self.route.refuse("no nodes".to_owned()).await;
        };
        let until = Instant::now() + Duration::from_millis(self.options.timeout_ms);
        let kept = self.sessions[place].take().filter(Session::is_open);
        let opened = match kept {
            Some(session) => Ok(session),
            None => Session::open(node.address, &self.options, until).await,
        };
        let mut class = match opened {
            Err(why) => Class::NotDone(why),
            Ok(session) if session.is_replica && !at_home => {
                // It may be the primary one day: the next session will tell.
                Class::NotDone("it is a replica".to_owned())
            }
            Ok(mut session) => {
                let (data, isolation) = (self.options.data, self.options.isolation);
                let done =
                    statements::perform(&mut session, data, isolation, invocation, until).await;
                // Only a session whose every answer came is used again.
                self.sessions[place] = Some(session).filter(Session::is_idle);
                done.map_or_else(|class| class, Class::Done)
            }
        };
        if is_read {
            class = class.of_a_read();
        }
        if !at_home && !matches!(class, Class::Done(_)) && self.sessions[place].is_none() {
            self.primary = (place + 1) % self.sessions.len();
        }
        self.route.complete(place, class).await
    }
}

impl Client for Postgres {
    fn open(&mut self, _process: u64) {
        self.sessions.fill_with(|| None);
    }

    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>> {
        Box::pin(self.operate(invocation))
    }
}

/// Why an operation ends early.
type Step<T> = Result<T, Class>;

/// The number and the balance of every account of a bank that nobody touched.
const ACCOUNTS: std::ops::Range<i64> = 0..8;
const BALANCE: i64 = 10;

/// The balances of a bank: those found, and what the others hold.
fn balances(found: &[(i64, i64)]) -> Value {
    let balance = |account: i64| {
        let found = found.iter().find(|(other, _)| *other == account);
        found.map_or(BALANCE, |(_, balance)| *balance)
    };
    let entries = ACCOUNTS.map(|account| (account.into(), balance(account).into()));
    Value::Map(entries.collect())
}
