//! Which values a key had one after the other, and reads of what should never have been seen.

use std::collections::BTreeMap;

use histories::{Operation, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Report;
use super::parse::{Step, Txn};
use crate::analyses::name_of;
use crate::words::amount;

/// What is known of one key.
#[derive(Debug, Default)]
pub(super) struct Key<'a> {
    /// Who wrote a value, unless somebody else did too.
    pub writers: FxHashMap<&'a Value, u32>,
    /// Which value came right after which, or at least later: `None` is the beginning.
    pub successors: FxHashMap<Option<&'a Value>, Vec<&'a Value>>,
    /// Who read which value from others: `None` is the beginning.
    pub readers: Vec<(u32, Option<&'a Value>)>,
}

pub(super) type Versions<'a> = BTreeMap<&'a Value, Key<'a>>;

/// Pairs of values of one key of which one came later, at most: more say little more.
const LATER_MAX: usize = 100_000;

/// What transactions write, by key.
struct Writes<'a> {
    /// The transaction, and whether it is the last that this one writes there.
    of: FxHashMap<(&'a Value, &'a Value), (u32, bool)>,
    /// How many its transaction wrote there before, where that is not none.
    place: FxHashMap<(&'a Value, &'a Value), usize>,
    /// Written by more than one: nothing follows from them.
    ambiguous: FxHashSet<(&'a Value, &'a Value)>,
}

