//! The client against servers that do what they should not, and against Redis itself where it is
//! installed.

mod real;

use std::net::SocketAddr;

use histories::Value;

use super::*;
use crate::clients::testing::wire::{Server, Step, reply};
use crate::clients::testing::{NEVER_MS, invocation, nodes, pair, refusing, short};

fn patient(data: Data) -> RedisOptions {
    RedisOptions {
        data,
        timeout_ms: NEVER_MS,
        fail_pause_ms: 0,
        ..RedisOptions::default()
    }
}

fn client(addresses: &[SocketAddr], options: RedisOptions) -> Redis {
    let mut client = Redis::new(1, 0, nodes(addresses), options);
    client.open(0);
    client
}

async fn run(options: RedisOptions, script: Vec<Step>, operation: &Invocation) -> (String, usize) {
    let server = Server::start(script).await;
    let mut client = client(&[server.address], options);
    let found = short(&client.invoke(operation).await);
    assert!(server.connections() <= 1, "it tried again");
    (found, server.requests().len())
}

#[tokio::test]
async fn operations_are_commands_and_answers_results() {
    use Data::{Counter, Kv, List, Lock, Queue, Register, Set};
    let cases: Vec<(Data, Invocation, &str, &str)> = vec![
        (
            Register,
            invocation("read", Value::Nil),
            "$-1\r\n",
            "ok nil",
        ),
        (
            Register,
            invocation("read", Value::Nil),
            "$1\r\n7\r\n",
            "ok 7",
        ),
        (
            Register,
            invocation("read", Value::Nil),
            "$2\r\n07\r\n",
            "fail n1: unexpected answer",
        ),
        (Register, invocation("write", 7), "+OK\r\n", "ok nil"),
        (
            Register,
            invocation("write", 7),
            "+FINE\r\n",
            "info n1: unexpected answer",
        ),
        (
            Register,
            invocation("write", 7),
            "$-1\r\n",
            "info n1: unexpected answer",
        ),
        (Register, invocation("cas", pair(7, 8)), ":1\r\n", "ok true"),
        (
            Register,
            invocation("cas", pair(Value::Nil, 8)),
            ":0\r\n",
            "ok false",
        ),
        (
            Register,
            invocation("cas", pair(7, 8)),
            ":2\r\n",
            "info n1: unexpected answer",
        ),
        (
            Kv,
            invocation("get", Value::Nil),
            "$2\r\n07\r\n",
            "ok \"07\"",
        ),
        (Kv, invocation("append", "x"), ":3\r\n", "ok nil"),
        (Kv, invocation("delete", Value::Nil), ":1\r\n", "ok true"),
        (Set, invocation("add", 3), ":1\r\n", "ok nil"),
        (
            Set,
            invocation("read", Value::Nil),
            "*2\r\n$1\r\n3\r\n$3\r\n\"a\"\r\n",
            "ok [3 \"a\"]",
        ),
        (
            Set,
            invocation("read", Value::Nil),
            "*1\r\n$-1\r\n",
            "fail n1: unexpected answer",
        ),
        (List, invocation("append", 3), ":1\r\n", "ok nil"),
        (List, invocation("read", Value::Nil), "*0\r\n", "ok []"),
        (Queue, invocation("enqueue", 3), ":1\r\n", "ok nil"),
        (
            Queue,
            invocation("dequeue", Value::Nil),
            "$1\r\n3\r\n",
            "ok 3",
        ),
        (
            Queue,
            invocation("dequeue", Value::Nil),
            "$-1\r\n",
            "ok nil",
        ),
        (Counter, invocation("add", -3), ":1\r\n", "ok nil"),
        (Counter, invocation("read", Value::Nil), "$-1\r\n", "ok 0"),
        (
            Lock,
            invocation("acquire", Value::Nil),
            "+OK\r\n",
            "ok true",
        ),
        (
            Lock,
            invocation("acquire", Value::Nil),
            "$-1\r\n",
            "ok false",
        ),
        (
            Lock,
            invocation("release", Value::Nil),
            ":0\r\n",
            "ok false",
        ),
    ];
    for (data, operation, answer, expected) in cases {
        let (found, requests) = run(patient(data), vec![reply(answer)], &operation).await;
        assert!(found.starts_with(expected), "{operation:?} {found}");
        assert_eq!(requests, 1);
    }
    let (found, requests) = run(patient(Set), vec![Step::Close], &invocation("write", 1)).await;
    assert_eq!(
        (found.as_str(), requests),
        (
            "fail the client of Redis has no operation write for the workload set",
            0
        )
    );
}

#[tokio::test]
async fn outcomes_tell_no_more_than_is_known() {
    let rows = [
        (
            "-READONLY You can't write against a read only replica.",
            "fail",
        ),
        ("-NOREPLICAS Not enough good replicas to write.", "fail"),
        ("-MASTERDOWN Link with MASTER is down", "fail"),
        ("-LOADING Redis is loading the dataset in memory", "fail"),
        ("-MISCONF Redis is configured to save RDB snapshots", "fail"),
        (
            "-OOM command not allowed when used memory > 'maxmemory'.",
            "fail",
        ),
        ("-BUSY Redis is busy running a script.", "fail"),
        ("-NOAUTH Authentication required.", "fail"),
        (
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
            "fail",
        ),
        ("-MOVED 3999 127.0.0.1:6381", "fail"),
        ("-CLUSTERDOWN The cluster is down", "fail"),
        ("-ERR something went wrong in a script", "info"),
        ("-UNBLOCKED the instance changed its role", "info"),
        ("-readonly in small letters", "info"),
    ];
    for (error, expected) in rows {
        let answer = format!("{error}\r\n");
        let (found, _) = run(
            patient(Data::Register),
            vec![reply(&answer)],
            &invocation("write", 7),
        )
        .await;
        assert_eq!(found, format!("{expected} n1: {}", &error[1..]));
    }
    let torn = |text: &str| Step::ReplyAndClose(text.as_bytes().to_vec());
    for step in [Step::Close, torn("+O"), torn("what?\r\n"), torn("$9\r\nx")] {
        for (operation, expected) in [
            (invocation("write", 7), "info n1: "),
            (invocation("read", Value::Nil), "fail n1: "),
        ] {
            let (found, requests) =
                run(patient(Data::Register), vec![step.clone()], &operation).await;
            assert!(found.starts_with(expected), "{step:?} {found}");
            assert_eq!(requests, 1);
        }
    }
    let completion = client(&[refusing().await], patient(Data::Register))
        .invoke(&invocation("write", 7))
        .await;
    assert!(short(&completion).starts_with("fail n1: cannot connect: "));
}

