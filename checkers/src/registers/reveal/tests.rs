//! The view against every order tried, of all prefixes and with operations made open.

use std::sync::Arc;

use histories::Value;
use seeds::Stream;

use super::*;
use crate::models::step_of;
use crate::oracle::{self, Interval};
use crate::testing::{Plain, chance, each_history, random_intervals};
use crate::{Kv, KvOp, Model, NilReads};

const NODES_MAX: u64 = 10_000_000;

/// How many histories were compared, how many of them have an order, of how many there was no
/// view; and of how many the view allows more, and has an order where they have none.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    valid: u32,
    invalid: u32,
    without: u32,
    allows_more: u32,
    has_more: u32,
}

impl Seen {
    /// The view of the history, if there is one, has an order exactly when the history has one; or always
    /// then, if it allows more.
    fn compare<M: Model>(&mut self, model: &M, intervals: &[Interval<M::Op>]) {
        let initial = model.initial(None);
        let Some(view) = model.register_view(&initial, intervals) else {
            self.without += 1;
            return;
        };
        let accesses = as_seen(intervals, &view);
        let expected = oracle::is_linearizable(model, &initial, intervals, NODES_MAX).unwrap();
        let said = oracle::is_linearizable(&Plain, &0, &accesses, NODES_MAX).unwrap();
        let has_more = view.allows_more && said && !expected;
        assert!(
            said == expected || has_more,
            "{initial:?} {intervals:#?} {view:#?}"
        );
        self.allows_more += u32::from(view.allows_more);
        self.has_more += u32::from(has_more);
        match expected {
            true => self.valid += 1,
            false => self.invalid += 1,
        }
    }

    /// The same for each of its prefixes.
    fn compare_prefixes<M: Model>(&mut self, model: &M, intervals: &[Interval<M::Op>]) {
        let end = intervals.iter().filter_map(|interval| interval.ends).max();
        for end in 0..=end.unwrap_or(0) + 1 {
            self.compare(model, &cut(model, intervals, end, |_| true));
        }
    }
}

/// The history as the register sees it.
fn as_seen<Op>(intervals: &[Interval<Op>], view: &RegisterView) -> Vec<Interval<Access<u32>>> {
    intervals
        .iter()
        .zip(&view.accesses)
        .map(|(interval, &op)| Interval {
            op,
            begins: interval.begins,
            ends: interval.ends,
        })
        .collect()
}

/// What happens before `end`, with only the operations `kept` bounded.
fn cut<M: Model>(
    model: &M,
    intervals: &[Interval<M::Op>],
    end: u64,
    kept: impl Fn(usize) -> bool,
) -> Vec<Interval<M::Op>> {
    intervals
        .iter()
        .enumerate()
        .filter(|(_, interval)| interval.begins < end)
        .map(|(number, interval)| Interval {
            ends: interval.ends.filter(|ends| *ends < end && kept(number)),
            ..interval.clone()
        })
        .filter(|interval| interval.ends.is_some() || !model.is_observer(&interval.op))
        .collect()
}

fn text(text: &str) -> Option<Arc<str>> {
    (text != "-").then(|| text.into())
}

/// Operations from words as `g-`, `pab`, `ab`: what (get, put, append, compare-and-set, mismatch,
/// delete, Delete that found something, delete that found nothing), and strings (`-` for a missing
/// key).
fn ops(row: &str) -> Vec<KvOp> {
    row.split(' ')
        .map(|word| {
            let (what, rest) = word.split_at(1);
            match what {
                "g" => KvOp::Get(text(rest)),
                "p" => KvOp::Put(rest.into()),
                "a" => KvOp::Append(rest.into()),
                "m" => KvOp::Mismatch(text(rest)),
                "c" => {
                    let (old, new) = rest.split_once(':').unwrap();
                    KvOp::Cas(text(old), new.into())
                }
                "d" => KvOp::Delete,
                "D" => KvOp::DeleteFound,
                "n" => KvOp::DeleteMissing,
                _ => panic!("{word}"),
            }
        })
        .collect()
}

fn store(initial: &str) -> Kv {
    Kv::new(text(initial).map(Value::Text).as_ref(), NilReads::default()).unwrap()
}

