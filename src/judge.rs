//! From a history to a report: every check there is, the worst verdict wins.

use std::collections::HashSet;
use std::time::Instant;

use checkers::{
    AnalysisContext, Cancel, Check, Contention, JudgeError, Limits, ModelKind, Report, Verdict,
};
use faults::Kind;
use histories::{Event, FaultSpan, History, Operations, Value};

use crate::coverage::{KindCoverage, coverage};
use crate::criteria::Criteria;
use crate::plan::Plan;
use crate::plan::of_maelstrom::SYSTEM;
use crate::units::ms;

pub mod of_maelstrom;

/// The nemesis' event for a node that ended by itself: value `{node, text}`.
pub const NODE_EXIT: &str = "node-exit";
/// The nemesis' event for a change of leader: value `{leader, term}`.
pub const LEADER: &str = "leader";
/// The nemesis' event for failures that the nodes' logs tell of: value `{count, lines, unread}`. There
/// is one where the system's definition knows failures.
pub const LOG_FAILURES: &str = "log-failures";
/// The nemesis' event for how the cluster came back: value `{limit_ms, took_ms}`.
pub const RECOVERY: &str = "recovery";

/// How long after its end it may be noticed that a node has ended.
const NOTICED_LIMIT_NS: u64 = 1_000_000_000;

/// A report, and how long it took to make.
#[derive(Debug)]
pub struct Judged {
    /// What the checks say.
    pub report: Report,
    /// What each kind of fault exercised; empty where the history is not ours, or had none.
    pub coverage: Vec<KindCoverage>,
    /// How many messages there were, in a run of Maelstrom's protocol.
    pub messages: Option<Value>,
    /// How long the checks took, in milliseconds.
    pub elapsed_ms: u64,
}

