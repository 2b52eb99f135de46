//! What the page shows of a history, put together once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use histories::{Event, FaultSpan, History, Operation, Outcome, Value};

use super::scale::Unit;
use crate::judge::{LEADER, NODE_EXIT};

/// There are so many styles for kinds of faults; further kinds share them.
const FAULT_STYLES: usize = 6;

/// What the page shows of a history.
pub(super) struct Facts {
    pub operations: Vec<Operation>,
    pub faults: Vec<FaultSpan>,
    /// The times at which a fault was in force; a fault that never was has none.
    pub bands: Vec<Band>,
    /// Kinds of faults that were in force, each with the number of its style.
    pub kinds: BTreeMap<Arc<str>, usize>,
    pub leaders: Vec<Leader>,
    pub exits: Vec<Exit>,
    pub end_ns: u64,
    /// How many clients there were, where the history says so.
    pub clients: Option<u64>,
}

/// A fault in force.
pub(super) struct Band {
    pub id: u64,
    pub targets: String,
    pub kind: Arc<str>,
    pub style: usize,
    /// Short: `#3 partition halves n1 n2`.
    pub label: String,
    pub from_ns: u64,
    pub to_ns: Option<u64>,
    /// Everything there is to say of it in one line.
    pub title: String,
}

/// From when on a node led.
pub(super) struct Leader {
    pub at_ns: u64,
    /// `None` when nobody did.
    pub node: Option<String>,
    pub term: Option<u64>,
}

/// When a node's process ended.
pub(super) struct Exit {
    pub at_ns: u64,
    pub node: String,
    pub details: String,
}

impl Facts {
    pub(super) fn new(history: &History) -> Self {
        let faults = history.faults();
        let kinds = styles(&faults);
        let bands = faults
            .iter()
            .filter_map(|fault| Band::new(fault, &kinds))
            .collect();
        let nemesis: Vec<Event> = history.events.nemesis().collect();
        Facts {
            operations: history.operations().to_vec(),
            faults,
            bands,
            kinds,
            leaders: leaders(&nemesis),
            exits: nemesis
                .iter()
                .filter(|event| &*event.f == NODE_EXIT)
                .map(exit)
                .collect(),
            end_ns: history.events.last().map_or(0, |event| event.time_ns),
            clients: history
                .header
                .run
                .as_ref()
                .map(|run| run.clients)
                .filter(|n| *n > 0),
        }
    }

    /// How many operations ended so.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.operations
            .iter()
            .filter(|operation| operation.outcome == outcome)
            .count()
    }

    /// Which lane an operation belongs to: its client where the number of clients is known (a
    /// client goes on under its number plus the number of clients after an unknown outcome), else
    /// its process.
    pub(super) fn lane(&self, operation: &Operation) -> u64 {
        self.clients
            .map_or(operation.process, |clients| operation.process % clients)
    }

    /// `client 3, process 13`, or only the process where clients are not known.
    pub(super) fn who(&self, operation: &Operation) -> String {
        let process = operation.process;
        match self.clients {
            Some(clients) => format!("client {}, process {process}", process % clients),
            None => format!("process {process}"),
        }
    }
}

impl Band {
    fn new(fault: &FaultSpan, kinds: &BTreeMap<Arc<str>, usize>) -> Option<Self> {
        let inject = fault.inject?;
        let to_ns = fault.heal.map(|heal| heal.time_ns);
        let shape = fault.parameters.get("shape").map(plain).unwrap_or_default();
        let words = [&*fault.kind, &shape, &fault.targets.join(" ")].join(" ");
        let words: Vec<&str> = words.split_whitespace().collect();
        let label = format!("#{} {}", fault.id, words.join(" "));
        let from = Unit::Ms.format(inject.time_ns, 3);
        let to = to_ns.map_or_else(|| "never healed".to_owned(), |ns| Unit::Ms.format(ns, 3));
        let title = format!(
            "{label}: {from} to {to} ms, {}",
            readable(&fault.parameters)
        );
        Some(Band {
            id: fault.id,
            targets: fault.targets.join(" "),
            kind: fault.kind.clone(),
            style: kinds.get(&fault.kind).copied().unwrap_or(0),
            label,
            from_ns: inject.time_ns,
            to_ns,
            title,
        })
    }
}

/// A style for each kind: the usual kinds always have the same one.
fn styles(faults: &[FaultSpan]) -> BTreeMap<Arc<str>, usize> {
    const USUAL: [&str; 3] = ["kill", "pause", "partition"];
    let mut kinds = BTreeMap::new();
    let mut others = 0;
    for fault in faults.iter().filter(|fault| fault.inject.is_some()) {
        kinds.entry(fault.kind.clone()).or_insert_with(|| {
            USUAL
                .iter()
                .position(|kind| *kind == &*fault.kind)
                .unwrap_or_else(|| {
                    others += 1;
                    USUAL.len() + (others - 1) % (FAULT_STYLES - USUAL.len())
                })
        });
    }
    kinds
}

