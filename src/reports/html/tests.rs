//! Goal: the page shows what it must, of any input, and nothing in it escapes from its text.

use std::ops::Range;

use checkers::{
    Check, CoreOperation, Finding, Guarantee, Guarantees, StaleRead, Staleness, Standing,
};
use histories::{Event, EventType, Fault, FaultPhase, Header, Operation, Process, RunInfo, Value};

use super::chart::{Sample, percentile, thin};
use super::*;

const MS: u64 = 1_000_000;

/// A history under construction: events are put in order of time at the end.
#[derive(Default)]
struct Story {
    events: Vec<Event>,
    clients: u64,
}

impl Story {
    fn event(&mut self, time_ns: u64, process: Process, kind: EventType, f: &str, value: Value) {
        let key = matches!(process, Process::Client(_)).then(|| Value::from("k1"));
        let event = Event {
            index: 0,
            time_ns,
            process,
            kind,
            f: f.into(),
            key,
            value,
            node: Some("n1".into()),
            error: None,
            path: Vec::new(),
        };
        self.events.push(event);
    }

    fn call(&mut self, process: u64, f: &str, value: i64, time_ns: Range<u64>, end: EventType) {
        let who = Process::Client(process);
        let (input, output) = match f {
            "read" => (Value::Nil, Value::Int(value)),
            _ => (Value::Int(value), Value::Nil),
        };
        self.event(time_ns.start, who, EventType::Invoke, f, input);
        if end != EventType::Invoke {
            self.event(time_ns.end, who, end, f, output);
        }
    }

    fn fault(&mut self, id: u64, kind: &str, phases: &[(u64, FaultPhase)]) {
        for (time_ns, phase) in phases {
            let fault = Fault {
                id,
                kind: kind.into(),
                phase: *phase,
                targets: vec!["n2".into()],
                parameters: Value::Map(vec![(Value::from("shape"), Value::from("one"))]),
                evidence: Value::from(format!("evidence of {}", phase.name())),
                effective: Some(*phase != FaultPhase::Error),
            };
            self.events.push(fault.to_event(0, *time_ns));
        }
    }

    fn leader(&mut self, time_ns: u64, node: &str, term: i64) {
        let value = Value::Map(vec![
            (Value::from("leader"), Value::from(node)),
            (Value::from("term"), Value::Int(term)),
        ]);
        self.event(time_ns, Process::Nemesis, EventType::Info, "leader", value);
    }

    fn history(mut self) -> History {
        self.events.sort_by_key(|event| event.time_ns);
        for (index, event) in (0..).zip(&mut self.events) {
            event.index = index;
        }
        let run = RunInfo {
            clients: self.clients,
            ..RunInfo::default()
        };
        let header = Header {
            run: (self.clients > 0).then_some(run),
        };
        History {
            header,
            events: self.events.into(),
            ..History::default()
        }
    }
}

/// A counterexample of these operations, the last of which cannot be placed.
fn found(core: Vec<CoreOperation>) -> Counterexample {
    Counterexample {
        key: Some(Value::from("k1")),
        culprit: core.len().saturating_sub(1),
        core,
        any_start: false,
        prefix_events: 9,
        confirmed: true,
        minimal: true,
        explanation: vec![
            "the first reason".to_owned(),
            "the second reason".to_owned(),
        ],
        guarantees: None,
    }
}

fn core_of(history: &History) -> Vec<CoreOperation> {
    let operations = history.operations().to_vec().into_iter();
    operations
        .map(|operation| CoreOperation {
            operation,
            weakened: false,
        })
        .collect()
}

fn page_of(history: &History, counterexample: Option<Counterexample>) -> String {
    let check = match counterexample {
        Some(_) => Check::invalid("linearizability", "a stale read"),
        None => Check::valid("linearizability"),
    };
    let report = Report::new(1, 1, vec![check], counterexample);
    let input = Input {
        plan: &Plan::default(),
        history,
        report: &report,
        folder: "run-7",
        replay_command: "whitewater replay runs/run-7",
        checked_in_ms: Some(12),
        unavailable: &[],
    };
    let page = render(&input);
    check_page(&page);
    page
}

/// What holds of every page: it is whole, refers to nothing outside, and every number in its
/// pictures is one.
fn check_page(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    for outside in [
        "http://", "https://", "//cdn", " src=", "href=", "@import", "<script", "<link",
    ] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    for reference in page.split("url(").skip(1) {
        assert!(
            reference.starts_with('#'),
            "the page refers to {:.20}",
            reference
        );
    }
    for name in [
        "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height",
    ] {
        for number in attributes(page, name) {
            let number: f64 = number.parse().unwrap_or(f64::NAN);
            assert!(number.is_finite(), "{name} is not a number");
            assert!(number >= 0.0, "{name} is {number}");
        }
    }
    for path in attributes(page, "d") {
        assert!(!path.contains("NaN") && !path.contains("inf"), "{path}");
    }
}

fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let open = format!(" {name}=\"");
    page.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// A write, a later write, and a read of the first: stale.
fn stale() -> Story {
    let mut story = Story {
        clients: 3,
        ..Story::default()
    };
    story.call(0, "write", 101, 1_000 * MS..1_002 * MS + 1, EventType::Ok);
    story.call(1, "write", 102, 1_004 * MS..1_006 * MS, EventType::Ok);
    story.call(5, "read", 101, 1_008 * MS..1_010 * MS + 345, EventType::Ok);
    story
}

#[test]
fn every_operation_of_the_counterexample_appears() {
    let history = stale().history();
    let page = page_of(&history, Some(found(core_of(&history))));
    for text in [
        "write k1 101",
        "write k1 102",
        "read k1 → 101",
        "client 2, process 5",
        "1010.000345",
        "1002.000001",
        "cannot be placed",
        "the first reason",
        "the second reason",
        "No fault was in force meanwhile",
        "whitewater replay runs/run-7",
        "Clients around the violation",
    ] {
        assert!(page.contains(text), "no {text:?}");
    }
    // One in the legend, one in its lane.
    assert_eq!(page.matches("bar culprit\" x=").count(), 2);
}

#[test]
fn unbounded_operations_fade_to_the_right() {
    let mut story = stale();
    story.call(7, "write", 103, 1_001 * MS..1_009 * MS, EventType::Info);
    story.call(8, "write", 104, 1_001 * MS..1_001 * MS, EventType::Invoke);
    let history = story.history();
    let mut core = core_of(&history);
    core[0].weakened = true;
    let page = page_of(&history, Some(found(core)));
    assert_eq!(page.matches("outcome unknown: takes effect").count(), 2);
    assert_eq!(
        page.matches("does not matter to the contradiction").count(),
        1
    );
    assert!(page.contains("no completion was recorded"));
    assert_eq!(page.matches("class=\"open\"").count(), 3);
}

#[test]
fn faults_in_force_are_named_and_shaded() {
    let mut story = stale();
    story.fault(
        4,
        "partition",
        &[
            (900 * MS, FaultPhase::Inject),
            (1_005 * MS, FaultPhase::Heal),
        ],
    );
    story.fault(
        5,
        "clock",
        &[(950 * MS, FaultPhase::Inject), (980 * MS, FaultPhase::Heal)],
    );
    story.leader(1_005 * MS, "n3", 5);
    let history = story.history();
    let page = page_of(&history, Some(found(core_of(&history))));
    assert!(page.contains("In force meanwhile: #4 partition one n2."));
    assert!(page.contains("n3 (term 5)"));
    assert!(page.contains("class=\"leader\""));
    assert!(page.contains("shape: one"));
    assert!(page.contains("evidence of heal"));
    // Partition has its usual style, an unknown kind the first free one.
    assert!(page.contains("shade fault-2") && page.contains("shade fault-3"));
}

#[test]
fn a_fault_that_failed_is_told_but_not_shaded() {
    let mut story = stale();
    story.fault(
        1,
        "kill",
        &[(900 * MS, FaultPhase::Begin), (901 * MS, FaultPhase::Error)],
    );
    let page = page_of(&story.history(), None);
    assert!(page.contains("error at 901.000000 ms"));
    assert!(page.contains("<strong class=\"bad\">no</strong>"));
    assert!(!page.contains("shade fault"));
    assert!(page.contains("Clients at the beginning"));
}

#[test]
fn a_fault_that_was_never_healed_lasts_to_the_end() {
    let mut story = stale();
    story.fault(1, "pause", &[(1_005 * MS, FaultPhase::Inject)]);
    let page = page_of(&story.history(), None);
    assert!(page.contains("not healed"));
    assert!(page.contains("shade fault-1"));
    assert!(page.contains("Clients around the first fault"));
}

