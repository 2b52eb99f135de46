//! Watches against servers that do what they should not.

use super::*;

/// A stream that goes on, with these lines so far.
fn stream(lines: &[&str]) -> String {
    let head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\n\r\n";
    lines
        .iter()
        .fold(head.to_owned(), |text, line| text + line + "\n")
}

const CREATED: &str = r#"{"result":{"header":{"revision":"5"},"created":true}}"#;
const FIFTH: &str = r#"{"result":{"header":{"revision":"5"},"events":[{"kv":{"key":"aw==","mod_revision":"4","value":"YQ=="}},{"type":"DELETE","kv":{"key":"aw==","mod_revision":"5"}}]}}"#;

/// What a read finds of a key that was changed last at this revision.
fn changed(revision: i64) -> String {
    let found = format!(r#"{{"key":"aw==","mod_revision":"{revision}","value":"YQ=="}}"#);
    format!(r#"{{{HEADER},"kvs":[{found}]}}"#)
}

/// The same, on a connection that serves on.
fn changed_at(revision: i64) -> Act {
    answer(200, &changed(revision))
}

/// The same, on a connection that serves nothing else.
fn closing(revision: i64) -> Act {
    Act::Write(http(200, "connection: close\r\n", &changed(revision)))
}

/// Watches from these revisions on, one after the other; how each completes, and what was asked.
async fn watch(
    timeout_ms: u64,
    script: impl IntoIterator<Item = Act>,
    from: &[i64],
) -> (Vec<String>, Vec<String>) {
    let server = Scripted::start(script).await;
    let options = EtcdOptions {
        timeout_ms,
        ..patient(Data::Watch)
    };
    let mut client = client(&[server.address], options);
    let mut found = Vec::new();
    for from in from {
        found.push(short(&client.invoke(&invocation("watch", *from)).await));
    }
    let paths = server.requests();
    let paths = paths.iter().map(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let is_serializable = request.contains(r#""serializable":true"#);
        path.replace("/v3/", "") + if is_serializable { " serializable" } else { "" }
    });
    (found, paths.collect())
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_for_whoever_asks_for_the_next_revision() {
    let script = [
        Act::WriteAndHang(stream(&[CREATED, FIFTH])),
        changed_at(5),
        changed_at(5),
        // The reads' connection serves on.
        changed_at(5),
    ];
    let (found, asked) = watch(NEVER_MS, script, &[1, 6, 6]).await;
    assert_eq!(found, ["ok [[4 \"a\"] [5 nil]]", "ok []", "ok []"]);
    assert_eq!(asked, ["watch", "kv/range", "kv/range", "kv/range"]);
}

#[tokio::test]
async fn a_watch_from_elsewhere_is_another_stream() {
    let script = [
        Act::WriteAndHang(stream(&[CREATED, FIFTH])),
        closing(0),
        Act::WriteAndHang(stream(&[CREATED, FIFTH])),
        changed_at(5),
    ];
    let (found, asked) = watch(NEVER_MS, script, &[3, 1]).await;
    assert_eq!(found, ["ok []", "ok [[4 \"a\"] [5 nil]]"]);
    assert_eq!(asked, ["watch", "kv/range", "watch", "kv/range"]);
}

#[tokio::test]
async fn a_stream_that_ends_is_an_answer_only_of_what_it_showed() {
    let ended = |lines: &[&str]| Act::WriteAndClose(stream(lines));
    let (found, _) = watch(NEVER_MS, [ended(&[CREATED, FIFTH]), changed_at(9)], &[1]).await;
    assert_eq!(found, ["ok [[4 \"a\"] [5 nil]]"]);
    let compacted = r#"{"result":{"canceled":true,"compact_revision":"7"}}"#;
    for (line, why) in [
        (CREATED, "the watch: the answer ended"),
        (compacted, "begins before revision 7, compacted"),
        (
            r#"{"error":{"grpc_code":14,"message":"gone"}}"#,
            "the watch: gone",
        ),
        ("what?", "unexpected answer"),
    ] {
        let (found, _) = watch(NEVER_MS, [ended(&[line]), changed_at(9)], &[1]).await;
        assert!(
            found[0].starts_with("fail n1: ") && found[0].contains(why),
            "{found:?}"
        );
    }
    let refused = answer(400, r#"{"error":"no","message":"no","code":3}"#);
    let (found, asked) = watch(NEVER_MS, [refused], &[1]).await;
    assert_eq!((&*found[0], asked.len()), ("fail n1: no", 1));
}

#[tokio::test]
async fn a_node_without_a_majority_is_watched_on_and_a_silent_one_is_not() {
    const SOON_MS: u64 = 300;
    let open = || Act::WriteAndHang(stream(&[CREATED]));
    // It cannot say what the key has, but it is there.
    let serializable = "kv/range serializable";
    let script = [open(), ok(""), Act::Hang, ok(""), Act::Hang, ok("")];
    let (found, asked) = watch(SOON_MS, script, &[6, 6, 6]).await;
    assert_eq!(found, ["ok []", "ok []", "ok []"]);
    let cut = ["kv/range", serializable, "kv/range", serializable];
    assert_eq!(asked, [&["watch", "kv/range"], &cut[..]].concat());
    // Nobody begins to watch there.
    let (found, asked) = watch(SOON_MS, [open(), Act::Hang, ok("")], &[6]).await;
    assert_eq!(found, ["fail n1: no answer in time"]);
    assert_eq!(asked, ["watch", "kv/range"]);
    // It says nothing at all.
    let (found, _) = watch(SOON_MS, [open(), ok(""), Act::Hang], &[6, 6]).await;
    assert_eq!(found, ["ok []", "fail n1: no answer in time"]);
    // It has what its stream does not show, as one that was opened to a process before.
    let script = [open(), closing(6), open(), closing(6)];
    let (found, asked) = watch(SOON_MS, script, &[6, 6]).await;
    assert_eq!(found, ["ok []", "ok []"]);
    assert_eq!(asked, ["watch", "kv/range", "watch", "kv/range"]);
}
