//! `whitewater convert`, keys in tuples, and histories that are recorded in chunks.

use std::fs;
use std::path::Path;

use crate::support::{cluster_lock, only_run, read_json, run_in, store, text, whitewater};

/// A history that every format but Jepsen's log can express: two clients of a key-value store.
const KV: &str = "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"put\",\"key\":\"a\",\"value\":\"x\"}\n\
    {\"index\":1,\"time\":1,\"process\":1,\"type\":\"invoke\",\"f\":\"get\",\"key\":\"a\"}\n\
    {\"index\":2,\"time\":2,\"process\":0,\"type\":\"ok\",\"f\":\"put\",\"key\":\"a\",\"value\":\"x\"}\n\
    {\"index\":3,\"time\":3,\"process\":1,\"type\":\"ok\",\"f\":\"get\",\"key\":\"a\",\"value\":\"x\"}\n";

/// One that Jepsen's log can express, and Porcupine's cannot.
const REGISTER: &str = "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"cas\",\"value\":[0,1]}\n\
    {\"index\":1,\"time\":1,\"process\":0,\"type\":\"fail\",\"f\":\"cas\",\"error\":\"refused\"}\n\
    {\"index\":2,\"time\":2,\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n\
    {\"index\":3,\"time\":3,\"process\":0,\"type\":\"info\",\"f\":\"read\",\"error\":\"timed out\"}\n";

/// Format, the ending that tells it or an empty text.
const FORMATS: [(&str, &str); 6] = [
    ("jsonl", ".jsonl"),
    ("binary", ".bin"),
    ("edn", ".edn"),
    ("elle-json", ".json"),
    ("jepsen-log", ".log"),
    ("porcupine-kv", ""),
];

/// Converts, with `--to` only where the ending does not tell.
#[track_caller]
fn convert(input: &Path, output: &Path, (format, ending): (&str, &str)) {
    let mut args = vec!["convert", text(input), text(output)];
    if ending.is_empty() {
        args.extend(["--to", format]);
    }
    let said = format!("as {format}");
    whitewater(&args).expect(0).says(&[text(output), &said]);
}

#[test]
fn every_pair_of_formats_goes_there_and_back() {
    let folder = store();
    for (history, cannot) in [(KV, "jepsen-log"), (REGISTER, "porcupine-kv")] {
        let start = folder.path().join("start.jsonl");
        fs::write(&start, history).unwrap();
        let able = || FORMATS.into_iter().filter(|(name, _)| *name != cannot);
        for one in able() {
            let first = folder.path().join(format!("first-{}{}", one.0, one.1));
            convert(&start, &first, one);
            for other in able() {
                let second = folder
                    .path()
                    .join(format!("{}-{}{}", one.0, other.0, other.1));
                convert(&first, &second, other);
                let back = folder
                    .path()
                    .join(format!("{}-{}-back.jsonl", one.0, other.0));
                convert(&second, &back, FORMATS[0]);
                let back = fs::read_to_string(back).unwrap();
                let (_, events) = back.split_once('\n').unwrap();
                assert_eq!(events, history, "{one:?} {other:?}");
                fs::remove_file(second).unwrap();
            }
        }
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let name = file.file_name();
            assert!(
                !name.to_string_lossy().starts_with('.'),
                "{name:?} is left behind"
            );
            fs::remove_file(file.path()).unwrap();
        }
    }
}

