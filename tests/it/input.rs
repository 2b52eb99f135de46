//! Bad input: each kind a message that names the thing, the right exit code, and no panic.

use std::fs;
use std::path::Path;

use crate::support::{Output, runs, skip, store, text, whitewater};

/// A small linearizable history in each format, its model, and the smallest number of operations
/// that is judged in a beginning of it.
const HISTORIES: [(&str, &str, &str); 6] = [
    (
        "jsonl",
        "kv",
        "{\"format\":\"whitewater-history\",\"version\":1}\n\
         {\"index\":0,\"time\":5,\"process\":0,\"type\":\"invoke\",\"f\":\"put\",\"key\":\"a\",\"value\":\"x\"}\n\
         {\"index\":1,\"time\":6,\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"leader\",\"value\":{\"leader\":\"n1\",\"term\":1}}\n\
         {\"index\":2,\"time\":7,\"process\":0,\"type\":\"ok\",\"f\":\"put\",\"key\":\"a\",\"node\":\"n1\"}\n\
         {\"index\":3,\"time\":8,\"process\":1,\"type\":\"invoke\",\"f\":\"get\",\"key\":\"a\"}\n\
         {\"index\":4,\"time\":9,\"process\":1,\"type\":\"ok\",\"f\":\"get\",\"key\":\"a\",\"value\":\"x\",\"node\":\"n1\"}\n",
    ),
    (
        "edn",
        "cas-register",
        "[{:process 0, :type :invoke, :f :write, :value 3, :index 0, :time 10}\n \
         {:process 0, :type :ok, :f :write, :value 3, :index 1, :time 20}\n \
         {:process 1, :type :invoke, :f :cas, :value [3 4], :index 2, :time 30}\n \
         {:process 1, :type :ok, :f :cas, :value [3 4], :index 3, :time 40}]\n",
    ),
    (
        "edn",
        "cas-register",
        "#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 0, :f :write, :value 1}\n\
         #jepsen.history.Op{:index 1, :time 11, :type :ok, :process 0, :f :write, :value 1}\n",
    ),
    (
        "jepsen-log",
        "cas-register",
        "INFO  jepsen.util - 0\t:invoke\t:write\t2\n\
         INFO  jepsen.util - 0\t:ok\t:write\t2\n\
         INFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
         INFO  jepsen.util - 1\t:ok\t:read\t2\n",
    ),
    (
        "elle-json",
        "register",
        "[{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1,\"index\":0,\"time\":1},\n\
         {\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"value\":1,\"index\":1,\"time\":2}]\n",
    ),
    (
        "porcupine-kv",
        "kv",
        "{:process 0, :type :invoke, :f :put, :key \"0\", :value \"x\"}\n\
         {:process 0, :type :ok, :f :put, :key \"0\", :value \"x\"}\n\
         {:process 1, :type :invoke, :f :append, :key \"0\", :value \"y\"}\n\
         {:process 1, :type :ok, :f :append, :key \"0\", :value \"y\"}\n\
         {:process 0, :type :invoke, :f :get, :key \"0\", :value nil}\n\
         {:process 0, :type :ok, :f :get, :key \"0\", :value \"xy\"}\n",
    ),
];

fn check(file: &Path, contents: &[u8], args: &[&str]) -> Output {
    fs::write(file, contents).unwrap();
    let output = whitewater(&[&["check", text(file)], args].concat());
    assert_eq!(fs::read(file).unwrap(), contents, "a check only reads");
    output
}

#[test]
fn good_histories_are_recognised_and_valid() {
    let folder = store();
    let file = folder.path().join("history");
    for (format, model, history) in HISTORIES {
        check(&file, history.as_bytes(), &["--model", model]).expect(0);
        let args = ["--model", model, "--format", format];
        check(&file, history.as_bytes(), &args).expect(0);
    }
}

/// However much of a linearizable history is there, it is judged linearizable, undecided, or refused
/// with the file's name: never a violation, never a panic.
#[test]
fn truncated_histories_are_judged_or_refused() {
    let folder = store();
    let file = folder.path().join("history");
    for (format, model, history) in HISTORIES {
        let mut refused = 0;
        for end in (0..history.len()).step_by(17) {
            let args = ["--model", model, "--format", format];
            let output = check(&file, &history.as_bytes()[..end], &args);
            let decided = output.status.code().filter(|code| [0, 3].contains(code));
            let output = output.expect(decided.unwrap_or(2));
            if decided.is_none() {
                refused += 1;
                output.says(&[text(&file)]);
            }
        }
        // In our own format a torn last line is what a sudden end leaves behind.
        assert!(
            refused > 0 || format == "jsonl",
            "{format}: cuts went unnoticed"
        );
    }
}

