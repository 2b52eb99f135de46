//! The check beside a run, on histories that are written by hand.

use std::io::Write;

use super::*;

const HEADER: &str = r#"{"format":"whitewater-history","version":1}"#;

/// A write of 1, and a read of this after it.
fn lines(read: i64) -> String {
    format!(
        r#"{HEADER}
{{"index":0,"time":1000000000,"process":0,"type":"invoke","f":"write","key":"k","value":1}}
{{"index":1,"time":2000000000,"process":0,"type":"ok","f":"write","key":"k","value":1}}
{{"index":2,"time":3000000000,"process":12,"type":"invoke","f":"read","key":"k"}}
{{"index":3,"time":4000000000,"process":12,"type":"ok","f":"read","key":"k","value":{read}}}
"#
    )
}

fn plan(keep_going: bool) -> Plan {
    let mut plan = Plan::default();
    plan.check.model = "cas-register".to_owned();
    plan.check.keep_going = keep_going;
    plan
}

/// Checks a history that is written after the check began.
fn follow(plan: &Plan, text: &str) -> (Findings, bool, Vec<Notice>) {
    let store = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::create(store.path(), plan).expect("writable");
    let mut beside = Beside::start(plan, &folder);
    let mut file = File::create(folder.history_path(plan.history_format.into())).expect("writable");
    file.write_all(text.as_bytes()).expect("writable");
    let mut told = Vec::new();
    let finished = Notice::Finished {
        stopped: false,
        events: 4,
    };
    beside.pass_on(&finished, &mut |notice| told.push(notice.clone()));
    let stops = folder.path().join(STOP_FILE).exists();
    (beside.finish(), stops, told)
}

#[test]
fn a_violation_is_told_once_and_ends_the_run_unless_it_keeps_going() {
    for keep_going in [false, true] {
        let (findings, stops, told) = follow(&plan(keep_going), &lines(7));
        let text = "key \"k\": read → 7 by process 12, which ended at t = 4.000 s, fits into no \
                    order of the operations before it";
        assert_eq!(findings.violation.as_deref(), Some(text));
        assert_eq!((findings.violations, findings.undecided_keys), (1, 0));
        assert_eq!(stops, !keep_going);
        assert_eq!(findings.stopped, !keep_going);
        let violations = told
            .iter()
            .filter(|notice| matches!(notice, Notice::Violation { .. }));
        assert_eq!(violations.count(), 1);
    }
}

#[test]
fn what_is_right_is_checked_through_to_its_end() {
    let (findings, stops, told) = follow(&plan(false), &lines(1));
    assert_eq!(
        (findings.violation, findings.ended, stops),
        (None, None, false)
    );
    let through = findings.checked_through.map(|through| through.time_ns);
    assert_eq!(through, Some(4_000_000_000));
    let Some(Notice::Online(online)) = told.first() else {
        panic!("{told:?}")
    };
    assert_eq!((online.through_ms, online.is_behind), (Some(4_000), false));
}

#[test]
fn what_cannot_be_read_is_said() {
    for (text, expected) in [
        ("no history\n", "history:1"),
        (
            &*format!(
                "{HEADER}\n{{\"index\":0,\"time\":1,\"process\":0,\"type\":\"invoke\",\"f\":\"push\"}}\n"
            ),
            "push",
        ),
    ] {
        let (findings, ..) = follow(&plan(false), text);
        let ended = findings.ended.expect("nothing can be checked");
        assert!(ended.contains(expected), "{ended}");
    }
}

/// Goal: a violation is never passed over. Method: the verdict on the whole history is what it is.
#[test]
fn a_violation_that_is_not_confirmed_leaves_the_verdict_open() {
    let judged = |check: Check| Judged {
        messages: None,
        report: Report::new(4, 1, vec![Check::valid("assumptions"), check], None),
        coverage: Vec::new(),
        elapsed_ms: 5,
    };
    let found = Findings {
        violation: Some("a read".to_owned()),
        ..Findings::default()
    };
    let name = "linearizability";
    for (check, verdict, hint) in [
        (Check::invalid(name, "stale"), Verdict::Invalid, None),
        (Check::valid(name), Verdict::Unknown, Some("defect")),
        (
            Check::unknown(name, "time"),
            Verdict::Unknown,
            Some("--check-time"),
        ),
    ] {
        let report = confirm(judged(check.clone()), &found).report;
        assert_eq!(report.verdict, verdict);
        let online = report.checks.iter().find(|check| check.name == "online");
        let said = online.and_then(|check| check.hint.as_deref());
        assert_eq!(said.is_some(), hint.is_some());
        assert!(said.is_none_or(|said| said.contains(hint.unwrap_or_default())));
        // Without a violation nothing changes.
        let report = confirm(judged(check.clone()), &Findings::default()).report;
        assert_eq!(report.verdict, check.verdict);
    }
}
