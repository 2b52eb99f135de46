//! The client against PostgreSQL itself where it is installed, also by way of a proxy that cuts
//! connections at the worst moments.

mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;

use super::*;
use crate::clients::testing::wire::{Server, Step as Act, reply};
use crate::clients::testing::{
    Daemon, free_ports, invocation, nodes, pair, program, refusing, short,
};
use proxy::Proxy;

/// Long, but not for ever: a server that is starting may take a connection and not answer.
const LONG_MS: u64 = 20_000;

fn patient(data: Data) -> PostgresOptions {
    PostgresOptions {
        data,
        timeout_ms: LONG_MS,
        fail_pause_ms: 0,
        ..PostgresOptions::default()
    }
}

fn client(addresses: &[SocketAddr], options: PostgresOptions) -> Postgres {
    let mut client = Postgres::new(1, 0, nodes(addresses), options);
    client.open(0);
    client
}

async fn say(client: &mut Postgres, f: &str, value: impl Into<Value>) -> String {
    short(&client.invoke(&invocation(f, value)).await)
}

/// The folder of PostgreSQL's programs; nothing where it is not installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let folders = versions
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"));
    let found = folders.filter(|bin| bin.join("postgres").is_file()).max();
    if found.is_none() {
        return program("postgres", "postgresql").and(None);
    }
    found
}

/// A server of its own. PostgreSQL refuses to run as the superuser, so it runs as somebody else in
/// a user namespace.
fn start() -> Option<(Daemon, SocketAddr)> {
    let bin = programs()?;
    let unshare = program("unshare", "util-linux")?;
    let [port] = free_ports();
    let daemon = Daemon::start(&unshare, |folder| {
        let script = format!(
            "set -e; {bin}/initdb -D data -U postgres -A trust --no-sync >/dev/null; \
             exec {bin}/postgres -D data -p {port} -c listen_addresses=127.0.0.1 \
             -c unix_socket_directories='{folder}' -c fsync=off",
            bin = bin.display(),
            folder = folder.display(),
        );
        let words = [
            "-U",
            "--map-user=1000",
            "--map-group=1000",
            "sh",
            "-c",
            &script,
        ];
        words.map(str::to_owned).into()
    });
    Some((daemon, SocketAddr::from(([127, 0, 0, 1], port))))
}

async fn steps(client: &mut Postgres, steps: &[(&str, Value, &str)]) {
    for (f, value, expected) in steps {
        assert_eq!(say(client, f, value.clone()).await, *expected, "{f}");
    }
}

fn transfer(from: i64, to: i64, amount: i64) -> Value {
    Value::Map(vec![
        ("from".into(), from.into()),
        ("to".into(), to.into()),
        ("amount".into(), amount.into()),
    ])
}

#[tokio::test]
async fn postgresql_does_what_it_is_asked() {
    let Some((daemon, address)) = start() else {
        return;
    };
    let client = |data| client(&[address], patient(data));
    let mut register = client(Data::Register);
    daemon
        .until(async || say(&mut register, "read", Value::Nil).await == "ok nil")
        .await;
    let rows = [
        ("cas", pair(Value::Nil, 7), "ok true"),
        ("cas", pair(Value::Nil, 8), "ok false"),
        ("cas", pair(8, 9), "ok false"),
        ("cas", pair(7, 9), "ok true"),
        ("read", Value::Nil, "ok 9"),
        ("write", 5.into(), "ok nil"),
        ("read", Value::Nil, "ok 5"),
    ];
    steps(&mut register, &rows).await;
    let rows = [
        ("get", Value::Nil, "ok nil"),
        ("append", "a ".into(), "ok nil"),
        ("append", "b ".into(), "ok nil"),
        ("cas", pair("a b ", "c "), "ok true"),
        ("get", Value::Nil, "ok \"c \""),
        ("delete", Value::Nil, "ok true"),
        ("delete", Value::Nil, "ok false"),
        ("put", "d ".into(), "ok nil"),
        ("delete", Value::Nil, "ok true"),
    ];
    steps(&mut client(Data::Kv), &rows).await;
    let rows = [
        ("append", 1.into(), "ok nil"),
        ("append", "x".into(), "ok nil"),
        ("read", Value::Nil, "ok [1 \"x\"]"),
    ];
    steps(&mut client(Data::List), &rows).await;
    let rows = [
        ("add", 3.into(), "ok nil"),
        ("add", 3.into(), "ok nil"),
        ("read", Value::Nil, "ok [3]"),
    ];
    steps(&mut client(Data::Set), &rows).await;
    let untouched = "ok {0 10, 1 10, 2 10, 3 10, 4 10, 5 10, 6 10, 7 10}";
    let rows = [
        ("read", Value::Nil, untouched),
        ("transfer", transfer(0, 1, 11), "ok false"),
        ("transfer", transfer(0, 1, 4), "ok true"),
        ("transfer", transfer(1, 7, 14), "ok true"),
        ("transfer", transfer(1, 7, 1), "ok false"),
        (
            "transfer",
            transfer(0, 9, 1),
            "fail n1: there is no account 0 or 9",
        ),
        (
            "read",
            Value::Nil,
            "ok {0 6, 1 0, 2 10, 3 10, 4 10, 5 10, 6 10, 7 24}",
        ),
    ];
    steps(&mut client(Data::Bank), &rows).await;
}

