//! The client against servers that do what they should not.

use std::net::SocketAddr;

use histories::Value;

use super::*;
use crate::clients::scripted::{Act, Scripted, answer, http, redirect};
use crate::clients::testing::{NEVER_MS, invocation, nodes, refusing, short};

/// Long enough for a request to reach a server on a busy machine, short enough to wait for.
const SOON_MS: u64 = 500;
const OK: &str = r#"{"value":"7"}"#;

/// Options under which nothing times out and failures return at once.
fn patient() -> RaftKvOptions {
    RaftKvOptions {
        timeout_ms: NEVER_MS,
        attempt_timeout_ms: NEVER_MS,
        attempts: 1,
        retry_pause_ms: 0,
        sessions: true,
        fail_pause_ms: 0,
    }
}

/// Client 0 (at home at the first node), as process 40.
fn client(addresses: &[SocketAddr], options: RaftKvOptions) -> RaftKv {
    let mut client = RaftKv::new(1, 0, nodes(addresses), options);
    client.open(40);
    client
}

fn read() -> Invocation {
    invocation("read", Value::Nil)
}

fn write(number: i64) -> Invocation {
    invocation("write", number)
}

/// One operation at a node that does this first; its completion must be one of these.
async fn check(act: Act, invocation: Invocation, expected: &[&str]) {
    let server = Scripted::start([act.clone()]).await;
    let completion = client(&[server.address], patient())
        .invoke(&invocation)
        .await;
    let found = short(&completion);
    assert!(
        expected.iter().any(|start| found.starts_with(start)),
        "{act:?}: {found}"
    );
    assert_eq!(completion.node.as_deref(), Some("n1"), "{act:?}");
    assert!(
        server.connections() <= 1,
        "{act:?} made the client try again"
    );
}

