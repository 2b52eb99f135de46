//! Logs with offsets: every offset has one message, every message one offset, and whoever polls gets
//! all there is in between.
//!
//! `send` has the log as its key, the message as its argument and `[offset message]` as its result;
//! `poll` a map from log to the offset wanted first, and one from log to a list of `[offset
//! message]`; `commit` a map from log to offset, and `list` gives such a map.

use std::collections::BTreeMap;

use histories::{Operation, Value};
use rustc_hash::FxHashMap;

use super::tally::Tally;
use super::{is_before, is_ok, may_have_happened, name_of};
use crate::Check;

const COUNTS: [&str; 14] = [
    "sends",
    "acknowledged",
    "polls",
    "last polls",
    "polled",
    "lost",
    "gaps",
    "reordered",
    "duplicated",
    "inconsistent offsets",
    "offsets went back",
    "stale commits",
    "unexpected",
    "strange",
];

/// Messages with their offsets.
type Messages<'a> = Vec<(i64, &'a Value)>;

/// What is known of one log.
#[derive(Default)]
struct Log<'a> {
    /// What was sent, by message, unless it certainly was not.
    sends: FxHashMap<&'a Value, &'a Operation>,
    /// What is at each offset, and who showed it.
    at: BTreeMap<i64, (&'a Value, &'a Operation)>,
    /// Where each message is.
    place: FxHashMap<&'a Value, i64>,
    acknowledged: Vec<(i64, &'a Value, &'a Operation)>,
    /// What each poll got: from which offset on, and what.
    polls: Vec<(i64, Messages<'a>, &'a Operation)>,
    commits: Vec<(i64, &'a Operation)>,
    lists: Vec<(Option<i64>, &'a Operation)>,
}

/// Judges `send`, `poll`, `commit` and `list`.
pub(super) fn check(operations: &[Operation], settled_index: Option<u64>) -> Check {
    let mut tally = Tally::new("kafka", &COUNTS);
    let mut logs: BTreeMap<&Value, Log<'_>> = BTreeMap::new();
    for operation in operations {
        if sort(operation, &mut logs, &mut tally).is_none() {
            tally.add("strange", 1);
        }
    }
    for (key, log) in &mut logs {
        log.judge_offsets(key, &mut tally);
        log.judge_polls(key, &mut tally);
        log.judge_sends(key, &mut tally);
        log.judge_commits(key, &mut tally);
        log.judge_end(key, settled_index, &mut tally);
    }
    if tally.count("acknowledged") == 0 {
        tally.unknown("no send was acknowledged");
    }
    if tally.count("last polls") == 0 {
        tally.unknown("nothing was polled from the beginning after the last send");
    }
    tally.unknown_if_strange("logs");
    tally.finish()
}

/// Puts an operation to the logs that it is about; `None` where it is not in the form.
fn sort<'a>(
    operation: &'a Operation,
    logs: &mut BTreeMap<&'a Value, Log<'a>>,
    tally: &mut Tally,
) -> Option<()> {
    match &*operation.f {
        "send" => {
            tally.add("sends", 1);
            let log = logs.entry(operation.key.as_ref()?).or_default();
            if may_have_happened(operation) {
                log.sends.insert(&operation.input, operation);
            }
            if is_ok(operation) {
                let (offset, message) = pair(&operation.output)?;
                tally.add("acknowledged", 1);
                log.acknowledged.push((offset, message, operation));
            }
        }
        "poll" if is_ok(operation) => {
            tally.add("polls", 1);
            let Value::Map(found) = &operation.output else {
                return None;
            };
            for (key, from) in map(&operation.input)? {
                let pairs = found.iter().find(|(name, _)| name == key);
                let pairs = pairs.map_or(Some(&[][..]), |(_, pairs)| pairs.as_list())?;
                let pairs: Option<Vec<_>> = pairs.iter().map(pair).collect();
                let pairs = pairs?;
                tally.add("polled", pairs.len());
                let log = logs.entry(key).or_default();
                log.polls.push((from.as_int()?, pairs, operation));
            }
        }
        "commit" => {
            for (key, offset) in map(&operation.input)? {
                let log = logs.entry(key).or_default();
                log.commits.push((offset.as_int()?, operation));
            }
        }
        "list" if is_ok(operation) => {
            let Value::Map(found) = &operation.output else {
                return None;
            };
            for key in operation.input.as_list()? {
                let offset = found.iter().find(|(name, _)| name == key);
                let offset = offset.and_then(|(_, offset)| offset.as_int());
                logs.entry(key).or_default().lists.push((offset, operation));
            }
        }
        "poll" | "list" => {}
        _ => return None,
    }
    Some(())
}

fn pair(value: &Value) -> Option<(i64, &Value)> {
    let [offset, message] = value.as_list()? else {
        return None;
    };
    Some((offset.as_int()?, message))
}

