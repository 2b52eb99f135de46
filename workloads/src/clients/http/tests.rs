//! The client against servers that do what they should not.

use std::net::SocketAddr;
use std::sync::Arc;

use histories::Value;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Http, HttpOptions};
use crate::clients::scripted::{Act, Scripted, answer, http, redirect};
use crate::clients::{Node, Setting};
use crate::{Client, Completion, Invocation, Outcome};

/// Longer than any test runs: nothing ends by it.
const NEVER_MS: u64 = 60_000;
/// Long enough for a request to reach a server on a busy machine, short enough to wait for.
const SOON_MS: u64 = 500;

/// Client 0 of these nodes.
fn client(addresses: &[SocketAddr], timeout_ms: u64) -> Http {
    let options = json!({
        "fail_pause_ms": 0,
        "answers": [
            { "status": 307, "is": "redirect" },
            { "status": 503, "is": "fail" },
        ],
        "operations": {
            "read": { "path": "/kv/{key}", "answers": [{ "status": 200, "ok": { "pointer": "/value" } }] },
            "write": {
                "method": "PUT",
                "path": "/kv/{key}",
                "json": { "value": "{value}" },
                "answers": [{ "status": 200, "ok": "nil" }],
            },
        },
    });
    let options: HttpOptions = serde_json::from_value(options).expect("options");
    let node = |(place, &address): (usize, &SocketAddr)| Node {
        name: format!("n{}", place + 1).into(),
        address,
    };
    let setting = Setting {
        seed: 1,
        nodes: addresses.iter().enumerate().map(node).collect(),
        timeout_ms,
        workload: "kv".into(),
        complaints: Default::default(),
        log_folder: Default::default(),
    };
    let mut client = Http::new(0, &setting, Arc::new(options));
    client.open(40);
    client
}

fn invocation(f: &str, value: impl Into<Value>) -> Invocation {
    Invocation {
        f: f.into(),
        key: Some("k".into()),
        value: value.into(),
    }
}

fn read() -> Invocation {
    invocation("read", Value::Nil)
}

/// A completion as `ok VALUE`, `fail WHY` or `info WHY`, with the path where there is one.
fn short(completion: &Completion) -> String {
    let error = completion.error.as_deref().unwrap_or_default();
    let path = completion.path.join(" ");
    let said = match &completion.outcome {
        Outcome::Ok(value) => format!("ok {value}"),
        Outcome::Fail => format!("fail {error}"),
        Outcome::Info => format!("info {error}"),
    };
    if path.is_empty() {
        said
    } else {
        format!("{said} via {path}")
    }
}

/// An address where nobody listens.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it is bound")
}

#[tokio::test]
async fn outcomes_tell_no_more_than_is_known() {
    let whole = http(200, "", r#"{"value":7}"#);
    let torn = Act::WriteAndClose(whole[..whole.len() - 3].to_owned());
    for (act, of_read, of_write) in [
        (answer(200, r#"{"value":7}"#), "ok 7", "ok nil"),
        (
            answer(200, "garbage"),
            "info n1: unexpected answer 200",
            "ok nil",
        ),
        (
            answer(500, "oops"),
            "info n1: unexpected answer 500",
            "info n1: unexpected",
        ),
        (
            answer(503, "busy"),
            "fail n1: answer 503",
            "fail n1: answer 503",
        ),
        (
            Act::Write("garbage\r\n\r\n".into()),
            "info n1: ",
            "info n1: ",
        ),
        (Act::Close, "info n1: ", "info n1: "),
        (torn, "info n1: ", "info n1: "),
    ] {
        for (invocation, expected) in [(read(), of_read), (invocation("write", 3), of_write)] {
            let server = Scripted::start([act.clone()]).await;
            let completion = client(&[server.address], NEVER_MS)
                .invoke(&invocation)
                .await;
            let found = short(&completion);
            assert!(
                found.starts_with(expected),
                "{act:?}: {found}, not {expected}"
            );
            assert_eq!(server.requests().len(), 1, "{act:?}: sent once");
        }
    }
}

#[tokio::test]
async fn what_was_sent_and_not_answered_in_time_is_unknown() {
    let server = Scripted::start([Act::Hang]).await;
    let mut client = client(&[server.address], SOON_MS);
    let completion = client.invoke(&invocation("write", 3)).await;
    assert_eq!(short(&completion), "info n1: no answer in time");
    assert_eq!(server.requests(), [r#"PUT /kv/k {"value":3}"#]);
}

#[tokio::test]
async fn what_could_not_be_sent_failed_and_the_next_node_is_asked_next() {
    let server = Scripted::start([answer(200, r#"{"value":null}"#)]).await;
    let mut client = client(&[refusing().await, server.address], NEVER_MS);
    let completions = [client.invoke(&read()).await, client.invoke(&read()).await];
    let found = completions.each_ref().map(short);
    assert!(found[0].starts_with("fail n1: cannot connect"), "{found:?}");
    assert_eq!(found[1], "ok nil");
    assert_eq!(completions[1].node.as_deref(), Some("n2"));
}

#[tokio::test]
async fn redirects_are_followed_to_nodes_only_and_not_for_ever() {
    let second = Scripted::start([answer(200, "{}")]).await;
    let first = Scripted::start([redirect(second.address)]).await;
    let mut both = client(&[first.address, second.address], NEVER_MS);
    let completion = both.invoke(&invocation("write", 3)).await;
    assert_eq!(short(&completion), "ok nil via n1 n2");
    let mut alone = client(&[first.address], NEVER_MS);
    let found = short(&alone.invoke(&read()).await);
    assert!(found.contains("where no node is"), "{found}");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let circle = Scripted::serve(listener, [redirect(address)]);
    let found = short(&client(&[circle.address], NEVER_MS).invoke(&read()).await);
    assert_eq!(found, "fail n1: redirected too often via n1 n1 n1 n1");
}

#[tokio::test]
async fn what_the_definition_does_not_say_is_not_sent() {
    let server = Scripted::start([answer(200, "{}")]).await;
    let mut client = client(&[server.address], NEVER_MS);
    let found = short(&client.invoke(&invocation("delete", Value::Nil)).await);
    assert_eq!(found, "fail the client has no operation delete");
    assert_eq!(server.connections(), 0);
}