#[tokio::test]
async fn outcomes_tell_no_more_than_is_known() {
    for invocation in [read(), write(7)] {
        check(Act::Close, invocation.clone(), &["info n1: "]).await;
        // Whether anything was sent before the connection closed is a race; both are true.
        check(
            Act::CloseUnread,
            invocation.clone(),
            &["info n1: ", "fail n1: "],
        )
        .await;
        let whole = http(200, "", OK);
        for torn in [&whole[..4], &whole[..20], &whole[..whole.len() - 3]] {
            check(
                Act::WriteAndClose(torn.to_owned()),
                invocation.clone(),
                &["info n1: "],
            )
            .await;
        }
        let endless = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
        let too_long = Act::WriteAndClose(endless + &"x".repeat((1 << 20) + 1));
        check(too_long, invocation.clone(), &["info n1: broken answer"]).await;
        let garbage = Act::WriteAndClose("\u{1}\u{2} what?\r\n\r\n".to_owned());
        check(garbage, invocation.clone(), &["info n1: "]).await;
        check(
            answer(200, "what?"),
            invocation.clone(),
            &["info n1: unexpected answer 200"],
        )
        .await;
        let no_leader = answer(503, r#"{"error":"no leader","definite":true}"#);
        check(no_leader, invocation.clone(), &["fail n1: no leader"]).await;
        let doubtful = answer(500, r#"{"error":"lost leadership","definite":false}"#);
        check(doubtful, invocation.clone(), &["info n1: lost leadership"]).await;
    }
    check(answer(200, OK), read(), &["ok 7"]).await;
    check(answer(200, "{}"), write(7), &["ok nil"]).await;
}

#[tokio::test]
async fn a_refused_connection_is_a_failure_and_the_next_operation_goes_elsewhere() {
    let server = Scripted::start([answer(200, OK)]).await;
    let mut client = client(&[refusing().await, server.address], patient());
    let completion = client.invoke(&read()).await;
    assert!(
        short(&completion).starts_with("fail n1: cannot connect: "),
        "{completion:?}"
    );
    // One in five operations goes home again; the others go where the answers come from.
    let mut answered = 0;
    for _ in 0..20 {
        let completion = client.invoke(&read()).await;
        answered += usize::from(short(&completion) == "ok 7");
        assert!(
            matches!(completion.outcome, Outcome::Ok(_) | Outcome::Fail),
            "{completion:?}"
        );
    }
    assert_eq!(server.requests().len(), answered);
    assert!((10..20).contains(&answered), "{answered}");
}

#[tokio::test]
async fn no_answer_in_time_is_unknown() {
    let server = Scripted::start([Act::Hang]).await;
    let options = RaftKvOptions {
        timeout_ms: 50,
        ..patient()
    };
    for invocation in [read(), write(7)] {
        let completion = client(&[server.address], options.clone())
            .invoke(&invocation)
            .await;
        assert_eq!(short(&completion), "info n1: no answer in time");
    }
    // With no time at all nothing can have been sent.
    let options = RaftKvOptions {
        timeout_ms: 0,
        ..options
    };
    let completion = client(&[server.address], options).invoke(&write(7)).await;
    assert!(
        !matches!(completion.outcome, Outcome::Ok(_)),
        "{completion:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_followed_and_remembered() {
    let leader = Scripted::start([answer(200, "{}")]).await;
    let follower = Scripted::start([redirect(leader.address)]).await;
    let mut client = client(&[follower.address, leader.address], patient());
    let completion = client.invoke(&write(1)).await;
    assert_eq!(short(&completion), "ok nil via n1 n2");
    assert_eq!(completion.node.as_deref(), Some("n2"));
    // The same request, under the same number, and the home node is asked again now and then.
    let mut visits_home = 1;
    for number in 2..60 {
        match short(&client.invoke(&write(number)).await).as_str() {
            "ok nil via n1 n2" => visits_home += 1,
            direct => assert_eq!(direct, "ok nil"),
        }
    }
    assert_eq!(follower.requests().len(), visits_home);
    assert!((4..30).contains(&visits_home), "{visits_home}");
    let expected: Vec<String> = (1..60)
        .map(|i| format!(r#"PUT /kv/k [40/{i}] {{"value":"{i}"}}"#))
        .collect();
    assert_eq!(leader.requests(), expected);
    assert!(
        follower
            .requests()
            .iter()
            .all(|request| expected.contains(request))
    );
}

#[tokio::test]
async fn redirects_have_an_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free loopback port");
    let own = listener.local_addr().expect("it is bound");
    let server = Scripted::serve(listener, [redirect(own)]);
    let completion = client(&[server.address], patient()).invoke(&write(7)).await;
    assert_eq!(
        short(&completion),
        "fail redirected more than 3 times via n1 n1 n1 n1"
    );
    assert_eq!(server.requests().len(), 4);

    let stranger = refusing().await;
    let server = Scripted::start([redirect(stranger)]).await;
    let completion = client(&[server.address], patient()).invoke(&write(7)).await;
    let expected = format!("fail n1: redirected to {stranger}, where no node is");
    assert_eq!(short(&completion), expected);
}

#[tokio::test]
async fn an_attempt_without_answer_is_repeated_under_the_same_number_elsewhere() {
    for silence in [
        Act::Hang,
        Act::Close,
        Act::WriteAndClose("HTTP/1.1 2".to_owned()),
    ] {
        let silent = Scripted::start([silence.clone()]).await;
        let serving = Scripted::start([answer(200, "{}")]).await;
        let is_hang = matches!(silence, Act::Hang);
        let attempt_timeout_ms = if is_hang { SOON_MS } else { NEVER_MS };
        let options = RaftKvOptions {
            attempts: 2,
            attempt_timeout_ms,
            ..patient()
        };
        let nodes = [silent.address, serving.address];
        let completion = client(&nodes, options.clone()).invoke(&write(7)).await;
        assert_eq!(short(&completion), "ok nil via n1 n2", "{silence:?}");
        assert_eq!(silent.requests(), [r#"PUT /kv/k [40/1] {"value":"7"}"#]);
        assert_eq!(serving.requests(), silent.requests());

        // Without a session it would be done twice, so it is not sent twice.
        let options = RaftKvOptions {
            sessions: false,
            timeout_ms: 200,
            ..options
        };
        let completion = client(&nodes, options).invoke(&write(8)).await;
        assert!(
            short(&completion).starts_with("info n1: "),
            "{silence:?} {completion:?}"
        );
        assert!(completion.path.is_empty());
        assert_eq!(silent.requests()[1], r#"PUT /kv/k {"value":"8"}"#);
        assert_eq!(serving.requests().len(), 1);
    }
}

#[tokio::test]
async fn attempts_go_on_from_node_to_node_until_one_answers_or_none_is_left() {
    let no_leader = || answer(503, r#"{"error":"no leader","definite":true}"#);
    let first = Scripted::start([Act::Close, answer(200, "{}")]).await;
    let second = Scripted::start([no_leader()]).await;
    let nodes = [first.address, second.address];
    let options = RaftKvOptions {
        attempts: 3,
        ..patient()
    };
    let completion = client(&nodes, options.clone()).invoke(&write(7)).await;
    assert_eq!(short(&completion), "ok nil via n1 n2 n1");
    assert_eq!(first.requests(), [r#"PUT /kv/k [40/1] {"value":"7"}"#; 2]);
    assert_eq!(second.requests(), first.requests()[..1]);

    let first = Scripted::start([Act::Close, no_leader()]).await;
    let completion = client(&[first.address], options).invoke(&write(7)).await;
    assert_eq!(completion.outcome, Outcome::Info, "{completion:?}");
    assert_eq!((first.requests().len(), completion.path.len()), (3, 3));
    let error = completion.error.unwrap_or_default();
    assert_eq!(
        error.matches("no leader").count(),
        1,
        "each reason once: {error}"
    );
}

#[tokio::test]
async fn a_doubt_is_not_taken_away_by_a_later_failure() {
    let silent = Scripted::start([Act::Close]).await;
    let refused = answer(503, r#"{"error":"no leader","definite":true}"#);
    let refusing = Scripted::start([refused]).await;
    let options = RaftKvOptions {
        attempts: 2,
        ..patient()
    };
    let mut client = client(&[silent.address, refusing.address], options);
    let found = short(&client.invoke(&write(7)).await);
    assert!(
        found.starts_with("info n1: ") && found.contains("; n2: no leader"),
        "{found}"
    );
    // But a failure before any doubt is one, and is not repeated.
    client.preferred = 1;
    client.home = 1;
    assert_eq!(short(&client.invoke(&write(8)).await), "fail n2: no leader");
    assert_eq!((silent.requests().len(), refusing.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_new_process_has_a_new_session() {
    let server = Scripted::start([answer(200, "{}")]).await;
    let mut client = client(&[server.address], patient());
    client.invoke(&write(1)).await;
    client.invoke(&write(2)).await;
    assert_eq!(server.connections(), 1, "a connection is kept");
    client.open(50);
    client.invoke(&write(3)).await;
    assert_eq!(server.connections(), 2);
    let sessions: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request[10..16].to_owned())
        .collect();
    assert_eq!(sessions, ["[40/1]", "[40/2]", "[50/1]"]);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_opened_again_without_a_repetition() {
    let script = [Act::WriteAndClose(http(200, "", OK)), answer(200, OK)];
    let server = Scripted::start(script).await;
    let mut client = client(&[server.address], patient());
    assert_eq!(short(&client.invoke(&read()).await), "ok 7");
    server.closed.notified().await;
    assert_eq!(short(&client.invoke(&read()).await), "ok 7");
    assert_eq!((server.connections(), server.requests().len()), (2, 2));
}

#[tokio::test]
async fn an_operation_that_cannot_be_asked_fails_before_anything_is_sent() {
    let server = Scripted::start([answer(200, "{}")]).await;
    let odd = Invocation {
        f: "increment".into(),
        ..read()
    };
    let completion = client(&[server.address], patient()).invoke(&odd).await;
    assert_eq!(
        short(&completion),
        "fail raft-kv has no operation increment"
    );
    assert_eq!((completion.node, server.connections()), (None, 0));
    assert_eq!(
        short(&client(&[], patient()).invoke(&read()).await),
        "fail no nodes"
    );
}