/// A history with one byte changed is judged as what it says, or refused with the file's name.
#[test]
fn garbled_histories_are_judged_or_refused() {
    let folder = store();
    let file = folder.path().join("history");
    for (format, model, history) in HISTORIES {
        let mut refused = 0;
        for (at, byte) in (0..history.len())
            .step_by(23)
            .zip(b"\0\xff}{\"\n[9".iter().cycle())
        {
            let mut garbled = history.as_bytes().to_vec();
            garbled[at] = *byte;
            let args = ["--model", model, "--format", format];
            let output = check(&file, &garbled, &args);
            let code = output.status.code().unwrap_or(-1);
            assert!((0..=3).contains(&code), "byte {at}: {output}");
            let output = output.expect(code);
            if code == 2 {
                refused += 1;
                output.says(&[text(&file)]);
            }
        }
        assert!(refused > 0, "{format}: garbage went unnoticed");
    }
}

#[test]
fn what_contradicts_itself_is_refused_with_its_line() {
    let folder = store();
    let file = folder.path().join("history.jsonl");
    let line = |index: u32, time: u32, kind: &str, f: &str| {
        format!(
            "{{\"index\":{index},\"time\":{time},\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":1}}\n"
        )
    };
    for (history, at) in [
        // A completion without an invocation.
        (line(0, 1, "ok", "write"), 1),
        // Two operations open on one process.
        (
            line(0, 1, "invoke", "write") + &line(1, 2, "invoke", "write"),
            2,
        ),
        // Time that goes back.
        (
            line(0, 9, "invoke", "write") + &line(1, 8, "ok", "write"),
            2,
        ),
        // The end of another operation than the one that began.
        (line(0, 1, "invoke", "write") + &line(1, 2, "ok", "read"), 2),
        // Nonsense in the middle.
        (
            line(0, 1, "invoke", "write") + "nonsense\n" + &line(1, 2, "ok", "write"),
            2,
        ),
    ] {
        let at = format!("{}:{at}", text(&file));
        check(&file, history.as_bytes(), &["--model", "register"])
            .expect(2)
            .says(&[&at]);
    }
}

#[test]
fn what_no_file_can_be_made_of_is_named() {
    let folder = store();
    let nowhere = folder.path().join("nowhere");
    for path in [&nowhere, folder.path()] {
        whitewater(&["check", text(path), "--model", "register"])
            .expect(2)
            .says(&[text(path)]);
        whitewater(&["replay", text(path)])
            .expect(2)
            .says(&[text(path), "is not a run folder"]);
    }
    let file = folder.path().join("bytes");
    check(&file, &[0xfe, 0xed, 0, 1, 2, 3], &["--model", "register"])
        .expect(2)
        .says(&[text(&file)]);
    // Which model is meant is nowhere said.
    check(&file, HISTORIES[0].2.as_bytes(), &[])
        .expect(2)
        .says(&["--model with one of", "cas-register"]);
}

/// Options that name nothing there is, and what must be said about it.
#[test]
fn unknown_names_are_refused_and_the_nearest_is_suggested() {
    let folder = store();
    let file = folder.path().join("history.jsonl");
    fs::write(&file, HISTORIES[0].2).unwrap();
    let store = folder.path().join("runs");
    let file = text(&file);
    for (args, said) in [
        (
            &["check", file, "--model", "regster"][..],
            &["regster", "did you mean register"][..],
        ),
        (
            &["check", file, "--model", "kv", "--format", "jsnl"],
            &["jsnl", "did you mean jsonl"],
        ),
        (&["check", file, "--nil-reads", "anny"], &["anny", "any"]),
        (
            &["run", "--bug", "stale-reed"],
            &["stale-reed", "did you mean `stale-read`"],
        ),
        (
            &["run", "--bug", "zzzzzzzzzz"],
            &["zzzzzzzzzz", "stale-read"],
        ),
        (
            &["run", "--workload", "registre"],
            &["registre", "did you mean `register`"],
        ),
        (
            &["run", "--faults", "kill,puase"],
            &["puase", "did you mean pause"],
        ),
        (
            &["run", "--system", "raftkv"],
            &["raftkv", "did you mean `raft-kv`"],
        ),
        (&["run", "--values", "some"], &["some", "unique"]),
        (
            &["run", "--nodes", "0"],
            &["nodes", "is 0", "expected 1 to"],
        ),
        (&["run", "--nodes", "4000"], &["nodes", "expected 1 to"]),
        (&["run", "--nodes", "-1"], &["-1"]),
        (&["run", "--nodes", "five"], &["five", "--nodes"]),
        (
            &["run", "--clients", "0"],
            &["clients", "is 0", "expected 1 to"],
        ),
        (&["run", "--rate", "0"], &["--rate is 0"]),
        (
            &["run", "--time", "30"],
            &["--time", "hint: a number with a unit"],
        ),
        (&["run", "--time", "0s"], &["--time"]),
        (&["run", "--seed", "99999999999999999999"], &["--seed"]),
        (&["run", "--tiem", "3s"], &["--tiem", "--time"]),
        (&["rnu"], &["rnu", "run"]),
        (&["campaign", "--runs", "0"], &["--runs is 0"]),
        (
            &["campaign", "--bug", "stale-reed"],
            &["did you mean `stale-read`"],
        ),
        (&["raft-kv", "--bug", "stale-reed"], &["stale-reed"]),
        (&[], &["Usage"]),
    ] {
        let mut args = args.to_vec();
        if matches!(args.first(), Some(&("run" | "campaign"))) {
            args.extend(["--store", text(&store)]);
        }
        let output = whitewater(&args).expect(2).says(said);
        assert_eq!(output.stdout, "", "{output}");
    }
    assert!(!store.exists(), "nothing was run, nothing is kept");
}

