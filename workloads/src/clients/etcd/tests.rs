//! The client against servers that do what they should not, and against etcd itself where it is
//! installed.

mod real;
mod watches;

use histories::Value;
use std::net::SocketAddr;

use super::*;
use crate::Outcome;
use crate::clients::http::Reply;
use crate::clients::scripted::{Act, Scripted, answer, http};
use crate::clients::testing::{NEVER_MS, invocation, nodes, pair, refusing, short};

const HEADER: &str = r#""header":{"revision":"5"}"#;

fn patient(data: Data) -> EtcdOptions {
    EtcdOptions {
        data,
        timeout_ms: NEVER_MS,
        fail_pause_ms: 0,
        ..EtcdOptions::default()
    }
}

fn client(addresses: &[SocketAddr], options: EtcdOptions) -> Etcd {
    let mut client = Etcd::new(1, 0, nodes(addresses), options);
    client.open(0);
    client
}

fn ok(members: &str) -> Act {
    let comma = if members.is_empty() { "" } else { "," };
    answer(200, &format!("{{{HEADER}{comma}{members}}}"))
}

/// One operation against a server with this script: how it completes, and what it asked.
async fn run(
    data: Data,
    script: impl IntoIterator<Item = Act>,
    operation: &Invocation,
) -> (String, Vec<String>) {
    let server = Scripted::start(script).await;
    let completion = client(&[server.address], patient(data))
        .invoke(operation)
        .await;
    (short(&completion), server.requests())
}

