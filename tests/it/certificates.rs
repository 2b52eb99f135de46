//! Proofs of valid verdicts: written, verified, refused, unreadable.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support::{Output, store, text, whitewater};

/// Writes, each read by another process that overlaps it; the read of write 7 returns `seventh`.
fn history(seventh: i64) -> String {
    let mut lines = String::new();
    for number in 0..20 {
        let event = |at: i64, process: i64, kind: &str, rest: &str| {
            format!(
                "{{\"index\":{},\"time\":{},\"process\":{process},\"type\":\"{kind}\",\
                 \"key\":\"k{}\",{rest}}}\n",
                4 * number + at,
                1_000 * (4 * number + at),
                number % 2
            )
        };
        let read = if number == 7 { seventh } else { number };
        let (write, value) = (
            format!("\"f\":\"write\",\"value\":{number}"),
            format!("\"f\":\"read\",\"value\":{read}"),
        );
        lines += &event(0, 0, "invoke", &write);
        lines += &event(1, 1, "invoke", "\"f\":\"read\"");
        lines += &event(2, 0, "ok", &write);
        lines += &event(3, 1, "ok", &value);
    }
    lines
}

fn check(file: &Path, option: &str, certificate: &Path, more: &[&str]) -> Output {
    let args = ["check", text(file), option, text(certificate), "--model"];
    whitewater(&[&args[..], &["register"], more].concat())
}

#[test]
fn a_valid_verdict_has_a_certificate_that_is_verified() {
    let folder = store();
    let (file, certificate) = (folder.path().join("h.jsonl"), folder.path().join("cert"));
    fs::write(&file, history(7)).unwrap();
    check(&file, "--certificate", &certificate, &[])
        .expect(0)
        .says(&["VALID", "orders 40 operations on 2 keys, and is verified"]);
    check(&file, "--verify", &certificate, &[])
        .expect(0)
        .says(&["certificate accepted: it orders 40 operations on 2 keys"]);
    let document = check(&file, "--verify", &certificate, &["--json"]).expect(0);
    assert_eq!(
        document.json(),
        serde_json::json!({
            "accepted": true, "reason": null, "line": null, "placed": 40, "keys": 2
        })
    );
    // In place of an older one, and with nothing left beside it.
    check(&file, "--certificate", &certificate, &["--json"]).expect(0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_certificate_that_does_not_fit_is_refused_with_its_place() {
    let folder = store();
    let (file, certificate) = (folder.path().join("h.jsonl"), folder.path().join("cert"));
    fs::write(&file, history(7)).unwrap();
    check(&file, "--certificate", &certificate, &[]).expect(0);
    let good = fs::read_to_string(&certificate).unwrap();
    for (from, to, says) in [
        (
            "[0,1,",
            "[1,0,",
            "line 2: operation 1, read of 0, cannot happen there",
        ),
        (
            "[0,1,",
            "[0,",
            "line 2: operation 1 completed, but is missing",
        ),
        ("[0,1,", "[0,1,1,", "line 2: operation 1 is there twice"),
        ("[0,1,", "[0,1,3,", "line 2: the history has no operation 3"),
        ("[0,1,", "[0,1,4,", "line 2: operation 4 is of another part"),
        (
            "\"part\":\"\\\"k1",
            "\"part\":\"\\\"k2",
            "line 3: the history has no part \"k2\"",
        ),
        (
            "\"register\"",
            "\"kv\"",
            "line 1: the model of the certificate is kv",
        ),
        (
            "\"operations\":40",
            "\"operations\":41",
            "line 1: the certificate is of another history",
        ),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good, "{from}");
        fs::write(&certificate, changed).unwrap();
        check(&file, "--verify", &certificate, &[])
            .expect(1)
            .says(&["certificate refused: ", says]);
    }
    fs::write(&certificate, &good).unwrap();
    check(&file, "--verify", &certificate, &["--initial", "0"])
        .expect(1)
        .says(&["the initial value of the certificate is none, that of this check 0"]);
    fs::write(&file, history(6)).unwrap();
    let document = check(&file, "--verify", &certificate, &["--json"]).expect(1);
    assert_eq!(document.json()["accepted"], false, "{document}");
    assert_eq!(document.json()["line"], 1, "{document}");
}

#[test]
fn what_is_no_certificate_is_unreadable() {
    let folder = store();
    let (file, certificate) = (folder.path().join("h.jsonl"), folder.path().join("cert"));
    fs::write(&file, history(7)).unwrap();
    check(&file, "--verify", &certificate, &[])
        .expect(2)
        .says(&["failed to read", "cert"]);
    let mut deep = "[".repeat(100_000);
    let _ = writeln!(deep);
    for contents in ["", "\u{0}\n", &history(7), &deep] {
        fs::write(&certificate, contents).unwrap();
        check(&file, "--verify", &certificate, &[])
            .expect(2)
            .says(&["cert: line 1: "]);
    }
}

#[test]
fn only_a_valid_verdict_has_a_certificate() {
    let folder = store();
    let (file, certificate) = (folder.path().join("h.jsonl"), folder.path().join("cert"));
    for (contents, code) in [(history(3), 1), (String::new(), 3)] {
        fs::write(&file, contents).unwrap();
        check(&file, "--certificate", &certificate, &["--format", "jsonl"])
            .expect(code)
            .says(&["no certificate is written: only a valid verdict has one"]);
        assert!(!certificate.exists());
    }
    fs::write(&file, history(7)).unwrap();
    check(&file, "--certificate", folder.path(), &[])
        .expect(2)
        .says(&["is no file, so no certificate is written there"]);
    let nowhere = folder.path().join("nowhere/cert");
    check(&file, "--certificate", &nowhere, &[])
        .expect(2)
        .says(&["failed to write", "nowhere"]);
}
