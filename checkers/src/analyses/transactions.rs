//! Transactions of reads and writes of several keys: are they as isolated as they should be?
//!
//! What reads found says who wrote before whom. For lists that are appended to, the longest read of
//! a key is the order of its elements; for registers, a transaction that read a value and wrote
//! another says that this one came later, and nothing came before the first. From that follow the
//! dependencies between transactions (Adya, "Weak Consistency", 1999): `ww`, one overwrote what the
//! other wrote; `wr`, one read it; `rw`, one overwrote what the other read; and in real time, one
//! ended before the other began. A circle of them, or a read of what was never to be seen, is an
//! anomaly, and each consistency model forbids some of them. Under snapshot isolation nobody
//! overwrites what they have not seen, so that whoever read and wrote a key was wholly before those
//! that overwrote what it read: in a `G-single` or `G-nonadjacent` such an `rw` counts as a `ww`.
//!
//! | anomaly | what it is | forbidden from |
//! |---|---|---|
//! | `G0` | a circle of `ww` | read-uncommitted |
//! | `unwritten`, `duplicate-elements` | a read of what nobody wrote, or of an element twice | read-uncommitted |
//! | `G1a` | a read of what an aborted transaction wrote | read-committed |
//! | `G1b` | a read of what a transaction overwrote itself | read-committed |
//! | `G1c` | a circle of `ww` and `wr` | read-committed |
//! | `future-read` | a read of what the transaction itself wrote only later | read-committed |
//! | `incompatible-order` | two reads of a key of which neither is the beginning of the other; or one without what the writer of an element had appended before it | read-committed |
//! | `cyclic-versions` | values of a register that each came after the other | read-committed |
//! | `internal` | a read that does not fit its own transaction | snapshot-isolation, repeatable-read |
//! | `lost-update` | two that read one value of a key and both wrote another | snapshot-isolation, repeatable-read |
//! | `G-single` | a circle with one `rw` | snapshot-isolation, repeatable-read |
//! | `G-nonadjacent` | a circle with several `rw`, none after another | snapshot-isolation, repeatable-read |
//! | `G2-item` | any other circle | repeatable-read, serializable |
//! | `…-realtime` | a circle that has order in real time in it | strict-serializable |
//!
//! In real time, a register was also overwritten by whoever wrote it and began after what was read had
//! been written.
//!
//! A transaction of unknown outcome of which anything was read took effect, and all of it did.
//! Nothing here is guessed: a dependency that does not follow from what was read is left out. So an
//! anomaly is certain, and their absence says that none can be shown.

mod cycles;
mod graph;
mod parse;
mod versions;

use std::fmt;
use std::str::FromStr;

use histories::{Operation, Value};

use super::tally::Tally;
use super::{AnalysisContext, name_of};
use crate::Check;
use crate::limits::Budget;
use cycles::Cycle;
use graph::{Dependency, Graph};
use parse::Txn;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objects {
    /// Lists that are appended to.
    Lists,
    /// Registers that are overwritten.
    Registers,
}

/// What transactions must be, at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consistency {
    /// Writes of transactions do not interleave.
    ReadUncommitted,
    /// And nothing is read but what was committed.
    ReadCommitted,
    /// And each reads from one state of everything, and none overwrites what it has not seen.
    SnapshotIsolation,
    /// And what was read stays so; here the same as serializable, as whole keys are read.
    RepeatableRead,
    /// As if one ran after the other.
    Serializable,
    /// And that order agrees with real time.
    #[default]
    StrictSerializable,
}

/// A name that no consistency model of transactions has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no consistency model of transactions is named {name:?} (known: {})",
    Consistency::ALL.map(Consistency::as_str).join(", ")
)]
pub struct UnknownConsistency {
    /// The name asked for.
    pub name: String,
}

impl Consistency {
    /// All of them.
    pub const ALL: [Consistency; 6] = [
        Consistency::ReadUncommitted,
        Consistency::ReadCommitted,
        Consistency::SnapshotIsolation,
        Consistency::RepeatableRead,
        Consistency::Serializable,
        Consistency::StrictSerializable,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Consistency::ReadUncommitted => "read-uncommitted",
            Consistency::ReadCommitted => "read-committed",
            Consistency::SnapshotIsolation => "snapshot-isolation",
            Consistency::RepeatableRead => "repeatable-read",
            Consistency::Serializable => "serializable",
            Consistency::StrictSerializable => "strict-serializable",
        }
    }

    /// Whether an anomaly of this kind must not be.
    fn forbids(self, anomaly: &str) -> bool {
        use Consistency::{
            ReadCommitted, ReadUncommitted, RepeatableRead, Serializable, SnapshotIsolation,
            StrictSerializable,
        };
        match anomaly {
            "G0" | "unwritten" | "duplicate-elements" => self >= ReadUncommitted,
            "G1a" | "G1b" | "G1c" | "future-read" | "incompatible-order" | "cyclic-versions" => {
                self >= ReadCommitted
            }
            "internal" | "lost-update" | "G-single" | "G-nonadjacent" => self >= SnapshotIsolation,
            "G2-item" => matches!(self, RepeatableRead | Serializable | StrictSerializable),
            _ => self == StrictSerializable,
        }
    }
}

