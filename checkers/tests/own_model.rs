//! A model of one's own, as a user of the crate writes it: the few lines it takes, some hints, a
//! recorded history judged by it, and the laws tried on it.

use checkers::laws::{self, Effort, Law};
use checkers::{Cancel, Judgement, Limits, Model, ModelError, Verdict, linearizability_of, oracle};
use histories::{Operation, Outcome, Value};

/// A register that only grows: a write of less than it holds changes nothing.
struct MaxRegister {
    /// Says of every open write that nobody could tell that it happened: a wrong hint.
    careless: bool,
}

const RIGHT: MaxRegister = MaxRegister { careless: false };
const CARELESS: MaxRegister = MaxRegister { careless: true };

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Write(i64),
    Read(i64),
}

impl Model for MaxRegister {
    type State = i64;
    type Op = Op;

    fn name(&self) -> &'static str {
        "max-register"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Op>, ModelError> {
        let (input, output) = (operation.input.as_int(), operation.output.as_int());
        match (&*operation.f, operation.outcome, input, output) {
            ("write", _, Some(value), _) => Ok(Some(Op::Write(value))),
            ("read", Outcome::Ok, _, Some(found)) => Ok(Some(Op::Read(found))),
            ("read", Outcome::Info, ..) => Ok(None),
            (f, ..) => Err(ModelError::new(self.name(), operation, f, "write or read")),
        }
    }

    fn part(&self, operation: &Operation, _op: &Op) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> i64 {
        0
    }

    fn step(&self, state: &i64, op: &Op) -> Option<i64> {
        match op {
            Op::Write(value) => Some(*state.max(value)),
            Op::Read(found) => (state == found).then_some(*state),
        }
    }

    // From here on, hints.

    fn is_observer(&self, op: &Op) -> bool {
        matches!(op, Op::Read(_))
    }

    /// Nobody can tell that a value was written that nobody found: where it was the largest, nobody
    /// looked.
    fn unobserved(&self, _starts: &[Self::State], completed: &[&Op], open: &[&Op]) -> Vec<bool> {
        let found = |value: &i64| !self.careless && completed.contains(&&Op::Read(*value));
        open.iter()
            .map(|op| match op {
                Op::Write(value) => !found(value),
                Op::Read(_) => true,
            })
            .collect()
    }

    fn describe_state(&self, state: &i64) -> String {
        format!("the largest so far is {state}")
    }
}

/// A write of unknown outcome that somebody found, and one that came too late to count.
const RECORDED: &str = r#"
{"index":0,"time":100,"process":0,"type":"invoke","f":"write","key":"a","value":5}
{"index":1,"time":200,"process":1,"type":"invoke","f":"write","key":"a","value":3}
{"index":2,"time":300,"process":0,"type":"info","f":"write","key":"a","error":"timeout"}
{"index":3,"time":400,"process":2,"type":"invoke","f":"read","key":"a"}
{"index":4,"time":500,"process":2,"type":"ok","f":"read","key":"a","value":5}
{"index":5,"time":600,"process":1,"type":"ok","f":"write","key":"a"}
{"index":6,"time":700,"process":2,"type":"invoke","f":"write","key":"b","value":1}
{"index":7,"time":800,"process":2,"type":"ok","f":"write","key":"b"}
{"index":8,"time":900,"process":1,"type":"invoke","f":"read","key":"a"}
"#;

/// The history with one more event: what the last read found.
fn recorded(found: i64) -> histories::History {
    let last = format!(
        r#"{{"index":9,"time":1000,"process":1,"type":"ok","f":"read","key":"a","value":{found}}}"#
    );
    let text = format!("{}{last}\n", RECORDED.trim_start());
    histories::read("recorded", text.as_bytes(), None).expect("the history is well formed")
}

fn judge(model: &MaxRegister, found: i64) -> Judgement {
    let history = recorded(found);
    let (limits, cancel) = (Limits::default(), Cancel::new());
    linearizability_of(model, &history.operations(), &limits, &cancel)
        .expect("the model knows every operation")
}

#[test]
fn a_model_of_ones_own_judges_a_recorded_history() {
    let judged = judge(&RIGHT, 5);
    assert_eq!(judged.check.verdict, Verdict::Valid, "{:?}", judged.check);
    assert_eq!((judged.operations, judged.keys), (5, 2));

    // The smaller value cannot be found once the larger was.
    let judged = judge(&RIGHT, 3);
    assert_eq!(judged.check.verdict, Verdict::Invalid);
    let found = judged.counterexample.unwrap();
    assert!(found.confirmed && found.minimal, "{found:#?}");
    assert_eq!(found.key, Some("a".into()));
    let reason = judged.check.reason.unwrap();
    assert!(reason.contains("Read(3)"), "{reason}");
}

#[test]
fn the_laws_hold_for_it() {
    let history = recorded(5);
    let samples = history.operations().to_vec();
    let report = laws::check(&RIGHT, &samples, &Effort::default()).unwrap();
    for law in [Law::Deterministic, Law::IsObserver, Law::Unobserved] {
        assert!(report.cases(law) > 0, "{report}");
    }
    assert!(
        report.linearizable > 0 && report.contradictory > 0,
        "{report}"
    );
    // Hints that it does not give.
    let untried = report.untried();
    assert!(untried.contains(&Law::Monitor) && untried.contains(&Law::Lacks));
}

/// Goal: a wrong hint is found out before it becomes a wrong verdict. Method: one that is wrong
/// about the recorded history.
#[test]
fn the_laws_find_a_wrong_hint() {
    let history = recorded(5);
    let samples = history.operations().to_vec();
    let violation = laws::check(&CARELESS, &samples, &Effort::default()).unwrap_err();
    assert_eq!(violation.law, Law::Unobserved, "{violation}");
    assert!(violation.operations.len() <= 2, "{violation}");
    // This is what would have become of it.
    let [write, read] = [Op::Write(5), Op::Read(5)];
    let interval = |op, begins, ends| oracle::Interval { op, begins, ends };
    let intervals = [interval(write, 0, None), interval(read, 1, Some(2))];
    let truth = oracle::is_linearizable(&CARELESS, &0, &intervals, 1_000);
    assert_eq!(truth, Some(true));
    assert_ne!(judge(&CARELESS, 5).check.verdict, Verdict::Valid);
}