#[test]
fn every_history_of_few_operations_has_the_verdict_of_its_view() {
    let rows = [
        (3, 5, "g- g ga gb gab gba aa ab p pa d m- mab c-:a ca:ab"),
        (3, 3, "ga gaa gb gab pa aa aab mb D n ab"),
        (4, 61, "g- ga gab gb gba aa ab pa cab:b m- d"),
        (4, 61, "ga gab gabc gac aa ab ac pb"),
    ];
    let mut all = Seen::default();
    for (row, (count, stride, words)) in rows.into_iter().enumerate() {
        let mut seen = Seen::default();
        each_history(count, stride, &ops(words), |number, intervals| {
            let initial = ["-", "", "a"][number % 3];
            seen.compare(&store(initial), intervals);
        });
        let not_exact = seen.without + seen.allows_more;
        let least = seen.valid.min(seen.invalid).min(not_exact);
        assert!(least > 400, "{row} {seen:?}");
        all.allows_more += seen.allows_more;
        all.has_more += seen.has_more;
    }
    assert!(all.allows_more > 400 && all.has_more > 50, "{all:?}");
}

/// Strings of few symbols that were appended lately, so that they are often what is there.
fn random_history(chance: &mut Stream, plain: bool) -> Vec<Interval<KvOp>> {
    let count = 3 + chance.below(8) as usize;
    let width = 1 + chance.below(4) as usize;
    let symbols = if plain { 12 } else { 1 + chance.below(5) };
    let mut there = String::new();
    let mut next = 0;
    random_intervals(chance, count, width, |chance| {
        let mut symbol = |chance: &mut Stream| {
            next += 1;
            let symbol = if plain { next } else { chance.below(symbols) };
            let symbol = char::from(b'a' + symbol as u8).to_string();
            match chance.chance(1, 5) {
                true => format!("{symbol};"),
                false => symbol,
            }
        };
        let now: Arc<str> = there.as_str().into();
        match chance.below(if plain { 12 } else { 20 }) {
            0..=4 => KvOp::Get((!now.is_empty() || chance.chance(1, 4)).then_some(now)),
            5..=9 => {
                let token = symbol(chance);
                there.push_str(&token);
                KvOp::Append(token.into())
            }
            10 => {
                there = symbol(chance);
                KvOp::Put(there.as_str().into())
            }
            11 => {
                let before = there.len().saturating_sub(1);
                KvOp::Get(Some(there.get(..before).unwrap_or_default().into()))
            }
            12 => {
                there.clear();
                [KvOp::Delete, KvOp::DeleteFound, KvOp::DeleteMissing][chance.below(3) as usize]
                    .clone()
            }
            13 => KvOp::Mismatch(Some(symbol(chance).into())),
            14..=15 => {
                there = symbol(chance);
                KvOp::Cas(Some(now), there.as_str().into())
            }
            16 => KvOp::Mismatch(Some(now)),
            _ => KvOp::Get(Some(now)),
        }
    })
}

#[test]
fn random_histories_have_the_verdicts_of_their_views() {
    let mut chance = chance(1);
    for plain in [true, false] {
        let mut seen = Seen::default();
        for _ in 0..3_000 {
            let intervals = random_history(&mut chance, plain);
            let model = store(["-", "", "a"][chance.below(3) as usize]);
            seen.compare_prefixes(&model, &intervals);
            let kept = chance.below(1 << intervals.len());
            let weak = cut(&model, &intervals, u64::MAX, |number| {
                kept >> number & 1 == 1
            });
            seen.compare(&model, &weak);
        }
        assert!(seen.valid > 5_000 && seen.invalid > 5_000, "{seen:?}");
        assert!(plain || seen.has_more > 100, "{seen:?}");
    }
}

/// What view there is.
#[derive(Debug, PartialEq)]
enum Given {
    Nothing,
    More,
    Exact,
}

