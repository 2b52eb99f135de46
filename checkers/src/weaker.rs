//! What still holds of a key that is not linearizable: the weaker guarantees.
//!
//! Those of one register come first. *The writes* are its value at the start, and every update
//! that completed or has an unknown outcome; a compare-and-set that swapped is a read and a write.
//! *The reads* are the completed ones. A process is the number as recorded: the client of an
//! operation of unknown outcome goes on under another number, and its new process owes nothing to
//! the old one. Write *a* is before write *b* in real time when *a* ended before *b* began.
//!
//! - **Sequential consistency** (Lamport 1979): one order of all operations (of those of unknown
//!   outcome any) explains every observation, in which each process' operations are in their order.
//!   Time between processes does not count.
//! - **Regular register** (Lamport 1986; with several writers as MWReg of Shao, Pierce and Welch
//!   2003): each read finds a write that it overlaps, or one that ended before it began and that no
//!   other such write comes after in real time.
//! - **Monotonic reads, read your writes, writes follow reads** (Terry and others 1994): there is
//!   one order of the writes, in keeping with real time, in which a process never reads an older
//!   write than it read before; never an older one than it wrote itself before; never writes
//!   an older one than it read before. Each for itself: the orders may differ. That a process'
//!   writes are in their order (monotonic writes) is so in every order in keeping with real time.
//!
//! All but sequential consistency also ask that a read finds what a write wrote that began before
//! the read ended.
//!
//! Where every value has one writer, reads name their writes, and all of it is decided in almost
//! linear time. Where values come back, what a read found may be open: such reads are left out, so
//! that what is broken is broken for certain, and what is not found broken is not decided. Only
//! the regular register and staleness, which take each read for itself, are always decided; and
//! sequential consistency is then searched for, within a limit.
//!
//! Of other objects sequential consistency is searched for by the steps of the model; and where updates
//! can be told in what is observed ([`Model::marks`]), some guarantees have definitions of their own
//! (`docs/guarantees.md`).

mod facts;
mod graph;
mod marks;
mod regular;
mod sequential;
mod sessions;

use std::collections::BTreeMap;

use histories::Operations;
use serde::{Serialize, Serializer};

use crate::limits::{Budget, Limits};
use crate::subject::{InRegisters, Subject};
use crate::words::amount;
use crate::{Cancel, Model};
use facts::Facts;
use marks::Marked;
use sequential::by_model;

/// How long it may take in all.
const TIME_MS_MAX: u64 = 2_000;

/// A guarantee weaker than linearizability, of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// One order for all that keeps the order of each process.
    SequentialConsistency,
    /// Each read finds the last write before it, or one that it overlaps.
    RegularRegister,
    /// Of two reads one always shows all that the other does.
    ComparableReads,
    /// No process reads older writes as it goes on.
    MonotonicReads,
    /// No process reads writes older than its own.
    ReadYourWrites,
    /// No process writes what is older than what it has read.
    WritesFollowReads,
}

impl Guarantee {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Guarantee::SequentialConsistency => "sequential consistency",
            Guarantee::RegularRegister => "regular register",
            Guarantee::ComparableReads => "comparable reads",
            Guarantee::MonotonicReads => "monotonic reads",
            Guarantee::ReadYourWrites => "read your writes",
            Guarantee::WritesFollowReads => "writes follow reads",
        }
    }
}

impl Serialize for Guarantee {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whether a guarantee holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It holds.
    Holds,
    /// It does not.
    Broken,
    /// Not known: the reason is beside it.
    Undecided,
}

/// What was found of one guarantee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub guarantee: Guarantee,
    /// Whether it holds.
    pub standing: Standing,
    /// Why not, or why that is not known.
    pub reason: Option<String>,
    /// The operations that show that it does not, by the indexes of their invocations. Of the
    /// guarantees of processes, and of the regular register, the first, a read counting from its end
    /// and a write from its beginning: where reads name their writes, it held until then.
    pub operations: Vec<u64>,
}

/// A read of a value that had been overwritten for certain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StaleRead {
    /// The index of its invocation.
    pub index: u64,
    /// The process.
    pub process: u64,
    /// The node that answered.
    pub node: Option<String>,
    /// How many writes began after the write that it found had ended, and ended before it began. Of
    /// several writes it may have found, the one that leaves the fewest.
    pub writes: u64,
    /// For how long, when it began, one such write had ended, in nanoseconds; `None` where the
    /// history has no times.
    pub behind_ns: Option<u64>,
}

