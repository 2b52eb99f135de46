//! What each structure's text is, and how operations read and change it: pure functions.

use histories::Value;

use super::NUMBERS;
use crate::Invocation;
use crate::bank::{ACCOUNTS, INITIAL_BALANCE};

/// How an operation is done.
pub(super) enum Plan {
    /// By one append of this text.
    Append(String),
    /// By one look; `None` where the text is none of this structure.
    Look(fn(Option<&str>) -> Option<Value>),
    /// By looks and swaps.
    Change(Change),
}

/// What comes of the text that a look found; `None` where it is none of this structure.
pub(super) type Change = Box<dyn Fn(Option<&str>) -> Option<Step> + Send + Sync>;

/// What comes of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is to be changed: the result is what was observed.
    Nothing(Value),
    /// The text is to be this one; then the result is this.
    Swap { new: String, result: Value },
}

/// How an operation of this workload is done for this process.
///
/// # Errors
/// In words: it is none of the workload's.
pub(super) fn plan(workload: &str, invocation: &Invocation, process: u64) -> Result<Plan, String> {
    let value = &invocation.value;
    let no_value = || format!("{} of {value} cannot be kept as text", invocation.f);
    Ok(match (workload, &*invocation.f) {
        ("set", "add")
        | ("append", "append")
        | ("broadcast", "broadcast")
        | ("queue", "enqueue") => Plan::Append(format!("{} ", word(value).ok_or_else(no_value)?)),
        ("set" | "append" | "broadcast", "read") => Plan::Look(|text| Some(elements(text))),
        ("queue", "dequeue") => Plan::Change(Box::new(dequeue)),
        ("lock", "acquire") => Plan::Change(Box::new(move |text| {
            acquire(text, process, |_| true.into())
        })),
        ("fenced-lock", "acquire") => Plan::Change(Box::new(move |text| {
            acquire(text, process, |token| token.into())
        })),
        ("lock" | "fenced-lock", "release") => {
            Plan::Change(Box::new(move |text| release(text, process)))
        }
        ("counter", "add") => {
            let amount = value.as_int().ok_or_else(no_value)?;
            Plan::Change(Box::new(move |text| add(text, amount)))
        }
        ("counter", "read") => Plan::Look(|text| number(text).map(Value::Int)),
        ("unique-ids", "generate") => Plan::Change(Box::new(move |text| next_id(text, process))),
        ("bank", "transfer") => {
            let entry = |name| value.get(name).and_then(Value::as_u64);
            let (from, to) = entry("from").zip(entry("to")).ok_or_else(no_value)?;
            let amount = entry("amount").and_then(|amount| i64::try_from(amount).ok());
            let amount = amount.ok_or_else(no_value)?;
            Plan::Change(Box::new(move |text| transfer(text, from, to, amount)))
        }
        ("bank", "read") => Plan::Look(|text| {
            let entry =
                |(account, balance): (u64, i64)| (account.to_string().into(), balance.into());
            Some(Value::Map((0..).zip(balances(text)?).map(entry).collect()))
        }),
        ("leader-election", "campaign") => {
            let candidate = word(value).ok_or_else(no_value)?;
            let named = value.clone();
            Plan::Change(Box::new(move |text| campaign(text, &candidate, &named)))
        }
        ("leader-election", "leader") => Plan::Look(|text| match text {
            None => Some(Value::Nil),
            Some(_) => led(text).map(|(term, leader)| leadership(leader.into(), term)),
        }),
        (_, f) => return Err(format!("the workload {workload} has no operation {f}")),
    })
}

/// An element as one word.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Text(text) if !text.is_empty() && !text.contains(char::is_whitespace) => {
            // What looks like a number would be read back as one.
            text.parse::<i64>().is_err().then(|| text.to_string())
        }
        _ => None,
    }
}

/// A word as an element: digits as they are written by us are a number.
fn element(word: &str) -> Value {
    match word.parse::<i64>() {
        Ok(number) if number.to_string() == word => Value::Int(number),
        _ => word.into(),
    }
}

fn elements(text: Option<&str>) -> Value {
    let words = text
        .unwrap_or_default()
        .split(' ')
        .filter(|word| !word.is_empty());
    Value::List(words.map(element).collect())
}

