//! What is asked and what an answer means, row by row.

use super::*;

fn invocation(f: &str, value: Value) -> Invocation {
    Invocation {
        f: f.into(),
        key: Some("k0-1".into()),
        value,
    }
}

fn pair(old: impl Into<Value>, new: impl Into<Value>) -> Value {
    Value::List(vec![old.into(), new.into()])
}

/// The request of an operation, as `METHOD path body`.
fn check_request(f: &str, value: Value, expected: &str) {
    let found = match Request::new(&invocation(f, value)) {
        Ok(request) => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            format!("{} {} {body}", request.method, request.path)
        }
        Err(why) => why,
    };
    assert_eq!(found.trim_end(), expected);
}

#[test]
fn operations_become_requests() {
    check_request("read", Value::Nil, "GET /kv/k0-1");
    check_request("get", Value::Nil, "GET /kv/k0-1");
    check_request("write", 7.into(), r#"PUT /kv/k0-1 {"value":"7"}"#);
    check_request("put", "3.1 ".into(), r#"PUT /kv/k0-1 {"value":"3.1 "}"#);
    check_request(
        "append",
        "3.1 ".into(),
        r#"POST /kv/k0-1/append {"value":"3.1 "}"#,
    );
    check_request(
        "cas",
        pair(1, -2),
        r#"POST /kv/k0-1/cas {"new":"-2","old":"1"}"#,
    );
    check_request(
        "cas",
        pair(Value::Nil, "b "),
        r#"POST /kv/k0-1/cas {"new":"b ","old":null}"#,
    );
    check_request("delete", Value::Nil, "DELETE /kv/k0-1");
    check_request("write", Value::Nil, "a write of the value nil");
    check_request("cas", pair(1, Value::Nil), "a cas of the value [1 nil]");
    check_request("cas", 3.into(), "a cas of the value 3");
    check_request("put", Value::List(vec![]), "a put of the value []");
    check_request("increment", 1.into(), "raft-kv has no operation increment");
    let odd = Invocation {
        key: Some("a/b ?é".into()),
        ..invocation("get", Value::Nil)
    };
    assert_eq!(
        Request::new(&odd).map(|r| r.path),
        Ok("/kv/a%2Fb%20%3F%C3%A9".to_owned())
    );
    let keyless = Invocation { key: None, ..odd };
    assert_eq!(Request::new(&keyless), Err("the key is no text".to_owned()));
}

/// What an answer to an operation means: `ok VALUE`, `fail WHY`, `info WHY` or `to ADDRESS`.
fn check(f: &str, (status, location, body): (u16, Option<&str>, &str), expected: &str) {
    let location = location.map(str::to_owned);
    check_reply(
        f,
        &Reply::Answer {
            status,
            location,
            body: body.to_owned().into(),
        },
        expected,
    );
}

fn check_reply(f: &str, reply: &Reply, expected: &str) {
    let value = match f {
        "cas" => pair(1, 2),
        "write" | "put" | "append" => 1.into(),
        _ => Value::Nil,
    };
    let request = Request::new(&invocation(f, value)).expect("a whole operation");
    let found = match classify(&request, reply) {
        Verdict::Redirect(address) => format!("to {address}"),
        Verdict::Final(Class::Done(value)) => format!("ok {value}"),
        Verdict::Final(Class::NotDone(why)) => format!("fail {why}"),
        Verdict::Final(Class::Unknown(why)) => format!("info {why}"),
    };
    assert_eq!(found, expected, "{f} {reply:?}");
}

#[test]
fn answers_of_success_hold_a_result_or_are_not_believed() {
    let ok = |body| (200, None, body);
    check("read", ok(r#"{"value":"7"}"#), "ok 7");
    check("read", ok(r#"{"value":"-7"}"#), "ok -7");
    check("read", ok(r#"{"value":null}"#), "ok nil");
    check(
        "read",
        ok(r#"{"value":"07"}"#),
        r#"info unexpected answer 200: "{\"value\":\"07\"}""#,
    );
    check(
        "read",
        ok(r#"{"value":"x"}"#),
        r#"info unexpected answer 200: "{\"value\":\"x\"}""#,
    );
    check(
        "read",
        ok(r#"{"value":7}"#),
        r#"info unexpected answer 200: "{\"value\":7}""#,
    );
    check("read", ok("{}"), r#"info unexpected answer 200: "{}""#);
    check("read", ok(""), r#"info unexpected answer 200: """#);
    check("read", ok("null"), r#"info unexpected answer 200: "null""#);
    check(
        "read",
        ok(r#"{"value":"7"#),
        r#"info unexpected answer 200: "{\"value\":\"7""#,
    );
    check("get", ok(r#"{"value":"3.1 3.2 "}"#), r#"ok "3.1 3.2 ""#);
    check("get", ok(r#"{"value":""}"#), r#"ok """#);
    check("get", ok(r#"{"value":null}"#), "ok nil");
    check(
        "get",
        ok(r#"{"value":["a"]}"#),
        r#"info unexpected answer 200: "{\"value\":[\"a\"]}""#,
    );
    check("write", ok("{}"), "ok nil");
    check("append", ok("{}"), "ok nil");
    check("put", ok("[]"), r#"info unexpected answer 200: "[]""#);
    check("put", ok("done"), r#"info unexpected answer 200: "done""#);
    check(
        "put",
        ok(r#"{"error":"x"}"#),
        r#"info unexpected answer 200: "{\"error\":\"x\"}""#,
    );
    check("cas", ok(r#"{"swapped":true}"#), "ok true");
    check("cas", ok(r#"{"swapped":false}"#), "ok false");
    check("cas", ok("{}"), r#"info unexpected answer 200: "{}""#);
    check(
        "cas",
        ok(r#"{"swapped":1}"#),
        r#"info unexpected answer 200: "{\"swapped\":1}""#,
    );
    check("delete", ok(r#"{"existed":true}"#), "ok true");
    check(
        "delete",
        ok(r#"{"swapped":true}"#),
        r#"info unexpected answer 200: "{\"swapped\":true}""#,
    );
}

#[test]
fn errors_are_definite_only_where_the_server_says_so() {
    for f in ["read", "get", "write", "append", "cas", "delete"] {
        let definite = r#"{"error":"no leader","definite":true}"#;
        let doubtful = r#"{"error":"shut down","definite":false}"#;
        let silent = r#"{"error":"oops"}"#;
        let unsaid = r#"info unexpected answer 500: "{\"error\":\"oops\"}""#;
        check(f, (503, None, definite), "fail no leader");
        check(f, (400, None, definite), "fail no leader");
        check(f, (500, None, doubtful), "info shut down");
        check(f, (503, None, doubtful), "info shut down");
        check(f, (500, None, silent), unsaid);
        check(
            f,
            (500, None, "Internal Server Error"),
            r#"info unexpected answer 500: "Internal Server Error""#,
        );
        check(f, (204, None, ""), r#"info unexpected answer 204: """#);
        check(f, (201, None, "{}"), r#"info unexpected answer 201: "{}""#);

        let not_leader = r#"{"error":"not leader","leader":"n2","definite":true}"#;
        let there = Some("http://10.0.0.2:4000/kv/k0-1");
        check(f, (307, there, not_leader), "to 10.0.0.2:4000");
        check(f, (307, Some("http://[::1]:80"), not_leader), "to [::1]:80");
        check(
            f,
            (307, Some("/elsewhere"), not_leader),
            "fail not leader (redirected to nowhere)",
        );
        check(
            f,
            (307, Some("http://n2/"), not_leader),
            "fail not leader (redirected to nowhere)",
        );
        check(f, (307, None, not_leader), "fail not leader");
        check(f, (307, there, doubtful), "info shut down");
        check(f, (307, there, ""), r#"info unexpected answer 307: """#);
        check(f, (503, there, definite), "fail no leader");

        check_reply(f, &Reply::NotSent("refused".into()), "fail refused");
        check_reply(f, &Reply::Lost("reset".into()), "info reset");
    }
}

#[test]
fn long_answers_are_quoted_in_part() {
    let body = "x".repeat(100_000);
    let reply = Reply::Answer {
        status: 200,
        location: None,
        body: body.into(),
    };
    let request = Request::new(&invocation("get", Value::Nil)).expect("a whole operation");
    match classify(&request, &reply) {
        Verdict::Final(Class::Unknown(why)) => assert!(why.len() < 300, "{}", why.len()),
        other => panic!("{other:?}"),
    }
}
