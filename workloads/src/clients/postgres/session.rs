//! A session with one node, and what its errors mean.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::{PostgresOptions, Step};
use crate::clients::Class;

/// The tables, made where they are missing. Under a lock: two sessions that make a table at once
/// are in each other's way even so.
const TABLES: &str = "BEGIN;
SELECT pg_advisory_xact_lock(77120841);
CREATE TABLE IF NOT EXISTS ww_text (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS ww_number (key text PRIMARY KEY, value bigint NOT NULL);
CREATE TABLE IF NOT EXISTS ww_element (key text, element text, PRIMARY KEY (key, element));
CREATE TABLE IF NOT EXISTS ww_account (bank text, account bigint, balance bigint NOT NULL,
  PRIMARY KEY (bank, account));
COMMIT";

/// Parameters of a statement.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    /// Moves its bytes.
    mover: JoinHandle<()>,
    /// Whether the node was a replica when the session began.
    pub is_replica: bool,
    /// Whether an answer is still to come, or may be, or a transaction is open.
    is_busy: bool,
}

impl Session {
    /// Begins a session with the node at this address, and makes the tables if it is the primary.
    ///
    /// # Errors
    /// Why there is none. Nothing was asked of the data.
    pub async fn open(
        address: SocketAddr,
        options: &PostgresOptions,
        until: Instant,
    ) -> Result<Session, String> {
        let opening = timeout_at(until, Self::open_in_time(address, options));
        opening
            .await
            .unwrap_or_else(|_| Err("no session in time".to_owned()))
    }

    async fn open_in_time(
        address: SocketAddr,
        options: &PostgresOptions,
    ) -> Result<Session, String> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| format!("cannot connect: {error}"))?;
        let mut config = Config::new();
        config
            .user(&options.user)
            .dbname(&options.database)
            .application_name("whitewater");
        if let Some(password) = &options.password {
            config.password(password);
        }
        let refused = |error| format!("no session: {}", describe(&error));
        let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(refused)?;
        let mover = tokio::spawn(async move { drop(connection.await) });
        // From here on the mover ends with it.
        let mut session = Session {
            client,
            mover,
            is_replica: false,
            is_busy: false,
        };
        let row = session
            .client
            .query_one("SELECT pg_is_in_recovery()", &[])
            .await;
        session.is_replica = row.and_then(|row| row.try_get(0)).map_err(refused)?;
        if !session.is_replica {
            let made = session.client.batch_execute(TABLES).await;
            made.map_err(|error| format!("no tables: {}", describe(&error)))?;
        }
        Ok(session)
    }

    /// Whether the connection is still open.
    pub fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Whether every answer came, so that it can be used again.
    pub fn is_idle(&self) -> bool {
        !self.is_busy && self.is_open()
    }

    /// Does a statement that is a transaction of its own; how many rows it changed.
    pub async fn execute(
        &mut self,
        statement: &str,
        parameters: Parameters<'_>,
        until: Instant,
    ) -> Step<u64> {
        self.is_busy = true;
        let done = timeout_at(until, self.client.execute(statement, parameters)).await;
        self.answered(done).map_err(|error| error.of_a_commit())
    }

    /// Reads, by a statement that is a transaction of its own.
    pub async fn query(
        &mut self,
        statement: &str,
        parameters: Parameters<'_>,
        until: Instant,
    ) -> Step<Vec<Row>> {
        self.is_busy = true;
        let done = timeout_at(until, self.client.query(statement, parameters)).await;
        self.answered(done).map_err(|error| error.of_no_commit())
    }

    /// Begins a transaction, or ends one that has changed nothing that is to stay.
    pub async fn control(&mut self, statement: &str, until: Instant) -> Step<()> {
        self.is_busy = true;
        let done = timeout_at(until, self.client.batch_execute(statement)).await;
        self.answered(done).map_err(|error| error.of_no_commit())
    }

    /// Commits the transaction.
    pub async fn commit(&mut self, until: Instant) -> Step<()> {
        self.is_busy = true;
        let done = timeout_at(until, self.client.batch_execute("COMMIT")).await;
        self.answered(done).map_err(|error| error.of_a_commit())
    }

    /// Does a statement inside a transaction.
    pub async fn execute_inside(
        &mut self,
        statement: &str,
        parameters: Parameters<'_>,
        until: Instant,
    ) -> Step<u64> {
        self.is_busy = true;
        let done = timeout_at(until, self.client.execute(statement, parameters)).await;
        self.answered(done).map_err(|error| error.of_no_commit())
    }

    fn answered<T>(
        &mut self,
        done: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, Trouble> {
        match done {
            Err(_) => Err(Trouble::Lost("no answer in time".to_owned())),
            Ok(Err(error)) => match error.as_db_error() {
                Some(refusal) => {
                    self.is_busy = false;
                    Err(Trouble::Refused(Refusal::of(refusal)))
                }
                None => Err(Trouble::Lost(describe(&error))),
            },
            Ok(Ok(done)) => {
                self.is_busy = false;
                Ok(done)
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.mover.abort();
    }
}

/// Why a statement has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server answered with an error.
    Refused(Refusal),
    /// It was sent, perhaps in part, and no answer came.
    Lost(String),
}

/// An error that the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The SQLSTATE.
    pub state: String,
    /// Whether it ended the session with it.
    pub is_fatal: bool,
    pub message: String,
}

