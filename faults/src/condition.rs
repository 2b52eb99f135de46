//! What a fault may wait for: something observed while the run goes on.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Name;

/// Something that comes about in a run. In a plan: `"leader elected"`, `"3 leaders elected"`, `"n1
/// leads"`, `"2 nodes lead"`, `"1000 ok writes"`, `"500 ok reads"`, `"2000 ok operations"`, `"fault
/// 2 injected"`, `"fault 2 healed"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Condition {
    /// So many changes of leader were seen.
    Leaders(u64),
    /// This node is the newest leader known.
    Leads(Name),
    /// So many nodes say at once that they lead.
    Leading(u64),
    /// So many updates took effect.
    Writes(u64),
    /// So many reads were answered.
    Reads(u64),
    /// So many operations, of any sort, were answered.
    Operations(u64),
    /// The fault of this number was injected.
    Injected(u64),
    /// The fault of this number was injected and healed.
    Healed(u64),
}

impl Condition {
    /// The number of the fault that it is about, if it is about one.
    pub fn fault(&self) -> Option<u64> {
        match self {
            Condition::Injected(id) | Condition::Healed(id) => Some(*id),
            _ => None,
        }
    }

    /// The node that it is about, if it is about one.
    pub fn node(&self) -> Option<&Name> {
        match self {
            Condition::Leads(node) => Some(node),
            _ => None,
        }
    }
}

/// A text that is no [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is nothing to wait for (hint: known: \"leader elected\", \"3 leaders elected\", \"n1 leads\", \"2 \
     nodes lead\", \"1000 ok writes\", \"1000 ok reads\", \"1000 ok operations\", \"fault 2 \
     injected\", \"fault 2 healed\")"
)]
pub struct UnknownCondition(String);

impl FromStr for Condition {
    type Err = UnknownCondition;

    fn from_str(text: &str) -> Result<Self, UnknownCondition> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.parse::<u64>().ok().filter(|number| *number > 0);
        let condition = match words[..] {
            ["leader", "elected"] => Some(Condition::Leaders(1)),
            [count, "leader" | "leaders", "elected"] => number(count).map(Condition::Leaders),
            [node, "leads"] => Some(Condition::Leads(node.into())),
            [count, "nodes", "lead"] => number(count).map(Condition::Leading),
            [count, "ok", "write" | "writes"] => number(count).map(Condition::Writes),
            [count, "ok", "read" | "reads"] => number(count).map(Condition::Reads),
            [count, "ok", "operation" | "operations"] => number(count).map(Condition::Operations),
            ["fault", id, "injected"] => number(id).map(Condition::Injected),
            ["fault", id, "healed"] => number(id).map(Condition::Healed),
            _ => None,
        };
        condition.ok_or_else(|| UnknownCondition(text.to_owned()))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Leaders(1) => f.write_str("leader elected"),
            Condition::Leaders(count) => write!(f, "{count} leaders elected"),
            Condition::Leads(node) => write!(f, "{node} leads"),
            Condition::Leading(count) => write!(f, "{count} nodes lead"),
            Condition::Writes(count) => write!(f, "{count} ok writes"),
            Condition::Reads(count) => write!(f, "{count} ok reads"),
            Condition::Operations(count) => write!(f, "{count} ok operations"),
            Condition::Injected(id) => write!(f, "fault {id} injected"),
            Condition::Healed(id) => write!(f, "fault {id} healed"),
        }
    }
}

impl TryFrom<String> for Condition {
    type Error = UnknownCondition;

    fn try_from(text: String) -> Result<Self, UnknownCondition> {
        text.parse()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> String {
        condition.to_string()
    }
}

/// What has been seen of a run so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Changes of leader since the start; the leader at the start is none.
    pub leaders: u64,
    /// The newest leader known.
    pub leader: Option<Name>,
    /// How many nodes say that they lead.
    pub leading: u64,
    /// Updates that took effect.
    pub ok_writes: u64,
    /// Reads that were answered.
    pub ok_reads: u64,
    /// The faults injected so far.
    pub injected: BTreeSet<u64>,
    /// The faults healed so far.
    pub healed: BTreeSet<u64>,
}

/// Conditions that must come about one after the other: each counts from when the one before it
/// was met, the first from the start.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    left: &'a [Condition],
    since: Observed,
}

impl<'a> Waiting<'a> {
    /// For these, in this order, from the start of the run on.
    pub fn new(conditions: &'a [Condition]) -> Self {
        Waiting::since(conditions, Observed::default())
    }

    /// For these, in this order, from when this had been seen on.
    pub fn since(conditions: &'a [Condition], since: Observed) -> Self {
        Waiting {
            left: conditions,
            since,
        }
    }