#[test]
fn mistakes_in_a_plan_are_named_with_line_and_suggestion() {
    let folder = store();
    let plan = folder.path().join("plan.toml");
    let run = folder.path().join("runs");
    for (contents, said) in [
        (
            "seed = 1\nduration = 5\n",
            ":2: |`duration`|did you mean `duration_ms`?",
        ),
        (
            "[workload]\nname = \"kv\"\nclient = 3\n",
            ":3: |`client`|did you mean `clients`?",
        ),
        (
            "[system]\nbugs = [\"stale-reed\"]\n",
            "stale-reed|did you mean `stale-read`?",
        ),
        (
            "[workload]\nname = \"registr\"\n",
            "registr|did you mean `register`?",
        ),
        ("[faults]\nkinds = { kil = 1 }\n", ":2: |kil"),
        ("[system]\nnodes = []\n", "system.nodes|is 0"),
        ("[system]\nnodes = [\"a\", \"a\"]\n", "system.nodes|twice"),
        (
            "[system]\nnodes = [\"../../etc\"]\n",
            "system.nodes|../../etc",
        ),
        ("[workload]\nclients = 0\n", "workload.clients|is 0"),
        ("seed = -1\n", ":1: |seed|-1"),
        ("seed = \"one\"\n", ":1: |expected"),
        ("version = 99\n", "`version` is 99"),
        ("seed = \n", ":1: "),
        ("\0\u{1}garbage", ":1: "),
        (
            "[[schedule]]\nid = 1\nat_ms = 1\nfor_ms = 1\nfault = \"kil\"\n",
            "kil",
        ),
        (
            "duration_ms = 1000\n[[schedule]]\nid = 1\nat_ms = 100\nfor_ms = 1\nfault = \"kill\"\n\
             target = \"one\"\norder = [\"n9\"]\n",
            "n9",
        ),
    ] {
        fs::write(&plan, contents).unwrap();
        let said: Vec<&str> = [text(&plan)].into_iter().chain(said.split('|')).collect();
        whitewater(&["run", "--plan", text(&plan), "--store", text(&run)])
            .expect(2)
            .says(&said);
        // The same file as that of a run made earlier.
        whitewater(&["replay", text(folder.path()), "--store", text(&run)])
            .expect(2)
            .says(&said);
    }
    fs::write(&plan, [0xff, 0xfe]).unwrap();
    whitewater(&["run", "--plan", text(&plan), "--store", text(&run)])
        .expect(2)
        .says(&[text(&plan)]);
    assert!(runs(&run).is_empty());
}

/// Histories that others recorded, with the verdicts that others established.
#[test]
fn recorded_cases_are_judged_as_expected_even_cut_off() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    let Ok(expected) = fs::read_to_string(cases.join("expected.tsv")) else {
        return skip("the recorded cases are not here");
    };
    let folder = store();
    let file = folder.path().join("history");
    let mut kinds: Vec<&str> = Vec::new();
    for row in expected.lines().skip(1) {
        let mut columns = row.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (name, verdict, args) = (next(), next(), next());
        // The first valid one of each kind: all of them are tried by `shared/cases/run`.
        let kind = name.split('/').next().unwrap();
        if verdict != "valid" || kinds.contains(&kind) {
            continue;
        }
        kinds.push(kind);
        let args: Vec<&str> = args.split_whitespace().collect();
        let contents = fs::read(cases.join(name)).unwrap();
        check(&file, &contents, &args).expect(0);
        let output = check(&file, &contents[..contents.len() * 2 / 3], &args);
        let code = output.status.code();
        output.expect(if code == Some(0) { 0 } else { 2 });
    }
    assert!(kinds.len() >= 3, "{kinds:?}");
}

