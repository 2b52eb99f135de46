//! A list to which elements are appended, and which is read as a whole.

mod things;

use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::{asks_nothing, brief, is_done, is_known};
use crate::models::InitialError;
use crate::oracle::Interval;
use crate::registers::{self, Step};
use crate::{Marks, Model, ModelError, NilReads, RegisterView};

/// How many elements of a list are shown.
const SHOWN_MAX: usize = 20;

/// How many elements of one kind are looked at, where operations contradict each other.
const THINGS_MAX: usize = 6;

/// The model `append-list`: each key holds a list, at the start an empty one.
///
/// What a read finds shows in which order elements were appended, if every element that was read
/// was appended once: then a history is judged as one of a register, in time linear in all that was
/// read. Where elements repeat, the search judges it.
#[derive(Debug, Clone)]
pub struct AppendList {
    initial: Arc<[Value]>,
    nil_reads: NilReads,
}

/// What an operation did to a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AppendListOp {
    /// Put this element at the end.
    Append(Value),
    /// Found these elements.
    Read(Arc<[Value]>),
    /// Of these elements found those, in this order: what a read says of them alone.
    Shows {
        /// Which elements.
        of: Arc<[Value]>,
        /// Those that it found.
        found: Arc<[Value]>,
    },
}

impl AppendList {
    /// Lists start with the elements of the list `initial`; with nothing or nil empty.
    pub fn new(initial: Option<&Value>, nil_reads: NilReads) -> Result<Self, InitialError> {
        let initial = match initial {
            None | Some(Value::Nil) => [].into(),
            Some(Value::List(elements)) => elements.as_slice().into(),
            Some(other) => {
                return Err(InitialError {
                    model: "append-list",
                    initial: other.to_string(),
                    expected: "a list of elements",
                });
            }
        };
        Ok(AppendList { initial, nil_reads })
    }

    fn parse_append(&self, operation: &Operation) -> Result<AppendListOp, ModelError> {
        let said = &operation.output;
        if !is_done(operation) {
            return Err(ModelError::new(
                self.name(),
                operation,
                format!("an append with the result {said}"),
                "nil, true or the element (fail is for an append that did not happen)",
            ));
        }
        Ok(AppendListOp::Append(operation.input.clone()))
    }

    fn parse_read(&self, operation: &Operation) -> Result<Option<AppendListOp>, ModelError> {
        asks_nothing(self.name(), operation)?;
        match &operation.output {
            _ if !is_known(operation) => Ok(None),
            Value::Nil if self.nil_reads == NilReads::Any => Ok(None),
            Value::Nil => Ok(Some(AppendListOp::Read([].into()))),
            Value::List(elements) => Ok(Some(AppendListOp::Read(elements.as_slice().into()))),
            other => Err(ModelError::new(
                self.name(),
                operation,
                format!("a read with the result {other}"),
                "a list of elements, or nil for an empty one",
            )),
        }
    }
}

impl Model for AppendList {
    type State = Arc<[Value]>;
    type Op = AppendListOp;