/// What is read shows the order of appends, so that there is a view; or it does not.
#[test]
fn there_is_a_view_where_what_was_found_says_which_append_left_it() {
    use Given::{Exact, More, Nothing};
    let rows = [
        ("-", "aa ab gab", Exact),
        ("-", "aa ab gba", Exact),
        ("-", "a1, a11, g1,11,", Exact),
        ("", "aa ga", Exact),
        // Not known whether the key was missing or empty.
        ("-", "p aa ga", Nothing),
        ("-", "aa aa gaa", Nothing),
        ("-", "aa pa ga", Nothing),
        ("-", "ab pa cab:c", Exact),
        ("-", "a ga", Nothing),
        // Nobody found what was appended twice.
        ("-", "aa aa g-", Exact),
        // It may have been "a", or not.
        ("-", "aa ma", More),
        ("-", "aa ma ga", Exact),
        ("a", "D ab", Exact),
        ("a", "D d ab", More),
        ("-", "D ab", More),
    ];
    for (initial, row, expected) in rows {
        let model = store(initial);
        let intervals: Vec<_> = (0..)
            .zip(ops(row))
            .map(|(place, op)| Interval {
                op,
                begins: 2 * place,
                ends: Some(2 * place + 1),
            })
            .collect();
        let view = model.register_view(&model.initial(None), &intervals);
        let given = match &view {
            None => Nothing,
            Some(view) if view.allows_more => More,
            Some(_) => Exact,
        };
        assert_eq!(given, expected, "{initial} {row} {view:?}");
    }
}

#[test]
fn names_without_their_end_are_the_names_of_what_is_left() {
    let whole: Vec<u8> = (0..=255).collect();
    for length in 0..=whole.len() {
        let name = Name::of(Some(&whole[..]));
        assert_eq!(
            name.without_last(whole.len() - length),
            Name::of(Some(&whole[..length]))
        );
    }
    assert_eq!(BASE.wrapping_mul(BASE_INVERSE), 1);
    assert_ne!(Name::<u8>::of(None), Name::of(Some(&[])));
}

/// Verdicts of whole histories, with violations that are explained although what the appends did
/// was found out from what was read later.
#[test]
fn histories_with_appends_are_judged_and_violations_confirmed() {
    let options = crate::ModelOptions::new(crate::ModelKind::Kv);
    use crate::Verdict::{Invalid, Valid};
    crate::testing::judge_rows(
        &options,
        &[
            (
                "append a -> nil @0 1; append b -> nil @2 3; get nil -> ab @4 5",
                Valid,
            ),
            (
                "append b -> nil @0 1; append a -> nil @2 3; get nil -> ab @4 5",
                Invalid,
            ),
            (
                "0 append a -> nil @0 9; 1 append b -> nil @1 8; 2 get nil -> a @2 3; \
                 2 get nil -> b @4 5",
                Invalid,
            ),
            (
                "0 append a -> ? @0 ?; 1 append b -> nil @1 8; 2 get nil -> b @9 10; \
                 2 get nil -> ba @11 12; 2 get nil -> b @13 14",
                Invalid,
            ),
            (
                "append a -> nil @0 1; put c -> nil @2 3; append b -> nil @4 5; \
                 get nil -> ab @6 7",
                Invalid,
            ),
            ("append a -> nil @0 1; get nil -> nil @2 3", Invalid),
        ],
    );
}

/// Leaving out any one of the conditions gives a view with another verdict than the history.
#[test]
fn every_condition_is_needed() {
    let conditions = [
        Condition::OneSource,
        Condition::NothingOrEmpty,
        Condition::NamedIsClear,
    ];
    let mut chance = chance(2);
    let mut mistakes = [0_u32; 3];
    for _ in 0..6_000 {
        let intervals = random_history(&mut chance, false);
        let model = store(["-", "", "a"][chance.below(3) as usize]);
        let initial = model.initial(None);
        let finds_something = |interval: &Interval<KvOp>| interval.op == KvOp::DeleteFound;
        if intervals.iter().any(finds_something) {
            continue;
        }
        let steps = intervals
            .iter()
            .map(|interval| (step_of(&interval.op), interval.ends.is_none()));
        let start = initial.as_deref().map(str::as_bytes);
        if view(start, steps.clone()).is_some_and(|view| !view.allows_more) {
            continue;
        }
        let expected = oracle::is_linearizable(&model, &initial, &intervals, NODES_MAX).unwrap();
        for (condition, mistakes) in conditions.into_iter().zip(&mut mistakes) {
            if let Some(view) = view_without(start, steps.clone(), Some(condition)) {
                let said =
                    oracle::is_linearizable(&Plain, &0, &as_seen(&intervals, &view), NODES_MAX);
                let said = said.unwrap();
                let has_more = view.allows_more && said;
                *mistakes += u32::from(said != expected && !has_more);
            }
        }
    }
    assert!(
        mistakes.iter().all(|mistakes| *mistakes > 0),
        "{mistakes:?}"
    );
}