impl<'a> Writes<'a> {
    fn of(txns: &[Txn<'a>], report: &mut Report) -> Self {
        let mut writes = Writes {
            of: FxHashMap::default(),
            place: FxHashMap::default(),
            ambiguous: FxHashSet::default(),
        };
        for (number, txn) in (0..).zip(txns) {
            for (place, step) in txn.steps.iter().enumerate() {
                let Step::Write(key, value) = *step else {
                    continue;
                };
                let is_there =
                    |step: &&Step<'a>| matches!(step, Step::Write(other, _) if *other == key);
                let is_last = !txn.steps[place + 1..].iter().any(|step| is_there(&step));
                let earlier = txn.steps[..place].iter().filter(is_there).count();
                if earlier > 0 {
                    writes.place.insert((key, value), earlier);
                }
                let before = writes.of.insert((key, value), (number, is_last));
                if before.is_some() {
                    writes.ambiguous.insert((key, value));
                }
            }
        }
        let count = writes.ambiguous.len();
        if count > 0 {
            report.tally.unknown(format!(
                "written to one key more than once, so that nothing can follow from it: {} (hint: \
                 write every value once)",
                amount(count as u64, "value")
            ));
        }
        writes
    }

    /// Who wrote this, if one did.
    fn writer(&self, key: &'a Value, value: &'a Value) -> Option<(u32, bool)> {
        let is_clear = !self.ambiguous.contains(&(key, value));
        self.of.get(&(key, value)).copied().filter(|_| is_clear)
    }

    /// Who wrote anything of this that was read. Of unknown outcome or not, they took effect, and
    /// wholly.
    fn seen(&self, read: impl Iterator<Item = (&'a Value, &'a Value)>) -> FxHashSet<u32> {
        read.filter_map(|(key, value)| self.writer(key, value))
            .map(|(writer, _)| writer)
            .collect()
    }

    fn is_known(&self, key: &'a Value, value: &'a Value) -> bool {
        self.of.contains_key(&(key, value))
    }

    /// What is wrong with reading this value last of a key, by another transaction.
    fn judge_read(
        &self,
        txns: &[Txn<'a>],
        reader: u32,
        key: &'a Value,
        value: &'a Value,
        report: &mut Report,
    ) {
        let by = txns[reader as usize].operation;
        if !self.is_known(key, value) {
            let text = || format!("{} read {value}, which nobody wrote", name_of(by));
            report.anomaly("unwritten", key, text, &[by]);
            return;
        }
        let Some((writer, is_last)) = self.writer(key, value) else {
            return;
        };
        if writer == reader {
            let text = || format!("{} read {value} before it wrote it", name_of(by));
            report.anomaly("future-read", key, text, &[by]);
            return;
        }
        let writer = txns[writer as usize].operation;
        if !is_last {
            let text = || {
                format!(
                    "{} read {value}, after which {} wrote something else there",
                    name_of(by),
                    name_of(writer)
                )
            };
            report.anomaly("G1b", key, text, &[by, writer]);
        }
    }

    fn judge_aborted(
        &self,
        txns: &[Txn<'a>],
        reader: u32,
        key: &'a Value,
        value: &'a Value,
        report: &mut Report,
    ) {
        let Some((writer, _)) = self.writer(key, value) else {
            return;
        };
        if txns[writer as usize].is_aborted() {
            let [by, writer] = [reader, writer].map(|number| txns[number as usize].operation);
            let text = || {
                format!(
                    "{} read {value}, which {} wrote, and that was aborted",
                    name_of(by),
                    name_of(writer)
                )
            };
            report.anomaly("G1a", key, text, &[by, writer]);
        }
    }
}

/// The versions of lists, by the longest read of each.
pub(super) fn of_lists<'a>(txns: &[Txn<'a>], report: &mut Report) -> Versions<'a> {
    let writes = Writes::of(txns, report);
    let mut reads: BTreeMap<&Value, Vec<(u32, &'a [Value])>> = BTreeMap::new();
    for (number, txn) in (0..).zip(txns) {
        if !txn.is_ok() {
            continue;
        }
        for (key, external) in list_reads(txn, number, txns, report) {
            for element in external {
                writes.judge_aborted(txns, number, key, element, report);
            }
            if let Some(last) = external.last() {
                writes.judge_read(txns, number, key, last, report);
            }
            judge_elements(txns, number, key, external, &writes, report);
            reads.entry(key).or_default().push((number, external));
        }
    }
    let mut versions = Versions::new();
    for (key, reads) in &reads {
        let mut updates: FxHashMap<&[Value], Vec<u32>> = FxHashMap::default();
        for (reader, list) in reads {
            if txns[*reader as usize].writes(key) {
                updates.entry(*list).or_default().push(*reader);
            }
        }
        for (list, by) in updates {
            let before = || Value::List(list.to_vec());
            tell_lost_update(txns, key, before, &by, report);
        }
        // Where reads contradict each other, no order of theirs is certain.
        if let Some(order) = longest(txns, key, reads, report) {
            versions.insert(key, list_key(key, order, reads, &writes));
        }
    }
    // What nobody read came after everything that was read: it would have been found.
    let elements = reads.iter().flat_map(|(key, reads)| {
        let lists = reads.iter().flat_map(|(_, list)| *list);
        lists.map(move |element| (*key, element))
    });
    let seen = writes.seen(elements);
    for (key, value, writer) in unread(txns, &versions, &writes, &seen) {
        if let Some(versions) = versions.get_mut(key) {
            let last = reads.get(key).and_then(|reads| {
                let longest = reads.iter().max_by_key(|(_, list)| list.len());
                longest.and_then(|(_, list)| list.last())
            });
            versions.writers.insert(value, writer);
            versions.successors.entry(last).or_default().push(value);
        }
    }
    versions
}

/// The lists that a transaction read from others: what it had appended itself is left out. Reads
/// that do not fit what it read and did before are anomalies, and are left out too.
fn list_reads<'a>(
    txn: &Txn<'a>,
    number: u32,
    txns: &[Txn<'a>],
    report: &mut Report,
) -> Vec<(&'a Value, &'a [Value])> {
    let mut own: FxHashMap<&Value, Vec<&Value>> = FxHashMap::default();
    let mut found: FxHashMap<&Value, &[Value]> = FxHashMap::default();
    let mut external = Vec::new();
    let operation = txns[number as usize].operation;
    for step in &txn.steps {
        match *step {
            Step::Write(key, value) => own.entry(key).or_default().push(value),
            Step::Read(_, None) => {}
            Step::Read(key, Some(list)) => {
                let list = list.as_list().unwrap_or(&[]);
                let appended = own.get(key).map_or(&[][..], Vec::as_slice);
                let others = list
                    .len()
                    .checked_sub(appended.len())
                    .map(|at| list.split_at(at));
                let fits = |(others, end): &(&[Value], &[Value])| {
                    let own_end = end.iter().zip(appended).all(|(found, own)| found == *own);
                    own_end && found.get(key).is_none_or(|before| before == others)
                };
                match others.filter(fits) {
                    Some((others, _)) => {
                        if found.insert(key, others).is_none() {
                            external.push((key, others));
                        }
                    }
                    None => {
                        let text = || {
                            format!(
                                "{} read {}, which does not fit what it read and appended before",
                                name_of(operation),
                                Value::List(list.to_vec())
                            )
                        };
                        report.anomaly("internal", key, text, &[operation]);
                    }
                }
            }
        }
    }
    external
}

/// Looks for elements that are in one list twice, and for such as nobody appended.
fn judge_elements<'a>(
    txns: &[Txn<'a>],
    reader: u32,
    key: &'a Value,
    list: &'a [Value],
    writes: &Writes<'a>,
    report: &mut Report,
) {
    let operation = txns[reader as usize].operation;
    judge_order(txns, reader, key, list, writes, report);
    let mut seen: FxHashSet<&Value> = FxHashSet::default();
    for element in list {
        let is_ambiguous = writes.ambiguous.contains(&(key, element));
        let is_last = list.last() == Some(element);
        if !is_last
            && writes
                .writer(key, element)
                .is_some_and(|(writer, _)| writer == reader)
        {
            let text = || format!("{} read {element} before it wrote it", name_of(operation));
            report.anomaly("future-read", key, text, &[operation]);
        }
        if !seen.insert(element) && !is_ambiguous {
            let text = || format!("{} read {element} twice", name_of(operation));
            report.anomaly("duplicate-elements", key, text, &[operation]);
        }
    }
    let before_last = list.split_last().map_or(&[][..], |(_, rest)| rest);
    if let Some(unknown) = before_last.iter().find(|it| !writes.is_known(key, it)) {
        let text = || format!("{} read {unknown}, which nobody wrote", name_of(operation));
        report.anomaly("unwritten", key, text, &[operation]);
    }
}

/// Looks for an element before which one is missing that the same transaction had appended.
fn judge_order<'a>(
    txns: &[Txn<'a>],
    reader: u32,
    key: &'a Value,
    list: &'a [Value],
    writes: &Writes<'a>,
    report: &mut Report,
) {
    let mut found: FxHashMap<u32, usize> = FxHashMap::default();
    for element in list {
        let Some((writer, _)) = writes.writer(key, element) else {
            continue;
        };
        let place = writes.place.get(&(key, element)).copied().unwrap_or(0);
        let before = found.entry(writer).or_default();
        if writer != reader && place > *before {
            let [by, writer] = [reader, writer].map(|number| txns[number as usize].operation);
            let text = || {
                format!(
                    "{} read {element} without what {} had appended before it",
                    name_of(by),
                    name_of(writer)
                )
            };
            report.anomaly("incompatible-order", key, text, &[by, writer]);
            return;
        }
        *before += 1;
    }
}

/// The longest read of a key, of which all others are beginnings; an anomaly where they are not. None
/// either where it has an element twice.
fn longest<'a>(
    txns: &[Txn<'a>],
    key: &Value,
    reads: &[(u32, &'a [Value])],
    report: &mut Report,
) -> Option<&'a [Value]> {
    // Of several as long the first.
    let (by, longest) = reads.iter().rev().max_by_key(|(_, list)| list.len())?;
    let elements: FxHashSet<&Value> = longest.iter().collect();
    let mut fits = elements.len() == longest.len();
    for (reader, list) in reads {
        if !longest.starts_with(list) {
            fits = false;
            let [one, other] = [*reader, *by].map(|number| txns[number as usize].operation);
            let text = || {
                format!(
                    "{} read {} and {} read {}",
                    name_of(one),
                    Value::List(list.to_vec()),
                    name_of(other),
                    Value::List(longest.to_vec())
                )
            };
            report.anomaly("incompatible-order", key, text, &[one, other]);
        }
    }
    fits.then_some(*longest)
}

fn list_key<'a>(
    key: &'a Value,
    order: &'a [Value],
    reads: &[(u32, &'a [Value])],
    writes: &Writes<'a>,
) -> Key<'a> {
    let mut known = Key::default();
    let mut before = None;
    for element in order {
        if let Some((writer, _)) = writes.writer(key, element) {
            known.writers.insert(element, writer);
        }
        known.successors.insert(before, vec![element]);
        before = Some(element);
    }
    known.readers = reads
        .iter()
        .map(|(reader, list)| (*reader, list.last()))
        .collect();
    known
}

/// What transactions that took effect appended and no read has found: key, value, who.
fn unread<'a>(
    txns: &[Txn<'a>],
    versions: &Versions<'a>,
    writes: &Writes<'a>,
    seen: &FxHashSet<u32>,
) -> Vec<(&'a Value, &'a Value, u32)> {
    let mut unread = Vec::new();
    let took_effect = |(number, txn): &(u32, &Txn<'a>)| txn.is_ok() || seen.contains(number);
    for (number, txn) in (0..).zip(txns).filter(took_effect) {
        for step in &txn.steps {
            let Step::Write(key, value) = *step else {
                continue;
            };
            let is_unread = versions
                .get(key)
                .is_some_and(|known| !known.writers.contains_key(value));
            if is_unread && writes.writer(key, value).is_some() {
                unread.push((key, value, number));
            }
        }
    }
    unread.truncate(LATER_MAX);
    unread
}

/// The versions of registers: a transaction that read one value and wrote another says that this
/// one came later, and nothing was before the first.
pub(super) fn of_registers<'a>(txns: &[Txn<'a>], report: &mut Report) -> Versions<'a> {
    let writes = Writes::of(txns, report);
    let mut versions = Versions::new();
    for (number, txn) in (0..).zip(txns).filter(|(_, txn)| txn.is_ok()) {
        let mut found: FxHashMap<&Value, Option<&Value>> = FxHashMap::default();
        let mut own: FxHashMap<&Value, &Value> = FxHashMap::default();
        for step in &txn.steps {
            match *step {
                Step::Write(key, value) => {
                    own.insert(key, value);
                }
                Step::Read(_, None) => {}
                Step::Read(key, Some(value)) => {
                    let expected = own
                        .get(key)
                        .copied()
                        .or(found.get(key).map(|before| before.unwrap_or(&Value::Nil)));
                    if expected.is_some_and(|expected| expected != value) {
                        let operation = txn.operation;
                        let text = || {
                            let operation = name_of(operation);
                            format!("{operation} read {value}, and had read or written another")
                        };
                        report.anomaly("internal", key, text, &[operation]);
                    } else if expected.is_none() {
                        found.insert(key, Some(value).filter(|value| !value.is_nil()));
                    }
                }
            }
        }
        for (key, value) in found {
            if let Some(value) = value {
                writes.judge_aborted(txns, number, key, value, report);
                writes.judge_read(txns, number, key, value, report);
            }
            let known: &mut Key<'a> = versions.entry(key).or_default();
            known.readers.push((number, value));
            let is_clear = value.is_none_or(|value| {
                let writer = writes.writer(key, value);
                writer.is_some_and(|(writer, _)| writer != number)
            });
            if let (Some(last), true) = (own.get(key), is_clear) {
                known.successors.entry(value).or_default().push(last);
            }
        }
    }
    for (key, known) in &versions {
        for (before, later) in &known.successors {
            let by = later.iter().filter_map(|value| writes.writer(key, value));
            let by: Vec<u32> = by.map(|(writer, _)| writer).collect();
            let before = || before.unwrap_or(&Value::Nil).clone();
            tell_lost_update(txns, key, before, &by, report);
        }
    }
    register_writers(txns, &writes, &mut versions);
    for (key, known) in &mut versions {
        refuse_circles(txns, key, known, report);
    }
    versions
}

