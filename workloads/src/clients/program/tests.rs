//! Programs that do as they should, and programs that do not.

use std::fs;

use histories::Value;
use tempfile::TempDir;

use super::*;
use crate::clients::testing::{NEVER_MS, invocation, nodes, program, short};

/// A client whose program is this shell script, with the folder of its log.
fn shell(script: &str) -> (Program, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProgramOptions {
        command: ["sh", "-c", script].map(str::to_owned).into(),
        log: Some(folder.path().join("log")),
        timeout_ms: NEVER_MS,
        open_timeout_ms: NEVER_MS,
        fail_pause_ms: 0,
        ..ProgramOptions::default()
    };
    let address = "127.0.0.1:9".parse().expect("an address");
    let mut client = Program::new(1, 0, nodes(&[address]), options);
    client.open(0);
    (client, folder)
}

/// A script that opens, and then does this with every further line (in `$line`, number `$id`).
fn opening(then: &str) -> String {
    let loop_head = r#"id=0; while read -r line; do id=$((id+1)); "#;
    let opens = r#"case "$line" in *'"open"'*) echo '{"type":"ok","id":'$id'}';; *) "#;
    format!("{loop_head}{opens}{then};; esac; done")
}

async fn run(script: &str) -> (String, Option<String>) {
    let (mut client, _folder) = shell(script);
    let completion = client.invoke(&invocation("write", 7)).await;
    (short(&completion), client.options.complaints.first())
}

