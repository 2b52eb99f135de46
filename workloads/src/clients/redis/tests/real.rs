//! The client against Redis itself, on loopback.

use super::*;
use crate::clients::testing::{Daemon, free_ports, program};

/// A server, with these settings besides; nothing where Redis is not installed.
fn start(port: u16, settings: &[&str]) -> Option<Daemon> {
    let redis = program("redis-server", "redis-server")?;
    let port = port.to_string();
    let base = ["--port", &port, "--bind", "127.0.0.1", "--save", ""];
    let arguments = base.iter().chain(settings).map(|word| (*word).to_owned());
    Some(Daemon::start(&redis, |_| arguments.collect()))
}

async fn say(client: &mut Redis, f: &str, value: impl Into<Value>) -> String {
    short(&client.invoke(&invocation(f, value)).await)
}

#[tokio::test]
async fn redis_does_what_it_is_asked() {
    let [port] = free_ports();
    let Some(daemon) = start(port, &[]) else {
        return;
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let client = |data| client(&[address], patient(data));
    // Another key for each sort of data.
    let mut register = client(Data::Register);
    daemon
        .until(async || say(&mut register, "read", Value::Nil).await == "ok nil")
        .await;
    for (f, value, expected) in [
        ("cas", pair(Value::Nil, 7), "ok true"),
        ("cas", pair(Value::Nil, 8), "ok false"),
        ("cas", pair(8, 9), "ok false"),
        ("cas", pair(7, 9), "ok true"),
        ("read", Value::Nil, "ok 9"),
        ("write", 5.into(), "ok nil"),
        ("read", Value::Nil, "ok 5"),
    ] {
        assert_eq!(say(&mut register, f, value).await, expected, "{f}");
    }
    let mut set = client(Data::Set);
    let found = say(&mut set, "add", 3).await;
    assert!(found.starts_with("fail n1: WRONGTYPE "), "{found}");
    let mut kv = client(Data::Kv);
    for (f, value, expected) in [
        ("append", "6".into(), "ok nil"),
        ("get", Value::Nil, "ok \"56\""),
        ("delete", Value::Nil, "ok true"),
        ("delete", Value::Nil, "ok false"),
    ] {
        assert_eq!(say(&mut kv, f, value).await, expected, "{f}");
    }
    assert_eq!(say(&mut set, "read", Value::Nil).await, "ok []");
    for element in [3, 3] {
        assert_eq!(say(&mut set, "add", element).await, "ok nil");
    }
    assert_eq!(say(&mut set, "read", Value::Nil).await, "ok [3]");
    say(&mut kv, "delete", Value::Nil).await;
    let (mut holder, mut other) = (client(Data::Lock), client(Data::Lock));
    other.open(1);
    assert_eq!(say(&mut holder, "acquire", Value::Nil).await, "ok true");
    assert_eq!(say(&mut other, "acquire", Value::Nil).await, "ok false");
    assert_eq!(say(&mut other, "release", Value::Nil).await, "ok false");
    assert_eq!(say(&mut holder, "release", Value::Nil).await, "ok true");
    assert_eq!(say(&mut other, "acquire", Value::Nil).await, "ok true");
}

#[tokio::test]
async fn a_replica_refuses_changes_and_acknowledges_them() {
    let [master_port, replica_port] = free_ports();
    let Some(master) = start(master_port, &["--repl-diskless-sync-delay", "0"]) else {
        return;
    };
    let port = master_port.to_string();
    let _replica = start(replica_port, &["--replicaof", "127.0.0.1", &port]);
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let mut alone = client(
        &[at(master_port)],
        RedisOptions {
            wait_replicas: 1,
            timeout_ms: 1_000,
            ..patient(Data::Set)
        },
    );
    master
        .until(async || say(&mut alone, "add", 1).await == "ok nil")
        .await;
    alone.options.wait_replicas = 2;
    let found = say(&mut alone, "add", 2).await;
    assert!(found.starts_with("info n1: done by the master"), "{found}");
    let mut reader = client(&[at(replica_port)], patient(Data::Set));
    master
        .until(async || say(&mut reader, "read", Value::Nil).await == "ok [1 2]")
        .await;
    let found = say(&mut reader, "add", 3).await;
    assert!(found.starts_with("fail n1: READONLY "), "{found}");
}
