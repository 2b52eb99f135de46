//! Every guarantee against its definition, tried out in full on small histories.

mod definitions;
mod marks;

use histories::{History, Operation};
use rayon::prelude::*;
use seeds::Stream;

use definitions::{Op, by_process, is_sequential, keeps_session, regular_by_definition};

use super::facts::Facts;
use super::graph::{Closing, Edge, first_closing};
use super::{Answer, Cause, Guarantee, Guarantees, Standing, regular, sequential, sessions};
use crate::limits::Budget;
use crate::oracle::Interval;
use crate::registers::{Access, RegisterHistory};
use crate::testing::{chance, operations};
use crate::{Cancel, Limits, ModelKind, ModelOptions, linearizability};

const VALUES: u32 = 4;

fn facts(history: &[Op]) -> (RegisterHistory, Facts) {
    let intervals: Vec<Interval<Access<u32>>> = history
        .iter()
        .map(|op| Interval {
            op: op.access,
            begins: op.begins,
            ends: op.ends,
        })
        .collect();
    let (register, sources) = RegisterHistory::from_intervals(&intervals, VALUES);
    let process = |call: u32| history[sources[call as usize] as usize].process as u64;
    let facts = Facts::new(&register, process, |_| true);
    (register, facts)
}

fn budget() -> Budget {
    Budget::new(&Limits::default(), &Cancel::new())
}

/// What a test counts, so that it cannot pass by never getting anywhere.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    holds: [u64; 5],
    broken: [u64; 5],
    undecided: [u64; 5],
}

const SESSIONS: [Guarantee; 3] = [
    Guarantee::MonotonicReads,
    Guarantee::ReadYourWrites,
    Guarantee::WritesFollowReads,
];

/// Holds every answer against the definition.
fn compare(history: &[Op], seen: &mut Seen) {
    let (_, facts) = facts(history);
    let truth = is_sequential(&mut by_process(history), 0);
    let answer = sequential::check(&facts, &budget());
    agree(&answer, truth, 0, history, seen);
    assert!(!matches!(answer, Answer::Undecided(_)), "{history:#?}");

    let (answer, stale) = regular::check(&facts);
    let (truth, writes, longest) = regular_by_definition(history);
    agree(&answer, truth, 1, history, seen);
    let most = stale.iter().map(|stale| stale.writes).max().unwrap_or(0);
    assert_eq!(most, writes, "{history:#?}");
    // Positions in the register's history are as dense as times here.
    let position = |call: u32| facts.calls[call as usize];
    let longest_found = stale
        .iter()
        .map(|stale| u64::from(position(stale.read).begins - position(stale.overwriter).ends))
        .max();
    assert_eq!(longest_found, longest, "{history:#?}");

    for (place, guarantee) in (2..).zip(SESSIONS) {
        let truth = keeps_session(history, guarantee);
        let answer = sessions::check(&facts, guarantee, &budget());
        agree(&answer, truth, place, history, seen);
        let since = |call: u32| facts.calls[call as usize];
        let since = match answer {
            Answer::Broken(Cause::Pair(first, write))
                if guarantee == Guarantee::WritesFollowReads && first != write =>
            {
                since(write).begins
            }
            Answer::Broken(Cause::FromNothing(last) | Cause::Pair(_, last)) => since(last).ends,
            _ => continue,
        };
        if !has_values_twice(history) {
            let before = ended_before(history, u64::from(since - 1));
            assert!(
                keeps_session(&before, guarantee),
                "{guarantee:?} {history:#?}"
            );
        }
    }
}

/// What had happened, and what was known of it, just before a moment.
fn ended_before(history: &[Op], moment: u64) -> Vec<Op> {
    let begun = history.iter().filter(|op| op.begins < moment);
    let seen = begun.filter(|op| op.left().is_some() || op.ends.is_some_and(|end| end < moment));
    seen.map(|op| Op {
        ends: op.ends.filter(|end| *end < moment),
        ..*op
    })
    .collect()
}

fn agree(answer: &Answer, truth: bool, place: usize, history: &[Op], seen: &mut Seen) {
    match answer {
        Answer::Holds => {
            seen.holds[place] += 1;
            assert!(truth, "{place}: {history:#?}");
        }
        Answer::Broken(_) => {
            seen.broken[place] += 1;
            assert!(!truth, "{place}: {answer:?} {history:#?}");
        }
        Answer::Undecided(_) => {
            seen.undecided[place] += 1;
            assert!(has_values_twice(history), "{place}: {history:#?}");
        }
    }
}

/// Whether some value was written twice, or is that of the start too.
fn has_values_twice(history: &[Op]) -> bool {
    let mut values: Vec<u32> = history.iter().filter_map(Op::left).collect();
    values.push(0);
    values.sort_unstable();
    values.windows(2).any(|pair| pair[0] == pair[1])
}

