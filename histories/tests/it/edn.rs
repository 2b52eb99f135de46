//! EDN values, and histories of EDN maps.

use histories::edn::{DEPTH_MAX, parse_value};
use histories::{Format, Process, Value};

use crate::{lines, read, refused};

#[test]
fn values() {
    let rows = [
        ("nil", "nil"),
        (" true ", "true"),
        ("false;c", "false"),
        ("-7", "-7"),
        ("+7", "7"),
        ("0", "0"),
        ("1N", "1"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "\"9223372036854775808\""),
        ("-9223372036854775809N", "\"-9223372036854775809\""),
        ("0x1F", "31"),
        ("1.5", "\"1.5\""),
        ("1.", "\"1.\""),
        ("1.5M", "\"1.5M\""),
        ("1e-9", "\"1e-9\""),
        ("22/7", "\"22/7\""),
        ("##NaN", "\"NaN\""),
        ("##-Inf", "\"-Inf\""),
        (":a/b", "\"a/b\""),
        ("sym*", "\"sym*\""),
        ("-", "\"-\""),
        (r#""a\n\"\\\u00e9\ud83d\ude00\101""#, "\"a\\n\\\"\\\\é😀A\""),
        (r"\a", "\"a\""),
        (r"\newline", "\"\\n\""),
        (r"\u0041", "\"A\""),
        (r"\o101", "\"A\""),
        (r"[\(\)]", "[\"(\" \")\"]"),
        ("[1,2 , 3]", "[1 2 3]"),
        ("(1 (2))", "[1 [2]]"),
        ("#{1 2}", "[1 2]"),
        ("{:x,0,:y,0}", "{\"x\" 0, \"y\" 0}"),
        ("{1 2, [3] {}}", "{1 2, [3] {}}"),
        (
            "#:n{:a 1, :b/c 2, :_/d 3, \"e\" 4}",
            "{\"n/a\" 1, \"b/c\" 2, \"d\" 3, \"e\" 4}",
        ),
        ("#inst \"2020-01-01\"", "\"2020-01-01\""),
        (
            "#object[java.lang.Object 0x5e \"x\"]",
            "[\"java.lang.Object\" 94 \"x\"]",
        ),
        ("#a #b/c.D [1]", "[1]"),
        ("^{:m 1} ^:k [1]", "[1]"),
        ("#_1 #_ #_ 2 3 4", "4"),
        ("[1 #_2]", "[1]"),
        ("[1 ; two\n 3]", "[1 3]"),
        (r##"#"a\"b""##, "\"a\\\\\\\"b\""),
        ("[:k#{1}]", "[\"k#\" {1 nil}]"),
    ];
    for (text, shown) in rows {
        if text.starts_with("[:k#") {
            // A keyword swallows the `#`, and `{1}` has a key and no value.
            assert!(parse_value(text).is_err());
            continue;
        }
        match parse_value(text) {
            Ok(value) => assert_eq!(value.to_string(), shown, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn what_is_no_value() {
    let rows = [
        ("", "expected a value, found the end at byte 0"),
        ("; only", "expected a value, found the end at byte 6"),
        (
            "[1 2",
            "expected the `]` of the vector, found the end at byte 4",
        ),
        (
            "[1 2)",
            "expected the `]` of the vector, found `)` at byte 4",
        ),
        ("{:a}", "expected a value, found `}` at byte 3"),
        (
            "{:a 1",
            "expected the `}` of the map or set, found the end at byte 5",
        ),
        (
            "\"abc",
            "expected the closing `\"` of a string, found the end at byte 4",
        ),
        (
            r#""\q""#,
            "expected an escape that EDN knows, found `q` at byte 2",
        ),
        (
            r#""\ud800x""#,
            "expected \\u and the second half of a surrogate pair, found `x` at byte 7",
        ),
        ("12x", "expected a number, found `12x` at byte 0"),
        ("007", "expected a number, found `007` at byte 0"),
        ("1.x", "expected a number, found `1.x` at byte 0"),
        (":", "expected a keyword, found the end at byte 1"),
        ("::a", "expected a keyword, found `::a` at byte 0"),
        ("\\abc", "expected a character, found `\\\\abc` at byte 0"),
        ("#", "expected a value, found the end at byte 1"),
        ("#<Foo 1>", "expected a value, found `#<Foo` at byte 0"),
        (
            "##Nope",
            "expected ##NaN, ##Inf or ##-Inf, found `##Nope` at byte 0",
        ),
        ("1 2", "expected the end of the text, found `2` at byte 2"),
        ("@x", "expected a value, found `@x` at byte 0"),
    ];
    for (text, message) in rows {
        match parse_value(text) {
            Ok(value) => panic!("{text} is {value}"),
            Err(error) => assert_eq!(error.to_string(), message, "{text}"),
        }
    }
}

/// However deep the nesting, and whatever it is made of: an error, and no overflow of the stack.
#[test]
fn deep_nesting_is_an_error() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse_value(&nested(DEPTH_MAX)).is_ok());
    assert!(parse_value(&nested(DEPTH_MAX + 1)).is_err());
    for opening in [
        "[", "(", "{", "{:a ", "#{", "^", "^[", "#_", "#_[", "#:n{:a ", "#a [", "[#_",
    ] {
        let text = opening.repeat(200_000);
        let error = parse_value(&text).expect_err(opening).to_string();
        assert!(
            error.contains("levels of nesting") || opening == "{",
            "{opening}: {error}"
        );
        let history = read(&text, Some(Format::Edn));
        assert!(history.is_err(), "{opening}");
    }
    assert_eq!(
        parse_value(&("#a ".repeat(200_000) + "1")),
        Ok(Value::Int(1))
    );
}

const OPS: [&str; 3] = [
    "{:process 0, :type :invoke, :f :cas, :value [1 2], :index 4, :time 10, :node \"n1\"}",
    "#jepsen.history.Op{:index 5 :time 20 :process :nemesis :type :info :f :start :extra #foo 1}",
    "#knossos.op.Op ^:m {:type :info :process 0 :f :cas :value :timed-out :index 9 :time 20}",
];

/// Every shape of the same history reads the same.
#[test]
fn shapes() {
    let expected = read(&OPS.join("\n"), None).expect("a stream");
    assert_eq!(lines(&expected), [1, 2, 3]);
    let event = expected.events.get(2);
    assert_eq!(
        (event.index, event.time_ns, &event.value),
        (9, 20, &Value::Nil)
    );
    assert_eq!(event.error.as_deref(), Some("timed-out"));
    assert_eq!(expected.events.get(0).node.as_deref(), Some("n1"));
    assert_eq!(expected.events.get(1).process, Process::Nemesis);
    let shapes = [
        OPS.join(" "),
        format!("[{}]", OPS.join("\n")),
        format!("({})\n", OPS.join(",")),
        format!(
            "; a comment\n\n#jepsen.history.DenseHistory [{}] ; the end\n",
            OPS.join("#_{}")
        ),
        format!("\u{feff}^{{:m 1}} ({} #_ nil)", OPS.join("\r\n")),
    ];
    for text in shapes {
        let history = read(&text, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(history.events, expected.events, "{text}");
    }
    for empty in ["[]", "()", " [ ] ", "[#_{:process 1}]"] {
        assert_eq!(read(empty, None).expect(empty).events.len(), 0);
    }
    assert_eq!(
        read("; nothing\n", Some(Format::Edn))
            .expect("no events")
            .events
            .len(),
        0
    );
}

/// Elle's examples have neither processes nor names.
#[test]
fn transactions_without_process() {
    let text = "{:type :invoke :value [[:r 1 nil]]}\n{:type :ok :value [[:r 1 [2]]]}";
    let history = read(text, None).expect("one process");
    assert_eq!(&*history.events.get(1).f, "txn");
    assert_eq!(history.events.get(1).process, Process::Client(0));
    refused(
        "{:type :invoke :value [[:r 1 nil]]}\n{:type :ok :process 1 :value nil}",
        None,
        "h:2:1: expected no :process, as in the operations before, found one (hint: give all operations \
         one, or none where one process called them all)",
    );
    refused(
        "{:type :invoke :f :read :value nil}\n{:type :invoke :f :read :value nil}",
        None,
        "h:2: no operation names a process, so that one, 0, is taken to have called them all; but then \
         process 0 invokes read while its read of line 1 is still open (hint: give every operation its \
         process)",
    );
}

#[test]
fn what_is_refused() {
    let op = "{:process 0 :type :invoke :f :read}";
    let rows = [
        (
            format!("[{op}"),
            "h:1:37: is cut off: expected a map, `{`, found the end",
        ),
        (format!("[{op}\n{op} 5]"), ""),
        (
            format!("[{op}\n {{:process 0\n :type"),
            "h:3:7: is cut off: expected a value, found the end \
             (the last operation begins on line 2)",
        ),
        (
            format!("[{op}] 3"),
            "h:1:39: expected the end of the history, found `3`",
        ),
        (format!("{op}\n7"), "h:2:1: expected a map, `{`, found `7`"),
        (
            format!("{op}\n{{:process 0 :type :okay :f :read}}"),
            "h:2:1: expected :type to be one of :invoke, :ok, :fail, :info, found okay",
        ),
        (
            format!("{op}\n{{:process :logger :type :ok :f :read}}"),
            "h:2:1: expected :process to be a number that is not negative, or :nemesis, \
             found logger",
        ),
        (
            format!("{op}\n{{:process -1 :type :ok :f :read}}"),
            "h:2:1: expected :process to be a number that is not negative, or :nemesis, found -1",
        ),
        (
            format!("{op}\n{{:process 0 :type :ok}}"),
            "h:2:1: expected :f to be a name, found none",
        ),
        (
            format!("{op}\n{{:process 0 :type :ok :type :ok :f :read}}"),
            "h:2:1: expected :type once, found it twice",
        ),
        (
            format!("{op}\n{{:process 0 :type :ok :f :read :index 1}}"),
            "h:2:1: expected no :index, as in the events before, found one",
        ),
        (
            "{:time 1 :process 0 :type :invoke :f :r}\n{:process 0 :type :ok :f :r}".to_owned(),
            "h:2:1: expected :time to be a whole number, not negative, found none",
        ),
    ];
    for (text, message) in rows {
        if message.is_empty() {
            assert!(read(&text, None).is_err());
        } else {
            refused(&text, None, message);
        }
    }
}

/// Jepsen's older workers stamped events before they appended them.
#[test]
fn neighbours_stamped_out_of_order() {
    let op = |process, kind, time| {
        format!("{{:process {process} :type :{kind} :f :w :value 1 :time {time}}}")
    };
    let text = [
        op(0, "invoke", 15),
        op(1, "invoke", 10),
        op(0, "ok", 40),
        op(1, "ok", 30),
        op(0, "invoke", 40),
    ]
    .join("\n");
    let times: Vec<u64> = read(&text, None)
        .expect("widened")
        .events
        .iter()
        .map(|event| event.time_ns)
        .collect();
    assert_eq!(times, [10, 10, 40, 40, 40]);
    refused(
        &[op(0, "invoke", 1), op(0, "ok", 30), op(1, "invoke", 20)].join("\n"),
        None,
        "h:3: the history contradicts itself: time 20 is before the time 30 of line 2: \
         time must not go back",
    );
    refused(
        &[op(0, "invoke", 9), op(0, "ok", 5)].join("\n"),
        None,
        "h:2: the history contradicts itself: time 5 is before the time 9 of line 1: \
         time must not go back",
    );
}

/// Without `:f` all are transactions; one alone without it is an error.
#[test]
fn transactions_without_a_name() {
    let text = "{:process 3 :type :invoke :value [[:r 1]]}\n\
                {:process :nemesis :type :info :f :kill}\n\
                {:process 3 :type :ok :value [[:r 1 [2]]]}";
    let history = read(text, None).expect("a transaction");
    let operation = history.operations().get(0);
    assert_eq!((&*operation.f, operation.process), ("txn", 3));
    refused(
        "{:process 3 :type :invoke :value 1}\n{:process :nemesis :type :info}",
        None,
        "h:2:1: expected :f to be a name, found none",
    );
}

#[test]
fn porcupine_kv() {
    let text = "{:process 0, :type :invoke, :f :get, :key \"4\", :value nil}\n\
                {:process 0, :type :ok, :f :get, :key \"4\", :value \"x 0 1 y\"}\n\n";
    let history = read(text, None).expect("two events");
    assert_eq!(history.operations().get(0).key, Some(Value::from("4")));
    assert_eq!(history.operations().get(0).output, Value::from("x 0 1 y"));
    assert_eq!(
        read(text.trim_end(), None).expect("closed").events,
        history.events
    );
    let format = Some(Format::PorcupineKv);
    refused(
        &text[..text.len() - 6],
        None,
        "h:2:57: is cut off: expected the closing `\"` of a string, found the end",
    );
    refused(
        "{:process 0\n:type :invoke, :f :get, :key \"4\", :value nil}\n",
        format,
        "h:1:12: expected the `}` of the map or set, found the end",
    );
    refused(
        "{:process 0, :type :invoke, :f :delete, :key \"4\", :value nil}\n",
        format,
        "h:1:1: expected :f to be one of :get, :put, :append, found :delete",
    );
    refused(
        "{:process 0} 1\n",
        format,
        "h:1:14: expected the end of the line, found `1`",
    );
}

/// Cut anywhere, a list is an error, and a stream is its whole operations or an error.
#[test]
fn truncation_at_every_byte() {
    let list = format!("[{}]", OPS.join("\n"));
    let stream = OPS.join("\n");
    let whole = read(&list, None).expect("a list").events;
    for cut in 1..list.len() {
        let error = read(&list[..cut], Some(Format::Edn)).expect_err("cut");
        assert!(
            error.line.is_some() && error.to_string().contains("is cut off"),
            "{error}"
        );
    }
    for cut in 1..stream.len() {
        let operations = stream[..cut].matches('}').count();
        match read(&stream[..cut], Some(Format::Edn)) {
            Ok(history) => {
                let expected: Vec<_> = whole.iter().take(operations).collect();
                assert_eq!(history.events, expected, "cut at {cut}");
                let rest = stream[..cut].rsplit('}').next().expect("a part").trim();
                assert!(rest.is_empty(), "cut at {cut}");
            }
            Err(error) => assert!(error.line.is_some(), "{error}"),
        }
    }
}