#[test]
fn whatever_a_history_says_is_only_text() {
    const EVIL: &str = "</title></style><script>alert('1')</script>\"><img src=x onerror=y>&";
    let mut story = stale();
    story.fault(
        1,
        EVIL,
        &[
            (1_001 * MS, FaultPhase::Inject),
            (1_009 * MS, FaultPhase::Error),
        ],
    );
    story.leader(1_002 * MS, EVIL, 1);
    story.event(
        1_003 * MS,
        Process::Nemesis,
        EventType::Info,
        "node-exit",
        Value::from(EVIL),
    );
    let mut history = story.history();
    let mut events: Vec<Event> = history.events.iter().collect();
    for event in &mut events {
        event.node = Some(EVIL.into());
        event.error = Some(EVIL.into());
        event.path = vec![EVIL.into(), EVIL.into()];
        if matches!(event.process, Process::Client(_)) {
            event.key = Some(Value::from(EVIL));
            event.f = EVIL.into();
            event.value = Value::from(EVIL);
        }
    }
    history.events = events.into();
    let mut counterexample = found(core_of(&history));
    counterexample.key = Some(Value::from(EVIL));
    counterexample.explanation = vec![EVIL.to_owned()];
    counterexample.guarantees = Some(Guarantees {
        findings: vec![Finding {
            guarantee: Guarantee::MonotonicReads,
            standing: Standing::Broken,
            reason: Some(EVIL.to_owned()),
            operations: vec![0],
        }],
        staleness: Some(Staleness {
            by_writes: StaleRead {
                index: 0,
                process: 0,
                node: Some(EVIL.to_owned()),
                writes: 1,
                behind_ns: Some(1),
            },
            by_time: None,
        }),
    });
    let check = Check::invalid("linearizability", EVIL).with_hint(EVIL);
    let checks = vec![check.with_details(vec![EVIL.to_owned()])];
    let mut plan = Plan::default();
    plan.system.name = EVIL.to_owned();
    plan.system.bugs = vec![EVIL.to_owned()];
    plan.workload.name = EVIL.to_owned();
    plan.check.model = EVIL.to_owned();
    let report = Report::new(3, 1, checks, Some(counterexample));
    let page = render(&Input {
        plan: &plan,
        history: &history,
        report: &report,
        folder: EVIL,
        replay_command: EVIL,
        checked_in_ms: None,
        unavailable: &[],
    });
    let clean = render(&Input {
        plan: &Plan::default(),
        history: &History::default(),
        report: &report_without_text(),
        folder: "run",
        replay_command: "replay",
        checked_in_ms: None,
        unavailable: &[],
    });
    assert!(page.matches("&lt;script&gt;").count() > 30);
    for opening in ["<script", "<img", "</style>", "</title></style>"] {
        let expected = clean.matches(opening).count();
        assert_eq!(page.matches(opening).count(), expected, "{opening}");
    }
}

fn report_without_text() -> Report {
    Report::new(0, 0, Vec::new(), None)
}

#[test]
fn little_input_still_makes_a_page() {
    let empty = Story::default;
    let one = |end| {
        let mut story = empty();
        story.call(0, "write", 1, 0..0, end);
        story
    };
    let mut only_faults = empty();
    only_faults.fault(0, "kill", &[(5, FaultPhase::Inject), (6, FaultPhase::Heal)]);
    let mut late = empty();
    late.call(0, "read", 1, u64::MAX - 1..u64::MAX, EventType::Ok);
    let mut long = empty();
    long.call(0, "read", 1, 0..u64::MAX, EventType::Ok);
    for story in [
        empty(),
        one(EventType::Ok),
        one(EventType::Fail),
        one(EventType::Info),
        one(EventType::Invoke),
        only_faults,
        late,
        long,
    ] {
        let mut history = story.history();
        history.torn = true;
        let page = page_of(&history, None);
        assert!(page.contains("cut off in the middle"));
        if history.operations().is_empty() {
            assert!(page.contains("No operations were recorded."));
        }
        let core = core_of(&history);
        page_of(&history, Some(found(core)));
    }
}

#[test]
fn an_unknown_verdict_says_why_and_what_to_do() {
    let check = Check::unknown("assumptions", "no fault overlapped").with_hint("more time");
    let report = Report::new(0, 0, vec![check], None);
    let page = render(&Input {
        plan: &Plan::default(),
        history: &History::default(),
        report: &report,
        folder: "run",
        replay_command: "replay",
        checked_in_ms: None,
        unavailable: &[],
    });
    check_page(&page);
    assert!(page.contains("<span class=\"badge unknown\">unknown</span>"));
    assert_eq!(page.matches("no fault overlapped").count(), 2);
    assert!(page.contains("hint: more time"));
}

#[test]
fn a_culprit_beyond_all_operations_is_survived() {
    let history = stale().history();
    for culprit in [3, 100, usize::MAX] {
        let counterexample = Counterexample {
            culprit,
            ..found(core_of(&history))
        };
        page_of(&history, Some(counterexample));
    }
}