    fn name(&self) -> &'static str {
        "append-list"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<AppendListOp>, ModelError> {
        match &*operation.f {
            "append" => self.parse_append(operation).map(Some),
            "read" => self.parse_read(operation),
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "append or read",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &AppendListOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Arc<[Value]> {
        Arc::clone(&self.initial)
    }

    fn step(&self, state: &Arc<[Value]>, op: &AppendListOp) -> Option<Arc<[Value]>> {
        match op {
            AppendListOp::Append(element) => Some(state.iter().chain([element]).cloned().collect()),
            AppendListOp::Read(found) => (state == found).then(|| Arc::clone(state)),
            AppendListOp::Shows { of, found } => state
                .iter()
                .filter(|element| of.contains(element))
                .eq(found.iter())
                .then(|| Arc::clone(state)),
        }
    }

    fn is_observer(&self, op: &AppendListOp) -> bool {
        !matches!(op, AppendListOp::Append(_))
    }

    /// One element, or two and their order.
    fn things(&self, ops: &[&AppendListOp], among: &[&AppendListOp]) -> Vec<Value> {
        let few = things::of(&self.initial, ops, among);
        few.into_iter().map(Value::List).collect()
    }

    /// Reads show some elements, in an order, whatever is between them.
    fn aspect(&self, op: &AppendListOp, thing: &Value) -> Option<AppendListOp> {
        let of = thing.as_list()?;
        match op {
            AppendListOp::Append(element) => of.contains(element).then(|| op.clone()),
            AppendListOp::Read(found) => {
                let found = found.iter().filter(|element| of.contains(element));
                Some(AppendListOp::Shows {
                    of: of.into(),
                    found: found.cloned().collect(),
                })
            }
            AppendListOp::Shows { .. } => None,
        }
    }

    /// An open append of what no completed read found: after it, nobody can have read any more.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&AppendListOp],
        open: &[&AppendListOp],
    ) -> Vec<bool> {
        let mut read: FxHashSet<&Value> = FxHashSet::default();
        for op in completed {
            if let AppendListOp::Read(found) | AppendListOp::Shows { found, .. } = op {
                read.extend(found.iter());
            }
        }
        open.iter()
            .map(|op| match op {
                AppendListOp::Append(element) => !read.contains(element),
                AppendListOp::Read(_) | AppendListOp::Shows { .. } => true,
            })
            .collect()
    }

    fn register_view(
        &self,
        initial: &Arc<[Value]>,
        history: &[Interval<AppendListOp>],
    ) -> Option<RegisterView> {
        let mut numbers: FxHashMap<&Value, u32> = FxHashMap::default();
        let mut number = |element| {
            let next = numbers.len() as u32;
            *numbers.entry(element).or_insert(next)
        };
        // Either all are whole reads, or all are of the same elements.
        let mut reads = history.iter().filter_map(|interval| match &interval.op {
            AppendListOp::Append(_) => None,
            AppendListOp::Read(_) => Some(None),
            AppendListOp::Shows { of, .. } => Some(Some(of)),
        });
        let of = reads.next().flatten();
        if !reads.all(|other| other == of) {
            return None;
        }
        let is_seen = |element: &&Value| of.is_none_or(|of| of.contains(element));
        let start: Vec<u32> = initial.iter().filter(is_seen).map(&mut number).collect();
        let mut elements: Vec<u32> = Vec::new();
        let mut ends: Vec<usize> = Vec::with_capacity(history.len());
        for interval in history {
            match &interval.op {
                AppendListOp::Append(element) if is_seen(&element) => {
                    elements.push(number(element));
                }
                AppendListOp::Append(_) => return None,
                AppendListOp::Read(found) | AppendListOp::Shows { found, .. } => {
                    elements.extend(found.iter().map(&mut number));
                }
            }
            ends.push(elements.len());
        }
        let steps = history.iter().enumerate().map(|(place, interval)| {
            let from = place.checked_sub(1).map_or(0, |before| ends[before]);
            let these = &elements[from..ends[place]];
            let step = match interval.op {
                AppendListOp::Append(_) => Step::Append(these),
                AppendListOp::Read(_) | AppendListOp::Shows { .. } => Step::Find(Some(these)),
            };
            (step, interval.ends.is_none())
        });
        registers::revealed(Some(&start), steps)
    }

    fn state_bytes(&self, state: &Arc<[Value]>) -> usize {
        size_of::<Arc<[Value]>>() + size_of_val::<[Value]>(state)
    }

    fn describe(&self, op: &AppendListOp) -> String {
        match op {
            AppendListOp::Append(element) => format!("append of {}", brief(&element.to_string())),
            AppendListOp::Read(found) => format!("read of {}", show(found)),
            AppendListOp::Shows { of, found } => show_of(of, found),
        }
    }

    fn describe_state(&self, state: &Arc<[Value]>) -> String {
        match state.is_empty() {
            true => "the list is empty".to_owned(),
            false => format!("the list is {}", show(state)),
        }
    }

    /// What a read says of some elements is none of the whole list.
    fn marks(&self, op: &AppendListOp) -> Option<(Value, Marks)> {
        let marks = match op {
            AppendListOp::Shows { .. } => return None,
            AppendListOp::Append(element) => Marks::Adds(element.clone()),
            AppendListOp::Read(found) => Marks::Finds {
                elements: found.to_vec(),
                in_order: true,
            },
        };
        Some((Value::Nil, marks))
    }

    fn lacks(&self, observation: &AppendListOp, update: &AppendListOp) -> bool {
        match (observation, update) {
            (AppendListOp::Read(found), AppendListOp::Append(element)) => !found.contains(element),
            (AppendListOp::Shows { of, found }, AppendListOp::Append(element)) => {
                of.contains(element) && !found.contains(element)
            }
            _ => false,
        }
    }
}

/// What a read says of one element, or of two.
fn show_of(of: &[Value], found: &[Value]) -> String {
    let show = |element: &Value| brief(&element.to_string());
    match (of, found) {
        ([one], []) => format!("read without {}", show(one)),
        ([one], [_]) => format!("read with {}", show(one)),
        ([one, other], []) => format!("read without {} and {}", show(one), show(other)),
        ([one, other], [found]) => {
            let lacked = if found == one { other } else { one };
            format!("read with {} and without {}", show(found), show(lacked))
        }
        ([_, _], [first, second]) if first != second => {
            format!("read with {} before {}", show(first), show(second))
        }
        _ => {
            let found: Vec<String> = found.iter().map(show).collect();
            format!("read with {}", found.join(" and then "))
        }
    }
}

/// The list, of a long one the end.
fn show(elements: &[Value]) -> String {
    let hidden = elements.len().saturating_sub(SHOWN_MAX);
    let shown = elements[hidden..].iter().map(Value::to_string);
    let dots = (hidden > 0).then(|| "…".to_owned());
    let words: Vec<String> = dots.into_iter().chain(shown).collect();
    format!("[{}]", brief(&words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::RegisterHistory;
    use crate::testing::{Plain, chance, each_history, judge_rows, random_intervals, samples};
    use crate::{ModelKind, ModelOptions, Verdict, oracle};
    use Verdict::{Invalid, Valid};

    const NODES_MAX: u64 = 10_000_000;

    fn list() -> AppendList {
        AppendList::new(None, NilReads::default()).unwrap()
    }

    #[test]
    fn append_list_histories() {
        judge_rows(
            &ModelOptions::new(ModelKind::AppendList),
            &[
                ("append 1 -> nil; append 2 -> 2; read nil -> [1 2]", Valid),
                ("read nil -> []; read nil -> nil", Valid),
                (
                    "append 1 -> true; append 2 -> nil; read nil -> [2 1]",
                    Invalid,
                ),
                ("append 1 -> nil; read nil -> []", Invalid),
                ("append 1 -> nil; read nil -> [1 2]", Invalid),
                ("read nil -> [1]; append 1 -> nil", Invalid),
                (
                    "append 1 -> ? @0 ?; 1 read nil -> [1] @1 2; 1 read nil -> [] @3 4",
                    Invalid,
                ),
                (
                    "append 1 -> ? @0 ?; 1 read nil -> [] @1 2; 1 read nil -> [1] @3 4",
                    Valid,
                ),
                ("append 1 -> x; read nil -> [1]", Invalid),
                (
                    "0 append 1 -> nil @0 9; 1 append 2 -> nil @1 8; 2 read nil -> [1] @2 3; \
                     2 read nil -> [2 1] @4 5",
                    Invalid,
                ),
                // Repeated elements are for the search.
                ("append 1 -> nil; append 1 -> nil; read nil -> [1 1]", Valid),
                ("append 1 -> nil; append 1 -> nil; read nil -> [1]", Invalid),
            ],
        );
    }

    #[test]
    fn what_is_no_append_list_is_refused() {
        let rows = [
            (
                "append 1 -> 7",
                "operation 0 has an append with the result 7, but the model append-list expects \
                 nil, true or the element (fail is for an append that did not happen)",
            ),
            (
                "read nil -> 7",
                "operation 0 has a read with the result 7, but the model append-list expects a \
                 list of elements, or nil for an empty one",
            ),
            (
                "pop nil -> 7",
                "operation 0 has an operation \"pop\", but the model append-list expects append \
                 or read",
            ),
        ];
        for (row, expected) in rows {
            let refused = list().parse(&samples(row)[0]).unwrap_err().to_string();
            assert_eq!(refused, expected);
        }
        assert!(AppendList::new(Some(&Value::Int(1)), NilReads::default()).is_err());
    }

    /// Whether there was a view, and an order.
    fn compare(intervals: &[Interval<AppendListOp>]) -> (bool, bool) {
        let model = list();
        let initial = model.initial(None);
        let expected = oracle::is_linearizable(&model, &initial, intervals, NODES_MAX).unwrap();
        let Some(view) = model.register_view(&initial, intervals) else {
            return (false, expected);
        };
        let history = RegisterHistory::from_view(&view, intervals);
        let accesses: Vec<_> = (intervals.iter().zip(&view.accesses))
            .map(|(interval, &op)| Interval {
                op,
                begins: interval.begins,
                ends: interval.ends,
            })
            .collect();
        let said = oracle::is_linearizable(&Plain, &0, &accesses, NODES_MAX).unwrap();
        assert_eq!(said, expected, "{intervals:#?} {view:#?}");
        // Elements that were read are appended once, so the zones judge it as well.
        let zones = registers::zones::decide(&history).unwrap();
        let zones = zones == registers::zones::Zones::Linearizable;
        assert_eq!(zones, expected, "{intervals:#?} {view:#?}");
        (true, expected)
    }

    fn read(elements: &[i64]) -> AppendListOp {
        AppendListOp::Read(elements.iter().copied().map(Value::Int).collect())
    }

    #[test]
    fn every_history_of_few_operations_has_the_verdict_of_its_view() {
        let mut ops: Vec<AppendListOp> = (1..=3)
            .map(|element| AppendListOp::Append(Value::Int(element)))
            .collect();
        let reads: [&[i64]; 7] = [&[], &[1], &[2], &[1, 2], &[2, 1], &[1, 1], &[1, 2, 3]];
        ops.extend(reads.into_iter().map(read));
        let mut seen = [0_u32; 4];
        for (count, stride) in [(3, 1), (4, 97)] {
            each_history(count, stride, &ops, |_, intervals| {
                let (view, valid) = compare(intervals);
                seen[usize::from(view) * 2 + usize::from(valid)] += 1;
            });
        }
        assert!(seen.iter().all(|seen| *seen > 300), "{seen:?}");
    }

    #[test]
    fn random_histories_have_the_verdicts_of_their_views() {
        let mut chance = chance(5);
        let mut seen = [0_u32; 4];
        for _ in 0..4_000 {
            let count = 3 + chance.below(9) as usize;
            let width = 1 + chance.below(5) as usize;
            let mut there: Vec<i64> = Vec::new();
            let repeats = chance.chance(1, 8);
            let intervals = random_intervals(&mut chance, count, width, |chance| {
                if chance.chance(1, 2) {
                    let element = match repeats {
                        true => chance.below(4) as i64,
                        false => there.len() as i64,
                    };
                    there.push(element);
                    return AppendListOp::Append(Value::Int(element));
                }
                let mut found = there.clone();
                if chance.chance(1, 4) && found.len() > 1 {
                    let last = found.len() - 1;
                    found.swap(last, last - 1);
                }
                found.truncate(found.len() - chance.below(3).min(found.len() as u64) as usize);
                read(&found)
            });
            let (view, valid) = compare(&intervals);
            seen[usize::from(view) * 2 + usize::from(valid)] += 1;
        }
        assert!(seen[2] > 500 && seen[3] > 500, "{seen:?}");
    }
}
