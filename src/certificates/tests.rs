use checkers::certificate::{Refused, certify};
use checkers::{Cancel, Limits, ModelKind};
use histories::{History, Operation, Outcome, Point, Value};

use super::*;

/// Writes one after another, each read once.
fn history() -> History {
    let operation = |index: u64| Operation {
        process: index % 2,
        f: if index.is_multiple_of(4) {
            "write"
        } else {
            "read"
        }
        .into(),
        key: Some(Value::from("k")),
        input: match index.is_multiple_of(4) {
            true => Value::Int(index as i64),
            false => Value::Nil,
        },
        output: match index.is_multiple_of(4) {
            true => Value::Nil,
            false => Value::Int(index as i64 - 2),
        },
        outcome: Outcome::Ok,
        invoked: Point {
            index,
            time_ns: index,
        },
        ended: Some(Point {
            index: index + 1,
            time_ns: index + 1,
        }),
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    };
    let operations: Vec<Operation> = (0..20).map(|number| operation(2 * number)).collect();
    History::from_operations(&operations)
}

/// A certificate's file, and what it is of.
fn written() -> (tempfile::TempDir, PathBuf, History, ModelOptions) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cert.jsonl");
    let (history, model) = (history(), ModelOptions::new(ModelKind::Register));
    let certificate = certify(
        &history.operations(),
        &model,
        &Limits::default(),
        &Cancel::new(),
    )
    .expect("linearizable");
    let accepted = write(&path, &certificate, &history.operations(), &model).expect("writable");
    assert_eq!((accepted.placed, accepted.parts), (20, 1));
    (folder, path, history, model)
}

#[test]
fn what_is_written_is_accepted_and_nothing_is_left_beside_it() {
    let (folder, path, history, model) = written();
    let accepted = verify(&path, &history.operations(), &model).expect("just written");
    assert_eq!(accepted.placed, 20);
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    let text = fs::read_to_string(&path).expect("readable");
    let mut lines = text.lines();
    let header = "{\"format\":\"whitewater-certificate\",\"version\":1,\"model\":\"register\",";
    assert!(
        lines.next().expect("a header").starts_with(header),
        "{text}"
    );
    let order = "{\"part\":\"\\\"k\\\"\",\"order\":[0,2,4,6,";
    assert!(lines.next().expect("an order").starts_with(order), "{text}");
    assert_eq!(lines.next(), None);
}

/// However much of a certificate is there, it is refused or unreadable, and its place is named.
#[test]
fn what_is_cut_off_is_never_accepted() {
    let (_folder, path, history, model) = written();
    let text = fs::read(&path).expect("readable");
    for length in 0..text.len() {
        fs::write(&path, &text[..length]).expect("writable");
        match verify(&path, &history.operations(), &model) {
            Err(VerifyError::Read(FileError::Line { line, .. })) => {
                assert!((1..=2).contains(&line), "{length}");
            }
            Err(VerifyError::Refused(refusal)) => {
                assert!(matches!(refusal.why, Refused::PartMissing(_)), "{refusal}");
            }
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn a_wrong_certificate_is_not_written() {
    let (folder, _, history, model) = written();
    let mut certificate = certify(
        &history.operations(),
        &model,
        &Limits::default(),
        &Cancel::new(),
    )
    .expect("linearizable");
    certificate.orders[0].order.swap(3, 4);
    let path = folder.path().join("other");
    let error =
        write(&path, &certificate, &history.operations(), &model).expect_err("out of order");
    assert!(matches!(error, WriteError::Refused(_)), "{error}");
    assert!(!path.exists());
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let (folder, _, history, model) = written();
    let certificate = certify(
        &history.operations(),
        &model,
        &Limits::default(),
        &Cancel::new(),
    )
    .expect("linearizable");
    let error =
        write(folder.path(), &certificate, &history.operations(), &model).expect_err("a folder");
    assert!(
        matches!(error, WriteError::File(FileError::NoFile(_))),
        "{error}"
    );
}

#[test]
fn what_is_no_certificate_is_named() {
    let (_folder, path, history, model) = written();
    for text in [
        "",
        "\n",
        "hello\n",
        "{\"format\":\"whitewater-history\",\"version\":1}\n",
        "[1,2,3]\n",
    ] {
        fs::write(&path, text).expect("writable");
        let error = verify(&path, &history.operations(), &model).expect_err("no certificate");
        assert!(matches!(error, VerifyError::Read(_)), "{error}");
        assert!(error.to_string().contains("line 1: "), "{error}");
    }
}

#[test]
fn another_version_is_not_read() {
    let (_folder, path, history, model) = written();
    let text = fs::read_to_string(&path).expect("readable");
    fs::write(&path, text.replace("\"version\":1", "\"version\":2")).expect("writable");
    let error = verify(&path, &history.operations(), &model).expect_err("another version");
    assert!(error.to_string().contains("in version 2, not"), "{error}");
}