/// The reads furthest behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staleness {
    /// By writes.
    pub by_writes: StaleRead,
    /// By time; `None` where the history has no times.
    pub by_time: Option<StaleRead>,
}

/// The weaker guarantees of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guarantees {
    /// Each that was looked at, the strongest first.
    pub findings: Vec<Finding>,
    /// How far reads were behind; `None` when none was.
    pub staleness: Option<Staleness>,
}

impl Guarantees {
    /// All of it in sentences, one a line.
    pub fn lines(&self) -> Vec<String> {
        let of = |standing| {
            self.findings
                .iter()
                .filter(move |finding| finding.standing == standing)
        };
        let holding: Vec<&str> = of(Standing::Holds)
            .map(|finding| finding.guarantee.as_str())
            .collect();
        let mut lines = vec![match holding.is_empty() {
            true => "of the weaker guarantees none is known to hold".to_owned(),
            false => format!("weaker guarantees that still hold: {}", holding.join(", ")),
        }];
        for (word, standing) in [
            ("broken", Standing::Broken),
            ("not decided", Standing::Undecided),
        ] {
            let mut left: Vec<&Finding> = of(standing).collect();
            while let Some(first) = left.first().copied() {
                // What breaks several is told once.
                let (alike, others): (Vec<&Finding>, Vec<&Finding>) =
                    left.into_iter().partition(|f| f.reason == first.reason);
                let names = alike.into_iter().map(|finding| finding.guarantee.as_str());
                let names: Vec<&str> = names.collect();
                let reason = first.reason.as_deref().unwrap_or("no reason is known");
                lines.push(format!("{word}: {}: {reason}", names.join(", ")));
                left = others;
            }
        }
        lines.extend(self.staleness.iter().flat_map(Staleness::lines));
        lines
    }
}

impl Staleness {
    fn lines(&self) -> Vec<String> {
        let first = &self.by_writes;
        let other = self
            .by_time
            .iter()
            .filter(|read| read.index != first.index)
            .map(|read| format!("the longest out of date was {}", read.describe()));
        let first = format!("the stalest read was {}", first.describe());
        std::iter::once(first).chain(other).collect()
    }
}

impl StaleRead {
    /// `3 writes and 38.2 ms behind (operation 1042 of process 7 on n2)`.
    fn describe(&self) -> String {
        let writes = amount(self.writes, "write");
        let time = self
            .behind_ns
            .map_or_else(String::new, |ns| format!(" and {:.1} ms", ns as f64 / 1e6));
        let node = self.node.iter().map(|node| format!(" on {node}"));
        format!(
            "{writes}{time} behind (operation {} of process {}{})",
            self.index,
            self.process,
            node.collect::<String>()
        )
    }
}

/// Finds out which guarantees a part keeps.
pub(crate) fn guarantees<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    subject: &Subject<M::Op>,
    limits: &Limits,
    cancel: &Cancel,
) -> Option<Guarantees> {
    let limits = Limits {
        time_ms: limits.time_ms.min(TIME_MS_MAX),
        ..*limits
    };
    let budget = Budget::new(&limits, cancel);
    // What was found out by looking ahead took for granted that the history is linearizable.
    let registers = subject.registers(model);
    let teller = Teller {
        model,
        operations,
        subject,
    };
    // A lock can be seen as a register, but nobody reads it.
    let is_read = match subject {
        Subject::Part(part) => {
            let mut ops = part.members.iter().map(|member| &member.op);
            ops.any(|op| model.observed(op).is_some())
        }
        Subject::Register(_) => true,
    };
    let tells = |seen: &InRegisters<'_>| !seen.looks_ahead && !seen.allows_more && is_read;
    let Some(InRegisters { history, .. }) = registers.filter(tells) else {
        return teller.of_marks(&budget);
    };
    // What a compare-and-set of the view finds is a read only where its caller has seen it.
    let has_seen = |member: u32| match subject {
        Subject::Part(part) => model.observed(&part.members[member as usize].op).is_some(),
        Subject::Register(_) => true,
    };
    let process = |member: u32| operations.packed(subject.source(member) as usize).process;
    let facts = Facts::new(&history, process, has_seen);
    let mut findings = vec![teller.tell(
        Guarantee::SequentialConsistency,
        sequential::check(&facts, &budget),
    )];
    let (regular, stale) = regular::check(&facts);
    findings.push(teller.tell(Guarantee::RegularRegister, regular));
    for guarantee in [
        Guarantee::MonotonicReads,
        Guarantee::ReadYourWrites,
        Guarantee::WritesFollowReads,
    ] {
        let answer = sessions::check(&facts, guarantee, &budget);
        findings.push(teller.tell(guarantee, answer));
    }
    Some(Guarantees {
        findings,
        staleness: teller.staleness(&stale),
    })
}