/// Where several read one value and wrote another, all but one of them overwrote what they had not
/// seen.
fn tell_lost_update(
    txns: &[Txn<'_>],
    key: &Value,
    before: impl FnOnce() -> Value,
    by: &[u32],
    report: &mut Report,
) {
    if by.len() < 2 {
        return;
    }
    let by: Vec<&Operation> = by
        .iter()
        .map(|number| txns[*number as usize].operation)
        .take(10)
        .collect();
    let text = || {
        let names: Vec<String> = by.iter().map(|operation| name_of(operation)).collect();
        format!(
            "{} each read {} and wrote another",
            names.join(" and "),
            before()
        )
    };
    report.anomaly("lost-update", key, text, &by);
}

/// Who wrote what was read or is certain, and that all of it came after the beginning.
fn register_writers<'a>(txns: &[Txn<'a>], writes: &Writes<'a>, versions: &mut Versions<'a>) {
    let mut pairs = 0;
    let read = versions.iter().flat_map(|(key, known)| {
        let readers = known.readers.iter();
        readers.filter_map(|(_, read)| Some((*key, (*read)?)))
    });
    let seen = writes.seen(read);
    for ((key, value), (writer, is_last)) in &writes.of {
        let Some(known) = versions.get_mut(key) else {
            continue;
        };
        let is_certain = txns[*writer as usize].is_ok() || seen.contains(writer);
        if writes.ambiguous.contains(&(*key, *value)) || !is_certain {
            continue;
        }
        known.writers.insert(value, *writer);
        pairs += 1;
        if *is_last && pairs <= LATER_MAX {
            known.successors.entry(None).or_default().push(value);
        }
    }
}