fn map(value: &Value) -> Option<&[(Value, Value)]> {
    match value {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

impl<'a> Log<'a> {
    /// One message at each offset, one offset of each message, and nothing that nobody sent.
    fn judge_offsets(&mut self, key: &Value, tally: &mut Tally) {
        let polled = self.polls.iter().flat_map(|(_, pairs, poll)| {
            pairs
                .iter()
                .map(move |(offset, message)| (*offset, *message, *poll))
        });
        let shown: Vec<(i64, &Value, &Operation)> =
            self.acknowledged.iter().copied().chain(polled).collect();
        for (offset, message, by) in shown {
            if !self.sends.contains_key(message) {
                let text = || format!("{} found {message}, which nobody sent", name_of(by));
                tally.violation("unexpected", key, text, &[by]);
            }
            let (known, first) = *self.at.entry(offset).or_insert((message, by));
            if known != message {
                let text = || {
                    let (one, other) = (name_of(first), name_of(by));
                    format!("at offset {offset} {one} has {known} and {other} has {message}")
                };
                tally.violation("inconsistent offsets", key, text, &[first, by]);
            }
            let place = *self.place.entry(message).or_insert(offset);
            if place != offset {
                let text = || format!("{message} is at offset {place} and at {offset}");
                tally.violation("duplicated", key, text, &[by]);
            }
        }
    }

    /// What one poll gets is in order and leaves nothing out that is known to be there.
    fn judge_polls(&self, key: &Value, tally: &mut Tally) {
        for (from, pairs, poll) in &self.polls {
            let mut expected = *from;
            for (offset, message) in pairs {
                if *offset < expected {
                    let text = || {
                        let name = name_of(poll);
                        format!(
                            "{name} got offset {offset} ({message}) after {}",
                            expected - 1
                        )
                    };
                    tally.violation("reordered", key, text, &[poll]);
                    continue;
                }
                if let Some((left_out, (lost, by))) = self.at.range(expected..*offset).next() {
                    let text = || {
                        format!(
                            "{} left out {lost} at offset {left_out}, and got {message} at {offset}",
                            name_of(poll)
                        )
                    };
                    tally.violation("gaps", key, text, &[poll, by]);
                }
                expected = offset + 1;
            }
        }
    }

    /// What one process sends comes after what it sent before.
    fn judge_sends(&self, key: &Value, tally: &mut Tally) {
        let mut last: FxHashMap<u64, (i64, &Operation)> = FxHashMap::default();
        let mut sends: Vec<&(i64, &Value, &Operation)> = self.acknowledged.iter().collect();
        sends.sort_by_key(|(_, _, send)| send.invoked.index);
        for (offset, message, send) in sends {
            let before = last.insert(send.process, (*offset, send));
            if let Some((far, earlier)) = before.filter(|(far, _)| far >= offset) {
                let text = || {
                    let (one, other) = (name_of(earlier), name_of(send));
                    format!("{one} was given offset {far}, and then {other} ({message}) {offset}")
                };
                tally.violation("offsets went back", key, text, &[earlier, send]);
            }
        }
    }

    /// What was committed is listed afterwards, or something later. Not everybody promises that at
    /// once, so it is only told.
    fn judge_commits(&self, key: &Value, tally: &mut Tally) {
        for (listed, list) in &self.lists {
            let before = self
                .commits
                .iter()
                .filter(|(_, commit)| is_before(commit, list));
            // Of commits that overlap, or go back, any may be the last: the least of those that none
            // other is certainly after.
            let last: Vec<&(i64, &Operation)> = before.collect();
            let may_be_last = last
                .iter()
                .filter(|(_, commit)| !last.iter().any(|(_, other)| is_before(commit, other)));
            let least = may_be_last.min_by_key(|(offset, _)| *offset);
            let is_lost = least.filter(|(offset, _)| listed.is_none_or(|listed| listed < *offset));
            let earlier = |listed: i64| {
                let pending = self
                    .commits
                    .iter()
                    .filter(|(_, one)| may_have_happened(one));
                let mut pending = pending.filter(|(_, one)| !is_before(one, list));
                pending.any(|(offset, _)| *offset == listed)
            };
            if let Some((offset, commit)) = is_lost
                && !listed.is_some_and(earlier)
            {
                let text = || {
                    let found = listed.map_or("nothing".to_owned(), |listed| listed.to_string());
                    let (one, other) = (name_of(commit), name_of(list));
                    format!("{one} committed {offset}, and then {other} found {found}")
                };
                tally.oddity("stale commits", key, text, &[commit, list]);
            }
        }
    }

    /// Who polls in the end, and gets nothing more, has got everything that anybody knows.
    fn judge_end(&self, key: &Value, settled_index: Option<u64>, tally: &mut Tally) {
        let settled = settled_index.unwrap_or_else(|| {
            let ends = self.sends.values().filter_map(|send| super::done_at(send));
            ends.max().unwrap_or(0)
        });
        let last = self
            .polls
            .iter()
            .filter(|(_, pairs, poll)| pairs.is_empty() && poll.invoked.index >= settled);
        for (from, _, poll) in last {
            tally.add("last polls", 1);
            if let Some((offset, (message, by))) = self.at.range(from..).next() {
                let text = || {
                    let (one, other) = (name_of(by), name_of(poll));
                    format!(
                        "{message} at offset {offset}, known by {one}, is lost: {other} asked for \
                         what there is from {from} on and got nothing"
                    )
                };
                tally.violation("lost", key, text, &[by, poll]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use histories::{Outcome, Point};

    use super::*;
    use crate::Verdict;

    /// A row is operations separated by `;`: `0-1 p3 send 7@0`, `send? 7`, `poll 0: 7@0 8@1`, `commit 1`,
    /// `list 1`; all of one log, of process 0 unless it says `pN`.
    fn operations(row: &str) -> Vec<Operation> {
        row.split(';').map(operation).collect()
    }

    fn operation(text: &str) -> Operation {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let (from, to) = words.remove(0).split_once('-').expect("two events");
        let process = words[0]
            .strip_prefix('p')
            .and_then(|number| number.parse().ok());
        if process.is_some() {
            words.remove(0);
        }
        let (f, rest) = (words[0], &words[1..]);
        let int = |word: &str| Value::Int(word.parse().expect("a number"));
        let at = |word: &&str| {
            let (message, offset) = word.split_once('@').expect("an offset");
            Value::List(vec![int(offset), int(message)])
        };
        let of_log = |value| Value::Map(vec![("k".into(), value)]);
        let (input, output) = match f {
            "send" => (
                int(rest[0].split('@').next().expect("a message")),
                at(&rest[0]),
            ),
            "send?" => (int(rest[0]), Value::Nil),
            "poll" => (
                of_log(int(rest[0].trim_end_matches(':'))),
                of_log(Value::List(rest[1..].iter().map(at).collect())),
            ),
            "commit" => (of_log(int(rest[0])), Value::Nil),
            _ => (Value::List(vec!["k".into()]), of_log(int(rest[0]))),
        };
        let point = |index: &str| {
            let index = index.parse().expect("an event");
            Point {
                index,
                time_ns: index,
            }
        };
        Operation {
            process: process.unwrap_or(0),
            f: f.trim_end_matches('?').into(),
            key: f.starts_with("send").then(|| "k".into()),
            input,
            output,
            outcome: if f == "send?" {
                Outcome::Info
            } else {
                Outcome::Ok
            },
            invoked: point(from),
            ended: Some(point(to)),
            node: None,
            error: None,
            path: Vec::new(),
            line: None,
        }
    }

    #[test]
    fn logs_keep_what_they_were_given_in_its_place() {
        use Verdict::{Invalid, Unknown, Valid};
        let end = "; 80-81 poll 0: 7@0 8@1; 82-83 poll 2:";
        let rows = [
            ("0-1 send 7@0; 2-3 send 8@1", end, Valid, ""),
            // Offsets need not follow each other.
            (
                "0-1 send 7@0; 2-3 send 8@5",
                "; 80-81 poll 0: 7@0 8@5; 82-83 poll 6:",
                Valid,
                "",
            ),
            // Nothing yet is no loss.
            ("0-1 send 7@0; 2-3 send 8@1; 4-5 poll 0:", end, Valid, ""),
            ("0-9 send? 7; 2-3 send 8@1", end, Valid, ""),
            ("0-9 send? 9; 2-3 send 7@0; 4-5 send 8@1", end, Valid, ""),
            (
                "0-1 send 7@0; 2-3 send 8@1; 4-5 commit 1; 6-7 list 0",
                end,
                Valid,
                "",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@1",
                "",
                Unknown,
                "nothing was polled",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@1",
                "; 80-81 poll 0: 7@0; 82-83 poll 1:",
                Invalid,
                "lost (1)",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@1",
                "; 80-81 poll 0: 8@1; 82-83 poll 2:",
                Invalid,
                "gaps (1)",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@1; 4-5 poll 0: 8@1 7@0",
                end,
                Invalid,
                "reordered (1)",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@1; 4-5 poll 1: 7@0",
                end,
                Invalid,
                "reordered (1)",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@0",
                "; 80-81 poll 0: 7@0; 82-83 poll 1:",
                Invalid,
                "inconsistent",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@1; 4-5 poll 0: 7@0 8@1 7@2",
                end,
                Invalid,
                "duplicated",
            ),
            (
                "0-1 send 7@0; 2-3 send 8@1; 4-5 poll 0: 9@0",
                end,
                Invalid,
                "unexpected",
            ),
            (
                "0-1 send 7@1; 2-3 send 8@0",
                "; 80-81 poll 0: 8@0 7@1; 82-83 poll 2:",
                Invalid,
                "offsets went back",
            ),
            (
                "0-1 p1 send 7@1; 2-3 p2 send 8@0",
                "; 80-81 poll 0: 8@0 7@1; 82-83 poll 2:",
                Valid,
                "",
            ),
        ];
        for (row, end, verdict, said) in rows {
            let check = check(&operations(&format!("{row}{end}")), Some(80));
            assert_eq!(check.verdict, verdict, "{row}: {check:?}");
            assert!(
                check.reason.clone().unwrap_or_default().contains(said),
                "{row}: {check:?}"
            );
        }
    }
}