fn dequeue(text: Option<&str>) -> Option<Step> {
    let text = text.unwrap_or_default();
    Some(match text.split_once(' ') {
        None if text.is_empty() => Step::Nothing(Value::Nil),
        None => return None,
        Some((first, rest)) => Step::Swap {
            new: rest.to_owned(),
            result: element(first),
        },
    })
}

/// The last token, and the holder.
fn lock(text: Option<&str>) -> Option<(i64, Option<u64>)> {
    let Some(text) = text else {
        return Some((0, None));
    };
    let (token, holder) = text.split_once(' ').unwrap_or((text, ""));
    let holder = match holder {
        "" => None,
        holder => Some(holder.parse().ok()?),
    };
    Some((token.parse().ok()?, holder))
}

fn acquire(text: Option<&str>, process: u64, granted: impl Fn(i64) -> Value) -> Option<Step> {
    let (token, holder) = lock(text)?;
    let token = token.checked_add(1)?;
    Some(match holder {
        Some(_) => Step::Nothing(false.into()),
        None => Step::Swap {
            new: format!("{token} {process}"),
            result: granted(token),
        },
    })
}

fn release(text: Option<&str>, process: u64) -> Option<Step> {
    let (token, holder) = lock(text)?;
    Some(match holder == Some(process) {
        false => Step::Nothing(false.into()),
        true => Step::Swap {
            new: token.to_string(),
            result: true.into(),
        },
    })
}

fn number(text: Option<&str>) -> Option<i64> {
    text.map_or(Some(0), |text| text.parse().ok())
}

fn add(text: Option<&str>, amount: i64) -> Option<Step> {
    let sum = number(text)?.checked_add(amount)?;
    Some(Step::Swap {
        new: sum.to_string(),
        result: Value::Nil,
    })
}

/// The key that a process takes its ids from.
pub(super) fn numbers_key(process: u64) -> Value {
    format!("ids-{}", process % NUMBERS).into()
}

/// The ids of a key leave its number when divided by that of the keys.
fn next_id(text: Option<&str>, process: u64) -> Option<Step> {
    let given = number(text)?;
    let step = i64::try_from(NUMBERS).ok()?;
    let own = i64::try_from(process % NUMBERS).ok()?;
    Some(Step::Swap {
        new: given.checked_add(1)?.to_string(),
        result: given.checked_mul(step)?.checked_add(own)?.into(),
    })
}

fn balances(text: Option<&str>) -> Option<Vec<i64>> {
    let Some(text) = text else {
        return Some(vec![INITIAL_BALANCE; ACCOUNTS as usize]);
    };
    text.split(' ').map(|word| word.parse().ok()).collect()
}

fn transfer(text: Option<&str>, from: u64, to: u64, amount: i64) -> Option<Step> {
    let mut held = balances(text)?;
    let place = |account: u64| usize::try_from(account).ok();
    let rest = held.get(place(from)?)?.checked_sub(amount)?;
    if rest < 0 {
        return Some(Step::Nothing(false.into()));
    }
    *held.get_mut(place(from)?)? = rest;
    let more = held.get(place(to)?)?.checked_add(amount)?;
    *held.get_mut(place(to)?)? = more;
    let words: Vec<String> = held.iter().map(i64::to_string).collect();
    Some(Step::Swap {
        new: words.join(" "),
        result: true.into(),
    })
}

/// The term, and its leader.
fn led(text: Option<&str>) -> Option<(i64, &str)> {
    let (term, leader) = text?.split_once(' ')?;
    Some((term.parse().ok()?, leader))
}

fn campaign(text: Option<&str>, candidate: &str, named: &Value) -> Option<Step> {
    let last = match text {
        None => 0,
        Some(_) => led(text)?.0,
    };
    let term = last.checked_add(1)?;
    Some(Step::Swap {
        new: format!("{term} {candidate}"),
        result: leadership(named.clone(), term),
    })
}

fn leadership(leader: Value, term: i64) -> Value {
    Value::Map(vec![
        ("leader".into(), leader),
        ("term".into(), term.into()),
    ])
}