#[tokio::test]
async fn operations_are_the_requests_they_should_be() {
    use Data::{Counter, Kv, List, Register, Set};
    let kv =
        |value: &str| format!(r#""kvs":[{{"key":"aw==","mod_revision":"4","value":"{value}"}}]"#);
    let succeeded = || ok(r#""succeeded":true"#);
    let key = "POST /v3/kv/range";
    let cases = [
        (
            Register,
            invocation("read", Value::Nil),
            vec![ok("")],
            "ok nil",
            key,
        ),
        (
            Register,
            invocation("read", Value::Nil),
            vec![ok(&kv("Nw=="))],
            "ok 7",
            key,
        ),
        (
            Register,
            invocation("read", Value::Nil),
            vec![ok(&kv("MDc="))],
            "info n1: unexpected value \"07\"",
            key,
        ),
        (
            Register,
            invocation("write", 7),
            vec![ok("")],
            "ok nil",
            r#"POST /v3/kv/put {"key":"aw==","value":"Nw=="}"#,
        ),
        (
            Register,
            invocation("write", 7),
            vec![answer(200, "{}")],
            "info n1: unexpected answer \"{}\"",
            "POST",
        ),
        (
            Register,
            invocation("cas", pair(7, 8)),
            vec![succeeded()],
            "ok true",
            "POST /v3/kv/txn",
        ),
        (
            Register,
            invocation("cas", pair(Value::Nil, 8)),
            vec![ok("")],
            "ok false",
            "POST /v3/kv/txn",
        ),
        (
            Register,
            invocation("cas", 8),
            vec![ok("")],
            "fail n1: a cas of the value 8",
            "",
        ),
        (
            Kv,
            invocation("get", Value::Nil),
            vec![ok(&kv("MDc="))],
            "ok \"07\"",
            key,
        ),
        (
            Kv,
            invocation("delete", Value::Nil),
            vec![ok(r#""deleted":"1""#)],
            "ok true",
            "POST /v3/kv/deleterange",
        ),
        (
            Kv,
            invocation("delete", Value::Nil),
            vec![ok("")],
            "ok false",
            "POST /v3/kv/deleterange",
        ),
        (
            Kv,
            invocation("append", "x"),
            vec![ok(&kv("Nw==")), succeeded()],
            "ok nil",
            key,
        ),
        (
            Set,
            invocation("add", 3),
            vec![ok("")],
            "ok nil",
            r#"POST /v3/kv/put {"key":"ay8z","value":""}"#,
        ),
        (
            Set,
            invocation("read", Value::Nil),
            vec![ok(
                r#""kvs":[{"key":"ay8z","mod_revision":"4"},{"key":"ay80","mod_revision":"5"}]"#,
            )],
            "ok [3 4]",
            key,
        ),
        (
            List,
            invocation("read", Value::Nil),
            vec![ok(&kv("MQoiYSIK"))],
            "ok [1 \"a\"]",
            key,
        ),
        (
            Counter,
            invocation("add", 3),
            vec![ok(&kv("Nw==")), succeeded()],
            "ok nil",
            key,
        ),
        (
            Counter,
            invocation("read", Value::Nil),
            vec![ok("")],
            "ok 0",
            key,
        ),
        (
            Counter,
            invocation("write", 1),
            vec![ok("")],
            "fail n1: the client of etcd has no operation write for the workload counter",
            "",
        ),
    ];
    for (data, operation, script, expected, first) in cases {
        let steps = script.len();
        let (found, requests) = run(data, script, &operation).await;
        assert_eq!(found, expected, "{operation:?}");
        match requests.first() {
            Some(request) => {
                assert!(request.starts_with(first), "{request}");
                assert_eq!(requests.len(), steps);
            }
            None => assert_eq!(first, ""),
        }
    }
}

#[tokio::test]
async fn reads_are_serializable_only_when_asked_for() {
    for serializable in [false, true] {
        let server = Scripted::start([ok("")]).await;
        let options = EtcdOptions {
            serializable,
            ..patient(Data::Register)
        };
        client(&[server.address], options)
            .invoke(&invocation("read", Value::Nil))
            .await;
        let expected =
            format!(r#"POST /v3/kv/range {{"key":"aw==","serializable":{serializable}}}"#);
        assert_eq!(server.requests(), [expected]);
    }
}

#[tokio::test]
async fn outcomes_tell_no_more_than_is_known() {
    let whole = http(200, "", "{}");
    let acts = [
        Act::Close,
        Act::WriteAndClose(whole[..20].to_owned()),
        Act::WriteAndClose("\u{1}\u{2} what?\r\n\r\n".to_owned()),
        answer(200, "what?"),
        answer(404, "Not Found"),
        answer(
            503,
            r#"{"error":"etcdserver: request timed out","code":14}"#,
        ),
    ];
    for act in acts {
        let (found, requests) = run(Data::Register, [act.clone()], &invocation("write", 7)).await;
        assert!(found.starts_with("info n1: "), "{act:?}: {found}");
        assert_eq!(requests.len(), 1, "{act:?} made it try again");
        // What changes nothing has done nothing.
        let (found, requests) = run(
            Data::Register,
            [act.clone()],
            &invocation("read", Value::Nil),
        )
        .await;
        assert!(found.starts_with("fail n1: "), "{act:?}: {found}");
        assert_eq!(requests.len(), 1, "{act:?} made it try again");
    }
    let completion = client(&[refusing().await], patient(Data::Register))
        .invoke(&invocation("write", 7))
        .await;
    assert!(short(&completion).starts_with("fail n1: cannot connect"));
    let server = Scripted::start([Act::Hang]).await;
    let options = EtcdOptions {
        timeout_ms: 300,
        ..patient(Data::Register)
    };
    let mut client = client(&[server.address], options);
    let completion = client.invoke(&invocation("write", 7)).await;
    assert_eq!(short(&completion), "info n1: no answer in time");
    // What is still to come on that connection is nobody's answer.
    client.open(1);
    client.invoke(&invocation("write", 8)).await;
    assert_eq!(server.connections(), 2);
}

#[test]
fn errors_are_certain_only_where_etcd_says_so_before_it_proposes() {
    let rows = [
        ("etcdserver: no leader", 14, true),
        ("etcdserver: not capable", 14, true),
        ("etcdserver: too many requests", 8, true),
        ("etcdserver: requested lease not found", 5, true),
        ("etcdserver: request is too large", 3, true),
        ("some argument", 3, true),
        ("unknown service", 12, true),
        ("etcdserver: leader changed", 14, false),
        ("etcdserver: server stopped", 14, false),
        ("etcdserver: request timed out", 14, false),
        (
            "etcdserver: request timed out, possibly due to previous leader failure",
            14,
            false,
        ),
        (
            "etcdserver: request timed out, possibly due to connection lost",
            14,
            false,
        ),
        ("etcdserver: unhealthy cluster", 14, false),
        ("etcdserver: corrupt cluster", 15, false),
        // Applied, and answered with an error.
        ("etcdserver: mvcc: database space exceeded", 8, false),
        ("raft proposal dropped", 2, false),
        ("context deadline exceeded", 4, false),
        ("context canceled", 1, false),
        ("transport is closing", 14, false),
        ("all SubConns are in TransientFailure", 14, false),
        ("etcdserver: not leader", 9, false),
    ];
    for (message, code, is_certain) in rows {
        // The forms of version 3.4 and of later ones.
        for body in [
            format!(r#"{{"error":"{message}","message":"{message}","code":{code}}}"#),
            format!(r#"{{"code":{code},"message":"{message}","details":[]}}"#),
        ] {
            let reply = Reply::Answer {
                status: 500,
                location: None,
                body: body.into(),
            };
            let class = answer::understand(reply).expect_err("an error");
            let expected = match is_certain {
                true => Class::NotDone(message.to_owned()),
                false => Class::Unknown(message.to_owned()),
            };
            assert_eq!(class, expected);
        }
    }
}

#[tokio::test]
async fn a_change_that_others_forestalled_is_tried_again_and_then_certainly_not_done() {
    let lost = [ok(""), ok(""), ok("")];
    let won = [
        ok(r#""kvs":[{"key":"aw==","mod_revision":"9","value":"Nw=="}]"#),
        ok(r#""succeeded":true"#),
    ];
    let script: Vec<Act> = lost[..2].iter().cloned().chain(won).collect();
    let (found, requests) = run(Data::Kv, script, &invocation("append", "x")).await;
    assert_eq!((found.as_str(), requests.len()), ("ok nil", 4));
    assert!(
        requests[3].contains(r#""mod_revision":"9""#),
        "{requests:?}"
    );
    let (found, requests) = run(Data::Kv, lost, &invocation("append", "x")).await;
    assert_eq!(
        (found.as_str(), requests.len()),
        ("fail n1: others changed it each of 5 times", 10)
    );
    // The read does nothing; the transaction may.
    let (found, _) = run(Data::Kv, [Act::Close], &invocation("append", "x")).await;
    assert!(found.starts_with("fail n1: "), "{found}");
    let (found, _) = run(Data::Kv, [ok(""), Act::Close], &invocation("append", "x")).await;
    assert!(found.starts_with("info n1: "), "{found}");
}

#[tokio::test]
async fn a_lock_is_taken_under_a_lease_and_given_back_only_while_it_is_the_same() {
    let granted = ok(r#""ID":"77","TTL":"10""#);
    let taken = ok(r#""succeeded":true"#);
    let server = Scripted::start([granted.clone(), taken.clone(), taken, ok("")]).await;
    let options = EtcdOptions {
        keep_leases: false,
        ..patient(Data::FencedLock)
    };
    let mut holder = client(&[server.address], options.clone());
    let (acquire, release) = (
        invocation("acquire", Value::Nil),
        invocation("release", Value::Nil),
    );
    assert_eq!(short(&holder.invoke(&release).await), "ok false");
    assert_eq!(short(&holder.invoke(&acquire).await), "ok 5");
    assert_eq!(short(&holder.invoke(&release).await), "ok true");
    assert_eq!(short(&holder.invoke(&release).await), "ok false");
    let requests = server.requests();
    assert_eq!(requests.len(), 3, "what is not held is not given back");
    assert!(requests[1].contains(r#""lease":"77""#), "{requests:?}");
    assert!(
        requests[2].contains(r#""create_revision":"5""#),
        "{requests:?}"
    );
    // Held by another: the lease is given back, whatever comes of that.
    let (found, requests) = run(
        Data::FencedLock,
        [granted.clone(), ok(""), Act::Close],
        &acquire,
    )
    .await;
    assert_eq!((found.as_str(), requests.len()), ("ok false", 3));
    // A lease alone holds nothing.
    let (found, _) = run(Data::FencedLock, [Act::Close], &acquire).await;
    assert!(found.starts_with("fail n1: "), "{found}");
    let completion = run(Data::FencedLock, [granted, Act::Close], &acquire)
        .await
        .0;
    assert!(completion.starts_with("info n1: "), "{completion}");
    assert_eq!(
        holder.invoke(&acquire).await.outcome,
        Outcome::Fail,
        "{HEADER} is no lease"
    );
}