#[tokio::test]
async fn what_is_lost_at_the_commit_is_unknown_and_what_is_lost_before_is_not_done() {
    let Some((daemon, address)) = start() else {
        return;
    };
    let mut direct = client(&[address], patient(Data::Bank));
    daemon
        .until(async || {
            say(&mut direct, "read", Value::Nil)
                .await
                .starts_with("ok ")
        })
        .await;
    // What it cuts at, whether that still reaches the server, the outcome, what was moved.
    let rows = [
        ("COMMIT", false, "info n1: ", 0),
        ("COMMIT", true, "info n1: ", 1),
        ("held.balance", true, "fail n1: ", 1),
        ("BEGIN ISOLATION", true, "fail n1: ", 1),
    ];
    for (at, reaches, expected, moved) in rows {
        let proxy = Proxy::start(address, at, reaches).await;
        let mut cut = client(&[proxy.address], patient(Data::Bank));
        let found = say(&mut cut, "transfer", transfer(0, 1, 1)).await;
        assert!(found.starts_with(expected), "{at}: {found}");
        // What reached the server is done in a moment; what did not, never.
        let balances = format!("ok {{0 {}, 1 {}, ", 10 - moved, 10 + moved);
        daemon
            .until(async || {
                say(&mut direct, "read", Value::Nil)
                    .await
                    .starts_with(&balances)
            })
            .await;
    }
    // A statement that is a transaction of its own.
    let proxy = Proxy::start(address, "INSERT INTO ww_number", true).await;
    let mut cut = client(&[proxy.address], patient(Data::Register));
    let found = say(&mut cut, "write", 7).await;
    assert!(found.starts_with("info n1: "), "{found}");
    let proxy = Proxy::start(address, "SELECT value", true).await;
    let mut cut = client(&[proxy.address], patient(Data::Register));
    let found = say(&mut cut, "read", Value::Nil).await;
    assert!(found.starts_with("fail n1: "), "{found}");
}

#[tokio::test]
async fn without_a_session_nothing_is_asked() {
    let closing = Server::start([Act::Close]).await;
    for (address, expected) in [
        (refusing().await, "fail n1: cannot connect: "),
        (closing.address, "fail n1: no session: "),
    ] {
        let mut client = client(&[address], patient(Data::Register));
        let found = say(&mut client, "write", 7).await;
        assert!(found.starts_with(expected), "{found}");
        // The next one is tried: the first may be none that is to be.
        assert_eq!(client.primary, 0, "there is only one");
    }
    // Garbage may look like the beginning of a long message.
    for act in [Act::Hang, reply("what is this?")] {
        let server = Server::start([act]).await;
        let options = PostgresOptions {
            timeout_ms: 300,
            ..patient(Data::Register)
        };
        let found = say(&mut client(&[server.address], options), "write", 7).await;
        assert_eq!(found, "fail n1: no session in time");
    }
    let mut none = client(&[], patient(Data::Register));
    assert_eq!(say(&mut none, "write", 7).await, "fail no nodes");
}
