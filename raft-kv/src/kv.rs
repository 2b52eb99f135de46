//! The replicated state: a map from keys to text, and the table of client sessions that makes a
//! retried request take effect once (dissertation, section 6.3).
//!
//! Applying is a pure function of the state and the entry, so every replica gets the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bugs::{Bug, Bugs};

/// How many sessions are remembered; beyond it the least recently used one, by log order, goes.
pub const SESSIONS_MAX: usize = 10_000;
/// How long a session is remembered that is not used, by the log's time. A client must not repeat
/// a request after as long.
pub const SESSION_EXPIRES_MS: u64 = 3_600_000;

/// What a client wants changed, and under which session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Repeats of the same number in the same session take effect once.
    pub session: Option<RequestNumber>,
    /// The change.
    pub command: Command,
}

/// A client's session and the number, rising within the session, of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestNumber {
    /// The session.
    pub session: u64,
    /// The request within the session.
    pub number: u64,
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Sets the value.
    Put {
        /// Which key.
        key: String,
        /// The new value.
        value: String,
    },
    /// Puts the value behind the one that is there; a missing key counts as empty.
    Append {
        /// Which key.
        key: String,
        /// What to add.
        value: String,
    },
    /// Sets the value if the key now has the old one.
    Cas {
        /// Which key.
        key: String,
        /// The value expected; `None` expects the key to be missing.
        old: Option<String>,
        /// The value to set.
        new: String,
    },
    /// Removes the key.
    Delete {
        /// Which key.
        key: String,
    },
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A put or append took effect.
    Done,
    /// A compare-and-set found the old value, or did not.
    Swapped(bool),
    /// A deleted key was there, or was not.
    Existed(bool),
    /// The session has had a later request; what came of this one is no longer known.
    Superseded,
}

/// The replicated state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kv {
    values: BTreeMap<String, String>,
    sessions: BTreeMap<u64, Session>,
    /// Session by the index of the entry that used it last: the order in which they go.
    sessions_by_use: BTreeMap<u64, u64>,
    /// When each value was written, which only a bug asks.
    written_ms: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    number: u64,
    outcome: Outcome,
    used_at_index: u64,
    used_at_ms: u64,
}

impl Session {
    fn is_expired(&self, time_ms: u64) -> bool {
        time_ms.saturating_sub(self.used_at_ms) >= SESSION_EXPIRES_MS
    }
}

/// The state as a snapshot holds it.
#[derive(Serialize, Deserialize)]
struct Image {
    values: BTreeMap<String, String>,
    sessions: BTreeMap<u64, Session>,
    written_ms: BTreeMap<String, u64>,
}

/// Where in the log a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The index of its entry.
    pub index: u64,
    /// The entry's time, in milliseconds.
    pub time_ms: u64,
}

impl Kv {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Applies the request in the log entry at this place.
    pub fn apply(&mut self, place: Place, request: &Request, bugs: Bugs) -> Outcome {
        self.expire_sessions(place.time_ms);
        let Some(RequestNumber { session, number }) = request.session else {
            return self.execute(&request.command, place.time_ms, bugs);
        };
        // Bug: without a look into the table, a request that was applied but whose reply was lost
        // is applied again when the client repeats it.
        if !bugs.has(Bug::ApplyTwiceOnRetry)
            && let Some(known) = self.sessions.get(&session)
            && !known.is_expired(place.time_ms)
            && number <= known.number
        {
            let same = number == known.number;
            let outcome = if same {
                known.outcome
            } else {
                Outcome::Superseded
            };
            self.touch(session, place);
            return outcome;
        }
        let outcome = self.execute(&request.command, place.time_ms, bugs);
        self.remember(session, number, outcome, place);
        outcome
    }

