//! Histories that others recorded, where they lie beside the repository: they are read whole, in
//! the format that is expected, and counted. The counts were taken from the files by other means.

use std::fs;
use std::path::{Path, PathBuf};

use histories::{FailedCas, Format, History, Outcome, Process, compare, read_file, write_jsonl};

/// File; invocations, ok, fail, info of clients; events of the nemesis.
const COUNTS: [(&str, [usize; 5]); 16] = [
    ("knossos/cas-register/bad-bad-analysis.edn", [9, 7, 0, 0, 0]),
    (
        "knossos/cas-register/bad-cas-failure.edn",
        [291, 205, 85, 1, 8],
    ),
    (
        "knossos/cas-register/bad-rethink-fail-minimal.edn",
        [4, 4, 0, 0, 0],
    ),
    (
        "knossos/cas-register/good-cas-register-bug.edn",
        [6, 5, 0, 0, 0],
    ),
    (
        "knossos/cas-register/good-memstress3-0.edn",
        [317, 231, 86, 0, 0],
    ),
    (
        "knossos/cas-register/good-memstress3-1.edn",
        [305, 217, 88, 0, 0],
    ),
    (
        "knossos/cas-register/good-memstress3-10.edn",
        [296, 226, 70, 0, 0],
    ),
    (
        "knossos/cas-register/good-memstress3-11.edn",
        [320, 244, 76, 0, 0],
    ),
    (
        "knossos/cas-register/good-mongodb-v0-ack-rollback-0.edn",
        [702, 13, 681, 8, 0],
    ),
    (
        "knossos/cas-register/good-mongodb-v0-ack-rollback-1.edn",
        [703, 14, 682, 7, 0],
    ),
    (
        "knossos/multi-register/good-multi-register.edn",
        [123, 119, 2, 2, 4],
    ),
    ("porcupine-kv/c01-bad.txt", [38, 38, 0, 0, 0]),
    ("porcupine-kv/c01-ok.txt", [58, 58, 0, 0, 0]),
    ("porcupine-kv/c10-bad.txt", [405, 405, 0, 0, 0]),
    ("porcupine-kv/c10-ok.txt", [337, 337, 0, 0, 0]),
    ("elle/paper-example.edn", [4, 4, 0, 0, 0]),
];

/// All logs of etcd together.
const ETCD_LOGS: usize = 50;
const ETCD_COUNTS: [usize; 5] = [4177, 2655, 884, 638, 0];

#[test]
fn every_case_is_read_and_counted() {
    let Some(cases) = cases() else { return };
    for (name, expected) in COUNTS {
        let format = if name.starts_with("porcupine") {
            Format::PorcupineKv
        } else {
            Format::Edn
        };
        assert_eq!(counts(&cases.join(name), format), expected, "{name}");
    }
    let mut sum = [0; 5];
    let mut logs = 0;
    for entry in fs::read_dir(cases.join("jepsen-etcd")).expect("the folder of logs") {
        let counts = counts(&entry.expect("an entry").path(), Format::JepsenLog);
        sum.iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
        logs += 1;
    }
    assert_eq!((logs, sum), (ETCD_LOGS, ETCD_COUNTS));
}

/// Reads a file in two ways, writes it in our format, reads that, and counts.
fn counts(path: &Path, format: Format) -> [usize; 5] {
    let bytes = fs::read(path).expect("a readable case");
    assert_eq!(
        histories::detect(&bytes).expect("a known format"),
        format,
        "{}",
        path.display()
    );
    let history = read_file(path, None).unwrap_or_else(|error| panic!("{error}"));
    assert!(!history.torn);
    assert_eq!(crate::lines(&history).len(), history.events.len());

    for written in Format::ALL {
        there_and_back(&history, written);
    }
    let mut ours = Vec::new();
    write_jsonl(&history, &mut ours).expect("memory takes it");
    let again = histories::read("ours", &ours, None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.events, history.events, "{}", path.display());
    assert_eq!(again.failed_cas, history.failed_cas);

    let expected = if format == Format::JepsenLog {
        FailedCas::Observed
    } else {
        FailedCas::NoEffect
    };
    assert_eq!(history.failed_cas, expected);
    let by_kind = |kind: &str| {
        let clients = history
            .events
            .iter()
            .filter(|event| event.process != Process::Nemesis);
        clients.filter(|event| event.kind.name() == kind).count()
    };
    let operations = history.operations();
    assert_eq!(operations.len(), by_kind("invoke"));
    let unknown = operations
        .iter()
        .filter(|operation| operation.outcome == Outcome::Info)
        .count();
    let completed = by_kind("ok") + by_kind("fail");
    assert_eq!(unknown, operations.len() - completed, "{}", path.display());
    let nemesis = history
        .events
        .iter()
        .filter(|event| event.process == Process::Nemesis)
        .count();
    [
        by_kind("invoke"),
        by_kind("ok"),
        by_kind("fail"),
        by_kind("info"),
        nemesis,
    ]
}

/// Writes a history in a format that can express it, and reads that again.
fn there_and_back(history: &History, format: Format) {
    let mut bytes = Vec::new();
    if histories::write(history, format, &mut bytes).is_err() {
        let ours = matches!(format, Format::Jsonl | Format::Binary);
        assert!(!ours, "{format} can express everything");
        return;
    }
    let again = histories::read("h", &bytes, Some(format));
    let again = again.unwrap_or_else(|error| panic!("{format}: {error}"));
    if let Err(error) = compare(history, &again, format) {
        panic!("{error}");
    }
}

/// The folder of cases; it may be absent, but not where everything must be tested.
fn cases() -> Option<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    if cases.is_dir() {
        return Some(cases);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no cases at {}",
        cases.display()
    );
    println!("skipped: no cases at {}", cases.display());
    None
}
