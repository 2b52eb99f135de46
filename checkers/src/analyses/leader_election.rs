//! Elections: never two leaders in one term, and in the end everybody names the same.
//!
//! Whoever answers `{leader, term}` says that this leader led in this term, at whatever time.
//! - *Two leaders*: two answers name different leaders in one term.
//! - *An old term was won*: a campaign made its candidate the leader of a term, though a later one
//!   had been named by an answer that ended before the campaign began.
//! - *No agreement*: answers that began after the last campaign had ended differ. Where a campaign
//!   has an unknown outcome that is not judged: it may still change who leads.
//! - *Stale*: an answer names an earlier term than one that had ended before it began. Alone that
//!   proves nothing: who leads a term stays true for ever.

use std::collections::BTreeMap;

use histories::{Operation, Outcome, Value};

use super::tally::Tally;
use super::{by_key, done_at, is_before, may_have_happened, name_of};
use crate::Check;

const COUNTS: [&str; 9] = [
    "campaigns",
    "won",
    "answers",
    "terms",
    "two leaders",
    "old terms won",
    "no agreement",
    "stale",
    "strange",
];

/// Judges `campaign` (the argument names the candidate) and `leader`.
pub(super) fn check(operations: &[Operation]) -> Check {
    let mut tally = Tally::new("leader-election", &COUNTS);
    for (key, operations) in by_key(operations) {
        let answers = answers(&operations, &mut tally);
        judge_terms(&key, &answers, &mut tally);
        judge_progress(&key, &answers, &mut tally);
        judge_agreement(&key, &operations, &answers, &mut tally);
    }
    if tally.count("answers") == 0 {
        tally.unknown("nobody named a leader");
    }
    tally.unknown_if_strange("elections");
    tally.finish()
}

/// Somebody's word on who led when.
struct Answer<'a> {
    operation: &'a Operation,
    leader: &'a Value,
    term: i64,
    /// Whether it is a campaign that its own candidate won.
    won: bool,
}

fn answers<'a>(operations: &[&'a Operation], tally: &mut Tally) -> Vec<Answer<'a>> {
    let mut answers = Vec::new();
    for &operation in operations {
        let is_campaign = &*operation.f == "campaign";
        if !is_campaign && &*operation.f != "leader" {
            tally.add("strange", 1);
            continue;
        }
        tally.add("campaigns", usize::from(is_campaign));
        let output = &operation.output;
        if done_at(operation).is_none() || output.is_nil() {
            continue;
        }
        let leader = output.get("leader").filter(|leader| !leader.is_nil());
        let term = output.get("term").and_then(Value::as_int);
        match (leader, term) {
            (Some(leader), Some(term)) => {
                let won = is_campaign && *leader == operation.input;
                tally.add("won", usize::from(won));
                tally.add("answers", 1);
                answers.push(Answer {
                    operation,
                    leader,
                    term,
                    won,
                });
            }
            // Nobody leads, says whoever names only a term.
            (None, _) if matches!(output, Value::Map(_)) => {}
            _ => tally.add("strange", 1),
        }
    }
    answers
}

fn judge_terms(key: &Value, answers: &[Answer<'_>], tally: &mut Tally) {
    let mut leaders: BTreeMap<i64, Vec<&Answer<'_>>> = BTreeMap::new();
    for answer in answers {
        let known = leaders.entry(answer.term).or_default();
        if known.iter().all(|one| one.leader != answer.leader) {
            known.push(answer);
        }
    }
    tally.add("terms", leaders.len());
    for (term, named) in leaders {
        if let [first, others @ ..] = &named[..] {
            for other in others {
                let text = || {
                    format!(
                        "in term {term} both {} (says {}) and {} (says {}) lead",
                        first.leader,
                        name_of(first.operation),
                        other.leader,
                        name_of(other.operation)
                    )
                };
                tally.violation(
                    "two leaders",
                    key,
                    text,
                    &[first.operation, other.operation],
                );
            }
        }
    }
}

fn judge_progress(key: &Value, answers: &[Answer<'_>], tally: &mut Tally) {
    let mut ended: Vec<&Answer<'_>> = answers.iter().collect();
    ended.sort_by_key(|answer| done_at(answer.operation));
    let mut ended = ended.into_iter().peekable();
    let mut newest: Option<&Answer<'_>> = None;
    // Operations come in order of invocation.
    for answer in answers {
        while let Some(other) = ended.next_if(|other| is_before(other.operation, answer.operation))
        {
            if newest.is_none_or(|newest| newest.term < other.term) {
                newest = Some(other);
            }
        }
        let Some(newest) = newest.filter(|newest| newest.term > answer.term) else {
            continue;
        };
        let shown_by = [newest.operation, answer.operation];
        let (name, other) = (name_of(answer.operation), name_of(newest.operation));
        let (term, known) = (answer.term, newest.term);
        if answer.won {
            let text = || format!("{name} won term {term}, after {other} had named term {known}");
            tally.violation("old terms won", key, text, &shown_by);
        } else {
            let text = || format!("{name} names term {term}, after {other} had named term {known}");
            tally.oddity("stale", key, text, &shown_by);
        }
    }
}

fn judge_agreement(
    key: &Value,
    operations: &[&Operation],
    answers: &[Answer<'_>],
    tally: &mut Tally,
) {
    let campaigns = operations
        .iter()
        .filter(|one| &*one.f == "campaign" && may_have_happened(one));
    if campaigns.clone().any(|one| one.outcome == Outcome::Info) {
        return;
    }
    let Some(over) = campaigns.filter_map(|one| done_at(one)).max() else {
        return;
    };
    let mut last = answers
        .iter()
        .filter(|answer| answer.operation.invoked.index > over);
    let Some(first) = last.next() else { return };
    if let Some(other) = last.find(|one| (one.leader, one.term) != (first.leader, first.term)) {
        let text = || {
            format!(
                "after the last campaign {} names {} in term {}, and {} names {} in term {}",
                name_of(first.operation),
                first.leader,
                first.term,
                name_of(other.operation),
                other.leader,
                other.term
            )
        };
        tally.violation(
            "no agreement",
            key,
            text,
            &[first.operation, other.operation],
        );
    }
}