/// All ways in which the events of two processes with two operations each can follow each other.
fn interleavings() -> Vec<Vec<usize>> {
    (0_u32..1 << 8)
        .filter(|events| events.count_ones() == 4)
        .map(|events| (0..8).map(|at| (events >> at & 1) as usize).collect())
        .collect()
}

fn two_by_two(events: &[usize], accesses: [Access<u32>; 4]) -> Vec<Op> {
    let mut history: Vec<Op> = Vec::new();
    let mut begun = [0, 0];
    for (time, &process) in (0..).zip(events) {
        if begun[process] % 2 == 0 {
            history.push(Op {
                process,
                access: accesses[2 * process + begun[process] / 2],
                begins: time,
                ends: None,
            });
        } else {
            let mut ops = history.iter_mut().rev();
            ops.find(|op| op.process == process).unwrap().ends = Some(time);
        }
        begun[process] += 1;
    }
    history
}

#[test]
fn two_processes_with_two_operations_each_in_full() {
    let accesses = [
        Access::Read(0),
        Access::Read(1),
        Access::Read(2),
        Access::Write(1),
        Access::Write(2),
        Access::Cas(1, 2),
    ];
    let all = interleavings();
    let count = accesses.len();
    let seen: Vec<Seen> = (0..count.pow(4))
        .into_par_iter()
        .map(|mut number| {
            let mut seen = Seen::default();
            let chosen = [(); 4].map(|()| {
                let access = accesses[number % count];
                number /= count;
                access
            });
            // By symmetry the first process' first operation comes first.
            for events in all.iter().filter(|events| events[0] == 0) {
                compare(&two_by_two(events, chosen), &mut seen);
            }
            seen
        })
        .collect();
    assert_all_seen(&seen, 1_000);
}

#[track_caller]
fn assert_all_seen(seen: &[Seen], at_least: u64) {
    let count = |of: fn(&Seen) -> [u64; 5], place: usize| -> u64 {
        seen.iter().map(|seen| of(seen)[place]).sum()
    };
    for place in 0..5 {
        let holds = count(|seen| seen.holds, place);
        let broken = count(|seen| seen.broken, place);
        let undecided = count(|seen| seen.undecided, place);
        assert!(
            holds >= at_least && broken >= at_least,
            "{place}: {holds} {broken}"
        );
        assert_eq!(undecided > 0, place > 1, "{place}: {undecided}");
    }
}

/// Processes with some operations each by chance, the last of each perhaps of unknown outcome.
fn by_chance(chance: &mut Stream, processes: usize, each: usize) -> Vec<Op> {
    let unique = chance.chance(1, 2);
    let mut written = 0;
    let mut history: Vec<Op> = Vec::new();
    let mut open: Vec<Option<usize>> = vec![None; processes];
    let mut left = vec![each; processes];
    let mut time = 0;
    while open.iter().any(Option::is_some) || left.iter().any(|left| *left > 0) {
        let process = chance.below(processes as u64) as usize;
        match open[process] {
            Some(op) => {
                let is_last = left[process] == 0 && history[op].left().is_some();
                if !(is_last && chance.chance(1, 2)) {
                    history[op].ends = Some(time);
                    time += 1;
                }
                open[process] = None;
            }
            None if left[process] > 0 => {
                let value = |chance: &mut Stream| chance.below(u64::from(VALUES)) as u32;
                let new = match unique && written + 1 < VALUES {
                    true => written + 1,
                    false => value(chance),
                };
                let access = match chance.below(8) {
                    0 => Access::Cas(value(chance), new),
                    1 => Access::Not(value(chance)),
                    2..=4 if !unique || written + 1 < VALUES => Access::Write(new),
                    _ => Access::Read(value(chance)),
                };
                written += u32::from(matches!(access, Access::Cas(..) | Access::Write(_)));
                history.push(Op {
                    process,
                    access,
                    begins: time,
                    ends: None,
                });
                open[process] = Some(history.len() - 1);
                left[process] -= 1;
                time += 1;
            }
            None => {}
        }
    }
    history
}

#[test]
fn histories_by_chance() {
    let seen: Vec<Seen> = (0..6_000_u64)
        .into_par_iter()
        .map(|seed| {
            let mut seen = Seen::default();
            let mut chance = chance(seed);
            let (processes, each) = [(2, 3), (3, 2), (2, 2), (4, 1)][chance.below(4) as usize];
            compare(&by_chance(&mut chance, processes, each), &mut seen);
            seen
        })
        .collect();
    assert_all_seen(&seen, 300);
}