/// States by which the server says that it does not know, or that something broke inside: classes,
/// by their first letters.
const UNKNOWN_STATES: [&str; 6] = ["08", "40003", "58", "F0", "XX", "57P0"];

impl Refusal {
    fn of(error: &DbError) -> Self {
        let is_error = error.parsed_severity() == Some(Severity::Error);
        Refusal {
            state: error.code().code().to_owned(),
            is_fatal: !is_error,
            message: error.message().to_owned(),
        }
    }

    fn told(&self) -> String {
        format!("{} ({})", self.message, self.state)
    }
}

impl Trouble {
    /// What is known of a transaction that the statement was to commit.
    pub fn of_a_commit(self) -> Class {
        match self {
            Trouble::Lost(why) => Class::Unknown(why),
            Trouble::Refused(refusal) => {
                let is_unknown = UNKNOWN_STATES
                    .iter()
                    .any(|class| refusal.state.starts_with(class));
                match is_unknown || refusal.is_fatal {
                    // What waits for a replica is committed already when the session is ended.
                    true => Class::Unknown(refusal.told()),
                    false => Class::NotDone(refusal.told()),
                }
            }
        }
    }

    /// The same of a statement before that: without `COMMIT` nothing stays.
    pub fn of_no_commit(self) -> Class {
        match self {
            Trouble::Lost(why) => Class::NotDone(format!("{why} (before the commit)")),
            Trouble::Refused(refusal) => Class::NotDone(refusal.told()),
        }
    }
}

/// An error with its causes: its own text often says only that something went wrong.
fn describe(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_certain_unless_the_server_does_not_know_or_ends_the_session() {
        let refusal = |state: &str, is_fatal| {
            Trouble::Refused(Refusal {
                state: state.to_owned(),
                is_fatal,
                message: "no".to_owned(),
            })
        };
        for state in [
            "40001", "40P01", "23505", "25006", "42P01", "22003", "57014", "53100", "55P03",
        ] {
            let expected = Class::NotDone(format!("no ({state})"));
            assert_eq!(refusal(state, false).of_a_commit(), expected);
            let expected = Class::Unknown(format!("no ({state})"));
            assert_eq!(refusal(state, true).of_a_commit(), expected);
        }
        for state in [
            "40003", "08007", "08006", "XX000", "58030", "57P01", "57P02",
        ] {
            let expected = Class::Unknown(format!("no ({state})"));
            assert_eq!(refusal(state, false).of_a_commit(), expected);
            let expected = Class::NotDone(format!("no ({state})"));
            assert_eq!(refusal(state, true).of_no_commit(), expected);
        }
        let lost = || Trouble::Lost("gone".to_owned());
        assert_eq!(lost().of_a_commit(), Class::Unknown("gone".to_owned()));
        assert!(matches!(lost().of_no_commit(), Class::NotDone(_)));
    }
}