    /// Does what the command says, whoever asked for it and how often.
    pub(crate) fn execute(&mut self, command: &Command, time_ms: u64, bugs: Bugs) -> Outcome {
        // Bug: a write that was given an earlier time of day than the last is taken for older.
        if bugs.has(Bug::LastWriteWinsClock)
            && let Command::Put { key, .. } | Command::Append { key, .. } = command
        {
            let written_ms = self.written_ms.entry(key.clone()).or_default();
            if time_ms < *written_ms {
                return Outcome::Done;
            }
            *written_ms = time_ms;
        }
        match command {
            Command::Put { key, value } => {
                self.values.insert(key.clone(), value.clone());
                Outcome::Done
            }
            Command::Append { key, value } => {
                self.values.entry(key.clone()).or_default().push_str(value);
                Outcome::Done
            }
            Command::Cas { key, old, new } => {
                // Bug: it was compared when it was proposed.
                let swapped = self.get(key) == old.as_deref() || bugs.has(Bug::CasAtPropose);
                if swapped {
                    self.values.insert(key.clone(), new.clone());
                }
                Outcome::Swapped(swapped)
            }
            Command::Delete { key } => Outcome::Existed(self.values.remove(key).is_some()),
        }
    }

    fn expire_sessions(&mut self, time_ms: u64) {
        while let Some((&index, &session)) = self.sessions_by_use.first_key_value() {
            let known = self.sessions.get(&session);
            if known.is_some_and(|known| !known.is_expired(time_ms)) {
                break;
            }
            self.sessions_by_use.remove(&index);
            self.sessions.remove(&session);
        }
    }

    fn remember(&mut self, session: u64, number: u64, outcome: Outcome, place: Place) {
        let index = place.index;
        let fresh = Session {
            number,
            outcome,
            used_at_index: index,
            used_at_ms: place.time_ms,
        };
        if let Some(before) = self.sessions.insert(session, fresh) {
            self.sessions_by_use.remove(&before.used_at_index);
        }
        self.sessions_by_use.insert(index, session);
        while self.sessions.len() > SESSIONS_MAX {
            let Some((_, oldest)) = self.sessions_by_use.pop_first() else {
                break;
            };
            self.sessions.remove(&oldest);
        }
    }

    fn touch(&mut self, session: u64, Place { index, time_ms }: Place) {
        if let Some(known) = self.sessions.get_mut(&session) {
            self.sessions_by_use.remove(&known.used_at_index);
            known.used_at_index = index;
            known.used_at_ms = time_ms;
            self.sessions_by_use.insert(index, session);
        }
    }

    /// The whole state as bytes.
    ///
    /// # Errors
    /// When the state cannot be encoded.
    pub fn to_bytes(&self, bugs: Bugs) -> Result<Vec<u8>, postcard::Error> {
        let mut sessions = self.sessions.clone();
        // Bug: a node that starts from this snapshot, or is sent it, no longer knows which
        // requests it has already applied.
        if bugs.has(Bug::SnapshotForgetsSessions) {
            sessions.clear();
        }
        postcard::to_stdvec(&Image {
            values: self.values.clone(),
            sessions,
            written_ms: self.written_ms.clone(),
        })
    }