fn judged(row: &str) -> Guarantees {
    let mut operations: Vec<Operation> = operations(row);
    for operation in &mut operations {
        operation.node = Some(format!("n{}", operation.process).into());
    }
    let history = History::from_operations(&operations);
    let options = ModelOptions {
        initial: Some(histories::Value::Int(0)),
        ..ModelOptions::new(ModelKind::CasRegister)
    };
    let judgement = linearizability(
        &history.operations(),
        &options,
        &Limits::default(),
        &Cancel::new(),
    );
    let found = judgement.unwrap().counterexample.unwrap();
    found.guarantees.unwrap()
}

/// As `S` (sequential consistency), `R` (regular register), `m` (monotonic reads), `y` (read your
/// writes), `f` (writes follow reads) where it holds, `-` where it is broken, `?` where that is not
/// known.
fn short(found: &Guarantees) -> String {
    let letters = "SRmyf".chars();
    letters
        .zip(&found.findings)
        .map(|(letter, finding)| match finding.standing {
            Standing::Holds => letter,
            Standing::Broken => '-',
            Standing::Undecided => '?',
        })
        .collect()
}

#[test]
fn what_each_kind_of_violation_leaves() {
    for (name, row, left, says) in [
        (
            "a stale read of another process",
            "0 w 1 0 1; 0 w 2 2 3; 1 r 1 40 41",
            "S-myf",
            "the stalest read was 1 write and 37.0 ms behind (operation 40 of process 1 on n1)",
        ),
        (
            "a stale read after a fresh one",
            "0 w 1 0 1; 0 w 2 2 3; 1 r 2 4 5; 1 r 1 6 7",
            "---yf",
            "broken: monotonic reads: the read of 1 by process 1 (operation 6) is of an older \
             write than, before it, the read of 2 by process 1 (operation 4)",
        ),
        (
            "a stale read of one's own",
            "0 w 1 0 1; 0 w 2 2 3; 0 r 1 4 5",
            "--m-f",
            "broken: read your writes: the read of 1 by process 0 (operation 4) is of an older \
             write than its process' own, the write of 2 by process 0 (operation 2)",
        ),
        (
            "a lost update",
            "0 c 0:1 0 5; 1 c 0:2 1 6",
            "-Rmyf",
            "broken: sequential consistency: the cas from 0 to 1 by process 0 (operation 0) and \
             the cas from 0 to 2 by process 1 (operation 1) found the value of one write",
        ),
        (
            "a client that stays with an old leader",
            "0 w 1 0 1; 1 w 2 2 3; 0 r 1 4 5; 1 r 2 6 7; 0 r 1 8 9; 1 r 2 10 11",
            "S-myf",
            "the stalest read was 1 write and 5.0 ms behind (operation 8 of process 0 on n0)",
        ),
        (
            "split brain",
            "0 w 1 0 1; 1 w 2 2 3; 2 r 2 4 5; 2 r 1 6 7; 3 r 1 8 9; 3 r 2 10 11",
            "---yf",
            "the stalest read was 1 write and 5.0 ms behind (operation 8 of process 3 on n3)",
        ),
        (
            "new and old, by turns",
            "0 w 1 0 9; 1 w 2 1 8; 2 r 1 2 3; 2 r 2 4 5; 2 r 1 6 7; 2 r 2 10 11",
            "-R-yf",
            "broken: monotonic reads: the read of 1 by process 2 (operation 6) is of an older",
        ),
        (
            "a read of nothing",
            "0 w 1 0 1; 1 r 7 2 3",
            "-----",
            "the read of 7 by process 1 (operation 2) is of a value that nothing had written",
        ),
        (
            "a read of what comes later",
            "0 w 1 0 1; 1 r 7 2 3; 0 w 7 4 5",
            "S----",
            "the read of 7 by process 1 (operation 2) is of a value that nothing had written by \
             then",
        ),
        (
            "a read of what failed",
            "0 w 7 0 x; 1 r 7 2 3",
            "-----",
            "is of a value that nothing had written",
        ),
        (
            "values that come back",
            "0 w 1 0 1; 0 w 2 2 3; 0 w 1 4 5; 0 w 3 6 7; 1 r 1 8 9",
            "S-???",
            "not decided: monotonic reads, read your writes, writes follow reads: 1 read is of a \
             value that was written more than once",
        ),
        (
            "a write that turns back",
            "0 w 1 0 20; 1 r 1 1 2; 1 w 2 3 4; 2 r 2 5 6; 2 r 1 7 8; 2 r 2 9 10",
            "-R-yf",
            "sequential consistency",
        ),
        (
            "a failed compare-and-set that should have swapped",
            "0 w 5 0 1; 1 m 5:6 2 3",
            "S-myf",
            "the cas that found another value than 5 by process 1 (operation 2) can have found no \
             other",
        ),
    ] {
        let found = judged(row);
        assert_eq!(short(&found), left, "{name}\n{:#?}", found.lines());
        let lines = found.lines();
        let said = lines.iter().any(|line| line.contains(says));
        assert!(said, "{name}\n{lines:#?}");
    }
}