#[test]
fn nothing_is_written_over_and_what_cannot_be_said_is_refused() {
    let folder = store();
    let (input, output) = (
        folder.path().join("in.jsonl"),
        folder.path().join("out.edn"),
    );
    fs::write(&input, KV).unwrap();
    fs::write(&output, "mine").unwrap();
    let args = ["convert", text(&input), text(&output)];
    whitewater(&args)
        .expect(2)
        .says(&["exists already", "--force"]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "mine");
    whitewater(&[&args[..], &["--force"]].concat()).expect(0);
    assert!(
        fs::read_to_string(&output)
            .unwrap()
            .starts_with("[{:index 0")
    );
    // Onto itself.
    whitewater(&["convert", text(&input), text(&input)]).expect(2);
    assert_eq!(fs::read_to_string(&input).unwrap(), KV);

    let log = folder.path().join("out.log");
    whitewater(&["convert", text(&input), text(&log)])
        .expect(2)
        .says(&["cannot be expressed in jepsen-log", "event 0", "a key"]);
    assert!(!log.exists());
    let nameless = folder.path().join("out");
    whitewater(&["convert", text(&input), text(&nameless)])
        .expect(2)
        .says(&["does not tell its format", "--to"]);
    whitewater(&["convert", text(&input), text(&nameless), "--to", "jsnl"])
        .expect(2)
        .says(&["did you mean jsonl"]);
    let nowhere = folder.path().join("nowhere").join("out.jsonl");
    whitewater(&["convert", text(&input), text(&nowhere)])
        .expect(2)
        .says(&["cannot be written"]);
    let missing = folder.path().join("missing.jsonl");
    whitewater(&["convert", text(&missing), text(&log)])
        .expect(2)
        .says(&[text(&missing)]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A binary history that is torn is judged without its last chunk; one that is damaged is refused.
#[test]
fn a_binary_history_torn_or_damaged() {
    let folder = store();
    let (input, output) = (
        folder.path().join("in.jsonl"),
        folder.path().join("out.bin"),
    );
    fs::write(&input, KV).unwrap();
    convert(&input, &output, FORMATS[1]);
    let check = ["check", text(&output), "--model", "kv"];
    whitewater(&check).expect(0).says(&["VALID"]);
    let whole = fs::read(&output).unwrap();
    fs::write(&output, &whole[..whole.len() - 3]).unwrap();
    whitewater(&check).expect(3).says(&["torn", "UNKNOWN"]);
    let mut damaged = whole.clone();
    let last = damaged.len() - 3;
    damaged[last] ^= 1;
    fs::write(&output, &damaged).unwrap();
    whitewater(&check)
        .expect(2)
        .says(&[text(&output), "chunk 0, events 0 to 3, is damaged"]);
}

/// A pipe is read once, and is recognised all the same: in Porcupine's histories a missing key reads
/// as the empty text.
#[test]
fn a_pipe() {
    let folder = store();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let history = "{:process 0, :type :invoke, :f :get, :key \"0\", :value nil}\n\
                   {:process 0, :type :ok, :f :get, :key \"0\", :value \"\"}\n\
                   {:process 0, :type :invoke, :f :put, :key \"0\", :value \"x\"}\n\
                   {:process 0, :type :ok, :f :put, :key \"0\", :value \"x\"}\n";
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, history)
    });
    whitewater(&["check", text(&pipe), "--model", "kv"]).expect(0);
    writer.join().unwrap().unwrap();
}

/// Values that can only be tuples of key and value are taken for that, and it is said; where they
/// can be something else, the option is named.
#[test]
fn keys_in_tuples() {
    let folder = store();
    let file = folder.path().join("history.edn");
    let op = |process: u32, kind: &str, f: &str, value: &str| {
        format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    // Each key by itself is fine; on one register the second read would be stale.
    let tuples = op(0, "invoke", "write", "[1 5]")
        + &op(0, "ok", "write", "[1 5]")
        + &op(0, "invoke", "read", "[2 nil]")
        + &op(0, "ok", "read", "[2 nil]")
        + &op(1, "invoke", "read", "[1 nil]")
        + &op(1, "ok", "read", "[1 5]");
    fs::write(&file, &tuples).unwrap();
    let check = ["check", text(&file), "--model", "register"];
    whitewater(&check)
        .expect(0)
        .says(&["tuples [key value]", "--keys field", "on 2 keys"]);
    whitewater(&[&check[..], &["--keys", "tuple"]].concat()).expect(0);
    // One that asks for [1 nil] and is answered [1 5] is no read of a register of lists.
    whitewater(&[&check[..], &["--keys", "field"]].concat())
        .expect(2)
        .says(&[
            "read with the argument [1 nil] and the result [1 5]",
            "--keys tuple",
        ]);

    let writes = op(0, "invoke", "write", "[1 5]") + &op(0, "ok", "write", "[1 5]");
    fs::write(&file, &writes).unwrap();
    let output = whitewater(&check).says(&["--keys tuple", "--keys field"]);
    assert!(output.stdout.contains("on 1 key"), "{output}");
    fs::write(&file, op(0, "invoke", "write", "5")).unwrap();
    whitewater(&[&check[..], &["--keys", "tuple"]].concat())
        .expect(2)
        .says(&["event 0: expected a tuple [key value], found 5"]);
}

/// A run that is recorded in chunks: its folder is judged, listed, converted and replayed like any
/// other.
#[test]
fn a_run_recorded_in_chunks() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--nodes",
        "1",
        "--time",
        "2s",
        "--faults",
        "none",
        "--history-format",
        "binary",
    ];
    run_in(store.path(), &args).expect(0);
    let run = only_run(store.path());
    assert!(run.join("history.bin").is_file() && !run.join("history.jsonl").exists());
    let stored = read_json(&run.join("verdict.json"));
    let again = whitewater(&["check", text(&run), "--json"])
        .expect(0)
        .json();
    for field in ["verdict", "operations", "keys", "checks"] {
        assert_eq!(again[field], stored[field], "{field}");
    }
    whitewater(&["runs", "--store", text(store.path())])
        .expect(0)
        .says(&["valid", text(&run)]);
    let lines = store.path().join("lines.jsonl");
    convert(&run, &lines, FORMATS[0]);
    let judged = whitewater(&["check", text(&lines), "--json"])
        .expect(0)
        .json();
    assert_eq!(judged["operations"], stored["operations"]);
    let plan = fs::read_to_string(run.join("plan.toml")).unwrap();
    assert!(plan.contains("history_format = \"binary\""), "{plan}");
}
