//! The client against servers that do what they should not, and against ZooKeeper itself where it
//! is installed.

mod real;

use super::*;
use crate::clients::testing::wire::{Server, Step};
use crate::clients::testing::{NEVER_MS, invocation, nodes, pair, refusing, short};

fn patient(data: Data) -> ZookeeperOptions {
    ZookeeperOptions {
        data,
        timeout_ms: NEVER_MS,
        fail_pause_ms: 0,
        ..ZookeeperOptions::default()
    }
}

fn client(addresses: &[SocketAddr], options: ZookeeperOptions) -> Zookeeper {
    let mut client = Zookeeper::new(1, 0, nodes(addresses), options);
    client.open(0);
    client
}

/// The server takes the session on, under this number.
fn welcome(id: i64) -> Step {
    let message = Writer::default().int(0).int(10_000).long(id);
    Step::Reply(message.buffer(&[7; 16]).bool(false).frame())
}

fn message(xid: i32, error: i32, body: impl FnOnce(Writer) -> Writer) -> Vec<u8> {
    let head = Writer::default()
        .int(xid)
        .long(50 + i64::from(xid))
        .int(error);
    body(head).frame()
}

/// The answer to request number `xid`.
fn answer(xid: i32, error: i32) -> Step {
    Step::Reply(message(xid, error, |writer| writer))
}

/// The answer to a `getData`.
fn holds(xid: i32, value: &str, version: i32) -> Step {
    Step::Reply(message(xid, 0, |writer| {
        let writer = writer
            .text(value)
            .long(1)
            .long(1)
            .long(1)
            .long(1)
            .int(version);
        writer.int(0).int(0).long(0).int(0).int(0).long(0)
    }))
}

async fn run(
    options: ZookeeperOptions,
    script: Vec<Step>,
    operation: &Invocation,
) -> (String, Vec<Vec<u8>>) {
    let server = Server::start(script).await;
    let mut client = client(&[server.address], options);
    let found = short(&client.invoke(operation).await);
    assert!(server.connections() <= 1, "it tried again");
    (found, server.requests())
}

/// The kinds of the requests after the first, which makes the session.
fn kinds(requests: &[Vec<u8>]) -> Vec<i32> {
    let kind = |request: &Vec<u8>| Reader(&request[8..]).int().expect("a kind");
    requests.iter().skip(1).map(kind).collect()
}