/// What a check found, operations by their numbers in the part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Holds,
    Broken(Cause),
    Undecided(String),
}

/// What breaks a guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// A read of a value that no write had written.
    FromNothing(u32),
    /// A read of a value that was overwritten.
    Overwritten(u32),
    /// It found another value where there can only be that one.
    NoOther(u32),
    /// Two operations of one process, in this order.
    Pair(u32, u32),
    /// An observation (the second) that does not show what the first found or left.
    Behind(u32, u32),
    /// Two compare-and-sets that found the value of one write.
    Fork(u32, u32),
    /// A compare-and-set whose value leads back to itself.
    Circle(u32),
    /// No one in particular.
    Somewhere,
}

/// Puts answers in words.
struct Teller<'a, M: Model> {
    model: &'a M,
    operations: &'a Operations<'a>,
    subject: &'a Subject<M::Op>,
}

impl<M: Model> Teller<'_, M> {
    /// The guarantees of what is no register: by the steps of the model, and by what can be told of
    /// updates in what is observed.
    fn of_marks(&self, budget: &Budget) -> Option<Guarantees> {
        let Subject::Part(part) = self.subject else {
            return None;
        };
        let mut times = vec![(0, None); part.members.len()];
        for (position, moment) in (0..).zip(&part.moments) {
            let (begins, ends) = &mut times[(moment >> 1) as usize];
            match moment & 1 {
                0 => *begins = position,
                _ => *ends = Some(position),
            }
        }
        let mut begun: Vec<u32> = (0..part.members.len() as u32).collect();
        begun.sort_by_key(|member| times[*member as usize].0);
        let mut processes: BTreeMap<u64, Vec<by_model::Call<'_, M::Op>>> = BTreeMap::new();
        let mut marked = Vec::new();
        for member in begun {
            let op = &part.members[member as usize].op;
            let process = self.packed(member).process;
            let (begins, ends) = times[member as usize];
            let calls = processes.entry(process).or_default();
            calls.push(by_model::Call { op, ends });
            marked.extend(self.model.marks(op).map(|(place, marks)| {
                let call = marks::Call {
                    process,
                    begins,
                    ends,
                    marks,
                };
                (member, place, call)
            }));
        }
        let marked = Marked::all(marked);
        let processes: Vec<_> = processes.into_values().collect();
        let initial = self.model.initial(part.key.as_ref());
        let mut findings = Vec::new();
        for guarantee in [
            Guarantee::ComparableReads,
            Guarantee::MonotonicReads,
            Guarantee::ReadYourWrites,
        ] {
            let answer = marks::check(&marked, guarantee, budget);
            findings.extend(answer.map(|answer| self.tell(guarantee, answer)));
        }
        let behind = marked.iter().map(|marked| marked.behind(budget));
        // Where not all of them are known, nobody knows the stalest.
        let behind = behind.collect::<Option<Vec<_>>>().unwrap_or_default();
        let stale: Vec<regular::Stale> = behind.into_iter().flatten().collect();
        // Last, for it may take all the time there is.
        let order = by_model::check(self.model, initial, &processes, budget);
        findings.insert(0, self.tell(Guarantee::SequentialConsistency, order));
        Some(Guarantees {
            findings,
            staleness: self.staleness(&stale),
        })
    }

    fn tell(&self, guarantee: Guarantee, answer: Answer) -> Finding {
        let (standing, reason, members) = match answer {
            Answer::Holds => (Standing::Holds, None, Vec::new()),
            Answer::Undecided(reason) => (Standing::Undecided, Some(reason), Vec::new()),
            Answer::Broken(cause) => {
                let (reason, members) = self.words(guarantee, cause);
                (Standing::Broken, Some(reason), members)
            }
        };
        Finding {
            guarantee,
            standing,
            reason,
            operations: members
                .into_iter()
                .map(|member| self.packed(member).invoked.index)
                .collect(),
        }
    }

    fn words(&self, guarantee: Guarantee, cause: Cause) -> (String, Vec<u32>) {
        match cause {
            Cause::FromNothing(read) => (
                format!(
                    "{} is of a value that nothing had written{}",
                    self.name(read),
                    match guarantee {
                        Guarantee::SequentialConsistency => "",
                        _ => " by then",
                    }
                ),
                vec![read],
            ),
            Cause::Overwritten(read) => (
                format!(
                    "{} is neither of a last write before it nor of one that it overlaps",
                    self.name(read)
                ),
                vec![read],
            ),
            Cause::NoOther(call) => (
                format!(
                    "{} can have found no other, neither of a last write before it nor of one \
                     that it overlaps",
                    self.name(call)
                ),
                vec![call],
            ),
            Cause::Pair(first, second) => {
                let (first_name, second_name) = (self.name(first), self.name(second));
                let words = match guarantee {
                    Guarantee::MonotonicReads => "is of an older write than, before it,",
                    Guarantee::ReadYourWrites => "is of an older write than its process' own,",
                    Guarantee::WritesFollowReads => "is older than what its process read before,",
                    _ => "would have to come before, of the same process,",
                };
                (
                    format!("{second_name} {words} {first_name}"),
                    vec![first, second],
                )
            }
            Cause::Behind(first, second) => {
                let (first_name, second_name) = (self.name(first), self.name(second));
                let words = match guarantee {
                    Guarantee::ComparableReads => {
                        "and, before it, each found what the other did not:"
                    }
                    Guarantee::MonotonicReads => {
                        "does not show all that, before it, its process found:"
                    }
                    _ => "does not show, of its own process,",
                };
                let words = format!("{second_name} {words} {first_name}");
                (words, vec![first, second])
            }
            Cause::Fork(first, second) => (
                format!(
                    "{} and {} found the value of one write",
                    self.name(first),
                    self.name(second)
                ),
                vec![first, second],
            ),
            Cause::Circle(cas) => (
                format!(
                    "{} found a value that could only come from itself",
                    self.name(cas)
                ),
                vec![cas],
            ),
            Cause::Somewhere => (
                "no such order explains the operations".to_owned(),
                Vec::new(),
            ),
        }
    }

    /// `the read of 5 by process 7 (operation 1042)`.
    fn name(&self, member: u32) -> String {
        let source = self.subject.source(member) as usize;
        let operation = self.operations.get(source);
        let what = match self.model.parse(&operation) {
            Ok(Some(op)) => self.model.describe(&op),
            Ok(None) | Err(_) => operation.f.to_string(),
        };
        format!(
            "the {what} by process {} (operation {})",
            operation.process, operation.invoked.index
        )
    }

    fn packed(&self, member: u32) -> histories::PackedOperation {
        let source = self.subject.source(member);
        self.operations.packed(source as usize)
    }

    fn staleness(&self, stale: &[regular::Stale]) -> Option<Staleness> {
        let has_times = (0..self.subject.operations() as u32).any(|member| {
            let invoked = self.packed(member).invoked;
            invoked.time_ns != invoked.index
        });
        let behind_ns = |stale: &regular::Stale| {
            let began = self.packed(stale.read).invoked.time_ns;
            let ended = self.packed(stale.overwriter).ended;
            began.saturating_sub(ended.map_or(began, |ended| ended.time_ns))
        };
        let read = |stale: &regular::Stale| {
            let source = self.subject.source(stale.read) as usize;
            let operation = self.operations.get(source);
            StaleRead {
                index: operation.invoked.index,
                process: operation.process,
                node: operation.node.as_deref().map(str::to_owned),
                writes: stale.writes,
                behind_ns: has_times.then(|| behind_ns(stale)),
            }
        };
        // Of equals the first.
        let first = |stale: &regular::Stale| std::cmp::Reverse(stale.read);
        let by_writes = stale
            .iter()
            .max_by_key(|stale| (stale.writes, behind_ns(stale), first(stale)))?;
        let by_time = stale
            .iter()
            .filter(|_| has_times)
            .max_by_key(|stale| (behind_ns(stale), first(stale)));
        Some(Staleness {
            by_writes: read(by_writes),
            by_time: by_time.map(read),
        })
    }
}

#[cfg(test)]
mod tests;