#[tokio::test]
async fn an_answer_that_comes_late_is_nobodys() {
    let server = Server::start([Step::Hang, reply("+OK\r\n")]).await;
    let options = RedisOptions {
        timeout_ms: 300,
        ..patient(Data::Register)
    };
    let mut client = client(&[server.address], options);
    let found = short(&client.invoke(&invocation("write", 7)).await);
    assert_eq!(found, "info n1: no answer in time");
    client.options.timeout_ms = NEVER_MS;
    client.open(1);
    assert_eq!(
        short(&client.invoke(&invocation("write", 8)).await),
        "ok nil"
    );
    assert_eq!(server.connections(), 2);
    // Two answers to one request: the second is not taken for that of the next.
    let server = Server::start([reply("+OK\r\n+OK\r\n"), reply(":1\r\n")]).await;
    let mut client = super::tests::client(&[server.address], patient(Data::Kv));
    assert_eq!(
        short(&client.invoke(&invocation("put", "x")).await),
        "ok nil"
    );
    assert_eq!(
        short(&client.invoke(&invocation("delete", Value::Nil)).await),
        "ok true"
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_change_counts_only_when_enough_replicas_have_it() {
    let options = RedisOptions {
        wait_replicas: 1,
        ..patient(Data::Set)
    };
    let rows = [
        (reply(":2\r\n"), "ok nil"),
        (reply(":1\r\n"), "ok nil"),
        (
            reply(":0\r\n"),
            "info n1: done by the master, and acknowledged by 0 replicas of 1",
        ),
        (reply("-ERR no\r\n"), "info n1: unexpected answer"),
        (Step::Close, "info n1: done by the master, then: "),
    ];
    for (waited, expected) in rows {
        let script = vec![reply(":1\r\n"), waited];
        let (found, requests) = run(options.clone(), script, &invocation("add", 3)).await;
        assert!(found.starts_with(expected), "{found}");
        assert_eq!(requests, 2);
    }
    let script = vec![reply("*0\r\n"), Step::Close];
    let (found, requests) = run(options, script, &invocation("read", Value::Nil)).await;
    assert_eq!(
        (found.as_str(), requests),
        ("ok []", 1),
        "a read waits for nobody"
    );
}

#[tokio::test]
async fn a_sentinel_says_which_node_is_the_master() {
    let told = |address: SocketAddr| {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let part = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        reply(&format!("*2\r\n{}{}", part(&ip), part(&port)))
    };
    let readonly = "-READONLY no\r\n";
    let first = Server::start([reply("+OK\r\n"), reply(readonly)]).await;
    let second = Server::start([reply("+OK\r\n")]).await;
    let sentinel = Server::start([told(first.address), told(second.address)]).await;
    let addresses = [first.address, second.address];
    let options = |port| RedisOptions {
        sentinel_port: Some(port),
        ..patient(Data::Register)
    };
    let mut client = client(&addresses, options(sentinel.address.port()));
    let mut results = Vec::new();
    for number in 0..4 {
        let completion = client.invoke(&invocation("write", number)).await;
        results.push((short(&completion), completion.node));
    }
    let of = |text: &str, node: &str| (text.to_owned(), Some(Arc::from(node)));
    assert_eq!(
        results,
        [
            of("ok nil", "n1"),
            of("fail n1: READONLY no", "n1"),
            of("ok nil", "n2"),
            of("ok nil", "n2")
        ]
    );
    assert_eq!(
        sentinel.requests().len(),
        2,
        "asked only when something went wrong"
    );

    // Who keeps no connection asks each time.
    let server = Server::start([reply("+OK\r\n"), Step::Close]).await;
    let sentinel = Server::start([told(server.address)]).await;
    let hasty = RedisOptions {
        keep_connections: false,
        ..options(sentinel.address.port())
    };
    let mut client = super::tests::client(&[server.address], hasty);
    let found = short(&client.invoke(&invocation("write", 7)).await);
    assert_eq!(found, "ok nil");
    let found = short(&client.invoke(&invocation("write", 7)).await);
    assert!(found.starts_with("info n1: "), "{found}");
    assert_eq!((sentinel.requests().len(), server.connections()), (2, 2));

    // None that is up, one that knows no master, and one that names a stranger.
    let unknown = Server::start([reply("*-1\r\n")]).await;
    let strange = Server::start([told(refusing().await)]).await;
    for (port, expected) in [
        (
            refusing().await.port(),
            "fail no Sentinel says which node is the master: n",
        ),
        (
            unknown.address.port(),
            "fail no Sentinel says which node is the master: n",
        ),
        (strange.address.port(), "fail a Sentinel calls 127.0.0.1:"),
    ] {
        let mut client = super::tests::client(&addresses, options(port));
        let found = short(&client.invoke(&invocation("write", 7)).await);
        assert!(found.starts_with(expected), "{found}");
    }
}