#[tokio::test]
async fn answers_are_what_they_say() {
    let rows = [
        (r#"{"type":"ok","id":2,"value":[1,null]}"#, "ok [1 nil]"),
        (r#"{"type":"ok","id":2}"#, "ok nil"),
        (
            r#"{"type":"fail","id":2,"error":"why","node":"n1"}"#,
            "fail why",
        ),
        (r#"{"type":"info","id":2}"#, "info "),
    ];
    for (answer, expected) in rows {
        let (found, complaint) = run(&opening(&format!("echo '{answer}'"))).await;
        assert_eq!((found.as_str(), complaint), (expected, None));
    }
    let (mut client, _folder) = shell(&opening(r#"echo '{"type":"ok","id":'$id',"value":7}'"#));
    for _ in 0..3 {
        let completion = client.invoke(&invocation("read", Value::Nil)).await;
        assert_eq!(short(&completion), "ok 7");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_unknown_and_a_complaint() {
    let name = "the client program sh: ";
    let long = format!(
        "head -c {} /dev/zero | tr '\\0' x",
        running::LINE_BYTES_MAX + 9
    );
    let rows = [
        (
            opening("echo what?"),
            "info",
            "unexpected answer: \"what?\"",
        ),
        (
            opening(r#"echo '{"type":"ok","id":1,"value":7}'"#),
            "info",
            "unexpected answer: \"{",
        ),
        (
            opening(r#"echo '{"type":"ok","id":2,"vaule":7}'"#),
            "info",
            "unexpected answer: \"{",
        ),
        (
            opening(r#"echo '{"type":"ok","id":2,"value":1.5}'"#),
            "info",
            "unexpected answer: \"{",
        ),
        (
            opening(r#"echo '{"type":"ok","id":2,"node":"n9"}'"#),
            "info",
            "unexpected answer: no node is named \"n9\"",
        ),
        (
            opening("exit 3"),
            "info",
            "ended instead of answering: exit status: 3",
        ),
        (
            opening("printf '{\"ty'; exit 3"),
            "info",
            "ended instead of answering: exit status: 3, amid the line \"{\\\"ty\"",
        ),
        (
            opening(&long),
            "info",
            "unexpected answer: a line of more than 1048576 bytes",
        ),
        (
            // It waits for the line, lest it be gone before that is written.
            "echo hello; read -r line".to_owned(),
            "fail",
            "unexpected answer: \"hello\"",
        ),
        (
            r#"read -r line; echo '{"type":"fail","id":1,"error":"no"}'"#.to_owned(),
            "fail",
            "unexpected answer: it did not open: \"no\"",
        ),
        (
            "read -r line; exit 4".to_owned(),
            "fail",
            "ended instead of answering: exit status: 4",
        ),
    ];
    for (script, outcome, why) in rows {
        let (found, complaint) = run(&script).await;
        assert!(
            found.starts_with(&format!("{outcome} {name}{why}")),
            "{found}"
        );
        let complaint = complaint.expect("a complaint");
        assert!(found.ends_with(&complaint), "{complaint}");
    }
}

#[tokio::test]
async fn a_read_must_say_what_it_found() {
    let (mut client, _folder) = shell(&opening(r#"echo '{"type":"ok","id":'$id'}'"#));
    let completion = client.invoke(&invocation("read", Value::Nil)).await;
    let found = short(&completion);
    assert!(found.contains("an ok read without a value"), "{found}");
}

#[tokio::test]
async fn the_last_words_are_told() {
    let (found, _) = run(&opening("echo 'Boom: no such thing' >&2; exit 1")).await;
    assert!(
        found.contains("standard error: \"Boom: no such thing\""),
        "{found}"
    );
}

#[tokio::test]
async fn what_it_says_when_it_does_not_open_is_told() {
    let (found, complaint) = run("read -r line; echo 'no licence' >&2; exit 4").await;
    assert!(found.ends_with("standard error: \"no licence\""), "{found}");
    assert!(complaint.is_some());
}

#[tokio::test]
async fn a_program_that_does_not_open_is_to_blame() {
    let (mut client, _folder) = shell("read -r line; sleep 1000");
    client.options.open_timeout_ms = 0;
    let found = short(&client.invoke(&invocation("write", 7)).await);
    assert!(
        found.ends_with("no answer within 0 ms (at open)"),
        "{found}"
    );
    assert!(client.options.complaints.first().is_some());
}

/// Silence is no evidence about the system, where a program never says anything.
#[tokio::test]
async fn a_program_that_never_answers_is_to_blame() {
    let once = r#"if [ ! -e answered ]; then >answered; echo '{"type":"ok","id":'$id'}'; else sleep 1000; fi"#;
    for (script, answers) in [("sleep 1000", 0), (once, 1)] {
        let (mut client, folder) = shell(&opening(script));
        client.options.folder = Some(text(folder.path().to_owned()));
        let mut found = String::new();
        for process in 0..answers + u64::from(SILENCES_MAX) {
            client.options.timeout_ms = if process < answers { NEVER_MS } else { 0 };
            client.open(process);
            found = short(&client.invoke(&invocation("write", 7)).await);
        }
        let is_to_blame = answers == 0;
        let complaint = client.options.complaints.first();
        assert_eq!(complaint.is_some(), is_to_blame, "{found}");
        assert_eq!(
            found.contains("5 operations in a row"),
            is_to_blame,
            "{found}"
        );
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_has_done_nothing() {
    let (mut client, _folder) = shell("");
    for command in [vec![], vec!["/nowhere/at-all".to_owned()]] {
        client.options.command = command;
        let found = short(&client.invoke(&invocation("write", 7)).await);
        assert!(found.starts_with("fail the client program "), "{found}");
        assert!(found.contains("cannot be started: "), "{found}");
    }
    assert!(client.options.complaints.first().is_some());
}

#[tokio::test]
async fn silence_is_unknown_and_the_program_is_started_anew() {
    // It tells the folder who it is; the first of its kind never answers.
    let script = "echo $$ >>pids; [ $(wc -l <pids) = 1 ] && hang=1; ";
    let script = script.to_owned()
        + &opening(r#"if [ "$hang" ]; then sleep 1000; fi; echo '{"type":"ok","id":'$id'}'"#);
    let (mut client, folder) = shell(&script);
    client.options.folder = Some(text(folder.path().to_owned()));
    client.options.timeout_ms = 0;
    let found = short(&client.invoke(&invocation("write", 7)).await);
    assert_eq!(
        found,
        "info the client program sh: no answer within 500 ms (at write)"
    );
    assert_eq!(client.options.complaints.first(), None);
    client.options.timeout_ms = NEVER_MS;
    client.open(1);
    assert_eq!(
        short(&client.invoke(&invocation("write", 8)).await),
        "ok nil"
    );
    let pids = fs::read_to_string(folder.path().join("pids")).expect("they were told");
    let pids: Vec<&str> = pids.lines().collect();
    assert_eq!(pids.len(), 2);
    // The second ends when it is told to, and no longer runs when the client is gone.
    drop(client);
    let process = format!("/proc/{}", pids[1]);
    assert!(!std::path::Path::new(&process).exists());
}

#[tokio::test]
async fn a_new_process_is_opened_in_the_same_program() {
    let (mut client, folder) = shell(&("cat >>lines & ".to_owned() + &opening("true")));
    drop(folder);
    // What it is told, word by word.
    let folder = tempfile::tempdir().expect("a folder");
    client.options.folder = Some(text(folder.path().to_owned()));
    client.options.log = None;
    let script = r#"id=0; while read -r line; do echo "$line" >>lines; id=$((id+1)); "#.to_owned()
        + r#"echo '{"type":"ok","id":'$id'}'; done"#;
    client.options.command = vec!["sh".into(), "-c".into(), script];
    client.invoke(&invocation("write", 7)).await;
    client.open(10);
    client.invoke(&invocation("write", 8)).await;
    drop(client);
    let lines = fs::read_to_string(folder.path().join("lines")).expect("it was told");
    let open = |id: u32, process: u32| {
        json!({"type": "open", "id": id, "client": 0, "process": process,
               "workload": "register", "timeout_ms": NEVER_MS,
               "nodes": [{"name": "n1", "address": "127.0.0.1:9"}]})
    };
    let invoke = |id: u32, value: u32| json!({"type": "invoke", "id": id, "f": "write", "key": "k", "value": value});
    let expected = [
        open(1, 0),
        invoke(2, 7),
        open(3, 10),
        invoke(4, 8),
        json!({"type": "close"}),
    ];
    let found: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert_eq!(found, expected);
}

/// The examples, against a key-value server of this test.
async fn example(command: Vec<String>) {
    let server = key_value_server::start().await;
    let options = ProgramOptions {
        command,
        timeout_ms: 20_000,
        open_timeout_ms: NEVER_MS,
        fail_pause_ms: 0,
        ..ProgramOptions::default()
    };
    let complaints = options.complaints.clone();
    let mut client = Program::new(1, 0, nodes(&[server]), options);
    client.open(0);
    let steps = [
        ("read", Value::Nil, "ok nil"),
        ("write", 7.into(), "ok nil"),
        ("read", Value::Nil, "ok 7"),
        ("cas", vec![Value::Int(8), Value::Int(9)].into(), "ok false"),
        ("cas", vec![Value::Int(7), Value::Int(9)].into(), "ok true"),
        ("read", Value::Nil, "ok 9"),
    ];
    for (f, value, expected) in steps {
        let found = short(&client.invoke(&invocation(f, value)).await);
        assert_eq!(found, expected, "{f}: {:?}", complaints.first());
    }
    let found = short(&client.invoke(&invocation("dance", Value::Nil)).await);
    assert!(found.starts_with("fail "), "{found}");
    assert_eq!(complaints.first(), None);
    // The server is gone: nothing was sent.
    drop(client);
}

mod key_value_server;

fn text(path: PathBuf) -> String {
    path.to_str().expect("a path of text").to_owned()
}

fn examples(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(folder)
}

#[tokio::test]
async fn the_example_in_python_works() {
    let Some(python) = program("python3", "python3-minimal") else {
        return;
    };
    let script = examples("client-python").join("client.py");
    example(vec![text(python), text(script)]).await;
}

#[tokio::test]
async fn the_example_in_go_works() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let go = std::env::split_paths(&path)
        .map(|folder| folder.join("go"))
        .find(|go| go.is_file());
    // Optional by nature: a compiler of half a gigabyte, for one example.
    let Some(go) = go else {
        eprintln!("left out: go is not installed (hint: apt-get install golang-go)");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let binary = folder.path().join("client");
    let built = std::process::Command::new(go)
        .arg("build")
        .arg("-o")
        .arg(&binary)
        .arg("client.go")
        .current_dir(examples("client-go"))
        .env("GOCACHE", folder.path().join("cache"))
        .env("GOFLAGS", "-mod=mod")
        .status()
        .expect("go can be started");
    assert!(built.success());
    example(vec![text(binary)]).await;
}
