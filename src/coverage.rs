//! What the faults of a run exercised: how often each kind took effect, how many operations it
//! overlapped, how many changes of leader went with it.

use std::collections::BTreeMap;

use histories::{FaultSpan, History};
use serde::Serialize;

use crate::reports::context::leaders;

/// A change of leader goes with a fault that was in force then, or ended at most this long before:
/// an election takes its time, and is seen a little later.
pub const AFTERMATH_MS: u64 = 1_000;

/// What one kind of fault exercised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCoverage {
    /// The kind.
    pub kind: String,
    /// How often it was injected.
    pub injected: u64,
    /// How often its evidence shows an effect.
    pub effective: u64,
    /// How many operations were under way while one with an effect was in force.
    pub overlapped: u64,
    /// How many changes of leader were seen while one with an effect was in force or within a
    /// second after.
    pub leader_changes: u64,
}

/// The coverage of each kind that a run injected, by name.
pub fn coverage(history: &History) -> Vec<KindCoverage> {
    let faults = history.faults();
    let mut kinds: BTreeMap<&str, Vec<&FaultSpan>> = BTreeMap::new();
    for fault in faults.iter().filter(|fault| fault.inject.is_some()) {
        kinds.entry(&fault.kind).or_default().push(fault);
    }
    let leaders = leaders(history);
    // The first leader known is no change.
    let changes_ns: Vec<u64> = leaders.iter().skip(1).map(|(at_ns, ..)| *at_ns).collect();
    let cover = |(kind, spans): (&str, Vec<&FaultSpan>)| {
        let effective: Vec<&FaultSpan> = spans
            .iter()
            .copied()
            .filter(|span| span.effective == Some(true))
            .collect();
        KindCoverage {
            kind: kind.to_owned(),
            injected: spans.len() as u64,
            effective: effective.len() as u64,
            overlapped: overlapped(&effective, history),
            leader_changes: changes_ns
                .iter()
                .filter(|at_ns| effective.iter().any(|span| goes_with(span, **at_ns)))
                .count() as u64,
        }
    };
    kinds.into_iter().map(cover).collect()
}

fn goes_with(span: &FaultSpan, at_ns: u64) -> bool {
    let aftermath_ns = AFTERMATH_MS * 1_000_000;
    span.inject.is_some_and(|inject| inject.time_ns <= at_ns)
        && span
            .heal
            .is_none_or(|heal| at_ns <= heal.time_ns.saturating_add(aftermath_ns))
}

/// How many operations were under way while any of these faults was in force.
fn overlapped(spans: &[&FaultSpan], history: &History) -> u64 {
    let in_force = merged(spans);
    let operations = history.operations();
    let touches = |number: &usize| {
        let operation = operations.packed(*number);
        let ends = operation.ended.map_or(u64::MAX, |ended| ended.index);
        // Of those that end after the operation begins the first begins first, too.
        let next = in_force.partition_point(|(_, heal)| *heal < operation.invoked.index);
        in_force
            .get(next)
            .is_some_and(|(inject, _)| *inject <= ends)
    };
    (0..operations.len()).filter(touches).count() as u64
}

/// The spans as ranges of indexes that do not touch, in order.
fn merged(spans: &[&FaultSpan]) -> Vec<(u64, u64)> {
    let range = |span: &&FaultSpan| {
        let inject = span.inject?.index;
        Some((inject, span.heal.map_or(u64::MAX, |heal| heal.index)))
    };
    let mut ranges: Vec<(u64, u64)> = spans.iter().filter_map(range).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (inject, heal) in ranges {
        match merged.last_mut() {
            Some((_, end)) if inject <= *end => *end = heal.max(*end),
            _ => merged.push((inject, heal)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use histories::{Event, EventType, Fault, FaultPhase, Header, Process, Value};

    use super::*;
    use crate::judge::LEADER;

    /// Events a row each: `CLIENT invoke`, `CLIENT ok`, `ID kind inject|heal effect`, `leader N`.
    fn check(rows: &str, expected: &str) {
        let events: Vec<Event> = (0..).zip(rows.split("; ")).map(event).collect();
        let history = History {
            header: Header::default(),
            events: events.into(),
            ..History::default()
        };
        let found: Vec<String> = coverage(&history)
            .iter()
            .map(|kind| {
                let KindCoverage {
                    kind,
                    injected,
                    effective,
                    overlapped,
                    leader_changes,
                } = kind;
                format!("{kind} {injected} {effective} {overlapped} {leader_changes}")
            })
            .collect();
        assert_eq!(found.join("; "), expected, "{rows}");
    }

    /// The event of a row; rows are 100 ms apart.
    fn event((index, row): (u64, &str)) -> Event {
        let words: Vec<&str> = row.split(' ').collect();
        let time_ns = index * 100_000_000;
        let plain = |process, kind, f: &str, value| Event {
            index,
            time_ns,
            process,
            kind,
            f: f.into(),
            key: None,
            value,
            node: None,
            error: None,
            path: Vec::new(),
        };
        match words[..] {
            ["leader", node] => {
                let value = vec![("leader".into(), node.into()), ("term".into(), 1.into())];
                plain(Process::Nemesis, EventType::Info, LEADER, Value::Map(value))
            }
            [client, phase] => {
                let process = Process::Client(client.parse().expect("a number"));
                let kind = match phase {
                    "invoke" => EventType::Invoke,
                    _ => EventType::Ok,
                };
                plain(process, kind, "write", 1.into())
            }
            [id, kind, phase, effect] => {
                let phase = match phase {
                    "inject" => FaultPhase::Inject,
                    _ => FaultPhase::Heal,
                };
                let fault = Fault {
                    id: id.parse().expect("a number"),
                    kind: kind.into(),
                    phase,
                    targets: vec!["n1".into()],
                    parameters: Value::Nil,
                    evidence: Value::Nil,
                    effective: Some(effect == "yes"),
                };
                fault.to_event(index, time_ns)
            }
            _ => panic!("{row}"),
        }
    }

    #[test]
    fn operations_and_leaders_are_counted_while_a_fault_with_an_effect_is_in_force() {
        check("1 invoke; 1 ok", "");
        check(
            "1 invoke; 7 kill inject yes; 1 ok; 7 kill heal yes; 1 invoke; 1 ok",
            "kill 1 1 1 0",
        );
        check(
            "7 kill inject no; 1 invoke; 1 ok; 7 kill heal no; leader n2",
            "kill 1 0 0 0",
        );
        // Two that overlap count an operation once; what is not healed lasts to the end.
        check(
            "1 kill inject yes; 2 kill inject yes; 1 invoke; 1 kill heal yes; 1 ok; 2 invoke",
            "kill 2 2 2 0",
        );
        check(
            "1 kill inject yes; 1 kill heal yes; 3 invoke; 3 ok",
            "kill 1 1 0 0",
        );
    }

    #[test]
    fn a_change_of_leader_goes_with_what_was_in_force_up_to_a_second_before() {
        // The first leader is no change; the second comes 200 ms after the heal, the third 1.2 s.
        let rest = "1 kill inject yes; 1 kill heal yes";
        check(
            &format!("leader n1; {rest}; 1 invoke; leader n2"),
            "kill 1 1 0 1",
        );
        let long = "1 invoke; 1 ok; ".repeat(6);
        check(
            &format!("leader n1; {rest}; {long}leader n3"),
            "kill 1 1 0 0",
        );
        check(
            &format!("leader n1; {long}leader n3; {rest}"),
            "kill 1 1 0 0",
        );
    }
}
