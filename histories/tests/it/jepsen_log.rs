//! Jepsen's text log.

use histories::{EventType, FailedCas, Format, Outcome, Process, Value};

use crate::{lines, read, refused};

/// Log lines as several versions of Jepsen print them, other lines between.
const LOG: &str = "\
INFO  jepsen.core - Running test: etcd\n\
2015-01-01 12:00:00,123{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 3\t:invoke\t:read\tnil\n\
java.net.ConnectException: 3 things went wrong\n\
\tat clojure.core$binding_conveyor_fn$fn__4444.invoke(core.clj:1916)\n\
INFO [2023-10-08 18:08:39,970] jepsen worker nemesis - jepsen.util :nemesis\t:info\t:pause\t:all\n\
INFO  jepsen.util - :nemesis\t:info\t:start\t\"Cut off {\\\"n2\\\" #{\\\"n1\\\"}}\"\n\
INFO  jepsen.util - :nemesis\t:info\t:start\tCut off {n2\n\
INFO  jepsen.util - 3\t:ok\t:read\t[1 \"a b\"]\r\n\
4\t:invoke\t:cas\t[1 2]\n\
INFO [2023-10-08 18:08:39,970] jepsen worker 4 - jepsen.util 4 :fail :cas :timed-out\n\
5\t:invoke\t:write\t7\n\
5\t:info\t:write\t7\t:conn-reset\n\
\n\
INFO  jepsen.core - Everything looks good!\n";

#[test]
fn operations_between_chatter() {
    let history = read(LOG, None).expect("a log");
    assert_eq!(lines(&history), [2, 5, 6, 7, 8, 9, 10, 11, 12]);
    let nemesis: Vec<Value> = history
        .events
        .iter()
        .filter(|event| event.process == Process::Nemesis)
        .map(|event| event.value)
        .collect();
    let expected = ["all", "Cut off {\"n2\" #{\"n1\"}}", "Cut off {n2"].map(Value::from);
    assert_eq!(nemesis, expected);
    let operations = history.operations();
    assert_eq!(
        operations.get(0).output,
        Value::from(vec![Value::Int(1), "a b".into()])
    );
    assert_eq!(
        operations.get(1).outcome,
        Outcome::Fail,
        "failed for a reason, so it saw nothing"
    );
    assert_eq!(operations.get(1).error.as_deref(), Some("timed-out"));
    assert_eq!(operations.get(2).error.as_deref(), Some("conn-reset"));
    assert_eq!(operations.get(2).outcome, Outcome::Info);
}

/// In this format a failed compare-and-set has looked; the caller may decide otherwise.
#[test]
fn a_failed_cas_is_an_observation() {
    let text = "0\t:invoke\t:cas\t[1 2]\n0\t:fail\t:cas\t[1 2]\n\
                0\t:invoke\t:cas\t[1 2]\n0\t:ok\t:cas\t[1 2]\n\
                0\t:invoke\t:write\t[1 2]\n0\t:fail\t:write\t[1 2]\n";
    let mut history = read(text, None).expect("a log");
    assert_eq!(history.failed_cas, FailedCas::Observed);
    let outcomes = |history: &histories::History| {
        let operations = history.operations().to_vec().into_iter();
        operations
            .map(|operation| (operation.outcome, operation.output))
            .collect::<Vec<_>>()
    };
    let no = (Outcome::Fail, Value::Nil);
    let yes = (Outcome::Ok, Value::Bool(true));
    let observed = (Outcome::Ok, Value::Bool(false));
    assert_eq!(outcomes(&history), [observed, yes.clone(), no.clone()]);
    history.failed_cas = FailedCas::NoEffect;
    assert_eq!(outcomes(&history), [no.clone(), yes, no]);
}

/// A damaged line is never taken for one about something else.
#[test]
fn damaged_lines() {
    let rows = [
        (
            "0\t:okay\t:read\tnil",
            "h:2: expected :type to be one of :invoke, :ok, :fail, :info, found okay",
        ),
        (
            "INFO  jepsen.util - 0\t:o",
            "h:2:25: expected a value, found the end",
        ),
        (
            "INFO  jepsen.util - 0",
            "h:2:22: expected a value, found the end",
        ),
        (
            "INFO  jepsen.util - 0\t:ok",
            "h:2:26: expected a value, found the end",
        ),
        ("INFO  jepsen.util - 0\t:ok\t:read", ""),
        ("INFO  jepsen.util - 0\t:ok\t:read\t[1", ""),
        (
            "INFO  jepsen.util - 0\t:ok\t:read\t1x",
            "h:2:33: expected a number, found `1x`",
        ),
        (
            "INFO  jepsen.util - 0\t:ok\t:read\t1 2",
            "h:2:34: expected a tab or the end of the line, found \"2\"",
        ),
        (
            "INFO  jepsen.util - zero\t:ok\t:read\t1",
            "h:2: expected :process to be a number that is not negative, or :nemesis, found zero",
        ),
        (
            ":logger\t:ok\t:read\t1",
            "h:2: expected :process to be a number that is not negative, or :nemesis, \
             found logger",
        ),
    ];
    for (line, message) in rows {
        let text = format!("0\t:invoke\t:read\tnil\n{line}\n");
        if message.is_empty() {
            let error = read(&text, None).expect_err(line).to_string();
            assert!(error.starts_with("h:2:"), "{line}: {error}");
        } else {
            refused(&text, None, message);
        }
    }
}

/// Without its newline a last value may be half of it.
#[test]
fn a_last_line_without_newline() {
    let cut = "h:1: is cut off: the last line has no newline at its end, so that its value may be \
               incomplete (hint: append a newline if the file is whole)";
    for line in [
        "0\t:invoke\t:write\t1",
        "0\t:ok\t:write\t:time",
        "0\t:fail\t:cas\t[1 2]",
    ] {
        refused(line, None, cut);
    }
    refused("INFO  jepse", Some(Format::JepsenLog), cut);
    for line in ["0\t:invoke\t:read\tnil", "0\t:invoke\t:cas\t[1 2]"] {
        let history = read(line, None).expect(line);
        assert_eq!(history.events.get(0).kind, EventType::Invoke);
    }
}

#[test]
fn a_log_of_nothing() {
    let message = "h: expected lines of operations, such as \
                   `INFO  jepsen.util - 0\\t:invoke\\t:read\\tnil`, found none";
    refused("", Some(Format::JepsenLog), message);
    refused("INFO hello\n", Some(Format::JepsenLog), message);
}

/// Cut anywhere, a log is never read as if other things had happened.
#[test]
fn truncation_at_every_byte() {
    let whole = read(LOG, None).expect("a log").events;
    for cut in (0..LOG.len()).filter(|cut| LOG.is_char_boundary(*cut)) {
        match read(&LOG[..cut], Some(Format::JepsenLog)) {
            Ok(history) => {
                let beginning: Vec<_> = whole.iter().take(history.events.len()).collect();
                assert_eq!(history.events, beginning, "cut at {cut}");
            }
            Err(error) => assert!(error.line.is_some() || cut < 130, "cut at {cut}: {error}"),
        }
    }
}
