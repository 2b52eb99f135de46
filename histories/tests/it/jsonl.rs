//! Our own format: what a file looks like, what is read of a damaged one.

use histories::write_jsonl;
use histories::{Event, EventType, FailedCas, Format, Header, History, Process, RunInfo, Value};

use crate::{lines, read, refused};

/// What [`history`] looks like in a file.
const GOLDEN: &str = concat!(
    r#"{"format":"whitewater-history","version":1,"run":{"system":"raft-kv","#,
    r#""workload":"register","model":"cas-register","nodes":["n1","n2"],"clients":10,"#,
    r#""faults":["kill"],"seed":18446744073709551615}}"#,
    "\n",
    r#"{"index":0,"time":1200,"process":3,"type":"invoke","f":"cas","key":"k\"1","#,
    r#""value":[1,2],"node":"n1"}"#,
    "\n",
    r#"{"index":1,"time":1200,"process":"nemesis","type":"info","f":"kill","#,
    r#""value":{"id":0,"phase":"begin","targets":["n1"]}}"#,
    "\n",
    r#"{"index":2,"time":9900,"process":3,"type":"fail","f":"cas","key":"k\"1","#,
    r#""error":"connection refused\nn1","path":["n1","n2"]}"#,
    "\n",
);

fn history() -> History {
    let fault = histories::Fault {
        id: 0,
        kind: "kill".into(),
        phase: histories::FaultPhase::Begin,
        targets: vec!["n1".into()],
        parameters: Value::Nil,
        evidence: Value::Nil,
        effective: None,
    };
    let invoke = Event {
        index: 0,
        time_ns: 1200,
        process: Process::Client(3),
        kind: EventType::Invoke,
        f: "cas".into(),
        key: Some("k\"1".into()),
        value: vec![Value::Int(1), Value::Int(2)].into(),
        node: Some("n1".into()),
        error: None,
        path: Vec::new(),
    };
    let fail = Event {
        index: 2,
        time_ns: 9900,
        kind: EventType::Fail,
        value: Value::Nil,
        node: None,
        error: Some("connection refused\nn1".into()),
        path: vec!["n1".into(), "n2".into()],
        ..invoke.clone()
    };
    let run = RunInfo {
        system: "raft-kv".into(),
        workload: "register".into(),
        model: "cas-register".into(),
        nodes: vec!["n1".into(), "n2".into()],
        clients: 10,
        faults: vec!["kill".into()],
        seed: u64::MAX,
    };
    History {
        header: Header { run: Some(run) },
        events: vec![invoke, fault.to_event(1, 1200), fail].into(),
        ..History::default()
    }
}

#[test]
fn golden() {
    let mut text = Vec::new();
    write_jsonl(&history(), &mut text).expect("memory takes it");
    assert_eq!(String::from_utf8_lossy(&text), GOLDEN);
    let again = read(GOLDEN, None).expect("our own");
    assert_eq!(again, history());
    assert_eq!(lines(&again), [2, 3, 4]);
}

/// Cut at every byte: the whole lines before the cut, or a clear error.
#[test]
fn truncation_at_every_byte() {
    for format in [None, Some(Format::Jsonl)] {
        for cut in 0..GOLDEN.len() {
            let whole = GOLDEN[..cut].matches('\n').count();
            // A line that lacks only its newline is whole.
            let whole = whole + usize::from(GOLDEN[cut..].starts_with('\n'));
            let at_line_end =
                cut == 0 || GOLDEN[..cut].ends_with('\n') || GOLDEN[cut..].starts_with('\n');
            match read(&GOLDEN[..cut], format) {
                Ok(history) => {
                    assert_eq!(
                        history.events.len(),
                        whole.saturating_sub(1),
                        "cut at {cut}"
                    );
                    assert_eq!(history.torn, !at_line_end, "cut at {cut}");
                    assert_eq!(history.header.run.is_some(), whole > 0, "cut at {cut}");
                }
                Err(error) => {
                    assert!(cut < 2 && format.is_none(), "cut at {cut}: {error}");
                    assert!(error.to_string().contains(": is "), "{error}");
                }
            }
        }
    }
}

/// A last line torn within a character of several bytes is torn like any other.
#[test]
fn torn_within_a_character() {
    let text = "{\"process\":0,\"type\":\"invoke\",\"f\":\"w\",\"value\":\"é";
    let bytes = &text.as_bytes()[..text.len() - 1];
    let history = histories::read("h", bytes, None).expect("torn");
    assert!(history.torn && history.events.is_empty());
    let middle = [bytes, b"\n"].concat();
    let error = histories::read("h", &middle, None)
        .expect_err("garbled")
        .to_string();
    assert_eq!(error, "h:1: expected UTF-8 text, found other bytes");
}

#[test]
fn a_torn_middle_is_an_error() {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    let torn = format!(
        "{}\n{}\n{}\n{}\n",
        lines[0],
        &lines[1][..40],
        lines[2],
        lines[3]
    );
    refused(
        &torn,
        None,
        "h:2:41: expected the closing `\"` of a string, found the end",
    );
    refused(
        "{\"process\":0,,}\n",
        None,
        "h:1:14: expected a name in quotes, found `,`",
    );
    // What no tearing leaves behind is an error also at the end.
    let garbage = format!("{}\n{}\n}}", lines[0], lines[1]);
    refused(
        &garbage,
        None,
        "h:3:1: expected a JSON object, `{`, found `}`",
    );
}

