//! The rules that hold for every client, held against each: it is asked for an update of servers that
//! answer nothing, end, say what makes no sense, or are not there.

use std::net::SocketAddr;

use serde_json::json;

use super::testing::wire::{Server, Step, reply};
use super::testing::{NEVER_MS, invocation, nodes, refusing, short};
use super::{ClientOptions, Complaints, Setting};
use crate::{Client, Outcome};

/// Long enough for a request to reach a server on a busy machine, short enough to wait for.
const SOON_MS: u64 = 300;

/// Every client that speaks a protocol, and whether it says something before it asks for the
/// operation: then nothing was asked of a server that never answers.
fn clients() -> Vec<(ClientOptions, bool)> {
    let http = json!({
        "fail_pause_ms": 0,
        "operations": { "write": {
            "method": "PUT",
            "path": "/kv/{key}",
            "json": { "value": "{value}" },
            "answers": [{ "status": 200, "ok": "nil" }],
        } },
    });
    let quick = || json!({ "fail_pause_ms": 0 });
    let rows = [
        ("http", http, false),
        ("etcd", quick(), false),
        ("redis", quick(), false),
        // Sent again under its number it is the same operation: one attempt shows what it comes to.
        (
            "raft-kv",
            json!({ "fail_pause_ms": 0, "attempts": 1 }),
            false,
        ),
        ("zookeeper", quick(), true),
        ("postgres", quick(), true),
    ];
    let options = |(name, options, greets): (&str, serde_json::Value, bool)| {
        let options = serde_json::from_value(json!({ name: options }));
        (options.expect("options of a client"), greets)
    };
    rows.into_iter().map(options).collect()
}

fn client(options: &ClientOptions, address: SocketAddr, timeout_ms: u64) -> Box<dyn Client> {
    let setting = Setting {
        seed: 1,
        nodes: nodes(&[address]),
        workload: "register".into(),
        timeout_ms,
        complaints: Complaints::default(),
        log_folder: Default::default(),
    };
    let factory = options.factory(setting).expect("a client of one node");
    let mut client = factory.client(0);
    client.open(0);
    client
}

#[tokio::test]
async fn silence_is_unknown_and_its_connection_is_not_used_again() {
    for (options, greets) in clients() {
        let server = Server::start([Step::Hang]).await;
        let mut client = client(&options, server.address, SOON_MS);
        for process in 1..=2 {
            let completion = client.invoke(&invocation("write", 7)).await;
            let found = format!("{}: {}", options.name(), short(&completion));
            let expected = if greets { Outcome::Fail } else { Outcome::Info };
            assert_eq!(completion.outcome, expected, "{found}");
            assert_eq!(server.connections(), process, "{found}");
            assert_eq!(server.requests().len(), process, "sent twice: {found}");
            client.open(process as u64);
        }
    }
}

#[tokio::test]
async fn an_end_and_what_makes_no_sense_are_never_taken_for_success() {
    let nonsense = || Step::ReplyAndClose(b"what is this?\r\n\r\n".to_vec());
    for (options, greets) in clients() {
        for step in [Step::Close, nonsense(), reply("what is this?\r\n\r\n")] {
            let server = Server::start([step.clone()]).await;
            let completion = client(&options, server.address, SOON_MS)
                .invoke(&invocation("write", 7))
                .await;
            let found = format!("{} at {step:?}: {}", options.name(), short(&completion));
            let expected = if greets { Outcome::Fail } else { Outcome::Info };
            assert_eq!(completion.outcome, expected, "{found}");
            assert_eq!(server.requests().len(), 1, "sent twice: {found}");
        }
    }
}

#[tokio::test]
async fn what_could_not_be_sent_was_not_done() {
    for (options, _) in clients() {
        let completion = client(&options, refusing().await, NEVER_MS)
            .invoke(&invocation("write", 7))
            .await;
        let found = format!("{}: {}", options.name(), short(&completion));
        assert_eq!(completion.outcome, Outcome::Fail, "{found}");
        assert!(found.contains("cannot connect"), "{found}");
    }
}
