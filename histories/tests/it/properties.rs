//! Properties: what is written is read back, and nothing that is read makes the reader panic.

use std::sync::Arc;

use histories::{
    Event, EventType, Events, FailedCas, Format, Header, History, Process, ReadError, RunInfo,
    Value, write_binary, write_jsonl,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

proptest! {
    #[test]
    fn write_then_read_is_the_same(history in history()) {
        let mut text = Vec::new();
        write_jsonl(&history, &mut text).expect("memory takes it");
        let mut binary = Vec::new();
        write_binary(&history, &mut binary).expect("memory takes it");
        let ways = [(&text, None), (&text, Some(Format::Jsonl)), (&binary, None)];
        for (bytes, format) in ways {
            let again = histories::read("h", bytes, format).map_err(failed)?;
            prop_assert_eq!(&again.events, &history.events);
            prop_assert_eq!(&again.header, &history.header);
            prop_assert_eq!(again.failed_cas, history.failed_cas);
            prop_assert!(!again.torn);
        }
    }

    /// Columns hold what was put into them, and equal values have equal packed forms.
    #[test]
    fn columns_hold_events(events in vec(event(), 0..20)) {
        let columns = Events::from(events.clone());
        prop_assert_eq!(columns.len(), events.len());
        prop_assert!(columns == events);
        let nemesis: Vec<Event> = columns.nemesis().collect();
        let expected = events.iter().filter(|event| event.process == Process::Nemesis);
        prop_assert!(nemesis.iter().eq(expected));
        for (one, first) in events.iter().enumerate() {
            let packed = columns.values()[one];
            prop_assert_eq!(columns.value_of(packed), first.value.clone());
            prop_assert_eq!(columns.find(&first.value), Some(packed));
            for (other, second) in events.iter().enumerate() {
                let equal = packed == columns.values()[other];
                prop_assert_eq!(equal, first.value == second.value);
                prop_assert_eq!(columns.fs()[one] == columns.fs()[other], first.f == second.f);
            }
        }
    }

    /// What is made of operations is those operations.
    #[test]
    fn operations_there_and_back(history in history()) {
        let operations = history.operations().to_vec();
        let again = History::from_operations(&operations);
        let mut expected = operations;
        if history.failed_cas == FailedCas::Observed {
            prop_assert_eq!(again.failed_cas, FailedCas::NoEffect);
        }
        expected.sort_by_key(|operation| operation.invoked.index);
        prop_assert_eq!(again.operations().to_vec(), expected);
    }

    /// A file cut off anywhere reads as the whole lines before the cut.
    #[test]
    fn cut_anywhere(history in history(), cut in any::<prop::sample::Index>()) {
        let mut text = Vec::new();
        write_jsonl(&history, &mut text).expect("memory takes it");
        let cut = cut.index(text.len());
        let again = histories::read("h", &text[..cut], Some(Format::Jsonl))
            .map_err(failed)?;
        let lines = text[..cut].iter().filter(|byte| **byte == b'\n').count();
        let events = (lines + usize::from(text[cut] == b'\n')).saturating_sub(1);
        let expected: Vec<Event> = history.events.iter().take(events).collect();
        prop_assert_eq!(&again.events, &expected);
    }

    /// The same of a binary one: the chunks before the cut.
    #[test]
    fn binary_cut_anywhere(history in history(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        write_binary(&history, &mut bytes).expect("memory takes it");
        let cut = cut.index(bytes.len());
        let again = histories::read("h", &bytes[..cut], Some(Format::Binary));
        if cut == 0 {
            prop_assert!(again.is_err());
        } else {
            let again = again.map_err(failed)?;
            prop_assert_eq!(again.events.len(), 0);
            let mut beginning = Vec::new();
            let empty = History { events: Events::new(), ..history };
            write_binary(&empty, &mut beginning).expect("memory takes it");
            prop_assert_eq!(again.torn, cut != beginning.len());
        }
    }

    /// A byte that is another than was written is never read over.
    #[test]
    fn binary_damaged_anywhere(history in history(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = Vec::new();
        write_binary(&history, &mut bytes).expect("memory takes it");
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let damaged = histories::read("h", &bytes, Some(Format::Binary));
        prop_assert!(damaged.is_err(), "{:?}", damaged);
    }

    /// What `serde_json` makes of a value's JSON, this crate makes of it too.
    #[test]
    fn json_as_others_read_it(value in value()) {
        let text = serde_json::to_string(&value).expect("a value is JSON");
        let line = with_value(&format!(" {text} "));
        let history = histories::read("h", line.as_bytes(), None)
            .map_err(failed)?;
        prop_assert_eq!(&history.events.get(0).value, &value);
        let mut written = Vec::new();
        write_jsonl(&history, &mut written).expect("memory takes it");
        let event = written.split(|byte| *byte == b'\n').nth(1).expect("a line");
        let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
        let theirs: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        prop_assert_eq!(event.get("value").unwrap_or(&serde_json::Value::Null), &theirs);
    }

    /// Whatever `serde_json` refuses, this crate refuses, and the other way round.
    #[test]
    fn json_as_others_refuse_it(text in "[\\[\\]{}:,\"\\\\ntrue0-9.eE+-]{0,12}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let line = with_value(&text);
        let ours = histories::read("h", line.as_bytes(), Some(Format::Jsonl));
        // Numbers too big for a float are errors to them, and text to us.
        let too_big = theirs.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
        // The text may close the object and begin another member.
        if !text.contains(['}', ',']) && !too_big {
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        }
    }

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..200)) {
        never_panics(&bytes)?;
    }

    #[test]
    fn random_words(words in vec(prop::sample::select(WORDS.to_vec()), 0..40)) {
        never_panics(words.concat().as_bytes())?;
    }

    /// A good file with a few bytes changed is read, or refused with the line.
    #[test]
    fn garbled(
        seed in prop::sample::select(SEEDS.to_vec()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        never_panics(&bytes)?;
    }
}

/// An event whose value is this JSON.
fn with_value(json: &str) -> String {
    format!("{{\"process\":0,\"type\":\"invoke\",\"f\":\"f\",\"value\":{json}}}\n")
}

/// The reader's error as one of the property.
fn failed(error: ReadError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

/// Reads bytes in every format; whatever is wrong with them is said of a line of theirs.
fn never_panics(bytes: &[u8]) -> Result<(), TestCaseError> {
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count() as u32;
    for format in [None].into_iter().chain(Format::ALL.map(Some)) {
        match histories::read("h", bytes, format) {
            Ok(history) => {
                prop_assert!(history.validate().is_ok());
                history.operations();
                history.faults();
                let mut text = Vec::new();
                write_jsonl(&history, &mut text).expect("memory takes it");
                let again = histories::read("again", &text, Some(Format::Jsonl));
                let again = again.map_err(failed)?;
                prop_assert_eq!(again.events, history.events);
            }
            Err(error) => {
                prop_assert!(
                    error.line.is_none_or(|line| (1..=lines).contains(&line)),
                    "{}",
                    error
                );
                prop_assert!(error.to_string().starts_with("h:"), "{}", error);
                // Only an unknown format, and a log without operations, are of no line.
                let nowhere = ["h: is ", "h: expected lines of operations"];
                let starts = |start: &&str| error.to_string().starts_with(*start);
                prop_assert!(
                    error.line.is_some()
                        || format == Some(Format::Binary)
                        || nowhere.iter().any(starts),
                    "{}",
                    error
                );
            }
        }
    }
    Ok(())
}

const WORDS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "#{",
    "#_",
    "^",
    "\"",
    "\\",
    ",",
    ":",
    ";",
    "\n",
    "\t",
    " ",
    "nil",
    "null",
    "true",
    ":process ",
    ":type ",
    ":f ",
    ":value ",
    ":time ",
    ":index ",
    ":invoke ",
    ":ok ",
    ":info ",
    ":fail ",
    ":read ",
    ":cas ",
    ":nemesis ",
    "0 ",
    "1 ",
    "12.5",
    "-",
    "#inst ",
    "jepsen.util - ",
    "\"process\":0",
    "\"type\":\"ok\"",
    "\\u00e9",
    "\u{e9}",
    "{:process 0 :type :invoke :f :w} ",
];

const SEEDS: [&str; 4] = [
    concat!(
        r#"{"format":"whitewater-history","version":1,"run":{"nodes":["n1"],"seed":3}}"#,
        "\n",
        r#"{"index":0,"time":5,"process":0,"type":"invoke","f":"w","key":"k","#,
        r#""value":[1,{"a":null}]}"#,
        "\n",
        r#"{"index":1,"time":6,"process":0,"type":"fail","f":"w","error":"\u00e9","path":["n1"]}"#,
        "\n",
        r#"{"index":2,"time":7,"process":"nemesis","type":"info","f":"kill","#,
        r#""value":{"id":0,"phase":"heal","targets":["n1"]}}"#,
        "\n",
    ),
    "[{:process 4, :type :invoke, :f :write, :value 2, :time 1, :index 0}\n\
     #jepsen.history.Op{:process 4, :type :info, :f :write, :value :timed-out, :time 2, :index 1}\n\
     {:process :nemesis, :type :info, :f :start, :value \"Cut off #{:n1}\", :time 3, :index 2}]\n",
    "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x 0 0 y\"}\n\
     {:process 0, :type :ok, :f :append, :key \"0\", :value \"x 0 0 y\"}\n",
    "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nchatter\n\
     INFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n\
     INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n",
];

fn history() -> impl Strategy<Value = History> {
    let events = vec((0..5_u64, event()), 0..12).prop_map(|steps| {
        let mut events: Vec<Event> = Vec::new();
        let mut open: Vec<Event> = Vec::new();
        let mut time_ns = 0;
        for (index, (pause, mut event)) in (0..).zip(steps) {
            time_ns += pause;
            event.index = index * 2;
            event.time_ns = time_ns;
            // Made consistent: a completion is of the operation its process has open.
            let at = open.iter().position(|open| open.process == event.process);
            match (at, event.process, event.kind) {
                (_, Process::Nemesis, _) => {}
                (None, ..) => {
                    event.kind = EventType::Invoke;
                    open.push(event.clone());
                }
                (Some(at), _, kind) => {
                    let invocation = open.remove(at);
                    event.kind = if kind == EventType::Invoke {
                        EventType::Ok
                    } else {
                        kind
                    };
                    event.f = invocation.f;
                    event.key = invocation.key;
                }
            }
            events.push(event);
        }
        events
    });
    let failed_cas = prop::sample::select(vec![FailedCas::Observed, FailedCas::NoEffect]);
    (option::of(run()), failed_cas, events).prop_map(|(run, failed_cas, events)| History {
        header: Header { run },
        failed_cas,
        events: events.into(),
        ..History::default()
    })
}

fn run() -> impl Strategy<Value = RunInfo> {
    let names = || vec(any::<String>(), 0..3);
    let texts = (any::<String>(), any::<String>(), any::<String>());
    (texts, names(), any::<u64>(), names(), any::<u64>()).prop_map(
        |((system, workload, model), nodes, clients, faults, seed)| RunInfo {
            system,
            workload,
            model,
            nodes,
            clients,
            faults,
            seed,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let process = prop_oneof![
        4 => (0..3_u64).prop_map(Process::Client),
        1 => Just(Process::Client(u64::MAX)),
        1 => Just(Process::Nemesis),
    ];
    let kind = prop::sample::select(EventType::ALL.to_vec());
    let key = option::of(value().prop_filter("nil is no key", |key| !key.is_nil()));
    let name = || any::<String>().prop_map(Arc::<str>::from);
    let f = "\\PC{1,8}".prop_map(Arc::<str>::from);
    let notes = (option::of(name()), option::of(name()), vec(name(), 0..3));
    (process, kind, f, key, value(), notes).prop_map(
        |(process, kind, f, key, value, (node, error, path))| Event {
            index: 0,
            time_ns: 0,
            process,
            kind,
            f,
            key,
            value,
            node,
            error,
            path,
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<String>().prop_map(Value::from),
        Just(Value::from("$map")),
        Just(Value::from("9223372036854775808")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let pair = (inner.clone(), inner.clone());
        let named = (any::<String>().prop_map(Value::from), inner.clone());
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::List),
            vec(pair, 0..4).prop_map(Value::Map),
            vec(named, 0..4).prop_map(Value::Map),
        ]
    })
}