/// Values, keys, nodes and processes as no terminal has room for, and what it would obey: the picture
/// stays within 100 columns, and nothing is obeyed.
#[test]
fn whatever_a_history_holds_its_counterexample_fits_the_terminal() {
    let folder = store();
    let file = folder.path().join("history.jsonl");
    let wide = "日本".repeat(40);
    let rows = [
        ("\"k\"", "\"n1\"", "1", 1),
        (
            "\"k\"",
            "\"a\\u001b[2J\\u009b1m\\u202eb\"",
            "\"\\u001b]0;x\\u0007\"",
            1,
        ),
        (
            &*format!("\"{wide}\""),
            &*format!("\"{wide}\""),
            &*format!("\"{wide}\""),
            1,
        ),
        (
            "[1,[2]]",
            "\"n\"",
            &*format!("[{}0]", "12345678,".repeat(50)),
            u64::MAX - 1,
        ),
    ];
    for (key, node, value, process) in rows {
        let mut time = 9_000_000_000_000_000_000_u64;
        let mut event = |process: u64, kind: &str, f: &str, value: &str| {
            time += 1_000_000;
            format!(
                "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":{key},\"value\":{value},\"node\":{node}}}\n"
            )
        };
        let history = [
            event(process, "invoke", "write", value),
            event(process, "ok", "write", value),
            event(0, "invoke", "write", "2"),
            event(0, "ok", "write", "2"),
            event(process + 1, "invoke", "read", "null"),
            event(process + 1, "ok", "read", value),
        ]
        .concat();
        let output = check(&file, history.as_bytes(), &["--model", "register"]).expect(1);
        assert!(
            output
                .stdout
                .chars()
                .all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'),
            "{output}"
        );
        let pictures = output.stdout.lines().filter(|line| line.contains('|'));
        assert_eq!(pictures.clone().count(), 3, "{output}");
        for line in pictures {
            // Chinese characters take two columns each.
            let columns: usize = line
                .chars()
                .map(|c| if c > '\u{2fff}' { 2 } else { 1 })
                .sum();
            assert!(columns <= 100, "{columns}: {line}");
        }
        let json = check(
            &file,
            history.as_bytes(),
            &["--model", "register", "--json"],
        )
        .expect(1);
        assert!(!json.stdout.contains(['\u{9b}', '\u{202e}']), "{json}");
        serde_json::from_str::<serde_json::Value>(&json.stdout).expect("JSON");
    }
}

#[test]
fn a_map_is_the_same_in_whatever_order_it_is_written() {
    let folder = store();
    let file = folder.path().join("history.edn");
    for (written, found, code) in [
        ("{:a 1, :b 2}", "{:b 2, :a 1}", 0),
        ("{:a 1, :b 2}", "{:b 1, :a 2}", 1),
        ("#{1 2 3}", "#{3 1 2}", 0),
        ("[1 2 3]", "[3 1 2]", 1),
    ] {
        let history = format!(
            "{{:process 0, :type :invoke, :f :write, :value {written}}}\n\
             {{:process 0, :type :ok, :f :write, :value {written}}}\n\
             {{:process 1, :type :invoke, :f :read, :value nil}}\n\
             {{:process 1, :type :ok, :f :read, :value {found}}}\n"
        );
        check(&file, history.as_bytes(), &["--model", "register"]).expect(code);
    }
}

/// Goal: a field whose name is misspelt is not passed over silently; what cannot be read says what to
/// do.
#[test]
fn what_is_passed_over_or_cannot_be_read_is_said() {
    let folder = store();
    let file = folder.path().join("history");
    let register = ["--model", "register"];
    let op = |rest: &str| {
        format!(
            "{{:type :invoke, :f :write, :value 1, :process 0{rest}}}\n\
             {{:type :ok, :f :write, :value 1, :process 0{rest}}}\n"
        )
    };
    let output = check(&file, op(", :kye 3, :debug {:a 1}").as_bytes(), &register).expect(0);
    output.says(&["that mean nothing here are passed over: debug, kye"]);
    let json = op(", :time 1.5E9")
        .replace(":kye", "\"kye\"")
        .replace(", ", " ");
    check(&file, json.as_bytes(), &register).expect(0);
    for (contents, words) in [
        (&b"\x1f\x8b\x08\0\0"[..], "is compressed (hint: gzip -dc"),
        (&b"\x28\xb5\x2f\xfd\0"[..], "is compressed (hint: zstd -dc"),
        (
            op(", :time 1.5").as_bytes(),
            "expected :time to be a whole number, not negative, found 1.5",
        ),
        (
            b"{:type :invoke, :f :read}\n{:type :invoke, :f :read}\n",
            "no operation names a process",
        ),
    ] {
        check(&file, contents, &register).expect(2).says(&[words]);
    }
    whitewater(&["check", text(folder.path()), "--model", "register"])
        .expect(2)
        .says(&["is a folder with no history in it"]);
}
