//! What clients see of real nodes.

use serde_json::json;

use crate::support::{Client, Cluster};

#[test]
fn one_node_serves_every_operation() {
    let cluster = Cluster::start(1, &[]);
    let run = |method: &str, path: &str, body| cluster.request(method, path, body);
    assert_eq!(run("GET", "/kv/k", None), json!({ "value": null }));
    assert_eq!(
        run("PUT", "/kv/k", Some(json!({ "value": "a" }))),
        json!({})
    );
    assert_eq!(
        run("POST", "/kv/k/append", Some(json!({ "value": "b" }))),
        json!({})
    );
    assert_eq!(run("GET", "/kv/k", None), json!({ "value": "ab" }));
    let cas = json!({ "old": "ab", "new": "c" });
    assert_eq!(
        run("POST", "/kv/k/cas", Some(cas.clone())),
        json!({ "swapped": true })
    );
    assert_eq!(
        run("POST", "/kv/k/cas", Some(cas)),
        json!({ "swapped": false })
    );
    assert_eq!(run("DELETE", "/kv/k", None), json!({ "existed": true }));
    assert_eq!(run("DELETE", "/kv/k", None), json!({ "existed": false }));
    let create = json!({ "old": null, "new": "d" });
    assert_eq!(
        run("POST", "/kv/k/cas", Some(create)),
        json!({ "swapped": true })
    );
    assert_eq!(
        run("POST", "/kv/%6b/append", Some(json!({ "value": "e" }))),
        json!({})
    );
    assert_eq!(run("GET", "/kv/k", None), json!({ "value": "de" }));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_was_expected() {
    let cluster = Cluster::start(1, &[]);
    let mut client = Client::connect(cluster.address(&cluster.leader())).unwrap();
    let session = |id: &str| ("session-id", id.to_owned());
    let check =
        |client: &mut Client, method, path: &str, body: &str, headers: &[_], status, says| {
            let answer = client
                .send_raw(method, path, body.as_bytes(), headers)
                .unwrap();
            assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
            assert_eq!(answer.body["definite"], true, "{answer:?}");
            let error = answer.body["error"].as_str().unwrap();
            assert!(error.contains(says), "{error}");
        };
    let client = &mut client;
    let value = r#"{"value":"v"}"#;
    check(client, "GET", "/nowhere", "", &[], 404, "/kv/KEY");
    check(client, "POST", "/kv/k/nothing", "", &[], 404, "/kv/KEY");
    check(client, "PATCH", "/kv/k", "", &[], 405, "method");
    check(client, "GET", "/kv/", "", &[], 400, "1 to 1024");
    check(client, "GET", "/kv/%zz", "", &[], 400, "two digits");
    check(client, "GET", "/kv/%ff", "", &[], 400, "UTF-8");
    check(client, "PUT", "/kv/k", "{", &[], 400, r#"{"value":"…"}"#);
    check(
        client,
        "PUT",
        "/kv/k",
        r#"{"valeu":"x"}"#,
        &[],
        400,
        "valeu",
    );
    check(
        client,
        "POST",
        "/kv/k/cas",
        r#"{"new":"x"}"#,
        &[],
        400,
        "old",
    );
    check(
        client,
        "PUT",
        "/kv/k",
        value,
        &[session("x")],
        400,
        "session-id",
    );
    check(
        client,
        "PUT",
        "/kv/k",
        value,
        &[session("1")],
        400,
        "go together",
    );
    check(
        client,
        "POST",
        "/members",
        r#"{"add":"n2"}"#,
        &[],
        400,
        "NAME=IP",
    );
    check(
        client,
        "POST",
        "/members",
        r#"{"remove":"n1"}"#,
        &[],
        409,
        "last member",
    );
    let large = format!(r#"{{"value":"{}"}}"#, "x".repeat(2 << 20));
    let answer = client.send_raw("PUT", "/kv/k", large.as_bytes(), &[]);
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 400));
    assert_eq!(cluster.get("k"), json!(null));
}