#[test]
fn of_a_large_counterexample_the_operations_before_the_culprit_are_drawn() {
    let mut story = Story::default();
    for i in 0..200 {
        let from = i * 3 * MS;
        story.call(
            i,
            "write",
            i64::try_from(i).unwrap(),
            from..from + MS,
            EventType::Ok,
        );
    }
    let history = story.history();
    let counterexample = Counterexample {
        culprit: 150,
        ..found(core_of(&history))
    };
    let page = page_of(&history, Some(counterexample));
    assert!(page.contains("40 of the 200 operations are drawn"));
    assert_eq!(page.matches("class=\"lane\"").count(), 40);
    assert_eq!(page.matches("✗ cannot be placed").count(), 1);
    assert_eq!(page.matches("<code>write k1 ").count(), 200);
}

#[test]
fn the_timeline_is_bounded_and_keeps_the_counterexample() {
    let mut story = Story {
        clients: 1_000,
        ..Story::default()
    };
    for process in 0..1_000 {
        let from = (process % 10) * MS;
        story.call(process, "read", 7, from..from + 900 * MS, EventType::Ok);
        story.call(
            process,
            "read",
            7,
            from + 1_000 * MS..from + 1_001 * MS,
            EventType::Ok,
        );
    }
    let history = story.history();
    let core: Vec<_> = core_of(&history)
        .into_iter()
        .filter(|one| one.operation.process == 997)
        .collect();
    let page = page_of(&history, Some(found(core)));
    let timeline = page.split("Clients around the violation").nth(1).unwrap();
    assert!(timeline.contains(">client 997<"));
    assert_eq!(timeline.matches(">client ").count(), 40);
    assert!(timeline.matches("<rect class=\"bar").count() <= 400 + 4);
    assert!(timeline.contains("lanes are shown"));
}

#[test]
fn thinning_keeps_the_slowest_of_every_stretch() {
    let operation = stale().history().operations().get(0);
    for (buckets, each) in [(120, 500), (120, 3), (1, 100_000), (120, 0)] {
        let bucket = |n: u64| {
            (0..each)
                .map(|i| Sample {
                    latency_ns: n + i,
                    operation: &operation,
                })
                .collect()
        };
        let by_bucket: Vec<Vec<Sample<'_>>> = (0..buckets).map(bucket).collect();
        let kept = thin(&by_bucket);
        assert!(kept.len() <= 4_000, "{buckets} of {each}: {}", kept.len());
        let all = usize::try_from(buckets * each).unwrap();
        assert!(
            kept.len() >= all.min(1_900),
            "{buckets} of {each}: {}",
            kept.len()
        );
        for samples in &by_bucket {
            let Some(slowest) = samples.last() else {
                continue;
            };
            assert!(
                kept.iter()
                    .any(|sample| sample.latency_ns == slowest.latency_ns)
            );
        }
    }
}

#[test]
fn percentiles_are_of_the_nearest_rank() {
    let operation: Operation = stale().history().operations().get(0);
    let samples = |count: u64| -> Vec<Sample<'_>> {
        (1..=count)
            .map(|latency_ns| Sample {
                latency_ns,
                operation: &operation,
            })
            .collect()
    };
    for (count, percent, expected) in [
        (0, 50, None),
        (1, 50, Some(1)),
        (1, 99, Some(1)),
        (100, 50, Some(50)),
        (200, 99, Some(198)),
    ] {
        assert_eq!(
            percentile(&samples(count), percent),
            expected,
            "{percent} % of {count}"
        );
    }
}

#[test]
fn rates_are_operations_per_second() {
    // 10 s with 20 operations each 100 ms: 200 a second throughout, nothing at 0 or below.
    let mut story = Story {
        clients: 20,
        ..Story::default()
    };
    for tick in 0..100_u64 {
        for process in 0..20 {
            let from = tick * 100 * MS;
            story.call(process, "read", 7, from..from + 50 * MS, EventType::Ok);
        }
    }
    story.leader(10_000 * MS, "n1", 1);
    let page = page_of(&story.history(), None);
    let rate = page
        .split("operations per second over time")
        .nth(1)
        .unwrap();
    let line = rate.split("<path class=\"line ok\"").nth(1).unwrap();
    let path = attributes(line, "d")[0];
    let heights: Vec<f64> = path[1..]
        .split('L')
        .map(|point| point.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(heights.len(), 100);
    assert!(
        heights.iter().all(|y| (y - heights[0]).abs() < 0.2),
        "{heights:?}"
    );
    // The line runs along the top label: 200.
    let top = rate
        .split(">200</text>")
        .next()
        .unwrap()
        .rsplit(" y=\"")
        .next()
        .unwrap();
    let top: f64 = top.trim_end_matches('"').parse().unwrap();
    assert!((top - 4.0 - heights[0]).abs() < 0.2);
}

#[test]
fn the_page_is_a_function_of_its_input() {
    let history = stale().history();
    let page = || page_of(&history, Some(found(core_of(&history))));
    assert_eq!(page(), page());
}
