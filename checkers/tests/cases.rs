//! Histories that other people recorded, with the verdicts other people established.

use std::path::{Path, PathBuf};

use checkers::{Cancel, Limits, ModelOptions, NilReads, Verdict, linearizability};
use histories::{Format, Value};

/// Where the cases are, beside the repository; they are not part of it.
fn cases() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing",
        folder.display()
    );
    eprintln!("skipped: no {}", folder.display());
    None
}

/// `nil`, a number, or a map as `{:x,0,:y,0}`.
fn initial(text: &str) -> Value {
    if let Some(entries) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    {
        let words: Vec<Value> = entries.split(',').map(initial).collect();
        let pairs = words
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()));
        return Value::Map(pairs.collect());
    }
    match text {
        "nil" => Value::Nil,
        _ => text
            .parse()
            .map_or_else(|_| text.trim_start_matches(':').into(), Value::Int),
    }
}

/// The arguments of `whitewater check` as far as the cases use them.
fn arguments(args: &str) -> (Format, ModelOptions) {
    let words: Vec<&str> = args.split_whitespace().collect();
    let of = |name: &str| {
        words
            .iter()
            .position(|word| *word == name)
            .map(|at| words[at + 1])
    };
    let format = of("--format")
        .expect("a format")
        .parse()
        .expect("a known format");
    let model = of("--model")
        .expect("a model")
        .parse()
        .expect("a known model");
    let mut options = ModelOptions::new(model);
    options.initial = of("--initial").map(initial);
    if format == Format::PorcupineKv {
        options.initial = Some("".into());
    }
    if of("--nil-reads") == Some("any") {
        options.nil_reads = NilReads::Any;
    }
    (format, options)
}

#[test]
fn every_case_has_the_verdict_expected() {
    let Some(folder) = cases() else { return };
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let mut checked = 0;
    for row in table.lines().skip(1) {
        let [file, expected, args] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row:?}")
        };
        let (format, options) = arguments(args);
        let history = histories::read_file(&folder.join(file), Some(format)).unwrap();
        let operations = history.operations();
        let judgement =
            linearizability(&operations, &options, &Limits::default(), &Cancel::new()).unwrap();
        let verdict = judgement.check.verdict;
        assert_eq!(verdict.as_str(), expected, "{file}: {:?}", judgement.check);
        if verdict == Verdict::Invalid {
            let counterexample = judgement.counterexample.unwrap();
            let small = counterexample.core.len() <= 16;
            // Of appends of unknown outcome there are too many orders to try them all.
            let appends = file.ends_with("c10-bad.txt");
            assert!(counterexample.confirmed || !small || appends, "{file}");
            assert!(
                counterexample.minimal || file.ends_with("c10-bad.txt"),
                "{file}"
            );
            assert!(!counterexample.explanation.is_empty(), "{file}");
        }
        checked += 1;
    }
    assert!(checked >= 65, "only {checked} cases");
}
