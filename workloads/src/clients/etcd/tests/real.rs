//! The client against etcd itself, on loopback.

use super::*;
use crate::clients::testing::{Daemon, free_ports, program};

/// A cluster of one; nothing where etcd is not installed.
fn start() -> Option<(Daemon, SocketAddr)> {
    let etcd = program("etcd", "etcd-server")?;
    let [client, peer] = free_ports();
    let (client_url, peer_url) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    let daemon = Daemon::start(&etcd, |folder| {
        let data = folder.join("data").display().to_string();
        [
            ("--data-dir", data.as_str()),
            ("--listen-client-urls", &client_url),
            ("--advertise-client-urls", &client_url),
            ("--listen-peer-urls", &peer_url),
            ("--initial-advertise-peer-urls", &peer_url),
            ("--initial-cluster", &format!("default={peer_url}")),
        ]
        .iter()
        .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
        .collect()
    });
    Some((daemon, SocketAddr::from(([127, 0, 0, 1], client))))
}

async fn say(client: &mut Etcd, f: &str, value: impl Into<Value>) -> String {
    short(&client.invoke(&invocation(f, value)).await)
}

#[tokio::test]
async fn etcd_does_what_it_is_asked() {
    let Some((daemon, address)) = start() else {
        return;
    };
    let mut register = client(&[address], patient(Data::Register));
    daemon
        .until(async || say(&mut register, "read", Value::Nil).await == "ok nil")
        .await;
    assert_eq!(say(&mut register, "write", 7).await, "ok nil");
    assert_eq!(say(&mut register, "cas", pair(8, 9)).await, "ok false");
    assert_eq!(say(&mut register, "cas", pair(7, 9)).await, "ok true");
    assert_eq!(say(&mut register, "read", Value::Nil).await, "ok 9");
    assert_eq!(
        say(&mut register, "cas", pair(Value::Nil, 1)).await,
        "ok false"
    );

    let mut kv = client(&[address], patient(Data::Kv));
    assert_eq!(say(&mut kv, "delete", Value::Nil).await, "ok true");
    assert_eq!(say(&mut kv, "delete", Value::Nil).await, "ok false");
    assert_eq!(say(&mut kv, "cas", pair(Value::Nil, "a ")).await, "ok true");
    assert_eq!(say(&mut kv, "append", "b ").await, "ok nil");
    assert_eq!(say(&mut kv, "get", Value::Nil).await, "ok \"a b \"");
    assert_eq!(say(&mut kv, "delete", Value::Nil).await, "ok true");

    let mut list = client(&[address], patient(Data::List));
    assert_eq!(say(&mut list, "read", Value::Nil).await, "ok []");
    assert_eq!(say(&mut list, "append", 1).await, "ok nil");
    assert_eq!(say(&mut list, "append", "a").await, "ok nil");
    assert_eq!(say(&mut list, "read", Value::Nil).await, "ok [1 \"a\"]");

    let mut set = client(&[address], patient(Data::Set));
    assert_eq!(say(&mut set, "read", Value::Nil).await, "ok []");
    for element in [3, 20, 3] {
        assert_eq!(say(&mut set, "add", element).await, "ok nil");
    }
    assert_eq!(say(&mut set, "read", Value::Nil).await, "ok [20 3]");
}

#[tokio::test]
async fn etcd_locks_exclude_until_the_lease_ends() {
    let Some((daemon, address)) = start() else {
        return;
    };
    let options = |keep_leases| EtcdOptions {
        lease_ttl_s: 1,
        keep_leases,
        ..patient(Data::Lock)
    };
    let mut careless = client(&[address], options(false));
    let mut careful = client(&[address], options(true));
    let mut third = client(&[address], options(true));
    let has = |found: &str| found == "ok true";
    daemon
        .until(async || has(&say(&mut careless, "acquire", Value::Nil).await))
        .await;
    // Nobody prolongs the first lease, so the lock is free again at some time.
    daemon
        .until(async || has(&say(&mut careful, "acquire", Value::Nil).await))
        .await;
    assert_eq!(say(&mut careless, "release", Value::Nil).await, "ok false");
    assert_eq!(say(&mut third, "acquire", Value::Nil).await, "ok false");
    assert_eq!(say(&mut careful, "release", Value::Nil).await, "ok true");
    let found = say(&mut third, "acquire", Value::Nil).await;
    assert!(has(&found), "{found}");
}

#[tokio::test]
async fn etcd_is_watched_from_any_revision_on() {
    let Some((daemon, address)) = start() else {
        return;
    };
    let mut writer = client(&[address], patient(Data::Watch));
    let mut follower = client(&[address], patient(Data::Watch));
    daemon
        .until(async || say(&mut writer, "put", "a").await.starts_with("ok "))
        .await;
    let watched = follower.invoke(&invocation("watch", 1)).await;
    let Outcome::Ok(Value::List(events)) = &watched.outcome else {
        panic!("{watched:?}");
    };
    let [first, value] = events[0].as_list().unwrap() else {
        panic!("{watched:?}");
    };
    assert_eq!((events.len(), value), (1, &"a".into()), "{watched:?}");
    let next = first.as_int().unwrap() + 1;
    assert_eq!(say(&mut follower, "watch", next).await, "ok []");
    assert_eq!(say(&mut writer, "put", "b").await, format!("ok {next}"));
    let expected = format!("ok [[{next} \"b\"]]");
    assert_eq!(say(&mut follower, "watch", next).await, expected);
    // Who was told nothing begins at the start, and anybody may begin anew.
    let all = format!("ok [[{first} \"a\"] [{next} \"b\"]]");
    for mut late in [client(&[address], patient(Data::Watch)), follower] {
        assert_eq!(say(&mut late, "watch", 1).await, all);
        assert_eq!(say(&mut late, "watch", Value::Nil).await, "ok []");
    }
    assert!(say(&mut writer, "watch", "x").await.starts_with("fail"));
}

#[tokio::test]
async fn a_token_that_is_old_is_refused_where_it_is_checked() {
    let Some((daemon, address)) = start() else {
        return;
    };
    let options = |check_tokens, keep_leases| EtcdOptions {
        lease_ttl_s: 1,
        keep_leases,
        check_tokens,
        ..patient(Data::FencedLock)
    };
    let mut old = client(&[address], options(true, false));
    let mut new = client(&[address], options(true, true));
    let mut heedless = client(&[address], options(false, true));
    let token = async |holder: &mut Etcd| {
        let found = say(holder, "acquire", Value::Nil).await;
        found
            .strip_prefix("ok ")
            .and_then(|token| token.parse().ok())
    };
    let mut first: Option<i64> = None;
    daemon
        .until(async || {
            first = token(&mut old).await;
            first.is_some()
        })
        .await;
    let first = first.unwrap();
    assert_eq!(say(&mut old, "write", first).await, "ok true");
    let mut second: Option<i64> = None;
    daemon
        .until(async || {
            second = token(&mut new).await;
            second.is_some()
        })
        .await;
    let second = second.unwrap();
    assert!(first < second, "{first} {second}");
    for (writer, token, expected) in [
        (&mut new, second, "ok true"),
        (&mut old, first, "ok false"),
        (&mut heedless, first, "ok true"),
    ] {
        assert_eq!(say(writer, "write", token).await, expected, "{token}");
    }
}