/// Who led from when on, without repetitions.
fn leaders(nemesis: &[Event]) -> Vec<Leader> {
    let mut leaders: Vec<Leader> = Vec::new();
    for event in nemesis.iter().filter(|event| &*event.f == LEADER) {
        let node = event
            .value
            .get("leader")
            .filter(|node| !node.is_nil())
            .map(plain);
        let term = event.value.get("term").and_then(Value::as_u64);
        if leaders
            .last()
            .is_none_or(|last| last.node != node || last.term != term)
        {
            leaders.push(Leader {
                at_ns: event.time_ns,
                node,
                term,
            });
        }
    }
    leaders
}

fn exit(event: &Event) -> Exit {
    let node = event.value.get("node").map(plain);
    let node = node.or_else(|| event.node.as_deref().map(str::to_owned));
    // The controller's own words, with the last lines of the node's log; else whatever there is.
    let details = match event.value.get("text").and_then(Value::as_text) {
        Some(text) => text.to_owned(),
        None => readable(&event.value),
    };
    Exit {
        at_ns: event.time_ns,
        node: node.unwrap_or_else(|| "?".to_owned()),
        details,
    }
}

/// A name without quotation marks, any other value as it is.
pub(super) fn plain(value: &Value) -> String {
    value
        .as_text()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A value for reading, not for parsing: `shape: one, cut: [[n1 n2] [n2 n1]]`. Texts have quotation
/// marks only where they are more than a name.
pub(super) fn readable(value: &Value) -> String {
    let name = |text: &str| {
        let usual = |c: char| c.is_alphanumeric() || "-_.:/→".contains(c);
        !text.is_empty() && text.chars().all(usual)
    };
    match value {
        Value::Text(text) if name(text) => text.to_string(),
        Value::List(values) => {
            format!(
                "[{}]",
                values.iter().map(readable).collect::<Vec<_>>().join(" ")
            )
        }
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| {
                let value_text = readable(value);
                let braces = matches!(value, Value::Map(_));
                let (open, close) = if braces { ("{", "}") } else { ("", "") };
                format!("{}: {open}{value_text}{close}", readable(key))
            };
            entries.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// `ok`, `fail` or `info`.
pub(super) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Info => "info",
    }
}

/// An operation as people write it: `read k1-0 → 7`, `write k1-0 8`, `cas k1-0 7 to 8 → ?`.
pub(super) fn describe(operation: &Operation) -> String {
    let mut text = operation.f.to_string();
    if let Some(key) = &operation.key {
        text = format!("{text} {}", plain(key));
    }
    match (&*operation.f, operation.input.as_list()) {
        _ if operation.input.is_nil() => {}
        ("cas", Some([old, new])) => text = format!("{text} {old} to {new}"),
        _ => text = format!("{text} {}", operation.input),
    }
    match operation.outcome {
        Outcome::Fail => text + " → failed",
        Outcome::Info => text + " → ?",
        Outcome::Ok => {
            let repeats = operation.output.is_nil() || operation.output == operation.input;
            if repeats && !operation.input.is_nil() {
                return text;
            }
            format!("{text} → {}", operation.output)
        }
    }
}

/// Everything there is to say of an operation, for a hover.
pub(super) fn details(facts: &Facts, operation: &Operation) -> String {
    let ms = |ns| Unit::Ms.format(ns, 6);
    let mut lines = vec![
        describe(operation),
        facts.who(operation),
        format!(
            "{}, invoked at {} ms",
            outcome_name(operation.outcome),
            ms(operation.invoked.time_ns)
        ),
    ];
    match operation.ended {
        Some(ended) => {
            let took = ended.time_ns.saturating_sub(operation.invoked.time_ns);
            lines.push(format!(
                "ended at {} ms, after {} ms",
                ms(ended.time_ns),
                ms(took)
            ));
        }
        None => lines.push("no completion was recorded".to_owned()),
    }
    if let Some(node) = &operation.node {
        lines.push(format!("node {node}"));
    }
    if !operation.path.is_empty() {
        lines.push(format!("tried {}", operation.path.join(", ")));
    }
    if let Some(error) = &operation.error {
        lines.push(format!("error: {error}"));
    }
    lines.push(format!("index {}", operation.invoked.index));
    lines.join("\n")
}

/// The text, cut with an ellipsis to so many characters.
pub(super) fn shorten(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars()
        .take(characters.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// The time in which an operation is drawn: to the end of the history when it never completed.
pub(super) fn drawn(operation: &Operation, end_ns: u64) -> Range<u64> {
    let begin = operation.invoked.time_ns;
    begin
        ..operation
            .ended
            .map_or(end_ns, |ended| ended.time_ns)
            .max(begin)
}