#[test]
fn without_header() {
    let text = "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"other\":1}\n\n\
                {\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":12345678901234567890123}";
    let history = read(text, None).expect("no header needed");
    assert_eq!(lines(&history), [1, 3]);
    let event = &history.events.get(1);
    assert_eq!((event.index, event.time_ns), (1, 1));
    assert_eq!(event.value, Value::from("12345678901234567890123"));
    assert_eq!(
        read("", Some(Format::Jsonl)).expect("nothing"),
        History::default()
    );
}

/// How a failed cas is meant survives being written in our format.
#[test]
fn failed_cas_is_kept() {
    let history = History {
        failed_cas: FailedCas::Observed,
        ..History::default()
    };
    let mut text = Vec::new();
    write_jsonl(&history, &mut text).expect("memory takes it");
    assert_eq!(histories::read("h", &text, None).expect("our own"), history);
}

#[test]
fn what_is_refused() {
    let header = "{\"format\":\"whitewater-history\",\"version\":1}\n";
    let event = "{\"index\":0,\"time\":5,\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n";
    let with = |from: &str, to: &str| format!("{header}{}", event.replace(from, to));
    let rows = [
        (
            with("invoke", "okay"),
            "h:2: expected \"type\" to be one of invoke, ok, fail, info, found \"okay\"",
        ),
        (
            with("\"process\":0", "\"process\":\"logger\""),
            "h:2: expected \"process\" to be a number that is not negative, or \"nemesis\", \
             found \"logger\"",
        ),
        (
            with("\"f\":\"read\"", "\"f\":7"),
            "h:2: expected \"f\" to be a name, found 7",
        ),
        (
            with("\"f\":\"read\"", "\"f\":\"\""),
            "h:2: expected \"f\" to be a name, found \"\"",
        ),
        (
            with("\"time\":5", "\"time\":-5"),
            "h:2: expected \"time\" to be a whole number, not negative, found -5",
        ),
        (
            with("\"time\":5", "\"index\":5"),
            "h:2: expected \"index\" once, found it twice",
        ),
        (
            with("\"time\":5,", ""),
            "h:2: expected \"index\" and \"time\", found only one of them or none",
        ),
        (
            with("\"f\"", "\"path\":[1],\"f\""),
            "h:2: expected \"path\" to be a list of nodes' names, found [1]",
        ),
        (
            header.replace('1', "2"),
            "h:1: has format version 2, and only version 1 is known here \
             (hint: use the Whitewater that recorded it, or a newer one)",
        ),
        (
            header.replace(":1}", ":\"one\"}"),
            "h:1: expected \"version\" to be 1, found \"one\"",
        ),
        (
            header.replace("whitewater-history", "other"),
            "h:1: expected \"format\" to be \"whitewater-history\", found \"other\"",
        ),
        (
            header.replace("}", ",\"run\":{\"seed\":-1}}"),
            "h:1: expected \"seed\" to be a number that is not negative, found -1",
        ),
        (
            format!(
                "{header}{}",
                "{\"index\":0,\"time\":0,\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill\",\
                 \"value\":{\"id\":1,\"phase\":\"done\",\"targets\":[]}}\n"
            ),
            "h:2: expected \"phase\" to be begin, inject, heal or error of a fault event, \
             found \"done\"",
        ),
    ];
    for (text, message) in rows {
        refused(&text, None, message);
    }
}

#[test]
fn recognised_or_not() {
    let rows: [(&[u8], Result<Format, &str>); 12] = [
        (b"", Err("history: is empty: expected a history")),
        (b" \n ", Err("history: is empty: expected a history")),
        (b"{ \"index\":0", Ok(Format::Jsonl)),
        (b"{:process 0", Ok(Format::Edn)),
        (b"\n; x\n[", Ok(Format::Edn)),
        (b"[ {:process", Ok(Format::Edn)),
        (b"#jepsen.history.Op{", Ok(Format::Edn)),
        (
            b"{:f :get :key \"1\" :process 0}\n",
            Ok(Format::PorcupineKv),
        ),
        (
            b"[main] INFO\n0\t:invoke\t:read\tnil\n",
            Ok(Format::JepsenLog),
        ),
        (b"[{\"process\":0}]", Ok(Format::ElleJson)),
        (
            b"\x7fELF\0\0",
            Err("history: is in no known format of histories \
                 (hint: name one of jsonl, binary, jepsen-log, edn, elle-json and porcupine-kv)"),
        ),
        (
            b"\xff\xfe{\0\"\0",
            Err("history: is in no known format of histories \
                 (hint: name one of jsonl, binary, jepsen-log, edn, elle-json and porcupine-kv)"),
        ),
    ];
    for (bytes, expected) in rows {
        let found = histories::detect(bytes).map_err(|error| error.to_string());
        assert_eq!(
            found,
            expected.map_err(str::to_owned),
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!(
        "csv".parse::<Format>().map_err(|error| error.to_string()),
        Err(
            "unknown format \"csv\": expected jsonl, binary, jepsen-log, edn, elle-json or porcupine-kv"
                .to_owned()
        )
    );
}

#[test]
fn files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.jsonl");
    let name = path.display().to_string();
    let error = histories::read_file(&path, None)
        .expect_err("no file")
        .to_string();
    assert!(
        error.starts_with(&format!("{name}: cannot be read: ")),
        "{error}"
    );
    std::fs::write(&path, GOLDEN.replace("fail", "okay")).expect("writable");
    let error = histories::read_file(&path, None)
        .expect_err("a wrong type")
        .to_string();
    let message = "expected \"type\" to be one of invoke, ok, fail, info, found \"okay\"";
    assert_eq!(error, format!("{name}:4: {message}"));
    std::fs::write(&path, GOLDEN).expect("writable");
    assert_eq!(
        histories::read_file(&path, None).expect("our own").events,
        history().events
    );
}