impl FromStr for Consistency {
    type Err = UnknownConsistency;

    fn from_str(name: &str) -> Result<Self, UnknownConsistency> {
        let found = Consistency::ALL
            .into_iter()
            .find(|one| one.as_str() == name);
        found.ok_or_else(|| UnknownConsistency {
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

const COUNTS: [&str; 6] = [
    "transactions",
    "acknowledged",
    "aborted",
    "of unknown outcome",
    "reads",
    "strange",
];

/// Judges `txn`, by what must not be under this model.
pub(super) fn check(
    operations: &[Operation],
    objects: Objects,
    context: &AnalysisContext<'_>,
) -> Check {
    let name = match objects {
        Objects::Lists => "list-append",
        Objects::Registers => "rw-register",
    };
    let mut report = Report {
        tally: Tally::new(name, &COUNTS),
        wanted: match context.consistency {
            [] => vec![Consistency::default()],
            models => models.to_vec(),
        },
        shown: Vec::new(),
    };
    let txns = parse::txns(operations, objects, &mut report.tally);
    if report.tally.count("reads") == 0 {
        report
            .tally
            .unknown("no acknowledged transaction read anything");
    }
    let versions = match objects {
        Objects::Lists => versions::of_lists(&txns, &mut report),
        Objects::Registers => versions::of_registers(&txns, &mut report),
    };
    let graph = Graph::new(&txns, &versions, objects);
    let budget = Budget::new(context.limits, context.cancel);
    let (cycles, is_complete) = cycles::find(&graph, &budget);
    for cycle in &cycles {
        report.cycle(&txns, cycle);
    }
    // What was found is certain, whatever else there may be.
    if !is_complete && !report.has_violation() {
        report
            .tally
            .unknown("a limit was reached before every circle of dependencies was classified");
    }
    report.finish()
}

/// What was found, held against what is wanted.
struct Report {
    tally: Tally,
    wanted: Vec<Consistency>,
    /// The kinds of anomalies there are.
    shown: Vec<&'static str>,
}

impl Report {
    fn anomaly(
        &mut self,
        kind: &'static str,
        key: &Value,
        text: impl FnOnce() -> String,
        shown_by: &[&Operation],
    ) {
        if !self.shown.contains(&kind) {
            self.shown.push(kind);
        }
        match self.forbids(kind) {
            true => self.tally.violation(kind, key, text, shown_by),
            false => self.tally.oddity(kind, key, text, shown_by),
        }
    }

    fn forbids(&self, kind: &str) -> bool {
        self.wanted.iter().any(|model| model.forbids(kind))
    }

    fn has_violation(&self) -> bool {
        self.shown.iter().any(|kind| self.forbids(kind))
    }

    fn cycle(&mut self, txns: &[Txn<'_>], cycle: &Cycle<'_>) {
        let operations: Vec<&Operation> = cycle
            .edges
            .iter()
            .map(|(from, _)| txns[*from as usize].operation)
            .collect();
        let sentence = |(place, (_, edge)): (usize, &(u32, graph::Edge<'_>))| {
            let from = name_of(operations[place]);
            let to = name_of(operations[(place + 1) % operations.len()]);
            match (edge.dependency, edge.about) {
                (Dependency::Ww, Some((key, value))) => {
                    format!("{from} wrote key {key} before {to} wrote {value} there")
                }
                (Dependency::Wr, Some((key, value))) => {
                    format!("{to} read {value} of key {key}, which {from} wrote")
                }
                (Dependency::Update, Some((key, value))) => {
                    format!("{from} read and wrote key {key} before {to} wrote {value} there")
                }
                (Dependency::Overtaken, Some((key, value))) => format!(
                    "{from} read of key {key} what had been written before {to} began and wrote \
                     {value} there"
                ),
                (Dependency::Rw, Some((key, value))) => {
                    format!("{from} read key {key} before {to} wrote {value} there")
                }
                (_, _) => format!("{from} ended before {to} began"),
            }
        };
        let text = || {
            let sentences: Vec<String> = cycle.edges.iter().enumerate().map(sentence).collect();
            sentences.join("; ")
        };
        self.anomaly(cycle.kind, &Value::Nil, text, &operations);
    }

    fn finish(self) -> Check {
        let holds = |model: &Consistency| !self.shown.iter().any(|kind| model.forbids(kind));
        let (kept, broken): (Vec<Consistency>, Vec<Consistency>) =
            Consistency::ALL.into_iter().partition(holds);
        let list = |models: &[Consistency]| {
            let names: Vec<&str> = models.iter().map(|model| model.as_str()).collect();
            names.join(", ")
        };
        let found = match (&kept[..], &broken[..]) {
            (_, []) => "nothing contradicts any model".to_owned(),
            ([], _) => "every model is contradicted".to_owned(),
            _ => format!(
                "nothing contradicts {}; contradicted: {}",
                list(&kept),
                list(&broken)
            ),
        };
        let line = format!("held against {}; {found}", list(&self.wanted));
        let mut check = self.tally.finish();
        check.details.push(line);
        check
    }
}

#[cfg(test)]
mod tests;