/// Judges a history.
///
/// A history of our own (its header says so) is held to what a run must show besides: that the
/// cluster recovered, and that no node ended by itself.
///
/// # Errors
/// When an operation or the initial value means nothing to the model.
pub fn judge(
    history: &History,
    criteria: &Criteria,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Judged, JudgeError> {
    let start = Instant::now();
    let operations = history.operations();
    let run = history.header.run.as_ref();
    let faults = history.faults();
    let is_maelstrom = run.is_some_and(|run| run.system == SYSTEM);
    let contention = match is_maelstrom {
        true => Contention::InTurn,
        false => Contention::Together,
    };
    let mut checks = vec![checkers::assumptions(&operations, &faults, run, contention)];
    let nemesis: Vec<Event> = history.events.nemesis().collect();
    if run.is_some() {
        checks.extend(checks_of_run(&nemesis, &faults));
    }
    checks.extend(of_maelstrom::availability(&nemesis, &operations));
    let consistency = match criteria.consistency.is_empty() {
        true => of_maelstrom::consistency(&nemesis),
        false => criteria.consistency.clone(),
    };
    let judgement = match &criteria.model {
        Some(model) => Some(checkers::linearizability(
            &operations,
            model,
            limits,
            cancel,
        )?),
        None => None,
    };
    // What the bank's own check asks for follows from it.
    let of_bank = criteria
        .model
        .as_ref()
        .filter(|model| model.kind == ModelKind::Bank);
    let context = AnalysisContext {
        initial: criteria.initial.as_ref(),
        linearizable: judgement
            .as_ref()
            .filter(|_| of_bank.is_some())
            .map(|one| one.check.verdict),
        settled_index: of_maelstrom::settled_index(&nemesis),
        consistency: &consistency,
        limits,
        cancel,
    };
    let (keys, counterexample) = match judgement {
        Some(judgement) => {
            checks.push(judgement.check);
            (judgement.keys, judgement.counterexample)
        }
        None => (distinct_keys(&operations), None),
    };
    checks.extend(
        criteria
            .analyses
            .iter()
            .map(|analysis| analysis.check(&operations, &context)),
    );
    if criteria.model.is_none() && criteria.analyses.is_empty() {
        let reason = "neither a model nor a check of its own says what a correct system does";
        checks.push(Check::unknown("criteria", reason));
    }
    let report = Report::new(operations.len() as u64, keys, checks, counterexample);
    let elapsed_ms = ms(start.elapsed());
    Ok(Judged {
        report,
        coverage: coverage(history),
        messages: of_maelstrom::messages(&nemesis),
        elapsed_ms,
    })
}

/// What every run must show besides, whatever its clients saw.
fn checks_of_run(nemesis: &[Event], faults: &[FaultSpan]) -> Vec<Check> {
    let mut checks = vec![node_exits(nemesis, faults)];
    checks.extend(logs(nemesis));
    let recovery = checkers::recovery(nemesis);
    checks.push(recovery.unwrap_or_else(|| {
        let reason = "the run ended before it was seen whether the cluster recovers";
        Check::unknown("recovery", reason)
    }));
    checks
}

/// Judges a run's history by the limits and the criteria of its plan.
///
/// # Errors
/// In words: the plan's model is none, or the history is none of its operations.
pub fn judge_by_plan(history: &History, plan: &Plan) -> Result<Judged, String> {
    let criteria = Criteria::of_plan(plan)?;
    let limits = Limits {
        time_ms: plan.check.time_limit_ms,
        memory_bytes: plan.check.memory_limit_mib.saturating_mul(1 << 20),
        ..Limits::default()
    };
    judge(history, &criteria, &limits, &Cancel::new()).map_err(|error| error.to_string())
}

/// How many keys the operations are on.
fn distinct_keys(operations: &Operations<'_>) -> u64 {
    let keys = (0..operations.len()).map(|number| operations.packed(number).key);
    keys.collect::<HashSet<_>>().len() as u64
}

/// Whether the nodes' logs tell of a failure of the system; none where nobody looked for one.
fn logs(nemesis: &[Event]) -> Option<Check> {
    let event = nemesis.iter().find(|event| &*event.f == LOG_FAILURES)?;
    let list = |name: &str| {
        let items = event.value.get(name).and_then(Value::as_list);
        let items = items.unwrap_or_default().iter();
        let texts = items.filter_map(|item| item.as_text().map(str::to_owned));
        texts.collect::<Vec<String>>()
    };
    let count = event.value.get("count").and_then(Value::as_u64);
    let (lines, unread) = (list("lines"), list("unread"));
    let check = match (count, lines.first(), unread.first()) {
        (Some(0), _, None) => Check::valid("logs"),
        (Some(0), _, Some(unread)) => {
            Check::unknown("logs", format!("a log could not be read: {unread}"))
        }
        (count, Some(first), _) => {
            let more = count.unwrap_or(1).saturating_sub(1);
            let more = match more {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let check = Check::invalid("logs", format!("{first}{more}"));
            check.with_hint("the node's logs are in the run folder, under nodes")
        }
        (_, None, _) => Check::unknown("logs", "what was found in the logs is not told"),
    };
    Some(Check {
        details: lines.into_iter().chain(unread).collect(),
        ..check
    })
}

/// Whether every node lived until it was killed, or had a fault that it had better end of. One that
/// did not may be at fault, or may have lacked memory or disk: that is for people to find out, and
/// never `valid`.
fn node_exits(nemesis: &[Event], faults: &[FaultSpan]) -> Check {
    let (mut unexplained, mut details) = (None, Vec::new());
    for exit in nemesis.iter().filter(|event| &*event.f == NODE_EXIT) {
        let text = match exit.value.get("text").and_then(Value::as_text) {
            Some(text) => text.to_owned(),
            None => exit.value.to_string(),
        };
        match faults.iter().find(|fault| is_excused_by(exit, fault)) {
            Some(fault) => {
                details.push(format!("under fault {} ({}): {text}", fault.id, fault.kind))
            }
            None => {
                // Its last lines stand in the details.
                let summary = || {
                    text.split([';', '\n'])
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                };
                unexplained.get_or_insert_with(summary);
                details.push(text);
            }
        }
    }
    let check = Check {
        details,
        ..Check::valid("node-exits")
    };
    match unexplained {
        None => check,
        Some(summary) => Check {
            verdict: Verdict::Unknown,
            reason: Some(summary),
            hint: Some("the node's logs are in the run folder".to_owned()),
            ..check
        },
    }
}

/// Whether a node that ended by itself was hit just then by this fault, of which it may.
fn is_excused_by(exit: &Event, fault: &FaultSpan) -> bool {
    let node = exit.value.get("node").and_then(Value::as_text);
    let kind: Option<Kind> = fault.kind.parse().ok();
    let may_end = kind.is_some_and(Kind::may_end_nodes);
    let began = fault.begin.is_some_and(|begin| begin.index < exit.index);
    // What is damaged stays so. Else, a node that ended is noticed a little later.
    let is_over = kind != Some(Kind::BitFlip)
        && fault
            .heal
            .is_some_and(|heal| heal.time_ns + NOTICED_LIMIT_NS < exit.time_ns);
    let hit = fault.targets.iter().any(|target| Some(&**target) == node);
    may_end && hit && began && !is_over
}

#[cfg(test)]
mod tests {
    use checkers::{Analysis, ModelOptions, NilReads};
    use histories::{EventType, Header, Process, RunInfo};

    use super::*;

    fn event(index: u64, process: Process, kind: EventType, f: &str, value: Value) -> Event {
        Event {
            index,
            time_ns: index,
            process,
            kind,
            f: f.into(),
            key: None,
            value,
            node: None,
            error: None,
            path: Vec::new(),
        }
    }

    fn verdict(events: Vec<Event>, run: bool) -> Report {
        let run = run.then(RunInfo::default);
        let history = History {
            header: Header { run },
            events: events.into(),
            ..History::default()
        };
        let model = ModelOptions {
            nil_reads: NilReads::Observe,
            ..ModelOptions::new(ModelKind::Register)
        };
        judge(
            &history,
            &Criteria::of_model(model),
            &Limits::default(),
            &Cancel::new(),
        )
        .expect("a register's")
        .report
    }

    #[test]
    fn an_empty_history_is_never_valid() {
        assert_eq!(verdict(Vec::new(), false).verdict, Verdict::Unknown);
        assert_eq!(verdict(Vec::new(), true).verdict, Verdict::Unknown);
    }

    #[test]
    fn without_a_model_or_a_check_of_its_own_nothing_is_valid() {
        let client = Process::Client(0);
        let events = vec![
            event(0, client, EventType::Invoke, "generate", Value::Nil),
            event(1, client, EventType::Ok, "generate", 1.into()),
        ];
        let history = History {
            events: events.into(),
            ..History::default()
        };
        let judged = |criteria: &Criteria| {
            let judged = judge(&history, criteria, &Limits::default(), &Cancel::new());
            judged.expect("no model").report.verdict
        };
        assert_eq!(judged(&Criteria::default()), Verdict::Unknown);
        let unique = Criteria {
            analyses: vec![Analysis::UniqueIds],
            ..Criteria::default()
        };
        assert_eq!(judged(&unique), Verdict::Valid);
    }

    #[test]
    fn a_run_in_which_a_node_ended_by_itself_is_not_valid() {
        let client = Process::Client(0);
        let mut events = vec![
            event(0, client, EventType::Invoke, "write", 1.into()),
            event(1, client, EventType::Ok, "write", 1.into()),
        ];
        assert_eq!(verdict(events.clone(), false).verdict, Verdict::Valid);
        let exit = Value::Map(vec![(
            "text".into(),
            "node n1 ended; its last lines:\n  | log".into(),
        )]);
        events.push(event(2, Process::Nemesis, EventType::Info, NODE_EXIT, exit));
        let report = verdict(events, true);
        let check = report
            .checks
            .iter()
            .find(|check| check.name == "node-exits");
        let check = check.expect("made for every run");
        assert_eq!(check.verdict, Verdict::Unknown);
        assert_eq!(check.reason.as_deref(), Some("node n1 ended"));
    }

    #[test]
    fn a_node_may_end_of_a_fault_that_leaves_it_no_choice() {
        let fault = |kind: &str, phase: &str, node: &str| {
            Value::Map(vec![
                ("id".into(), 1.into()),
                ("phase".into(), phase.into()),
                ("kind".into(), kind.into()),
                ("targets".into(), Value::List(vec![node.into()])),
            ])
        };
        let exit = Value::Map(vec![
            ("node".into(), "n1".into()),
            ("text".into(), "x".into()),
        ]);
        let rows = [
            ("io-error", "n1", 5, true),
            ("io-error", "n2", 5, false),
            ("slow-fsync", "n1", 5, false),
            ("io-error", "n1", 3_000_000_000, false),
            ("bit-flip", "n1", 3_000_000_000, true),
            ("fd-limit", "n1", 5, true),
            ("memory-limit", "n1", 5, true),
            ("cpu-quota", "n1", 5, false),
        ];
        for (kind, node, time_ns, excused) in rows {
            let nemesis = |index, time_ns, f: &str, value| Event {
                time_ns,
                ..event(index, Process::Nemesis, EventType::Info, f, value)
            };
            let events = vec![
                nemesis(0, 0, kind, fault(kind, "begin", node)),
                nemesis(1, 1, kind, fault(kind, "inject", node)),
                nemesis(2, 2, kind, fault(kind, "heal", node)),
                nemesis(3, time_ns, NODE_EXIT, exit.clone()),
            ];
            let report = verdict(events, true);
            let check = report
                .checks
                .iter()
                .find(|check| check.name == "node-exits");
            let check = check.expect("made for every run");
            let is_valid = check.verdict == Verdict::Valid;
            assert_eq!(is_valid, excused, "{kind} on {node}, {time_ns} ns");
            // Named in any case.
            let text = match excused {
                true => format!("under fault 1 ({kind}): x"),
                false => "x".to_owned(),
            };
            assert_eq!(check.details, [text]);
        }
    }
}