/// A register whose values each came after the other says nothing more about their order.
fn refuse_circles<'a>(txns: &[Txn<'a>], key: &Value, known: &mut Key<'a>, report: &mut Report) {
    let mut left: FxHashMap<&Value, usize> = FxHashMap::default();
    for later in known.successors.values().flatten() {
        *left.entry(later).or_default() += 1;
    }
    let mut ready: Vec<Option<&Value>> = vec![None];
    let starts = known.successors.keys().flatten();
    ready.extend(
        starts
            .filter(|value| !left.contains_key(*value))
            .map(|v| Some(*v)),
    );
    while let Some(value) = ready.pop() {
        for later in known.successors.get(&value).into_iter().flatten() {
            if let Some(count) = left.get_mut(later) {
                *count -= 1;
                if *count == 0 {
                    left.remove(later);
                    ready.push(Some(*later));
                }
            }
        }
    }
    if left.is_empty() {
        return;
    }
    let mut values: Vec<&Value> = left.into_keys().collect();
    values.sort();
    let by: Vec<_> = values
        .iter()
        .filter_map(|value| known.writers.get(*value))
        .map(|writer| txns[*writer as usize].operation)
        .take(10)
        .collect();
    let text = || {
        let values = values
            .iter()
            .take(10)
            .map(|value| (*value).clone())
            .collect();
        format!(
            "of the values {} each came after another of them",
            Value::List(values)
        )
    };
    report.anomaly("cyclic-versions", key, text, &by);
    known.successors.retain(|before, _| before.is_none());
}
