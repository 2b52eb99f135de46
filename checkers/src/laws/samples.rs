//! From sample operations to what each part of the system can be asked to do.

use histories::{Operation, Outcome, Value};
use seeds::Stream;

use super::{Effort, Law, LawViolation, Report};
use crate::Model;
use crate::normalise::Keys;

/// What the operations on one part of the system can be.
pub(super) struct Group<Op> {
    /// The part, as [`Model::initial`] is given it.
    pub key: Option<Value>,
    /// Different entries may be equal as operations.
    pub entries: Vec<Entry<Op>>,
    /// Whether it is of several parts: their operations act on one state.
    pub mixed: bool,
}

/// An operation that a history can have.
#[derive(Clone)]
pub(super) struct Entry<Op> {
    pub op: Op,
    /// Whether it is of unknown outcome wherever it is.
    pub open: bool,
    /// What the same operation is when its outcome is unknown; `None` when it then means nothing.
    pub unknown: Option<Op>,
    /// The parts that it touches; `None` when it touches all.
    pub touches: Option<Vec<Value>>,
    /// What [`Model::realm`] says of it.
    pub realm: Option<Value>,
}

/// The operations of each part, and of all together where some touch more than one.
pub(super) fn groups<M: Model>(
    model: &M,
    samples: &[Operation],
    effort: &Effort,
    chance: &mut Stream,
    report: &mut Report,
) -> Result<Vec<Group<M::Op>>, LawViolation> {
    let mut entries = Vec::new();
    for sample in samples
        .iter()
        .filter(|sample| sample.outcome != Outcome::Fail)
    {
        entries.extend(parse(model, sample, report)?);
    }
    if entries.is_empty() {
        let what = "none of the samples means anything to it".to_owned();
        return Err(violation(model, Law::Samples, what, Vec::new()));
    }
    let mut groups = divide(model, &entries)?;
    chance.shuffle(&mut groups);
    // Where parts act on one state, that is always looked at.
    groups.sort_by_key(|group| !group.mixed);
    groups.truncate(effort.parts_max);
    for group in &mut groups {
        chance.shuffle(&mut group.entries);
        group.entries.truncate(effort.operations_max);
    }
    Ok(groups)
}

/// What a sample is, with its outcome and with an unknown one.
fn parse<M: Model>(
    model: &M,
    sample: &Operation,
    report: &mut Report,
) -> Result<Vec<Entry<M::Op>>, LawViolation> {
    let said = || vec![show(sample)];
    let refused = |law: Law, error: crate::ModelError| {
        violation(
            model,
            law,
            format!("it refuses an operation: {error}"),
            said(),
        )
    };
    let parsed = model
        .parse(sample)
        .map_err(|error| refused(Law::Samples, error))?;
    report.count(Law::Samples, 1);
    report.count(Law::Deterministic, 1);
    if model.parse(sample).ok().as_ref() != Some(&parsed) {
        let what = "asked twice what an operation means, it says two things".to_owned();
        return Err(violation(model, Law::Deterministic, what, said()));
    }
    let Some(op) = parsed else {
        return Ok(Vec::new());
    };
    let known = entry(model, sample, op);
    if sample.outcome == Outcome::Info {
        return Ok(vec![known]);
    }
    let twin = Operation {
        output: Value::Nil,
        outcome: Outcome::Info,
        ..sample.clone()
    };
    let unknown = model
        .parse(&twin)
        .map_err(|error| refused(Law::UnknownOutcome, error))?;
    report.count(Law::UnknownOutcome, 1);
    let Some(unknown) = unknown else {
        return Ok(vec![known]);
    };
    let twin = entry(model, &twin, unknown.clone());
    // With reads that found nothing it may touch fewer parts, and with a choice more.
    let are_related = match (&twin.touches, &known.touches) {
        (Some(twin), Some(known)) => {
            let within = |a: &[Value], b: &[Value]| a.iter().all(|part| b.contains(part));
            within(twin, known) || within(known, twin)
        }
        (None, _) | (_, None) => true,
    };
    if !are_related {
        let what = "an operation of unknown outcome touches other parts than the same operation \
                    with an answer"
            .to_owned();
        return Err(violation(model, Law::UnknownOutcome, what, said()));
    }
    let unknown = Some(unknown);
    Ok(vec![Entry { unknown, ..known }, twin])
}

fn entry<M: Model>(model: &M, operation: &Operation, op: M::Op) -> Entry<M::Op> {
    Entry {
        open: operation.outcome != Outcome::Ok,
        unknown: None,
        touches: touches(model, operation, &op),
        realm: model.realm(operation, &op),
        op,
    }
}

fn touches<M: Model>(model: &M, operation: &Operation, op: &M::Op) -> Option<Vec<Value>> {
    let mut parts = vec![model.part(operation, op)?];
    parts.extend(model.joins(operation, op));
    parts.sort();
    parts.dedup();
    Some(parts)
}

/// Puts together what the parts of the system, as the operations tell of them, can be asked; and
/// what several parts can that make a realm of their own.
fn divide<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
) -> Result<Vec<Group<M::Op>>, LawViolation> {
    let mut keys = Keys::default();
    let mut places = Vec::new();
    for entry in entries {
        let Some([first, others @ ..]) = entry.touches.as_deref() else {
            let entries = entries.to_vec();
            let (key, mixed) = (None, true);
            return Ok(vec![Group {
                key,
                entries,
                mixed,
            }]);
        };
        let place = keys.number(first.clone());
        for other in others {
            keys.join(place, other.clone());
        }
        places.push(place);
    }
    let (names, groups) = keys.joined();
    let mut divided: Vec<Group<M::Op>> = names
        .into_iter()
        .map(|key| Group {
            key,
            entries: Vec::new(),
            mixed: false,
        })
        .collect();
    for (entry, place) in entries.iter().zip(places) {
        divided[groups[place as usize]].entries.push(entry.clone());
    }
    let mut realms: Vec<Group<M::Op>> = Vec::new();
    for group in &mut divided {
        let first = &group.entries[0];
        group.mixed = group.entries.iter().any(|e| e.touches != first.touches);
        if let Some(other) = group.entries.iter().find(|e| e.realm != first.realm) {
            let what = "two operations that are judged together are of different realms".to_owned();
            let shown = [first, other].map(|entry| model.describe(&entry.op));
            return Err(violation(model, Law::Parts, what, shown.to_vec()));
        }
        match realms.iter_mut().find(|realm| realm.key == first.realm) {
            Some(realm) if realm.key.is_some() => {
                realm.mixed = true;
                realm.entries.extend_from_slice(&group.entries);
            }
            _ => realms.push(Group {
                key: first.realm.clone(),
                entries: group.entries.clone(),
                mixed: false,
            }),
        }
    }
    divided.extend(realms.into_iter().filter(|realm| realm.mixed));
    Ok(divided)
}

/// An operation as it was recorded.
fn show(operation: &Operation) -> String {
    let key = operation.key.as_ref().map(|key| format!(" on {key}"));
    let result = match operation.outcome {
        Outcome::Ok => format!("answered {}", operation.output),
        Outcome::Fail => "failed".to_owned(),
        Outcome::Info => "of unknown outcome".to_owned(),
    };
    let (f, input) = (&operation.f, &operation.input);
    format!("{f}{} with {input}, {result}", key.unwrap_or_default())
}

fn violation<M: Model>(model: &M, law: Law, what: String, operations: Vec<String>) -> LawViolation {
    LawViolation {
        model: model.name(),
        law,
        what,
        state: None,
        operations,
    }
}
