//! Histories that contradict themselves, and some that only look as if they did.

use histories::{History, Outcome};

use crate::{read, refused};

/// Lines of `process type f [key]`; `@time` where it is not the position.
fn jsonl(script: &str) -> String {
    let mut text = String::new();
    for (index, line) in script.split(", ").enumerate() {
        let (line, time) = line.split_once('@').unwrap_or((line, ""));
        let time = time.parse().unwrap_or(index);
        let words: Vec<&str> = line.split(' ').collect();
        let (process, kind, f) = (words[0], words[1], words[2]);
        let process = if process == "nemesis" {
            "\"nemesis\""
        } else {
            process
        };
        let key = words
            .get(3)
            .map(|key| format!(",\"key\":{key:?}"))
            .unwrap_or_default();
        text += &format!("{{\"index\":{index},\"time\":{time},\"process\":{process}");
        text += &format!(",\"type\":{kind:?},\"f\":{f:?}{key}}}\n");
    }
    text
}

/// Checks that a history is refused at `line` because it contradicts itself.
#[track_caller]
fn contradicts(text: &str, line: u32, what: &str) {
    refused(
        text,
        None,
        &format!("h:{line}: the history contradicts itself: {what}"),
    );
}

#[test]
fn contradictions() {
    let uninvoked = |kind: &str| {
        format!("{kind} of read completes an operation that process 0 has not invoked")
    };
    let rows = [
        ("0 ok read", 1, uninvoked("ok")),
        (
            "0 invoke read, 0 ok read, 0 fail read",
            3,
            uninvoked("fail"),
        ),
        (
            "0 invoke read, 0 info read, 0 info read",
            3,
            uninvoked("info"),
        ),
        (
            "0 invoke read, 1 invoke read, 0 invoke write",
            3,
            "process 0 invokes write while its read of line 1 is still open".to_owned(),
        ),
        (
            "0 invoke read, 0 ok write",
            2,
            "process 0 completes write, but what it invoked on line 1 is read".to_owned(),
        ),
        (
            "0 invoke read x, 0 ok read y",
            2,
            "process 0 completes read of key \"y\", but invoked it of another on line 1".to_owned(),
        ),
        (
            "0 invoke read@5, 1 invoke read@4",
            2,
            "time 4 is before the time 5 of line 1: time must not go back".to_owned(),
        ),
    ];
    for (script, line, what) in rows {
        contradicts(&jsonl(script), line, &what);
    }
}

#[test]
fn the_index_must_grow() {
    for second in [3, 2] {
        let text = format!(
            "{{:index 3 :process 0 :type :invoke :f :r}}\n\
             {{:index {second} :process 0 :type :ok :f :r}}"
        );
        let what = format!("index {second} does not come after the index 3 of line 1");
        contradicts(&text, 2, &what);
    }
}

/// A process that goes on after `info`: the old operation stays open for ever.
#[test]
fn a_process_that_goes_on() {
    let text = jsonl("0 invoke write, 0 info write, 0 invoke read, 0 ok read, 1 invoke read");
    let history = read(&text, None).expect("consistent");
    let operations = history.operations();
    let outcomes: Vec<Outcome> = operations
        .iter()
        .map(|operation| operation.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Info, Outcome::Ok, Outcome::Info]);
    let ends: Vec<Option<u64>> = operations
        .iter()
        .map(|operation| operation.ended.map(|end| end.index))
        .collect();
    assert_eq!(ends, [Some(1), Some(3), None]);
}

#[test]
fn the_nemesis_may_do_as_it_likes() {
    let text = jsonl("nemesis info start, nemesis info start, nemesis invoke stop, 0 invoke read");
    assert_eq!(read(&text, None).expect("consistent").operations().len(), 1);
}

/// A history that was not read from a file names indexes.
#[test]
fn in_memory() {
    let history = read(&jsonl("0 invoke read, 0 ok read"), None).expect("consistent");
    let error = History {
        events: history.events.iter().skip(1).collect(),
        ..History::default()
    }
    .validate()
    .expect_err("no invocation");
    assert_eq!(
        error.to_string(),
        "index 1: ok of read completes an operation that process 0 has not invoked"
    );
}
