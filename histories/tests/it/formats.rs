//! From one format into another, Elle's JSON, and keys in tuples.

use histories::{Event, FailedCas, Format, History, Process, Tuples, Value, compare, left_out};

use crate::{read, refused};

fn written(history: &History, format: Format) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    histories::write(history, format, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Writes, reads in the named format and in the one it is recognised to be, and compares.
#[track_caller]
fn there_and_back(history: &History, format: Format) {
    let bytes = written(history, format).expect("expressible");
    for named in [Some(format), None] {
        let again = histories::read("h", &bytes, named).unwrap_or_else(|error| panic!("{error}"));
        compare(history, &again, format).unwrap_or_else(|error| panic!("{error}"));
        if named.is_none() {
            assert_eq!(histories::detect(&bytes).expect("a format"), format);
        }
    }
}

/// All that a history of ours can hold.
const OURS: &str = concat!(
    r#"{"format":"whitewater-history","version":1,"run":{"model":"kv","nodes":["n1"],"seed":3}}"#,
    "\n",
    r#"{"index":3,"time":5,"process":0,"type":"invoke","f":"put it","key":"k\"\n\u0001é","#,
    r#""value":[1,{"a":null,"b c":[true,-4611686018427387905,"12345678901234567890"]}],"node":"n"}"#,
    "\n",
    r#"{"index":4,"time":6,"process":0,"type":"fail","f":"put it","error":"\u00e9","path":["n","m"]}"#,
    "\n",
    r#"{"index":9,"time":6,"process":18446744073709551615,"type":"invoke","f":"x","value":":k"}"#,
    "\n",
    r#"{"index":10,"time":7,"process":"nemesis","type":"info","f":"kill","#,
    r#""value":{"id":0,"phase":"heal","targets":["n1"]}}"#,
    "\n",
    r#"{"index":11,"time":8,"process":18446744073709551615,"type":"info","f":"x","error":"","#,
    r#""value":{"$map":[[1,2],[[3],{}]]}}"#,
    "\n",
);

#[test]
fn all_of_ours_survives() {
    let history = read(OURS, None).expect("ours");
    for format in [Format::Jsonl, Format::Binary, Format::Edn, Format::ElleJson] {
        there_and_back(&history, format);
        let headerless = matches!(format, Format::Edn | Format::ElleJson);
        assert_eq!(
            left_out(&history, format).len(),
            usize::from(headerless),
            "{format}"
        );
    }
    for (format, message) in [
        (
            Format::JepsenLog,
            "cannot be expressed in jepsen-log: event 4: a failed cas of which no more is known \
             than that nothing was changed",
        ),
        (Format::PorcupineKv, ""),
    ] {
        let history = match message {
            "" => history.clone(),
            _ => read(
                &OURS
                    .replace("put it", "cas")
                    .replace(r#""error":"\u00e9","#, ""),
                None,
            )
            .expect("a cas"),
        };
        let error = written(&history, format).expect_err("more than it can say");
        if !message.is_empty() {
            assert_eq!(error, message);
        }
    }
}

/// What every format can say, and what each of the poorer ones cannot.
#[test]
fn the_poorer_formats() {
    let kv = "{:process 0, :type :invoke, :f :put, :key \"a b\", :value \"x\\\"\\n\"}\n\
              {:process 1, :type :invoke, :f :get, :key \"a b\", :value nil}\n\
              {:process 0, :type :ok, :f :put, :key \"a b\", :value \"x\\\"\\n\"}\n\
              {:process 1, :type :ok, :f :get, :key \"a b\", :value \"\"}\n";
    let history = read(kv, None).expect("a kv history");
    for format in Format::ALL {
        if format == Format::JepsenLog {
            let error = written(&history, format).expect_err("keys");
            assert_eq!(error, "cannot be expressed in jepsen-log: event 0: a key");
        } else {
            there_and_back(&history, format);
            assert_eq!(left_out(&history, format), Vec::<&str>::new());
        }
    }
    assert_eq!(
        written(&history, Format::PorcupineKv),
        Ok(kv.as_bytes().to_vec())
    );

    let log = "0\t:invoke\t:cas\t[1 2]\n0\t:fail\t:cas\t[1 2]\n\
               0\t:invoke\t:write\t\":odd\"\n0\t:info\t:write\tnil\t\"timed-out\"\n\
               :nemesis\t:info\t:start\t\"Cut off\"\n";
    let history = read(log, None).expect("a log");
    assert_eq!(history.failed_cas, FailedCas::Observed);
    for format in [Format::JepsenLog, Format::Jsonl, Format::Binary] {
        there_and_back(&history, format);
    }
    for format in [Format::Edn, Format::ElleJson] {
        let error = written(&history, format).expect_err("another meaning of fail");
        let message = "event 1: a failed cas that found another value";
        assert_eq!(error, format!("cannot be expressed in {format}: {message}"));
    }
    let plain = History {
        failed_cas: FailedCas::NoEffect,
        ..history
    };
    there_and_back(&plain, Format::Edn);
    let error = written(&plain, Format::PorcupineKv).expect_err("a cas");
    assert!(
        error.ends_with("event 0: the operation cas: only get, put and append"),
        "{error}"
    );
}

/// What is left out of the poorer formats is said.
#[test]
fn left_out_is_told() {
    let text = OURS
        .replace("put it", "put")
        .replace(r#""type":"fail""#, r#""type":"ok""#);
    let history = History {
        torn: true,
        ..read(&text, None).expect("ours")
    };
    assert_eq!(
        left_out(&history, Format::PorcupineKv),
        [
            "the header, which says how the run was made",
            "that the last line was torn",
            "indexes and times",
            "nodes",
            "paths",
            "errors",
            "the events of the nemesis"
        ]
    );
    assert_eq!(
        left_out(&history, Format::Binary),
        ["that the last line was torn"]
    );
}

/// What is read back as something else is found by reading it.
#[test]
fn what_differs_is_found() {
    let history = read(OURS, None).expect("ours");
    let mut events: Vec<Event> = history.events.iter().collect();
    events[1].value = Value::Int(7);
    let changed = History {
        events: events.clone().into(),
        ..History::default()
    };
    let error = compare(&history, &changed, Format::Edn).expect_err("another value");
    assert_eq!(
        error.to_string(),
        "cannot be expressed in edn: event 4: fail of put it nil would be read back as fail of \
         put it 7"
    );
    events.pop();
    events[1].value = Value::Nil;
    let shorter = History {
        events: events.into(),
        ..History::default()
    };
    assert!(compare(&history, &shorter, Format::Edn).is_err());
    assert!(compare(&shorter, &history, Format::Edn).is_err());
}

#[test]
fn elle_json() {
    let ops = [
        r#"{"index":0,"time":3,"process":0,"type":"invoke","f":"txn","value":[["append",3,1],["r",3,null]]}"#,
        r#"{"index":1,"time":4,"process":0,"type":"ok","f":"txn","value":[["append",3,1],["r",3,[1]]]}"#,
    ];
    let expected = read(&ops.join("\n"), Some(Format::Jsonl)).expect("lines");
    let shapes = [
        format!("[{}]", ops.join(",\n ")),
        format!(" [ {} ] \n", ops.join(" , ")),
        ops.join("\n"),
        ops.join(" "),
        format!("[{}]", ops.join(",").replace("\"f\":\"txn\",", "")),
    ];
    for text in shapes {
        let history = read(&text, Some(Format::ElleJson)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(history.events, expected.events, "{text}");
    }
    let anonymous = "[{\"type\":\"invoke\",\"value\":[[\"r\",1,null]]},\n\
                     {\"type\":\"ok\",\"value\":[[\"r\",1,[2]]]}]";
    let history = read(anonymous, None).expect("one process");
    assert_eq!(history.events.get(1).process, Process::Client(0));
    assert_eq!(&*history.events.get(1).f, "txn");
    assert_eq!(history.events.line(1), Some(2));
    for empty in ["[]", " [ ] ", ""] {
        assert!(
            read(empty, Some(Format::ElleJson))
                .expect(empty)
                .events
                .is_empty()
        );
    }
    let named = Some(Format::ElleJson);
    refused(
        "[{\"type\":\"invoke\"},\n{\"type\":\"ok\",\"process\":1}]",
        named,
        "h:2:1: expected no \"process\", as in the operations before, found one (hint: give all operations \
         one, or none where one process called them all)",
    );
    refused(
        "[{\"type\":\"invoke\"}",
        named,
        "h:1:19: is cut off: expected `,` or the `]` of the history, found the end",
    );
    refused(
        "[{\"type\":\"invoke\"},]",
        named,
        "h:1:20: expected a JSON object, `{`, found `]`",
    );
    refused(
        "[{\"type\":\"invoke\"}] 1",
        named,
        "h:1:21: expected the end of the history, found `1`",
    );
    refused(
        "[{\"type\":\"invo",
        named,
        "h:1:15: is cut off: expected the closing `\"` of a string, found the end",
    );
    refused("7", named, "h:1:1: expected a JSON object, `{`, found `7`");
}

/// Cut anywhere, an array is an error.
#[test]
fn elle_json_truncated_at_every_byte() {
    let text = "[{\"process\":0,\"type\":\"invoke\",\"f\":\"r\"},{\"process\":0,\"type\":\"ok\",\"f\":\"r\"}]";
    assert_eq!(read(text, None).expect("an array").events.len(), 2);
    for cut in 1..text.len() {
        let error = read(&text[..cut], Some(Format::ElleJson)).expect_err("cut");
        assert!(error.to_string().contains("is cut off"), "{cut}: {error}");
    }
}

/// An EDN history of operations `process type f value`.
fn edn(ops: &[&str]) -> History {
    let map = |op: &&str| {
        let mut words = op.splitn(4, ' ');
        let mut next = || words.next().expect("four words");
        let (process, kind, f) = (next(), next(), next());
        format!(
            "{{:process {process} :type :{kind} :f :{f} :value {}}}",
            next()
        )
    };
    let text: Vec<String> = ops.iter().map(map).collect();
    read(&text.join("\n"), Some(Format::Edn)).expect("a history")
}

#[test]
fn tuples_are_recognised_only_where_nothing_else_is_meant() {
    let rows: [(&[&str], Tuples); 9] = [
        (&[], Tuples::No),
        (&[":nemesis info start [1 2]"], Tuples::No),
        (&["0 invoke read nil"], Tuples::No),
        (
            &[
                "0 invoke read [3 nil]",
                "0 ok read [3 1]",
                "1 invoke write [3 1]",
            ],
            Tuples::Surely,
        ),
        (
            &["0 invoke read [3 nil]", "1 invoke cas [3 [1 2]]"],
            Tuples::Surely,
        ),
        (
            &["0 invoke read [3 nil]", "1 invoke cas [1 2]"],
            Tuples::Perhaps,
        ),
        (
            &["0 invoke read [3 4]", "1 invoke write [1 2]"],
            Tuples::Perhaps,
        ),
        (&["0 invoke write [1 2]"], Tuples::Perhaps),
        (
            &[
                "0 invoke read [3 nil]",
                "1 invoke txn [[:r 1 nil] [:r 2 nil]]",
            ],
            Tuples::No,
        ),
    ];
    for (ops, expected) in rows {
        assert_eq!(edn(ops).tuples(), expected, "{ops:?}");
    }
}

#[test]
fn tuples_are_split() {
    let mut history = edn(&[
        "0 invoke read #jepsen.independent.Tuple [3 nil]",
        "1 invoke cas [4 [1 2]]",
        ":nemesis info start [1 2]",
        "0 ok read [3 1]",
        "1 info cas :timed-out",
    ]);
    history.split_tuples().expect("tuples");
    history.validate().expect("consistent");
    let operations = history.operations().to_vec();
    assert_eq!(operations[0].key, Some(Value::Int(3)));
    assert_eq!(
        (&operations[0].input, &operations[0].output),
        (&Value::Nil, &Value::Int(1))
    );
    assert_eq!(operations[1].key, Some(Value::Int(4)));
    assert_eq!(operations[1].input.to_string(), "[1 2]");
    assert_eq!(history.events.get(2).value.to_string(), "[1 2]");

    let mut odd = edn(&["0 invoke read [3 nil]", "0 ok read 7"]);
    let before = odd.clone();
    let error = odd.split_tuples().expect_err("no tuple").to_string();
    assert_eq!(error, "event 1: expected a tuple [key value], found 7");
    assert_eq!(odd, before);
    let mut mixed = edn(&["0 invoke read [3 nil]", "0 ok read [4 1]"]);
    mixed.split_tuples().expect("tuples");
    assert!(mixed.validate().is_err(), "of another key");
}