#[test]
fn the_lines_name_what_holds_what_is_broken_and_what_is_not_decided() {
    let found =
        judged("0 w 1 0 1; 0 w 2 2 3; 0 w 3 4 5; 3 r 0 6 7; 4 w 2 44 45; 1 r 3 60 61; 2 r 2 62 63");
    assert_eq!(
        found.lines(),
        [
            "weaker guarantees that still hold: sequential consistency",
            "broken: regular register: the read of 0 by process 3 (operation 6) is neither of a \
             last write before it nor of one that it overlaps",
            "not decided: monotonic reads, read your writes, writes follow reads: 1 read is of a \
             value that was written more than once",
            "the stalest read was 3 writes and 5.0 ms behind (operation 6 of process 3 on n3)",
            "the longest out of date was 1 write and 15.0 ms behind (operation 60 of process 1 on \
             n1)",
        ]
    );
}

#[test]
fn a_search_that_takes_too_long_says_so() {
    let mut history: Vec<Op> = Vec::new();
    let mut add = |process: usize, access: Access<u32>| {
        let begins = 2 * history.len() as u64;
        history.push(Op {
            process,
            access,
            begins,
            ends: Some(begins + 1),
        });
    };
    // Values that come back, in a great many ways.
    for round in 0..64 {
        add(round % 8, Access::Write(round as u32 / 8 % 2));
    }
    // One value is found three times with others between, but was written only twice.
    for (process, value) in [(8, 2), (9, 3), (10, 2), (11, 3)] {
        add(process, Access::Write(value));
    }
    for value in [2, 3, 2, 3, 2] {
        add(12, Access::Read(value));
    }
    let answer = sequential::check(&facts(&history).1, &budget());
    let reason = "limit of 100,000 steps reached".to_owned();
    assert_eq!(answer, Answer::Undecided(reason));
}

/// A million steps on a stack that no recursion of such depth would fit.
#[test]
fn long_chains_need_no_deep_stack() {
    let done = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
        let mut edges: Vec<Edge> = (0..1_000_000)
            .map(|from| Edge { from, to: from + 1 })
            .collect();
        let none = first_closing(&edges, None, |_| false, &budget());
        assert_eq!(none, Closing::Nothing);
        edges.push(Edge {
            from: 1_000_000,
            to: 0,
        });
        let last = first_closing(&edges, None, |edge| edge == 1_000_000, &budget());
        assert_eq!(last, Closing::Edge(1_000_000));
    });
    done.unwrap().join().unwrap();
}

/// Many operations in a row, on a small stack.
#[test]
fn long_histories_need_no_deep_stack() {
    let done = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
        let count = 30_000_u64;
        let mut history: Vec<Op> = Vec::new();
        // Each write overlaps the next, so that only the reads tell which was first.
        for number in 0..count {
            let (at, value) = (8 * number, number as u32 + 1);
            history.push(Op {
                process: (number % 2) as usize,
                access: Access::Write(value),
                begins: at,
                ends: Some(at + 9),
            });
            history.push(Op {
                process: 2,
                access: Access::Read(value),
                begins: at + 6,
                ends: Some(at + 7),
            });
        }
        // At last the first value once more.
        let last = 8 * count + 20;
        for (process, value) in [(2, 1), (3, count as u32), (3, 1), (3, count as u32)] {
            history.push(Op {
                process,
                access: Access::Read(value),
                begins: last + 2 * history.len() as u64,
                ends: Some(last + 2 * history.len() as u64 + 1),
            });
        }
        let intervals: Vec<Interval<Access<u32>>> = history
            .iter()
            .map(|op| Interval {
                op: op.access,
                begins: op.begins,
                ends: op.ends,
            })
            .collect();
        let (register, sources) = RegisterHistory::from_intervals(&intervals, count as u32 + 1);
        let process = |call: u32| history[sources[call as usize] as usize].process as u64;
        let facts = Facts::new(&register, process, |_| true);
        let reads = Cause::Pair(2 * count as u32 - 1, 2 * count as u32);
        assert_eq!(sequential::check(&facts, &budget()), Answer::Broken(reads));
        let monotonic = sessions::check(&facts, Guarantee::MonotonicReads, &budget());
        assert_eq!(monotonic, Answer::Broken(reads));
        for guarantee in [Guarantee::ReadYourWrites, Guarantee::WritesFollowReads] {
            let answer = sessions::check(&facts, guarantee, &budget());
            assert_eq!(answer, Answer::Holds);
        }
        let (_, stale) = regular::check(&facts);
        assert_eq!(
            stale.iter().map(|stale| stale.writes).max(),
            Some(count - 2)
        );
    });
    done.unwrap().join().unwrap();
}