#[tokio::test]
async fn operations_are_the_requests_they_should_be() {
    use Data::{FencedLock, Kv, Lock, Register, Set};
    let (create, delete, get, set, children, sync) = (1, 2, 4, 5, 8, 9);
    let names = |xid: i32| {
        Step::Reply(message(xid, 0, |writer| {
            writer.int(2).text("3").text("%22a%22")
        }))
    };
    let read = || invocation("read", Value::Nil);
    type Case = (Data, Invocation, Vec<Step>, &'static str, Vec<i32>);
    let cases: Vec<Case> = vec![
        (Register, read(), vec![holds(1, "7", 0)], "ok 7", vec![get]),
        (
            Register,
            read(),
            vec![answer(1, NO_NODE)],
            "ok nil",
            vec![get],
        ),
        (
            Register,
            read(),
            vec![holds(1, "07", 0)],
            "fail n1: unexpected value",
            vec![get],
        ),
        (
            Register,
            invocation("write", 7),
            vec![answer(1, 0)],
            "ok nil",
            vec![set],
        ),
        (
            Register,
            invocation("write", 7),
            vec![answer(1, NO_NODE), answer(2, 0)],
            "ok nil",
            vec![set, create],
        ),
        (
            Register,
            invocation("write", 7),
            vec![answer(1, NO_NODE), answer(2, NODE_EXISTS), answer(3, 0)],
            "ok nil",
            vec![set, create, set],
        ),
        (
            Register,
            invocation("cas", pair(7, 8)),
            vec![answer(1, 0), holds(2, "7", 3), answer(3, 0)],
            "ok true",
            vec![sync, get, set],
        ),
        (
            Register,
            invocation("cas", pair(7, 8)),
            vec![answer(1, 0), holds(2, "9", 3)],
            "ok false",
            vec![sync, get],
        ),
        (
            Register,
            invocation("cas", pair(Value::Nil, 8)),
            vec![answer(1, 0), answer(2, NO_NODE), answer(3, 0)],
            "ok true",
            vec![sync, get, create],
        ),
        // The version changed in between, so nothing is known of the value.
        (
            Register,
            invocation("cas", pair(7, 8)),
            vec![
                answer(1, 0),
                holds(2, "7", 3),
                answer(3, BAD_VERSION),
                answer(4, 0),
                holds(5, "9", 4),
            ],
            "ok false",
            vec![sync, get, set, sync, get],
        ),
        (
            Kv,
            invocation("delete", Value::Nil),
            vec![answer(1, 0)],
            "ok true",
            vec![delete],
        ),
        (
            Kv,
            invocation("delete", Value::Nil),
            vec![answer(1, NO_NODE)],
            "ok false",
            vec![delete],
        ),
        (
            Kv,
            invocation("append", "x"),
            vec![answer(1, 0), holds(2, "7", 3), answer(3, 0)],
            "ok nil",
            vec![sync, get, set],
        ),
        (
            Set,
            invocation("add", 3),
            vec![answer(1, NO_NODE), answer(2, 0), answer(3, 0)],
            "ok nil",
            vec![create, create, create],
        ),
        (
            Set,
            invocation("add", 3),
            vec![answer(1, NODE_EXISTS)],
            "ok nil",
            vec![create],
        ),
        (Set, read(), vec![names(1)], "ok [3 \"a\"]", vec![children]),
        (
            Set,
            read(),
            vec![answer(1, NO_NODE)],
            "ok []",
            vec![children],
        ),
        (
            Set,
            read(),
            vec![answer(1, 0)],
            "fail n1: an unexpected answer",
            vec![children],
        ),
        (
            Lock,
            invocation("acquire", Value::Nil),
            vec![answer(1, 0)],
            "ok true",
            vec![create],
        ),
        (
            Lock,
            invocation("acquire", Value::Nil),
            vec![answer(1, NODE_EXISTS)],
            "ok false",
            vec![create],
        ),
        (
            FencedLock,
            invocation("acquire", Value::Nil),
            vec![answer(1, 0)],
            "ok 51",
            vec![create],
        ),
        (
            Lock,
            invocation("release", Value::Nil),
            vec![answer(1, 0)],
            "ok false",
            vec![],
        ),
    ];
    for (data, operation, answers, expected, requests) in cases {
        let script = [vec![welcome(5)], answers].concat();
        let (found, seen) = run(patient(data), script, &operation).await;
        assert!(found.starts_with(expected), "{operation:?} {found}");
        assert_eq!(kinds(&seen), requests, "{operation:?}");
    }
    let synced = ZookeeperOptions {
        sync: true,
        ..patient(Register)
    };
    let script = vec![welcome(5), answer(1, 0), holds(2, "7", 0)];
    let (found, seen) = run(synced, script, &read()).await;
    assert_eq!((found.as_str(), kinds(&seen)), ("ok 7", vec![sync, get]));
}

#[tokio::test]
async fn outcomes_tell_no_more_than_is_known() {
    let write = invocation("write", 7);
    let whole = message(1, 0, |writer| writer);
    let torn = |bytes: &[u8]| Step::ReplyAndClose(bytes.to_vec());
    for step in [
        Step::Close,
        torn(&whole[..3]),
        torn(&whole[..9]),
        torn(b"what? this is no answer"),
        answer(2, 0),
        answer(1, -4),
        answer(1, -999),
    ] {
        let script = vec![welcome(5), step.clone()];
        let (found, _) = run(patient(Data::Register), script.clone(), &write).await;
        assert!(found.starts_with("info n1: "), "{step:?} {found}");
        let (found, _) = run(
            patient(Data::Register),
            script,
            &invocation("read", Value::Nil),
        )
        .await;
        assert!(found.starts_with("fail n1: "), "{step:?} {found}");
    }
    // Without a session nothing was asked.
    for step in [Step::Close, torn(b"12"), torn(&whole[..9]), welcome(0)] {
        let (found, seen) = run(patient(Data::Register), vec![step.clone()], &write).await;
        assert!(found.starts_with("fail n1: "), "{step:?} {found}");
        assert_eq!(seen.len(), 1);
    }
    let completion = client(&[refusing().await], patient(Data::Register))
        .invoke(&write)
        .await;
    assert!(short(&completion).starts_with("fail n1: cannot connect: "));
    // A read before a change does nothing.
    let (found, _) = run(
        patient(Data::Kv),
        vec![welcome(5), Step::Close],
        &invocation("append", "x"),
    )
    .await;
    assert!(found.starts_with("fail n1: "), "{found}");
}

#[tokio::test]
async fn an_answer_that_comes_late_is_nobodys() {
    let server = Server::start([welcome(5), Step::Hang, welcome(6), answer(1, 0)]).await;
    let options = ZookeeperOptions {
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
}

#[tokio::test]
async fn a_session_goes_on_over_another_connection_until_it_has_expired() {
    let close = Step::ReplyAndClose(message(1, 0, |writer| writer));
    let script = [
        welcome(5),
        close,
        welcome(5),
        Step::ReplyAndClose(message(2, NODE_EXISTS, |writer| writer)),
        welcome(0),
        welcome(6),
        answer(1, NODE_EXISTS),
        answer(2, 0),
    ];
    let server = Server::start(script).await;
    let mut client = client(&[server.address], patient(Data::Lock));
    let acquire = invocation("acquire", Value::Nil);
    assert_eq!(short(&client.invoke(&acquire).await), "ok true");
    // Whether the client sees in time that an idle connection was closed is a race.
    tokio::time::timeout(Duration::from_secs(60), async {
        while client.session.is_connected() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it was closed");
    assert_eq!(short(&client.invoke(&acquire).await), "ok false");
    let hello = &server.requests()[2];
    let mut reader = Reader(&hello[4..]);
    let seen = (reader.int(), reader.long(), reader.int(), reader.long());
    assert_eq!(seen, (Some(0), Some(51), Some(10_000), Some(5)));
    while client.session.is_connected() {
        tokio::task::yield_now().await;
    }
    let found = short(&client.invoke(&acquire).await);
    assert_eq!(found, "fail n1: the session has expired");
    // What it held went with it.
    assert_eq!(short(&client.invoke(&acquire).await), "ok false");
    let release = invocation("release", Value::Nil);
    assert_eq!(short(&client.invoke(&release).await), "ok false");
}

#[test]
fn names_in_paths_are_read_as_they_were_written() {
    for text in ["", "a/b", "%", "é\"", "k0-1", ".", "a%2"] {
        let name = escaped(text);
        assert!(!name.contains('/') && name != ".", "{name}");
        assert_eq!(unescaped(&name), text);
    }
    assert_eq!(unescaped("%zz"), "%zz");
}