    /// The state that these bytes hold.
    ///
    /// # Errors
    /// When the bytes are not the image of a state.
    pub fn from_bytes(bytes: &[u8]) -> Result<Kv, postcard::Error> {
        let Image {
            values,
            sessions,
            written_ms,
        } = postcard::from_bytes(bytes)?;
        let by_use = sessions
            .iter()
            .map(|(&id, session)| (session.used_at_index, id))
            .collect();
        Ok(Kv {
            values,
            sessions,
            sessions_by_use: by_use,
            written_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(session: u64, number: u64) -> Request {
        let session = Some(RequestNumber { session, number });
        let command = Command::Append {
            key: "k".into(),
            value: format!("{number};"),
        };
        Request { session, command }
    }

    fn at(index: u64) -> Place {
        let time_ms = index;
        Place { index, time_ms }
    }

    fn apply_all(requests: &[Request], bugs: Bugs) -> (Kv, Vec<Outcome>) {
        let mut kv = Kv::default();
        let outcomes = (1..)
            .zip(requests)
            .map(|(index, request)| kv.apply(at(index), request, bugs))
            .collect();
        (kv, outcomes)
    }

    #[test]
    fn a_repeated_request_takes_effect_once_and_gets_the_first_answer() {
        let cas = |number| Request {
            session: Some(RequestNumber { session: 1, number }),
            command: Command::Cas {
                key: "k".into(),
                old: None,
                new: "x".into(),
            },
        };
        let (kv, outcomes) = apply_all(&[cas(1), cas(1), cas(2)], Bugs::default());
        let expected = [
            Outcome::Swapped(true),
            Outcome::Swapped(true),
            Outcome::Swapped(false),
        ];
        assert_eq!((kv.get("k"), &outcomes[..]), (Some("x"), &expected[..]));
    }

    #[test]
    fn an_older_number_is_superseded_and_other_sessions_are_not() {
        let requests = [append(1, 2), append(1, 1), append(2, 1)];
        let (kv, outcomes) = apply_all(&requests, Bugs::default());
        assert_eq!(
            outcomes,
            [Outcome::Done, Outcome::Superseded, Outcome::Done]
        );
        assert_eq!(kv.get("k"), Some("2;1;"));
    }

    #[test]
    fn the_retry_bug_applies_twice() {
        let bugs = Bugs::from_iter([Bug::ApplyTwiceOnRetry]);
        assert_eq!(
            apply_all(&[append(1, 1), append(1, 1)], bugs).0.get("k"),
            Some("1;1;")
        );
    }

    #[test]
    fn commands_do_what_they_say() {
        let mut kv = Kv::default();
        let mut run = |command| kv.execute(&command, 0, Bugs::default());
        let key = || "k".to_owned();
        assert_eq!(run(Command::Delete { key: key() }), Outcome::Existed(false));
        assert_eq!(
            run(Command::Append {
                key: key(),
                value: "a".into()
            }),
            Outcome::Done
        );
        let cas = |old: Option<&str>| Command::Cas {
            key: key(),
            old: old.map(str::to_owned),
            new: "b".into(),
        };
        assert_eq!(run(cas(None)), Outcome::Swapped(false));
        assert_eq!(run(cas(Some("a"))), Outcome::Swapped(true));
        assert_eq!(run(cas(Some("a"))), Outcome::Swapped(false));
        assert_eq!(run(Command::Delete { key: key() }), Outcome::Existed(true));
        assert_eq!(run(cas(None)), Outcome::Swapped(true));
        assert_eq!(kv.get("k"), Some("b"));
    }

    #[test]
    fn an_image_restores_the_same_state_and_the_bug_drops_the_sessions() {
        let (kv, _) = apply_all(&[append(1, 1), append(2, 7)], Bugs::default());
        let image = kv.to_bytes(Bugs::default()).unwrap();
        assert_eq!(Kv::from_bytes(&image).unwrap(), kv);
        let bugs = Bugs::from_iter([Bug::SnapshotForgetsSessions]);
        let mut amnesiac = Kv::from_bytes(&kv.to_bytes(bugs).unwrap()).unwrap();
        assert_eq!(
            amnesiac.apply(at(3), &append(2, 7), Bugs::default()),
            Outcome::Done
        );
        assert_eq!(amnesiac.get("k"), Some("1;7;7;"));
        assert!(Kv::from_bytes(&image[..image.len() - 1]).is_err());
    }

    #[test]
    fn the_least_recently_used_session_goes_first() {
        let mut kv = Kv::default();
        let last = SESSIONS_MAX as u64;
        for session in 0..last {
            kv.apply(at(session + 1), &append(session, 1), Bugs::default());
        }
        // Session 0 is used again, by a repeat; the next new session pushes out session 1.
        kv.apply(at(last + 1), &append(0, 1), Bugs::default());
        kv.apply(at(last + 2), &append(last, 1), Bugs::default());
        assert!(kv.sessions.contains_key(&0) && !kv.sessions.contains_key(&1));
        assert_eq!(
            (kv.sessions.len(), kv.sessions_by_use.len()),
            (SESSIONS_MAX, SESSIONS_MAX)
        );
    }

    #[test]
    fn a_session_unused_for_long_enough_by_the_time_of_the_log_is_forgotten() {
        let mut kv = Kv::default();
        let mut apply_at = |time_ms, request| {
            let index = kv
                .sessions_by_use
                .last_key_value()
                .map_or(1, |last| last.0 + 1);
            let place = Place { index, time_ms };
            kv.apply(place, &request, Bugs::default());
            kv.get("k").map(str::len)
        };
        assert_eq!(apply_at(0, append(1, 1)), Some(2));
        assert_eq!(apply_at(SESSION_EXPIRES_MS - 1, append(1, 1)), Some(2));
        assert_eq!(apply_at(2 * SESSION_EXPIRES_MS - 2, append(1, 1)), Some(2));
        assert_eq!(apply_at(3 * SESSION_EXPIRES_MS - 2, append(1, 1)), Some(4));
    }
}
