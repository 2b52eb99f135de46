//! What clients do, and whether what they saw can be explained.
//!
//! Every change adds a token of its own to the text under a key, by append or by compare-and-set.
//! So a read tells exactly which changes were in effect, and in which order: all reads must be
//! prefixes of one another, grow with time, and have every acknowledged token exactly once.

use std::collections::HashMap;

use raft_kv::kv::{Command, Outcome, Request, RequestNumber};
use raft_kv::raft::Chance;
use raft_kv::replica::{Answer, Call};

pub const KEYS: u64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Open,
    Ok,
    /// A compare-and-set found another value.
    Never,
}

#[derive(Debug, Clone)]
pub struct Operation {
    key: String,
    /// The token it adds; none for a read.
    adds: Option<String>,
    pub call: Call,
    invoked: u64,
    completed: u64,
    fate: Fate,
    /// What a read saw.
    saw: String,
}

#[derive(Debug, Default)]
pub struct Client {
    number: u64,
    requests: u64,
    /// What it last saw under each key.
    seen: HashMap<String, String>,
    pub attempts: u32,
    /// The call under way, by token.
    pub token: Option<u64>,
    pub target: usize,
    pub operation: Option<Operation>,
}

impl Client {
    pub fn new(number: u64) -> Client {
        Client {
            number,
            ..Client::default()
        }
    }

    pub fn next_operation(&mut self, chance: &mut Chance, now: u64) {
        let key = format!("k{}", chance.below(KEYS));
        self.requests += 1;
        self.attempts = 0;
        let token = format!("{}.{};", self.number, self.requests);
        let session = Some(RequestNumber {
            session: self.number,
            number: self.requests,
        });
        let change = |command| Call::Change(Request { session, command });
        let (adds, call) = match chance.below(10) {
            0..4 => (None, Call::Get(key.clone())),
            4..8 => {
                let value = token.clone();
                (
                    Some(token),
                    change(Command::Append {
                        key: key.clone(),
                        value,
                    }),
                )
            }
            _ => {
                let old = self.seen.get(&key).cloned();
                let new = old.clone().unwrap_or_default() + &token;
                (
                    Some(token),
                    change(Command::Cas {
                        key: key.clone(),
                        old,
                        new,
                    }),
                )
            }
        };
        self.operation = Some(Operation::new(key, adds, call, now));
    }

    pub fn read(&mut self, key: u64, now: u64) {
        let key = format!("k{key}");
        self.attempts = 0;
        self.operation = Some(Operation::new(key.clone(), None, Call::Get(key), now));
    }

    /// Ends the operation under way.
    pub fn complete(&mut self, answer: Option<Answer>, now: u64) -> Option<Operation> {
        self.token = None;
        let mut operation = self.operation.take()?;
        operation.fate = match answer {
            None | Some(Answer::Outcome(Outcome::Superseded)) => Fate::Open,
            Some(Answer::Outcome(Outcome::Swapped(false))) => Fate::Never,
            Some(Answer::Value(value)) => {
                if let Some(value) = &value {
                    self.seen.insert(operation.key.clone(), value.clone());
                }
                operation.saw = value.unwrap_or_default();
                Fate::Ok
            }
            Some(_) => Fate::Ok,
        };
        operation.completed = now;
        Some(operation)
    }
}

impl Operation {
    fn new(key: String, adds: Option<String>, call: Call, invoked: u64) -> Operation {
        let (completed, fate, saw) = (u64::MAX, Fate::Open, String::new());
        Operation {
            key,
            adds,
            call,
            invoked,
            completed,
            fate,
            saw,
        }
    }

    pub fn is_acknowledged(&self) -> bool {
        self.fate == Fate::Ok
    }
}

/// Whether a correct store could have given these answers.
pub fn check_history(history: &[Operation]) -> Result<(), String> {
    (0..KEYS).try_for_each(|key| {
        let key = format!("k{key}");
        check_key(
            &history
                .iter()
                .filter(|operation| operation.key == key)
                .collect::<Vec<_>>(),
        )
    })
}

fn check_key(history: &[&Operation]) -> Result<(), String> {
    let acknowledged = |operation: &&&Operation| operation.fate == Fate::Ok;
    let mut reads: Vec<&&Operation> = history
        .iter()
        .filter(|operation| operation.adds.is_none())
        .filter(acknowledged)
        .collect();
    reads.sort_by_key(|read| read.invoked);
    let longest = reads
        .iter()
        .map(|read| read.saw.as_str())
        .max_by_key(|saw| saw.len());
    let longest = longest.unwrap_or_default();
    if let Some(read) = reads.iter().find(|read| !longest.starts_with(&read.saw)) {
        return Err(format!(
            "reads contradict each other: {read:?} and {longest}"
        ));
    }
    let mut ends = HashMap::new();
    let mut end = 0;
    for token in longest.split_inclusive(';') {
        end += token.len();
        if ends.insert(token, end).is_some() {
            return Err(format!("{token} took effect twice: {longest}"));
        }
    }
    check_reads_grow(&reads)?;
    for change in history {
        let Some(token) = &change.adds else { continue };
        let end = ends.get(token.as_str()).copied();
        check_change(change, end, &reads, longest)?;
    }
    check_order(history, &ends)
}

/// A read that begins after another has ended sees at least as much.
fn check_reads_grow(reads: &[&&Operation]) -> Result<(), String> {
    let mut by_end: Vec<&&&Operation> = reads.iter().collect();
    by_end.sort_by_key(|read| read.completed);
    let (mut ended, mut most) = (by_end.into_iter().peekable(), 0);
    for read in reads {
        while let Some(before) = ended.next_if(|before| before.completed < read.invoked) {
            most = most.max(before.saw.len());
        }
        if read.saw.len() < most {
            return Err(format!("stale read: {read:?}"));
        }
    }
    Ok(())
}

fn check_change(
    change: &Operation,
    end: Option<usize>,
    reads: &[&&Operation],
    longest: &str,
) -> Result<(), String> {
    if change.fate == Fate::Never && end.is_some() {
        return Err(format!("took effect though it was refused: {change:?}"));
    }
    for read in reads {
        let seen = end.is_some_and(|end| end <= read.saw.len());
        if change.fate == Fate::Ok && change.completed < read.invoked && !seen {
            return Err(format!(
                "lost or not seen: {change:?} by {read:?}, ever read {longest}"
            ));
        }
        if seen && read.completed < change.invoked {
            return Err(format!(
                "seen before it was asked for: {change:?} by {read:?}"
            ));
        }
    }
    Ok(())
}

/// A change that begins after another has ended takes effect behind it.
fn check_order(history: &[&Operation], ends: &HashMap<&str, usize>) -> Result<(), String> {
    let end_of = |change: &Operation| change.adds.as_ref().and_then(|token| ends.get(&**token));
    let mut changes: Vec<(&&Operation, usize)> = history
        .iter()
        .filter_map(|change| Some((change, *end_of(change)?)))
        .collect();
    changes.sort_by_key(|(change, _)| change.invoked);
    let mut by_end = changes.clone();
    by_end.sort_by_key(|(change, _)| change.completed);
    let (mut ended, mut furthest) = (by_end.into_iter().peekable(), 0);
    for (change, end) in changes {
        while let Some((_, before)) = ended.next_if(|(before, _)| before.completed < change.invoked)
        {
            furthest = furthest.max(before);
        }
        if end < furthest {
            return Err(format!("out of order: {change:?}"));
        }
    }
    Ok(())
}