    /// Takes in what has been seen by now; tells whether everything waited for has come.
    pub fn look(&mut self, now: &Observed) -> bool {
        while let Some((next, rest)) = self.left.split_first() {
            let since = &self.since;
            let reads = now.ok_reads.saturating_sub(since.ok_reads);
            let writes = now.ok_writes.saturating_sub(since.ok_writes);
            let met = match next {
                Condition::Leaders(count) => now.leaders.saturating_sub(since.leaders) >= *count,
                Condition::Leads(node) => now.leader.as_ref() == Some(node),
                Condition::Leading(count) => now.leading >= *count,
                Condition::Writes(count) => writes >= *count,
                Condition::Reads(count) => reads >= *count,
                Condition::Operations(count) => reads.saturating_add(writes) >= *count,
                Condition::Injected(id) => now.injected.contains(id),
                Condition::Healed(id) => now.healed.contains(id),
            };
            if !met {
                return false;
            }
            self.left = rest;
            self.since = now.clone();
        }
        true
    }

    /// Whether there is nothing to wait for any more.
    pub fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// What is waited for at this moment.
    pub fn next(&self) -> Option<&'a Condition> {
        self.left.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_they_are_written() {
        for text in [
            "leader elected",
            "2 leaders elected",
            "n1 leads",
            "2 nodes lead",
            "1000 ok writes",
            "1 ok reads",
            "7 ok operations",
            "fault 3 injected",
            "fault 3 healed",
        ] {
            let condition: Condition = text.parse().expect(text);
            assert_eq!(condition.to_string(), text);
        }
        for wrong in [
            "",
            "leader",
            "0 ok writes",
            "ok writes",
            "fault healed",
            "x ok reads",
            "leads",
            "0 nodes lead",
        ] {
            let error = wrong.parse::<Condition>().expect_err(wrong);
            assert!(
                error
                    .to_string()
                    .contains("hint: known: \"leader elected\"")
            );
        }
    }

    /// The conditions, then what is seen step by step, and at which step all have come.
    fn check(conditions: &[&str], seen: &[(u64, u64, u64, &[u64])], met_at: Option<usize>) {
        let conditions: Vec<Condition> = conditions
            .iter()
            .map(|text| text.parse().expect("a condition"))
            .collect();
        let mut waiting = Waiting::new(&conditions);
        let found = seen.iter().position(|(leaders, writes, reads, healed)| {
            waiting.look(&Observed {
                leaders: *leaders,
                leader: Some(format!("n{leaders}").into()),
                leading: *reads,
                ok_writes: *writes,
                ok_reads: *reads,
                injected: BTreeSet::new(),
                healed: healed.iter().copied().collect(),
            })
        });
        assert_eq!(found, met_at, "{conditions:?}");
    }

    #[test]
    fn each_condition_counts_from_the_one_before() {
        check(&[], &[(0, 0, 0, &[])], Some(0));
        check(
            &["10 ok writes"],
            &[(0, 9, 99, &[]), (0, 10, 99, &[])],
            Some(1),
        );
        check(
            &["10 ok reads"],
            &[(0, 99, 9, &[]), (0, 99, 11, &[])],
            Some(1),
        );
        check(
            &["10 ok operations"],
            &[(0, 5, 4, &[]), (0, 5, 5, &[])],
            Some(1),
        );
        check(
            &["leader elected", "10 ok writes"],
            &[
                (0, 50, 0, &[]),
                (1, 60, 0, &[]),
                (1, 69, 0, &[]),
                (1, 70, 0, &[]),
            ],
            Some(3),
        );
        // Who leads counts as it is, since when does not matter.
        check(
            &["10 ok writes", "n2 leads"],
            &[(2, 9, 0, &[]), (1, 10, 0, &[]), (2, 10, 0, &[])],
            Some(2),
        );
        check(
            &["10 ok writes", "n2 leads"],
            &[(2, 9, 0, &[]), (2, 10, 0, &[])],
            Some(1),
        );
        check(
            &["10 ok writes", "2 nodes lead"],
            &[(0, 9, 2, &[]), (0, 10, 1, &[]), (0, 10, 2, &[])],
            Some(2),
        );
        check(
            &["fault 2 healed", "leader elected"],
            &[(3, 0, 0, &[]), (3, 0, 0, &[2]), (4, 0, 0, &[2])],
            Some(2),
        );
        check(
            &["leader elected", "leader elected"],
            &[(1, 0, 0, &[]), (1, 0, 0, &[])],
            None,
        );
    }
}
